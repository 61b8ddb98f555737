"""Reads what a sandbox holds for Zoho CRM. The client's gateway only reads: a write would fail unsent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import TypeVar

from crmflow.aep.catalog import DATA_SETS
from crmflow.aep.client import PlatformClient
from crmflow.aep.collection import Collection, Named, OfSpec, WithIds
from crmflow.aep.data_prep import MAPPING_SETS
from crmflow.aep.errors import found
from crmflow.aep.flow_service import CONNECTIONS, FLOW_SPECS, FLOWS, SOURCE_CONNECTIONS, TARGET_CONNECTIONS
from crmflow.aep.landing_zone import CONNECTION_SPEC_ID as LANDING_ZONE_SPEC_ID
from crmflow.aep.models import Flow, Listed, MappingSet, SourceConnection
from crmflow.aep.schema_registry import SCHEMAS
from crmflow.cli.importing.contents import Contents, FoundFlow
from crmflow.http.errors import RemoteError
from crmflow.reconcile.extraction.names import is_ours
from crmflow.reconcile.sources import landing_zone_offer, offer
from crmflow.reconcile.sources.offer import ZOHO_CONNECTION_SPEC_ID

_AT_A_TIME = 4
"""Requests side by side: the operator shares the pace of the credential."""
T = TypeVar("T")


async def read(platform: PlatformClient) -> Contents:
    """Everything. Raises RemoteError."""
    return await _Reader(platform.read_only()).contents()


class _Reader:
    def __init__(self, platform: PlatformClient) -> None:
        self._platform = platform
        self._turn = asyncio.Semaphore(_AT_A_TIME)

    async def contents(self) -> Contents:
        listed = await self._platform.list(CONNECTIONS, OfSpec(ZOHO_CONNECTION_SPEC_ID))
        connections = await self._all(CONNECTIONS, _ids(listed))
        tables, others = await self._flows_of_tables()
        files, others_of_files = await self._flows_of_files()
        flows = sorted((*tables, *files), key=lambda one: (one[0].created_at, one[0].id))
        whole = await asyncio.gather(*(self._whole(entry, source) for entry, source in flows))
        there = tuple(one for one in whole if one is not None)
        schemas, datasets = await asyncio.gather(
            self._all(SCHEMAS, {one.target.schema_id: None for one in there if one.target}),
            self._all(DATA_SETS, {one.target.dataset_id: None for one in there if one.target}),
        )
        return Contents(
            tuple(one for one in connections if one is not None),
            there,
            {schema.id: schema.title for schema in schemas if schema is not None},
            {dataset.id: dataset.name for dataset in datasets if dataset is not None},
            others + others_of_files,
        )

    async def _flows_of_tables(self) -> tuple[list[tuple[Listed, SourceConnection | None]], int]:
        """Flows from tables of Zoho CRM, with their source connections, those whose source connection is
        gone, and how many read other sources.
        """
        flows = await self._flows(offer.FLOW_SPEC_NAME, offer.FLOW_SPEC_ID)
        listed = await self._platform.list(SOURCE_CONNECTIONS, OfSpec(ZOHO_CONNECTION_SPEC_ID))
        of_zoho = {entry.id for entry in listed}
        unknown = [flow for flow in flows if of_zoho.isdisjoint(flow.parents)]
        parents = {parent: None for flow in unknown for parent in flow.parents}
        # What is there of another source; a flow without any source may have been one of Zoho CRM.
        known = (
            _ids(await self._platform.list(SOURCE_CONNECTIONS, WithIds(tuple(parents)))) if parents else {}
        )
        elsewhere = [flow.id for flow in unknown if not known.keys().isdisjoint(flow.parents)]
        mine = [flow for flow in flows if flow.id not in elsewhere]
        used = {parent: None for flow in mine for parent in flow.parents if parent in of_zoho}
        by_id = {one.id: one for one in await self._all(SOURCE_CONNECTIONS, used) if one is not None}
        return [(flow, _first(flow, by_id)) for flow in mine], len(elsewhere)

    async def _flows_of_files(self) -> tuple[list[tuple[Listed, SourceConnection | None]], int]:
        """Flows from the folders of the landing zone that the operator writes into."""
        flows = await self._flows(landing_zone_offer.FLOW_SPEC_NAME, landing_zone_offer.FLOW_SPEC_ID)
        if not flows:
            return [], 0
        listed = _ids(await self._platform.list(SOURCE_CONNECTIONS, OfSpec(LANDING_ZONE_SPEC_ID)))
        used = {parent: None for flow in flows for parent in flow.parents if parent in listed}
        sources = [one for one in await self._all(SOURCE_CONNECTIONS, used) if one is not None]
        by_id = {one.id: one for one in sources if one.files and is_ours(one.files.path)}
        mine = [flow for flow in flows if not by_id.keys().isdisjoint(flow.parents)]
        return [(flow, _first(flow, by_id)) for flow in mine], len(flows) - len(mine)

    async def _flows(self, name: str, usual_id: str) -> Sequence[Listed]:
        """Flows of a specification, whose id differs between Adobe's samples (platform.md 16.1)."""
        specs = await self._platform.list(FLOW_SPECS, Named(name))
        return await self._platform.list(FLOWS, OfSpec(specs[0].id if specs else usual_id))

    async def _whole(self, entry: Listed, source: SourceConnection | None) -> FoundFlow | None:
        """A flow with its parts; None if it is gone by now."""
        flow = await self._one(self._platform.get(FLOWS, entry.id))
        if flow is None:
            return None
        targets = flow.target_connection_ids
        target = await self._one(self._platform.get(TARGET_CONNECTIONS, targets[0])) if targets else None
        return FoundFlow(flow, source, target, await self._mapping(flow), await self._header(source))

    async def _mapping(self, flow: Flow) -> MappingSet | None:
        if flow.mapping_set_id is None:
            return None
        return await self._one(
            self._platform.get(MAPPING_SETS, flow.mapping_set_id, flow.mapping_version or 0)
        )

    async def _header(self, source: SourceConnection | None) -> tuple[str, ...]:
        """The columns of a file in the folder; nothing if there is none."""
        if source is None or source.files is None:
            return ()
        entries = await self._one(self._platform.landing_zone_entries(source.files.path)) or ()
        files = [entry.path for entry in entries if not entry.is_folder]
        preview = await self._one(self._platform.landing_zone_file(files[0])) if files else None
        return tuple(column.name for column in preview.columns) if preview is not None else ()

    async def _all(self, collection: Collection[T, object], ids: Mapping[str, object]) -> list[T | None]:
        return await asyncio.gather(*(self._one(self._platform.get(collection, one)) for one in ids))

    async def _one(self, read: Awaitable[T]) -> T | None:
        """What is there; None if it is not, or not any more in the version that is asked for."""
        async with self._turn:
            try:
                return await found(read)
            except RemoteError as error:
                if error.reason != "VersionNotFound":
                    raise
                return None


def _ids(listed: Iterable[Listed]) -> dict[str, None]:
    """Ids, the oldest first."""
    return {entry.id: None for entry in sorted(listed, key=lambda one: (one.created_at, one.id))}


def _first(flow: Listed, sources: Mapping[str, SourceConnection]) -> SourceConnection | None:
    return next((sources[parent] for parent in flow.parents if parent in sources), None)
