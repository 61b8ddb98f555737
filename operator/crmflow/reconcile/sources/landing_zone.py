"""The way through the landing zone: our transfers write files into it, and an ordinary flow of Platform takes
them from there with the same mapping set, dataset, schedule and options (landing-zone.md E, K.3).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import fields
from functools import partial
from typing import Any, TypeVar

from crmflow.aep.collection import AnyCollection, OfSpec
from crmflow.aep.flow_service import FLOWS, SOURCE_CONNECTIONS, TARGET_CONNECTIONS
from crmflow.aep.landing_zone import CONNECTION_SPEC_ID
from crmflow.aep.models import Column, Flow, SourceConnection, Table
from crmflow.api.crmdataflow import CRMDataflowSpec, DeletedRecords, SourceStatus
from crmflow.http.errors import RemoteError
from crmflow.reconcile.external.remote_object import Values
from crmflow.reconcile.external.source_connection import FORM, PLACE, FileFormat, FilePlace
from crmflow.reconcile.external.target_connection import DATA_LAKE_CONNECTION_SPEC_ID
from crmflow.reconcile.ports import Platform, TimeSource
from crmflow.reconcile.sources.connector import (
    CONNECTION,
    DELETED_RECORDS,
    DELTA_COLUMN,
    Offer,
    Origin,
    Reader,
)
from crmflow.reconcile.sources.landing_zone_offer import (
    FLOW_SPEC_ID,
    FLOW_SPEC_NAME,
    LandingZoneOffer,
    read_offer,
)
from crmflow.reconcile.sources.module_view import ModuleView, columns_of
from crmflow.reconcile.sources.shared_reads import Shared, seen_as
from crmflow.reconcile.sources.view import SourceView
from crmflow.sentences import every
from crmflow.transfer.declaration import DELETED_COLUMN
from crmflow.zoho import tables as zoho
from crmflow.zoho.api import CrmApi

_ID = "id"
T = TypeVar("T")


class LandingZoneSource:
    """A :class:`~crmflow.reconcile.sources.connector.SourceConnector`.

    There is no base connection. Tables and columns are Zoho's own, asked for with the grant of a connection,
    and a source connection names a folder in their place.
    """

    def __init__(self, clock: TimeSource) -> None:
        self._offers: Shared[LandingZoneOffer] = Shared(clock)
        self._modules: Shared[Sequence[Table]] = Shared(clock)
        self._fields: Shared[Sequence[zoho.Field]] = Shared(clock)

    # What there is

    def listed(self, organization: str, sandbox: str) -> Mapping[AnyCollection, OfSpec]:
        """What listings of a sandbox have to show: the objects that are made in this way. Costs no call."""
        known = self._offers.known((organization, sandbox))
        return {
            SOURCE_CONNECTIONS: OfSpec(CONNECTION_SPEC_ID),
            TARGET_CONNECTIONS: OfSpec(DATA_LAKE_CONNECTION_SPEC_ID),
            FLOWS: OfSpec(known.flow_spec_ref["id"] if known else FLOW_SPEC_ID),
        }

    async def offer(
        self, platform: Platform, organization: str, sandbox: str, *, fresh: bool = False
    ) -> LandingZoneOffer:
        """What Platform offers for this way. ``fresh`` asks again, unless someone did so while we waited."""
        return await self._offers.get((organization, sandbox), partial(read_offer, platform), fresh=fresh)

    def mismatch(self, connection_spec_id: str) -> str | None:
        """What a source connection with this specification belongs to, if not to this way."""
        if connection_spec_id == CONNECTION_SPEC_ID:
            return None
        return f"another source, connection specification {connection_spec_id}."

    def flow_mismatch(self, flow_spec_id: str, offer: Offer) -> str | None:
        """Why a flow with this specification is none of this way."""
        if flow_spec_id == offer.flow_spec_ref["id"]:
            return None
        return f"its flow specification {flow_spec_id} is not {FLOW_SPEC_NAME}."

    async def unfit(self, platform: Platform, spec: CRMDataflowSpec, source: SourceConnection) -> str | None:
        """Its files have to be as ours are, in form and, where there are any, in their columns."""
        differences = list(unfit(source))
        if source.files is not None and not differences and spec.source.columns is not None:
            header = await _header(platform, source.files.path)
            other = header_difference(header, spec.source.columns) if header is not None else None
            differences += [other] if other else []
        return f"{every(differences)}." if differences else None

    # What can be read

    async def tables(self, reader: Reader, *, fresh: bool = False) -> Sequence[Table]:
        """The modules that the grant of the connection can read."""

        async def ask() -> Sequence[Table]:
            found = await _ask(reader, zoho.modules)
            return [Table(module.api_name, module.api_name) for module in found if module.is_readable]

        return await self._modules.get(reader.connection, ask, fresh=fresh)

    async def look(
        self, reader: Reader, name: str, *, suffices: Callable[[SourceView], bool] | None = None
    ) -> ModuleView:
        """The module of that name."""
        table = await self._table(reader, name)
        if table is None:
            return ModuleView(name, None, await self.tables(reader))

        async def ask() -> Sequence[zoho.Field]:
            return await _ask(reader, lambda api: zoho.fields(api, name))

        def view(found: Sequence[zoho.Field]) -> ModuleView:
            return ModuleView(name, table, columns=columns_of(found), fields=found)

        try:
            return view(
                await self._fields.get((reader.connection, name), ask, suffices=seen_as(view, suffices))
            )
        except RemoteError as error:
            if error.reason != "ModuleNotReadable":  # which concerns the grant as a whole
                raise
            return ModuleView(name, table, refusal=error)

    async def _table(self, reader: Reader, name: str) -> Table | None:
        """One that is missing may be newer than the last answer."""
        for fresh in (False, True):
            for table in await self.tables(reader, fresh=fresh):
                if table.name == name:
                    return table
        return None

    # What is made

    def read_columns(self, columns: Sequence[Column]) -> Sequence[str]:
        """The header of the files: the id and the date-times first, which a transfer looks at in every row,
        wherever the row's other columns come from.
        """
        found = sorted(columns, key=lambda column: (column.name != _ID, column.format != "date-time"))
        return [column.name for column in found]

    def source_connection(
        self, named: Values, origin: Origin, names: Sequence[str], columns: Sequence[Column]
    ) -> Values:
        """What a source connection on a folder of ours should be. The columns are those of the files."""
        if origin.folder is None:
            raise ValueError("files have to be somewhere")
        return {**named, FORM: FileFormat(), PLACE: FilePlace(origin.folder)}

    def source_creation(self, desired: Values, offer: Offer) -> Values:
        """What a source connection is created with that should be as ``desired``. It has no base
        connection, as the only one of all sources (landing-zone.md K.3).
        """
        return {**desired, "/connectionSpec": offer.connection_spec_ref}

    def source_status(self, spec: CRMDataflowSpec, origin: Origin) -> SourceStatus:
        delta = spec.delta_column.name if spec.delta_column else None
        return SourceStatus(
            connection=origin.connection,
            table=origin.table,
            delta_column=delta,
            deleted_records=_deleted_records(spec),
        )

    def found_status(self, spec: CRMDataflowSpec, origin: Origin, source: SourceConnection) -> SourceStatus:
        """Nothing of it stands in Platform: what is declared is taken for what the files were written for."""
        return self.source_status(spec, origin)

    async def found_columns(self, platform: Platform, source: SourceConnection) -> Sequence[str]:
        """Those of a file that is there: all files of a folder have the same (landing-zone.md E.4)."""
        header = await _header(platform, source.files.path) if source.files else None
        return [name for name in header or () if name != DELETED_COLUMN]

    def transformations(self, spec: CRMDataflowSpec) -> Sequence[Mapping[str, Any]]:
        """Nothing: ``Copy`` is refused, and the delta column is the cursor of our own reads."""
        return []

    def made_for(self, spec: CRMDataflowSpec, origin: Origin) -> Mapping[str, Any]:
        """They stand in no object of Platform, but the files that are there were written for them."""
        delta = {DELTA_COLUMN: spec.delta_column.name} if spec.delta_column else {}
        return {CONNECTION: origin.connection, DELETED_RECORDS: _deleted_records(spec), **delta}

    def was_made_for(self, remote: Flow, made: SourceStatus | None) -> Mapping[str, Any]:
        """The same as status has it of a flow."""
        return {
            CONNECTION: made and made.connection,
            DELTA_COLUMN: made and made.delta_column,
            DELETED_RECORDS: (made and made.deleted_records) or DeletedRecords.IGNORE,
        }


def _deleted_records(spec: CRMDataflowSpec) -> DeletedRecords:
    """Marks are a column of their own in every file."""
    return spec.extract.deleted_records if spec.extract else DeletedRecords.IGNORE


async def _ask(reader: Reader, question: Callable[[CrmApi], Awaitable[T]]) -> T:
    if reader.zoho is None:
        raise ValueError("modules are read by a grant")
    return await reader.zoho.ask(reader.environment, question)


def unfit(remote: SourceConnection) -> tuple[str, ...]:
    """In what a source connection that somebody else made differs from one that our files can go to."""
    if remote.files is None:
        return ("it reads no files",)
    form, place = FileFormat.of(remote.files), FilePlace.of(remote.files)
    differences = [
        f"its {field.name} is {shown or 'none'}, not {field.default or 'none'}"
        for field in fields(FileFormat)
        if (shown := getattr(form, field.name)) != field.default
    ]
    if place.type != "folder" or "*" in place.path:
        differences.append(f"it reads {place.path}, which is not a folder")
    return tuple(differences)


def header_difference(header: Sequence[str], columns: Sequence[str]) -> str | None:
    """In what the files that are there differ from ours. Platform reads columns by their names."""
    if set(header) - {DELETED_COLUMN} == set(columns):
        return None
    if not header:
        return "its files have no columns"
    return f"its files have the columns {every(header)}"


async def _header(platform: Platform, folder: str) -> Sequence[str] | None:
    """The columns of a file in the folder; None if there is none. May raise RemoteError."""
    for entry in await platform.landing_zone_entries(folder):
        if not entry.is_folder:
            preview = await platform.landing_zone_file(entry.path)
            return [column.name for column in preview.columns]
    return None
