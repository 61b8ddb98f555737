"""The way through the landing zone: our transfers write files into it, and an ordinary flow of Platform takes
them from there with the same mapping set, dataset, schedule and options (landing-zone.md E, K.3).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import partial
from typing import Any

from crmflow.aep.collection import AnyCollection, OfSpec
from crmflow.aep.flow_service import FLOWS, SOURCE_CONNECTIONS, TARGET_CONNECTIONS
from crmflow.aep.landing_zone import CONNECTION_SPEC_ID
from crmflow.aep.models import Flow, SourceConnection, Table
from crmflow.api.crmdataflow import CRMDataflowSpec
from crmflow.http.errors import RemoteError
from crmflow.reconcile.external.identity import Identity
from crmflow.reconcile.external.remote_object import Values
from crmflow.reconcile.external.source_connection import FORM, PLACE, FileForm, FilePlace
from crmflow.reconcile.external.target_connection import DATA_LAKE_CONNECTION_SPEC_ID
from crmflow.reconcile.ports import Platform, TimeSource
from crmflow.reconcile.sources.landing_zone_offer import (
    FLOW_SPEC_ID,
    FLOW_SPEC_NAME,
    LandingZoneOffer,
    read_offer,
)
from crmflow.reconcile.sources.module_view import ModuleView, columns_of
from crmflow.reconcile.sources.shared_reads import Shared
from crmflow.sentences import every
from crmflow.zoho import tables as zoho
from crmflow.zoho.api import CrmApi

_TOP = "crmflow"


class LandingZoneSource:
    """What :class:`~crmflow.reconcile.sources.connector.SourceConnector` asks for, as far as this way has it.

    There is no base connection, so nothing of its sign-in and creation; tables and columns are Zoho's own,
    asked for with the access token of a connection, and a source connection names a folder in their place.
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

    def flow_mismatch(self, flow_spec_id: str, offer: LandingZoneOffer) -> str | None:
        """Why a flow with this specification is none of this way."""
        if flow_spec_id == offer.flow_spec_ref["id"]:
            return None
        return f"its flow specification {flow_spec_id} is not {FLOW_SPEC_NAME}."

    # What can be read

    async def tables(self, api: CrmApi, connection: str, *, fresh: bool = False) -> Sequence[Table]:
        """The modules that the grant of ``connection``, whose token ``api`` has, can read."""

        async def ask() -> Sequence[Table]:
            found = await zoho.modules(api)
            return [Table(module.api_name, module.api_name) for module in found if module.is_readable]

        return await self._modules.get(connection, ask, fresh=fresh)

    async def look(self, api: CrmApi, connection: str, name: str, *, fresh: bool) -> ModuleView:
        """The module of that name, for a flow that is to be made if ``fresh``."""
        table = await self._table(api, connection, name)
        if table is None:
            return ModuleView(name, None, await self.tables(api, connection))
        ask = partial(zoho.fields, api, name)
        try:
            found = await self._fields.get((connection, name), ask, fresh=fresh)
        except RemoteError as error:
            if error.reason != "ModuleNotReadable":  # which concerns the grant as a whole
                raise
            return ModuleView(name, table, refusal=error)
        return ModuleView(name, table, columns=columns_of(found), fields=found)

    async def _table(self, api: CrmApi, connection: str, name: str) -> Table | None:
        """One that is missing may be newer than the last answer."""
        for fresh in (False, True):
            for table in await self.tables(api, connection, fresh=fresh):
                if table.name == name:
                    return table
        return None

    # What is made

    def source_connection(self, named: Values, path: str) -> Values:
        """What a source connection on a folder of ours should be."""
        return {**named, FORM: FileForm(), PLACE: FilePlace(path)}

    def source_creation(self, desired: Values, offer: LandingZoneOffer) -> Values:
        """What a source connection is created with that should be as ``desired``. It has no base
        connection, as the only one of all sources (landing-zone.md K.3).
        """
        return {**desired, "/connectionSpec": offer.connection_spec_ref}

    def transformations(self, spec: CRMDataflowSpec) -> Sequence[Mapping[str, Any]]:
        """Nothing: ``Copy`` is refused, and the delta column is the cursor of our own reads."""
        return []

    def made_for(self, spec: CRMDataflowSpec) -> Mapping[str, Any]:
        """Nothing: neither table nor columns nor delta column stand in an object of Platform."""
        return {}

    def was_made_for(self, remote: Flow) -> Mapping[str, Any]:
        """The same of a flow."""
        return {}


def folder(container: str, identity: Identity, revision: int) -> str:
    """Where the files of one flow are, beginning with the container's name. A resource of the same name that
    is made later has another folder, and so has a successor in another revision of the slot.
    """
    made = hashlib.sha256(identity.uid.encode()).hexdigest()[:8]
    parts = (container, _TOP, identity.instance, identity.namespace, identity.name, f"{revision}-{made}")
    return "/".join(parts)


def unfit(remote: SourceConnection) -> tuple[str, ...]:
    """In what a source connection that somebody else made differs from one that our files can go to."""
    if remote.files is None:
        return ("it reads no files",)
    form, place = FileForm.of(remote.files), FilePlace.of(remote.files)
    differences = [
        f"its {field.name} is {shown or 'none'}, not {field.default or 'none'}"
        for field in fields(FileForm)
        if (shown := getattr(form, field.name)) != field.default
    ]
    if place.type != "folder" or "*" in place.path:
        differences.append(f"it reads {place.path}, which is not a folder")
    return tuple(differences)


def header_difference(header: Sequence[str], columns: Sequence[str]) -> str | None:
    """In what the files that are there differ from ours, which stand in the same order."""
    if tuple(header) == tuple(columns):
        return None
    if not header:
        return "its files have no columns"
    return f"its files have the columns {every(header)}, in this order"
