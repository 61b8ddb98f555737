"""Platform's own Zoho CRM source: Platform reads Zoho through a base connection, table by table (platform.md
0, 5, 6). What it shows is shared by all that read through the same base connection.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from crmflow.aep.collection import AnyCollection, OfSpec
from crmflow.aep.errors import found
from crmflow.aep.flow_service import CONNECTIONS, FLOWS, SOURCE_CONNECTIONS, TARGET_CONNECTIONS
from crmflow.aep.models import Column, Flow, SourceConnection, Table
from crmflow.api.crmdataflow import CRMDataflowSpec, Frequency, SourceStatus
from crmflow.api.zohosourceconnection import ZohoSourceConnectionSpec
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.reconcile.credentials import ZohoCredentials
from crmflow.reconcile.external.base_connection import AUTH_PARAMS
from crmflow.reconcile.external.remote_object import Values
from crmflow.reconcile.external.source_connection import BASE_CONNECTION_ID, COLUMNS, TABLE, Columns
from crmflow.reconcile.external.target_connection import DATA_LAKE_CONNECTION_SPEC_ID
from crmflow.reconcile.ports import Platform, TimeSource
from crmflow.reconcile.sources.causes import concerns_source
from crmflow.reconcile.sources.connector import CONNECTION, DELTA_COLUMN, Offer, Origin, Reader
from crmflow.reconcile.sources.offer import (
    FLOW_SPEC_ID,
    FLOW_SPEC_NAME,
    ZOHO_CONNECTION_SPEC_ID,
    PlatformSourceOffer,
    read_offer,
)
from crmflow.reconcile.sources.shared_reads import Shared, seen_as
from crmflow.reconcile.sources.sign_in import Params, SignIn, auth_spec
from crmflow.reconcile.sources.view import SourceView


class PlatformSource:
    """A :class:`~crmflow.reconcile.sources.connector.SourceConnector`."""

    def __init__(self, clock: TimeSource) -> None:
        self._offers: Shared[PlatformSourceOffer] = Shared(clock)
        self._tables: Shared[Sequence[Table]] = Shared(clock)
        self._columns: Shared[Sequence[Column]] = Shared(clock)

    def listed(self, organization: str, sandbox: str) -> Mapping[AnyCollection, OfSpec]:
        known = self._offers.known((organization, sandbox))
        return {
            CONNECTIONS: OfSpec(ZOHO_CONNECTION_SPEC_ID),
            SOURCE_CONNECTIONS: OfSpec(ZOHO_CONNECTION_SPEC_ID),
            TARGET_CONNECTIONS: OfSpec(DATA_LAKE_CONNECTION_SPEC_ID),
            FLOWS: OfSpec(known.flow_spec_ref["id"] if known else FLOW_SPEC_ID),
        }

    async def offer(
        self, platform: Platform, organization: str, sandbox: str, *, fresh: bool = False
    ) -> PlatformSourceOffer:
        return await self._offers.get((organization, sandbox), partial(read_offer, platform), fresh=fresh)

    def mismatch(self, connection_spec_id: str) -> str | None:
        if connection_spec_id == ZOHO_CONNECTION_SPEC_ID:
            return None
        return f"another source, connection specification {connection_spec_id}."

    def flow_mismatch(self, flow_spec_id: str, offer: Offer) -> str | None:
        if flow_spec_id == offer.flow_spec_ref["id"]:
            return None
        return f"its flow specification {flow_spec_id} is not {FLOW_SPEC_NAME}."

    async def unfit(self, platform: Platform, spec: CRMDataflowSpec, source: SourceConnection) -> str | None:
        return None

    async def tables(self, reader: Reader, *, fresh: bool = False) -> Sequence[Table]:
        connection_id = _base_connection_of(reader)
        ask = partial(reader.platform.tables, connection_id)
        return await self._tables.get(connection_id, ask, fresh=fresh)

    async def look(
        self, reader: Reader, name: str, *, suffices: Callable[[SourceView], bool] | None = None
    ) -> SourceView | None:
        try:
            table = await self._table(reader, name)
            if table is None:
                return SourceView(name, None, await self.tables(reader))
            return await self._view(reader, name, table, suffices)
        except RemoteError as error:
            if error.error_class is not ErrorClass.NOT_FOUND:
                raise
            # A child's 404 says nothing of its parent: that is asked for itself.
            parent = reader.platform.get(CONNECTIONS, _base_connection_of(reader))
            return None if await found(parent) is None else SourceView(name, None, refusal=error)

    async def _table(self, reader: Reader, name: str) -> Table | None:
        """One that is missing may be newer than the last answer."""
        for fresh in (False, True):
            for table in await self.tables(reader, fresh=fresh):
                if name in (table.name, table.path):
                    return table
        return None

    async def _view(
        self, reader: Reader, name: str, table: Table, suffices: Callable[[SourceView], bool] | None
    ) -> SourceView:
        """What there is of a table; if just this one is refused, how. Raises RemoteError for what concerns
        the source as a whole, as a listing of its tables fails alike, and for a refusal that may pass of what
        a flow reads already: the connection's resource tells of it.
        """
        connection_id = _base_connection_of(reader)
        ask = partial(reader.platform.columns, connection_id, table.path)

        def view(columns: Sequence[Column]) -> SourceView:
            return SourceView(name, table, columns={column.name: column for column in columns})

        try:
            return view(
                await self._columns.get((connection_id, table.path), ask, suffices=seen_as(view, suffices))
            )
        except RemoteError as error:
            if error.error_class is not ErrorClass.NOT_FOUND and not (suffices and concerns_source(error)):
                raise
            tables = await self.tables(reader, fresh=True)
            if table.path not in {listed.path for listed in tables}:
                return SourceView(name, None, tables)
            return SourceView(name, table, tables, refusal=error)

    def sign_in(self, spec: ZohoSourceConnectionSpec, credentials: ZohoCredentials) -> SignIn:
        return SignIn(spec, credentials)

    def base_connection(self, named: Values, offer: PlatformSourceOffer, params: Params) -> Values:
        auth = {"/auth/specName": auth_spec(offer).name, AUTH_PARAMS: params}
        return {**named, "/connectionSpec": offer.connection_spec_ref, **auth}

    def read_columns(self, columns: Sequence[Column]) -> Sequence[str]:
        return [column.name for column in columns]

    def source_connection(
        self, named: Values, origin: Origin, names: Sequence[str], columns: Sequence[Column]
    ) -> Values:
        values: Values = {**named, BASE_CONNECTION_ID: origin.base_connection_id, TABLE: origin.table}
        shown = [column.raw for column in columns]
        return {**values, COLUMNS: Columns(frozenset(names), shown)} if names else values

    def source_creation(self, desired: Values, offer: Offer) -> Values:
        return {**desired, "/data/format": "tabular", "/connectionSpec": offer.connection_spec_ref}

    def source_status(self, spec: CRMDataflowSpec, origin: Origin) -> SourceStatus:
        return SourceStatus(base_connection_id=origin.base_connection_id, table=origin.table)

    def found_status(self, spec: CRMDataflowSpec, origin: Origin, source: SourceConnection) -> SourceStatus:
        return SourceStatus(base_connection_id=source.base_connection_id, table=source.table_name)

    async def found_columns(self, platform: Platform, source: SourceConnection) -> Sequence[str]:
        return source.column_names

    def transformations(self, spec: CRMDataflowSpec) -> Sequence[Mapping[str, Any]]:
        """``Copy`` names a recurring flow's delta column; ``once`` must not have it (platform.md 6.1)."""
        delta = spec.delta_column
        if delta is None or spec.schedule.frequency is Frequency.ONCE:
            return []
        return [{"name": "Copy", "params": {"deltaColumn": {"name": delta.name}}}]

    def made_for(self, spec: CRMDataflowSpec, origin: Origin) -> Mapping[str, Any]:
        """A one-time flow gets a delta column from its first run on demand (platform.md 7.2)."""
        delta = {DELTA_COLUMN: spec.delta_column.name} if spec.delta_column else {}
        return {CONNECTION: origin.base_connection_id, **delta}

    def was_made_for(self, remote: Flow, made: SourceStatus | None) -> Mapping[str, Any]:
        return {CONNECTION: made and made.base_connection_id, DELTA_COLUMN: remote.delta_column}


def _base_connection_of(reader: Reader) -> str:
    if reader.base_connection_id is None:
        raise ValueError("Platform reads Zoho through a base connection")
    return reader.base_connection_id
