"""Flow Service's specs and base connections, and the latter's view of a source (platform.md 4.1, 5, 11)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from pydantic import SecretStr

from crmflow.aep import fields
from crmflow.aep.flow_service import FlowServiceObjects
from crmflow.aep.gateway import Params
from crmflow.aep.models import (
    AuthSpec,
    BaseConnection,
    Column,
    ConnectionSpec,
    Created,
    FlowSpec,
    PatchOperation,
    Preview,
    Table,
)
from crmflow.transport.errors import ErrorClass, RemoteError
from crmflow.transport.http import Answer

_CONNECTIONS = "connections"
_DATES = {"date": "date", "date-time": "date-time", "datetime": "date-time", "timestamp": "date-time"}
"""Spellings of columns that hold dates, and what they hold."""


class Connections(FlowServiceObjects):
    """Base connections and the specs they follow."""

    async def connection_spec(self, spec_id: str) -> ConnectionSpec | None:
        """The connection spec; None if AEP has none with this id, as for a source that was withdrawn."""
        try:
            raw = await self._flow_service.get("connectionSpecs", spec_id)
        except RemoteError as error:
            if error.error_class is ErrorClass.NOT_FOUND:
                return None
            raise
        return _connection_spec(raw)

    async def flow_spec(self, name: str) -> FlowSpec | None:
        """The flow spec with this name, or None; ids differ between Adobe's samples (platform.md 16.1)."""
        found = await self._flow_service.find("flowSpecs", [("property", f'name=="{name}"')])
        return next((_flow_spec(raw) for raw in found if fields.text(raw, "name") == name), None)

    async def create_connection(
        self,
        name: str,
        description: str,
        auth_spec_name: str,
        params: Mapping[str, str | SecretStr],
        spec_id: str,
        spec_version: str,
    ) -> Created:
        """A new base connection. Whether AEP tries the credentials now is unknown: test it afterwards."""
        body = {
            "name": name,
            "description": description,
            "auth": {"specName": auth_spec_name, "params": params},
            "connectionSpec": {"id": spec_id, "version": spec_version},
        }
        return await self._flow_service.create(_CONNECTIONS, body)

    async def connection(self, connection_id: str) -> BaseConnection:
        """The base connection; NotFound if there is none."""
        return _connection(await self._flow_service.get(_CONNECTIONS, connection_id))

    async def patch_connection(
        self, connection_id: str, etag: str, operations: Sequence[PatchOperation]
    ) -> Created:
        """Change name, description or ``/auth/params``: the last as a whole, what it omits is dropped."""
        return await self._flow_service.patch(_CONNECTIONS, connection_id, etag, operations)

    async def delete_connection(self, connection_id: str) -> None:
        """Delete the base connection; InUse while flows use it."""
        await self._flow_service.delete(_CONNECTIONS, connection_id)

    async def test_connection(self, connection_id: str) -> bool:
        """Whether AEP reaches the source; if it gives a reason, :class:`RemoteError` with that."""
        path = f"/{_CONNECTIONS}/{quote(connection_id, safe='')}/test"
        answer = await self._flow_service.read("connections.test", path)
        result = fields.boolean(fields.obj(answer.json()).get("result"))
        if result is None:
            raise answer.unreadable("no result")
        return result

    async def tables(self, connection_id: str) -> tuple[Table, ...]:
        """The tables that the source offers with this connection's grant."""
        answer = await self._explore("connections.exploreRoot", connection_id, [("objectType", "root")])
        found = fields.items(answer.json())
        if found is None:
            raise answer.unreadable("no tables")
        return tuple(
            Table(name=fields.text(raw, "name"), path=fields.text(raw, "path", "name"))
            for raw in found
            if fields.text(raw, "type").lower() in ("", "table")
        )

    async def columns(self, connection_id: str, table_path: str) -> tuple[Column, ...]:
        """The columns of a table, as they are right now."""
        answer = await self._explore_table("connections.exploreTable", connection_id, table_path)
        return _columns(answer, _table(answer))

    async def preview(self, connection_id: str, table_path: str) -> Preview:
        """The columns of a table with sample rows, a hundred at the most (platform.md 5)."""
        more = [("preview", "true")]
        answer = await self._explore_table("connections.previewTable", connection_id, table_path, more)
        table = _table(answer)
        return Preview(_columns(answer, table), fields.objects(table.get("data")))

    async def _explore_table(
        self, operation: str, connection_id: str, table_path: str, more: Params = ()
    ) -> Answer:
        params = [("objectType", "table"), ("object", table_path), *more]
        return await self._explore(operation, connection_id, params)

    async def _explore(self, operation: str, connection_id: str, params: Params) -> Answer:
        path = f"/{_CONNECTIONS}/{quote(connection_id, safe='')}/explore"
        return await self._flow_service.read(operation, path, params)


def _connection_spec(raw: Mapping[str, Any]) -> ConnectionSpec:
    return ConnectionSpec(
        id=fields.text(raw, "id"),
        name=fields.text(raw, "name"),
        version=fields.text(raw, "version"),
        auth_specs=tuple(
            AuthSpec(
                name=fields.text(auth, "name"),
                required=fields.texts(fields.obj(auth, "spec").get("required")),
            )
            for auth in fields.objects(raw.get("authSpec"))
        ),
    )


def _flow_spec(raw: Mapping[str, Any]) -> FlowSpec:
    return FlowSpec(
        id=fields.text(raw, "id"),
        name=fields.text(raw, "name"),
        version=fields.text(raw, "version"),
        source_connection_spec_ids=fields.texts(raw.get("sourceConnectionSpecIds")),
        target_connection_spec_ids=fields.texts(raw.get("targetConnectionSpecIds")),
    )


def _connection(raw: Mapping[str, Any]) -> BaseConnection:
    return BaseConnection(
        id=fields.text(raw, "id"),
        etag=fields.text(raw, "etag", "version"),
        name=fields.text(raw, "name"),
        description=fields.text(raw, "description"),
        state=fields.text(raw, "state"),
        connection_spec_id=fields.text(fields.obj(raw, "connectionSpec"), "id"),
        auth_spec_name=fields.text(fields.obj(raw, "auth"), "specName"),
        auth_params=fields.obj(raw, "auth", "params"),
    )


def _table(answer: Answer) -> Mapping[str, Any]:
    return next(iter(fields.objects(answer.json())), {})  # bare, or in a list (platform.md 16.1)


def _columns(answer: Answer, table: Mapping[str, Any]) -> tuple[Column, ...]:
    found = fields.obj(table, "schema").get("columns")
    if not isinstance(found, list):
        raise answer.unreadable("no columns")
    return tuple(map(_column, fields.objects(found)))


def _column(raw: Mapping[str, Any]) -> Column:
    """A column, described by ``xdm`` or, as of old, by ``meta.originalType`` (platform.md 16.1)."""
    original = fields.text(fields.obj(raw, "meta"), "originalType").lower()
    kind = fields.text(raw, "type").lower() or original
    xdm = (fields.text(raw, "meta:xdmType") or fields.text(fields.obj(raw, "xdm"), "format")).lower()
    date = next((found for found in (xdm, kind, original) if found in _DATES), "")
    return Column(
        name=fields.text(raw, "name"),
        type=kind,
        is_date=bool(date),
        raw=raw,
        format=_DATES.get(date, ""),
    )
