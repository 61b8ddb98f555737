"""Adobe Experience Platform as the reconcilers see it: one sandbox, one credential, all services.

Five verbs work on every collection; what is no reading or writing of an object has a call of its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from pydantic import SecretStr

from crmflow.aep import data_access, data_prep, explore
from crmflow.aep import landing_zone as zones
from crmflow.aep.collection import AnyCollection, Collection, Query, Raw, Selection, Verb
from crmflow.aep.data_prep import MAPPING_SETS
from crmflow.aep.flow_service import CONNECTION_SPECS, CONNECTIONS, FLOWS, RUNS
from crmflow.aep.gateway import Gateway
from crmflow.aep.models import (
    Column,
    Created,
    LandingZone,
    LandingZoneCredentials,
    LandingZoneEntry,
    MappingCheck,
    PatchOperation,
    Preview,
    RefusedRow,
    Table,
)
from crmflow.http.client import Answer
from crmflow.http.errors import ErrorClass, RemoteError

T = TypeVar("T")
L = TypeVar("L")

VersionObserver = Callable[[str, str], None]
"""Told the id and etag of each object that was read or written by its id: that version is known here."""


class PlatformClient:
    """One sandbox. Every method raises :class:`RemoteError` by the table of ``aep/errors.py``.

    A verb that a collection does not have, or a selection that its service does not offer, is a mistake in
    the program: LookupError.
    """

    def __init__(self, gateway: Gateway, on_version: VersionObserver | None = None) -> None:
        self._gateway = gateway
        self._on_version = on_version

    def read_only(self) -> PlatformClient:
        """The same sandbox without writes: they raise :class:`ReadOnlyError`, and nothing is sent."""
        return PlatformClient(self._gateway.read_only(), self._on_version)

    # The five verbs

    async def list(self, collection: Collection[Any, L], selection: Selection = None) -> tuple[L, ...]:
        """The objects that ``selection`` names, page by page; a page that fails fails the listing."""
        _check(collection, Verb.LIST)
        found: list[L] = []
        for query in collection.queries(selection):
            async for page in self._pages(collection, query):
                found.extend(collection.entries(page, selection))
        return tuple(found)

    async def get(self, collection: Collection[T, Any], object_id: str, version: int | None = None) -> T:
        """The object; NotFound if there is none, or if a label hides it (platform.md 1.4).

        ``version`` is a schema's major version, 1 if it is left out, or that of a mapping set; nothing else
        has one.
        """
        _check(collection, Verb.GET)
        query = collection.lookup(version)
        answer = await self._send(collection, Verb.GET, "GET", collection.path_of(object_id), query)
        raw = collection.found(answer, object_id)
        if raw is None:
            raise RemoteError(
                collection.service,
                f"{collection.name}.{Verb.GET}",
                ErrorClass.NOT_FOUND,
                "NotFound",
                f"there is nothing with the id {object_id}",
                status=404,
            )
        self._saw(object_id, collection.etag(raw))
        return collection.model(raw)

    async def create(self, collection: AnyCollection, body: Mapping[str, Any]) -> Created:
        """Create an object; not idempotent (platform.md 2.5). ``body`` is Platform's own, and may hold
        ``SecretStr`` anywhere inside.
        """
        _check(collection, Verb.CREATE)
        answer = await self._send(collection, Verb.CREATE, "POST", collection.path, json=_reveal(body))
        return self._noted(collection.created(answer))

    async def patch(
        self,
        collection: AnyCollection,
        object_id: str,
        etag: str | None,
        operations: Sequence[PatchOperation],
    ) -> Created:
        """Change an object that still has this etag; Conflict if it has another by now (platform.md 4.6).
        ``etag`` is None where the service has none.
        """
        _check(collection, Verb.PATCH)
        answer = await self._send(
            collection,
            Verb.PATCH,
            "PATCH",
            collection.path_of(object_id),
            _if_match(etag),
            json=[_patch(operation) for operation in operations],
        )
        return self._noted(collection.created(answer, object_id))

    async def delete(self, collection: AnyCollection, object_id: str) -> None:
        """Delete an object; InUse while others use it, Wait in a transitional state (platform.md 12)."""
        _check(collection, Verb.DELETE)
        await self._send(collection, Verb.DELETE, "DELETE", collection.path_of(object_id))

    # Everything else

    async def test_connection(self, connection_id: str) -> bool:
        """Whether Platform reaches the source through a base connection; if it gives a reason,
        :class:`RemoteError` with that.
        """
        answer = await self._send(CONNECTIONS, "test", "GET", f"{CONNECTIONS.path_of(connection_id)}/test")
        return explore.test_result(answer)

    async def tables(self, connection_id: str) -> tuple[Table, ...]:
        """The tables that the source offers with this base connection's grant."""
        return explore.tables(await self._explore("exploreRoot", connection_id, explore.ROOT))

    async def columns(self, connection_id: str, table_path: str) -> tuple[Column, ...]:
        """The columns of a table, as they are right now."""
        query = explore.table_query(table_path)
        return explore.columns(await self._explore("exploreTable", connection_id, query))

    async def preview(self, connection_id: str, table_path: str) -> Preview:
        """The columns of a table with sample rows, a hundred at the most (platform.md 5)."""
        query = explore.table_query(table_path, preview=True)
        return explore.preview(await self._explore("previewTable", connection_id, query))

    async def set_flow_state(self, flow_id: str, enable: bool, etag: str | None) -> Created:
        """Enable or disable a flow: an action, not a patch (platform.md 4.4)."""
        op = "enable" if enable else "disable"
        query = Query([("op", op)], _if_match(etag).headers)
        answer = await self._send(FLOWS, op, "POST", f"{FLOWS.path_of(flow_id)}/action", query)
        return self._noted(FLOWS.created(answer, flow_id))

    async def retry_run(self, run_id: str) -> Created:
        """Run the window of a run again that failed, or that ingested nothing (platform.md 7.3); the new run.
        RunNotRetryable while it goes on, FlowNotEnabled. Not idempotent.
        """
        query = Query([("op", "re-trigger")])
        answer = await self._send(RUNS, "retry", "POST", f"{RUNS.path_of(run_id)}/action", query)
        return RUNS.created(answer)

    async def start_run(
        self, flow_id: str, at: float, window: tuple[datetime, datetime], delta_column: str
    ) -> Created:
        """Run a one-time flow over a window, at the time ``at``; the run (platform.md 7.2). The delta column
        is the one by which the window is read, and stays that of the flow. FrequencyNotSupported for any
        other flow, FlowNotEnabled. Not idempotent.
        """
        begin, end = window
        params = {
            "startTime": str(int(at)),
            "windowStartTime": str(int(begin.timestamp())),
            "windowEndTime": str(int(end.timestamp())),
            "deltaColumn": {"name": delta_column},
        }
        body = {"flowId": flow_id, "params": params}
        return RUNS.created(await self._send(RUNS, "start", "POST", RUNS.path, json=body))

    async def batch_files(self, batch_id: str) -> tuple[str, ...]:
        """The files that a batch was made from, each as Platform writes its path; NotFound once that is not
        kept any more, after 30 days (platform.md 7.1).
        """
        found: list[str] = []
        for name in data_access.lists(await self._of_batch(batch_id, data_access.files_query())):
            found += data_access.paths(await self._of_batch(batch_id, data_access.files_query(name)))
        return tuple(found)

    async def refused_rows(self, batch_id: str, most: int) -> tuple[RefusedRow, ...]:
        """The first rows that a batch has refused, as many as ``most``: its sample, or, if that is not kept,
        what is in its lists. NotFound if Platform keeps neither: the flow has no error diagnostics, or it is
        more than 30 days ago (platform.md 7.1).
        """
        try:
            sample = await self._of_batch(batch_id, data_access.samples_query())
            return data_access.refused_rows(sample)[:most]
        except RemoteError as error:
            if error.error_class is not ErrorClass.NOT_FOUND:
                raise
        found: list[RefusedRow] = []
        for name in data_access.lists(await self._of_batch(batch_id, data_access.row_errors_query())):
            found += data_access.refused_rows(
                await self._of_batch(batch_id, data_access.row_errors_query(name))
            )
            if len(found) >= most:
                break
        return tuple(found[:most])

    async def validate_mapping(self, body: Mapping[str, Any]) -> tuple[MappingCheck, ...]:
        """Data Prep's verdicts on the ``mappings`` of a mapping set's body, one for each in their order;
        nothing is created.
        """
        path = f"{MAPPING_SETS.path}/validate"
        answer = await self._send(MAPPING_SETS, "validate", "POST", path, json=body, reads=True)
        return data_prep.verdicts(answer, len(body["mappings"]))

    # The landing zone of the sandbox

    async def landing_zone(self) -> LandingZone:
        """Where it is, and with whom."""
        return zones.zone(await self._zone("landingZone.get", "GET", zones.ZONE_PATH))

    async def landing_zone_credentials(self) -> LandingZoneCredentials:
        """What opens it: the same until that ends, and new ones after it. LandingZoneProviderUnsupported on
        AWS.
        """
        path = zones.CREDENTIALS_PATH
        return zones.credentials(await self._zone("landingZone.credentials", "GET", path))

    async def refresh_landing_zone_credentials(self) -> LandingZoneCredentials:
        """New ones, which end the old ones for everybody in the sandbox: only for a person who asks for it
        (landing-zone.md E.1, K.1).
        """
        path = zones.CREDENTIALS_PATH
        answer = await self._zone("landingZone.refresh", "POST", path, zones.REFRESH)
        return zones.credentials(answer)

    async def landing_zone_entries(self, folder: str | None = None) -> tuple[LandingZoneEntry, ...]:
        """What is directly in a folder, or at the top."""
        if folder is None:
            return zones.entries(await self._explore_zone("exploreRoot", zones.ROOT))
        query = zones.folder_query(folder)
        return zones.entries(await self._explore_zone("exploreFolder", query))

    async def landing_zone_file(self, path: str) -> Preview:
        """The columns of a delimited file with its first rows."""
        return explore.preview(await self._explore_zone("exploreFile", zones.file_query(path)))

    async def _of_batch(self, batch_id: str, query: Query) -> Answer:
        path = data_access.meta_path(batch_id)
        return await self._gateway.send(
            data_access.SERVICE, "batches.files", "GET", path, params=query.params
        )

    async def _zone(self, operation: str, method: str, path: str, query: Query = zones.ZONE) -> Answer:
        return await self._gateway.send(zones.SERVICE, operation, method, path, params=query.params)

    async def _explore_zone(self, operation: str, query: Query) -> Answer:
        path = f"{CONNECTION_SPECS.path_of(zones.CONNECTION_SPEC_ID)}/explore"
        return await self._send(CONNECTION_SPECS, operation, "GET", path, query)

    async def _explore(self, operation: str, connection_id: str, query: Query) -> Answer:
        path = f"{CONNECTIONS.path_of(connection_id)}/explore"
        return await self._send(CONNECTIONS, operation, "GET", path, query)

    async def _pages(self, collection: AnyCollection, query: Query) -> AsyncIterator[Sequence[Raw]]:
        params, seen = query.params, set()
        while True:
            page = Query(params, query.headers)
            answer = await self._send(collection, Verb.LIST, "GET", collection.path, page)
            yield collection.page(answer)
            seen.add(tuple(params))
            following = collection.next_page(answer, query.params)
            if following is None:
                return
            if tuple(following) in seen:
                raise answer.unreadable("a next page that was there before")
            params = following

    async def _send(
        self,
        collection: AnyCollection,
        operation: str,
        method: str,
        path: str,
        query: Query = Query(),  # noqa: B008 - immutable
        *,
        json: Any = None,
        reads: bool = False,
    ) -> Answer:
        return await self._gateway.send(
            collection.service,
            f"{collection.name}.{operation}",
            method,
            path,
            params=query.params or None,
            headers=query.headers or None,
            json=json,
            reads=reads,
        )

    def _noted(self, created: Created) -> Created:
        self._saw(created.id, created.etag)
        return created

    def _saw(self, object_id: str, etag: str | None) -> None:
        if self._on_version is not None and etag is not None:
            self._on_version(object_id, etag)


def _check(collection: AnyCollection, verb: Verb) -> None:
    if verb not in collection.verbs:
        raise LookupError(f"there is no {verb} for {collection.name}")


def _if_match(etag: str | None) -> Query:
    return Query() if etag is None else Query(headers={"If-Match": etag})


def _reveal(value: Any) -> Any:
    """``value`` with every ``SecretStr`` in it replaced by its content: the last step before it is sent."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Mapping):
        return {name: _reveal(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_reveal(entry) for entry in value]
    return value


def _patch(operation: PatchOperation) -> dict[str, Any]:
    patch: dict[str, Any] = {"op": operation.op, "path": operation.path}
    if operation.op != "remove":
        patch["value"] = _reveal(operation.value)
    return patch
