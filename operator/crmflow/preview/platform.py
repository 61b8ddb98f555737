"""A sandbox that is read, and not written to: what would be created, changed and deleted is noted, and shows
in what is read afterwards, so that the steps go on as they would have.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from crmflow.aep.catalog import DATA_SETS
from crmflow.aep.client import PlatformClient
from crmflow.aep.collection import AnyCollection, Collection, Named, OfFlow, Raw, Selection
from crmflow.aep.data_prep import MAPPING_SETS
from crmflow.aep.flow_service import CONNECTIONS, FLOWS, INVENTORIED
from crmflow.aep.gateway import ReadOnlyError
from crmflow.aep.models import (
    Column,
    Created,
    LandingZone,
    LandingZoneCredentials,
    LandingZoneEntry,
    MappingCheck,
    PatchOperation,
    Preview,
    Table,
)
from crmflow.aep.schema_registry import SCHEMAS
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.preview.notes import NOUNS, ChangeVerb, Notes, Write

T = TypeVar("T")
L = TypeVar("L")

NEW = "new-"
"""The ids of what does not exist yet begin like this."""


class PreviewPlatform:
    """Implements the port ``Platform``, over a client whose gateway only reads."""

    def __init__(
        self,
        client: PlatformClient,
        notes: Notes,
        tables: Mapping[str, Sequence[Column]],
        readers_of: Callable[[str], Awaitable[Sequence[str]]],
    ) -> None:
        """``tables``: what is taken for the tables of a base connection that does not exist yet;
        ``readers_of``: the flows that read through a base connection.
        """
        self._client = client.read_only()
        self._notes = notes
        self._tables = tables
        self._readers_of = readers_of
        self._made: dict[str, tuple[AnyCollection, dict[str, Any]]] = {}
        """What was created or changed, as Platform would show it, by its id."""
        self._deleted: set[str] = set()
        self._numbers = itertools.count(1)
        self._reads_only = False

    def read_only(self) -> PreviewPlatform:
        """The same sandbox for a pass that may not write."""
        platform = copy.copy(self)
        platform._reads_only = True
        return platform

    # The five verbs

    async def list(self, collection: Collection[Any, L], selection: Selection = None) -> Sequence[L]:
        if isinstance(selection, OfFlow) and selection.flow_id.startswith(NEW):
            return ()
        found = await self._client.list(collection, selection)
        made = [raw for where, raw in self._made.values() if where is collection and _is_new(raw)]
        own = tuple(collection.entries(made, selection)) if isinstance(selection, Named) else ()
        return (*(item for item in found if getattr(item, "id", None) not in self._deleted), *own)

    async def get(self, collection: Collection[T, Any], object_id: str, version: int | None = None) -> T:
        if object_id in self._deleted:
            raise _not_found(collection, object_id)
        if object_id in self._made:
            return collection.model(self._made[object_id][1])
        return await self._client.get(collection, object_id, version)

    async def create(self, collection: AnyCollection, body: Mapping[str, Any]) -> Created:
        self._may_write(f"{collection.name}.create")
        if collection is MAPPING_SETS:
            for known in await self._client.list(MAPPING_SETS, Named(str(body["name"]))):
                self._notes.write(Write(ChangeVerb.USE, NOUNS[collection], known.id, str(body["name"])))
                return Created(known.id, version=known.version)
        new_id = f"{NEW}{collection.name}-{next(self._numbers)}"
        self._made[new_id] = (collection, _shown(collection, new_id, body))
        name = body.get("name") or body.get("title") or body.get("xdm:sourceProperty") or ""
        self._notes.write(Write(ChangeVerb.CREATE, NOUNS[collection], name=str(name)))
        etag = '"new"' if collection in INVENTORIED else None
        return Created(new_id, etag, {SCHEMAS: 1, MAPPING_SETS: 0}.get(collection))

    async def patch(
        self,
        collection: AnyCollection,
        object_id: str,
        etag: str | None,
        operations: Sequence[PatchOperation],
    ) -> Created:
        self._may_write(f"{collection.name}.patch")
        raw = await self._raw(collection, object_id)
        for operation in operations:
            _apply(raw, operation)
        self._made[object_id] = (collection, raw)
        fields = tuple(dict.fromkeys(operation.path for operation in operations))
        self._notes.write(Write(ChangeVerb.UPDATE, NOUNS[collection], _existing(object_id), fields=fields))
        return Created(object_id, etag)

    async def delete(self, collection: AnyCollection, object_id: str) -> None:
        self._may_write(f"{collection.name}.delete")
        if object_id in self._deleted:
            raise _not_found(collection, object_id)
        if object_id not in self._made:
            await self._client.get(collection, object_id)
        if collection is CONNECTIONS:
            left = set(await self._readers_of(object_id)) - self._deleted
            if left:
                raise _in_use(object_id, min(left))
        self._deleted.add(object_id)
        self._notes.write(Write(ChangeVerb.DELETE, NOUNS[collection], _existing(object_id)))

    # Everything else

    async def test_connection(self, connection_id: str) -> bool:
        if connection_id.startswith(NEW):
            self._notes.assume("Platform reaches Zoho CRM through the base connection that is to be created.")
            return True
        return await self._client.test_connection(connection_id)

    async def tables(self, connection_id: str) -> Sequence[Table]:
        if connection_id.startswith(NEW):
            return [Table(name, name) for name in self._tables]
        return await self._client.tables(connection_id)

    async def columns(self, connection_id: str, table_path: str) -> Sequence[Column]:
        if connection_id.startswith(NEW):
            self._notes.assume(
                f'Zoho CRM has table "{table_path}" and the columns that are named: the base connection to '
                "look through is still to be created."
            )
            return self._tables.get(table_path, ())
        return await self._client.columns(connection_id, table_path)

    async def set_flow_state(self, flow_id: str, enable: bool, etag: str | None) -> Created:
        self._may_write("flows.action")
        raw = await self._raw(FLOWS, flow_id)
        raw["state"] = "enabled" if enable else "disabled"
        self._made[flow_id] = (FLOWS, raw)
        self._notes.write(
            Write(ChangeVerb.ENABLE if enable else ChangeVerb.DISABLE, NOUNS[FLOWS], _existing(flow_id))
        )
        return Created(flow_id, etag)

    async def retry_run(self, run_id: str) -> Created:
        self._may_write("runs.retry")
        self._notes.write(Write(ChangeVerb.RETRY, "run", run_id))
        return Created(f"{NEW}run")

    async def start_run(
        self, flow_id: str, at: float, window: tuple[datetime, datetime], delta_column: str
    ) -> Created:
        self._may_write("runs.start")
        begin, end = window
        name = f"{begin:%Y-%m-%dT%H:%M:%SZ} to {end:%Y-%m-%dT%H:%M:%SZ}"
        self._notes.write(Write(ChangeVerb.RUN, "flow", flow_id, name))
        return Created(f"{NEW}run")

    async def batch_files(self, batch_id: str) -> Sequence[str]:
        return await self._client.batch_files(batch_id)

    async def validate_mapping(self, body: Mapping[str, Any]) -> Sequence[MappingCheck]:
        schema = body.get("outputSchema", {}).get("schemaRef", {}).get("id", "")
        if str(schema).startswith(NEW):
            self._notes.assume(
                "Platform accepts the mapping: the schema to check it by is still to be created."
            )
            return [MappingCheck(True, "")] * len(body["mappings"])
        return await self._client.validate_mapping(body)

    async def landing_zone(self) -> LandingZone:
        return await self._client.landing_zone()

    async def landing_zone_credentials(self) -> LandingZoneCredentials:
        return await self._client.landing_zone_credentials()

    async def landing_zone_entries(self, folder: str | None = None) -> Sequence[LandingZoneEntry]:
        return await self._client.landing_zone_entries(folder)

    async def landing_zone_file(self, path: str) -> Preview:
        return await self._client.landing_zone_file(path)

    def _may_write(self, operation: str) -> None:
        if self._reads_only:
            raise ReadOnlyError(f"{operation} is not allowed here: it changes Platform")

    async def _raw(self, collection: AnyCollection, object_id: str) -> dict[str, Any]:
        """The object as Platform shows it, to be changed here."""
        if object_id in self._deleted:
            raise _not_found(collection, object_id)
        if object_id in self._made:
            return self._made[object_id][1]
        raw: Any = await self._client.get(replace(collection, model=copy.deepcopy), object_id)
        return dict(raw)


def _is_new(raw: Raw) -> bool:
    return str(raw.get("id") or raw.get("$id")).startswith(NEW)


def _existing(object_id: str) -> str:
    """An id that means something elsewhere."""
    return "" if object_id.startswith(NEW) else object_id


def _shown(collection: AnyCollection, new_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """What Platform would show of what was just created with ``body``."""
    raw = copy.deepcopy(dict(body))
    if collection is SCHEMAS:
        parts = [part.get("$ref") for part in raw.get("allOf", ()) if isinstance(part, Mapping)]
        return {**raw, "$id": new_id, "version": "1.0", "meta:extends": parts}
    if collection is DATA_SETS:
        return {**raw, "id": new_id}
    if collection is MAPPING_SETS:
        return {**raw, "id": new_id, "version": 0}
    return {**raw, "id": new_id, "etag": '"new"', "state": "enabled"}


def _apply(raw: MutableMapping[str, Any], operation: PatchOperation) -> None:
    """Carry out one operation of a JSON Patch. A path that leads nowhere changes nothing."""
    *parents, name = (part.replace("~1", "/").replace("~0", "~") for part in operation.path.split("/")[1:])
    part: Any = raw
    for parent in parents:
        if isinstance(part, list):
            part = part[int(parent)] if parent.isdecimal() and int(parent) < len(part) else {}
        else:
            part = part.setdefault(parent, {}) if isinstance(part, dict) else {}
    if isinstance(part, list):
        if name == "-":
            part.append(operation.value)
        elif name.isdecimal() and int(name) <= len(part):
            index = int(name)
            if operation.op == "add":
                part.insert(index, operation.value)
            elif index < len(part):
                part[index : index + 1] = [] if operation.op == "remove" else [operation.value]
    elif isinstance(part, dict):
        if operation.op == "remove":
            part.pop(name, None)
        else:
            part[name] = operation.value


def _in_use(connection_id: str, flow_id: str) -> RemoteError:
    """What Platform says of a base connection that flows read through (platform.md 12)."""
    return RemoteError(
        CONNECTIONS.service,
        f"{CONNECTIONS.name}.delete",
        ErrorClass.IN_USE,
        "InUse",
        f"flow {flow_id} reads through base connection {connection_id}",
        status=400,
    )


def _not_found(collection: AnyCollection, object_id: str) -> RemoteError:
    return RemoteError(
        collection.service,
        f"{collection.name}.get",
        ErrorClass.NOT_FOUND,
        "NotFound",
        f"there is nothing with the id {object_id}",
        status=404,
    )
