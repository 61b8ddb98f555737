"""Listings of what belongs to the Zoho source, and of runs, as the inventory reads them (platform.md 3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from crmflow.aep import fields
from crmflow.aep.flow_service import FlowServiceObjects
from crmflow.aep.models import Run
from crmflow.aep.runs import last_run_of, run_of

PAGE_SIZE = 100
"""Objects per page; larger limits may be cut."""
IDS_PER_REQUEST = 50
"""A filter of ids is part of the URL, whose length is bounded somewhere."""


class Collection(StrEnum):
    """Flow Service's collections that hold objects of ours."""

    CONNECTIONS = "connections"
    SOURCE_CONNECTIONS = "sourceConnections"
    TARGET_CONNECTIONS = "targetConnections"
    FLOWS = "flows"


_SPEC_FIELD = {
    Collection.CONNECTIONS: "connectionSpec.id",
    Collection.SOURCE_CONNECTIONS: "connectionSpec.id",
    Collection.TARGET_CONNECTIONS: "connectionSpec.id",
    Collection.FLOWS: "flowSpec.id",
}


@dataclass(frozen=True, slots=True)
class Listed:
    """An object as a listing shows it: enough to recognise it and to notice that it changed."""

    id: str
    etag: str
    name: str
    description: str
    state: str
    created_at: float
    """Seconds since the epoch; orders objects by age."""
    parents: tuple[str, ...] = ()
    """What it is built on: a base connection's id, or those of a flow's source and target connection."""
    last_run: Run | None = None


class Listings(FlowServiceObjects):
    """Listings of one sandbox. All raise :class:`RemoteError`; a page that fails fails the listing."""

    async def list_by_spec(self, collection: Collection, spec_id: str) -> tuple[Listed, ...]:
        """All objects of ``collection`` that were made from that specification, the oldest first."""
        filters = [("property", f"{_SPEC_FIELD[collection]}=={spec_id}")]
        return await self._list(collection, filters)

    async def list_by_ids(self, collection: Collection, ids: tuple[str, ...]) -> tuple[Listed, ...]:
        """Those of ``ids`` that exist and are visible."""
        found: list[Listed] = []
        for wanted in _portions(ids):
            found += await self._list(collection, [("property", wanted)])
        return tuple(found)

    async def runs_since(self, since: float) -> tuple[Run, ...]:
        """All runs in the sandbox, of whatever flow, that began after ``since``, the latest first."""
        filters = [("property", f"metrics.durationSummary.startedAtUTC>{int(since * 1000)}")]
        return await self._runs(filters)

    async def runs_by_ids(self, ids: tuple[str, ...]) -> tuple[Run, ...]:
        """Those of ``ids`` that exist."""
        return tuple([run for wanted in _portions(ids) for run in await self._runs([("property", wanted)])])

    async def _runs(self, filters: list[tuple[str, str]]) -> tuple[Run, ...]:
        params = [*filters, ("orderby", "-createdAt"), ("limit", str(PAGE_SIZE))]
        return tuple(map(run_of, await self._flow_service.find("runs", params)))

    async def _list(self, collection: Collection, filters: list[tuple[str, str]]) -> tuple[Listed, ...]:
        params = [*filters, ("orderby", "createdAt"), ("limit", str(PAGE_SIZE))]
        found = await self._flow_service.find(collection, params)
        # Deleted objects may stay in listings for a while (platform.md 16.3, 6).
        return tuple(item for item in map(_listed, found) if item.state.lower() != "deleted")


def _portions(ids: tuple[str, ...]) -> Iterator[str]:
    """Filters for ``ids`` that keep the URL short."""
    for start in range(0, len(ids), IDS_PER_REQUEST):
        yield f"id=={','.join(ids[start : start + IDS_PER_REQUEST])}"


def _listed(raw: Mapping[str, Any]) -> Listed:
    base = fields.text(raw, "baseConnectionId")
    return Listed(
        id=fields.text(raw, "id"),
        etag=fields.text(raw, "etag", "version"),
        name=fields.text(raw, "name"),
        description=fields.text(raw, "description"),
        state=fields.text(raw, "state"),
        created_at=(fields.number(raw.get("createdAt")) or 0.0) / 1000,
        parents=(base,)
        if base
        else (*fields.texts(raw.get("sourceConnectionIds")), *fields.texts(raw.get("targetConnectionIds"))),
        last_run=last_run_of(raw),
    )
