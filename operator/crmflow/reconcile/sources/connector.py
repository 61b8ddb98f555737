"""What differs between the ways in which records of Zoho CRM get into Platform, and nothing else.

Everything that names the specifications that objects are made from, or how a flow reads its source, passes
through here; the rest of the operator knows flows, targets and mappings, which are the same for each way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from crmflow.aep.collection import AnyCollection, OfSpec
from crmflow.aep.models import Column, Flow, SourceConnection, Table
from crmflow.api.crmdataflow import CRMDataflowSpec, SourceStatus
from crmflow.api.zohosourceconnection import Environment
from crmflow.reconcile.external.remote_object import Values
from crmflow.reconcile.ports import Platform, Zoho
from crmflow.reconcile.sources.view import SourceView

CONNECTION, DELTA_COLUMN = "spec.connectionRef", "spec.deltaColumn"
DELETED_RECORDS = "spec.extract.deletedRecords"
"""Fields of the spec."""


class Offer(Protocol):
    """What Platform offers for one way in one sandbox."""

    @property
    def obstacle(self) -> tuple[str, str] | None:
        """Reason and message if nothing can be made in this way."""
        ...

    @property
    def connection_spec_ref(self) -> Mapping[str, str]:
        """As a source connection names the specification that it is made from."""
        ...

    @property
    def flow_spec_ref(self) -> Mapping[str, str]:
        """The same of a flow."""
        ...


@dataclass(frozen=True)
class Reader:
    """What tables and columns are read with."""

    connection: str
    """The ZohoSourceConnection, as ``namespace/name``."""
    platform: Platform
    base_connection_id: str | None = None
    """None where Platform does not read Zoho."""
    zoho: Zoho | None = None
    """Zoho CRM by the connection's grant; None where Platform reads it."""
    environment: Environment = Environment.PRODUCTION


@dataclass(frozen=True)
class Origin:
    """Where the records of a flow come from."""

    connection: str
    """The ZohoSourceConnection, by its name."""
    table: str
    base_connection_id: str | None = None
    """What Platform reads Zoho through."""
    folder: str | None = None
    """Where Platform finds the files that we write, beginning with the container."""


class SourceConnector(Protocol):
    """One way. Methods that read may raise RemoteError."""

    # What there is

    def listed(self, organization: str, sandbox: str) -> Mapping[AnyCollection, OfSpec]:
        """What listings of a sandbox have to show: the objects that are made in this way. Costs no call."""
        ...

    async def offer(
        self, platform: Platform, organization: str, sandbox: str, *, fresh: bool = False
    ) -> Offer:
        """What Platform offers for this way. ``fresh`` asks again, unless someone did so while we waited."""
        ...

    def mismatch(self, connection_spec_id: str) -> str | None:
        """What a base or source connection with this specification belongs to, if not to this way."""
        ...

    def flow_mismatch(self, flow_spec_id: str, offer: Offer) -> str | None:
        """Why a flow with this specification is none of this way."""
        ...

    async def unfit(self, platform: Platform, spec: CRMDataflowSpec, source: SourceConnection) -> str | None:
        """Why a source connection of this way, which somebody else has made, can't be that of a dataflow."""
        ...

    # What can be read

    async def tables(self, reader: Reader, *, fresh: bool = False) -> Sequence[Table]:
        """The tables of Zoho CRM."""
        ...

    async def look(
        self, reader: Reader, name: str, *, suffices: Callable[[SourceView], bool] | None = None
    ) -> SourceView | None:
        """The table of that name or path; None if the base connection is gone. For a flow that is to be made,
        with ``suffices``, it is asked for anew unless what was shown a moment ago suffices.
        """
        ...

    # What is made

    def read_columns(self, columns: Sequence[Column]) -> Sequence[str]:
        """The names of the columns that a flow reads, in the order in which it gets them."""
        ...

    def source_connection(
        self, named: Values, origin: Origin, names: Sequence[str], columns: Sequence[Column]
    ) -> Values:
        """What a source connection should be, ``columns`` being what the source shows of those with the
        ``names``. Without names it keeps the columns that it has.
        """
        ...

    def source_creation(self, desired: Values, offer: Offer) -> Values:
        """What a source connection is created with that should be as ``desired``."""
        ...

    def source_status(self, spec: CRMDataflowSpec, origin: Origin) -> SourceStatus:
        """What a flow that is made now reads from, as status keeps it."""
        ...

    def found_status(self, spec: CRMDataflowSpec, origin: Origin, source: SourceConnection) -> SourceStatus:
        """The same of a flow that was found, by its source connection."""
        ...

    async def found_columns(self, platform: Platform, source: SourceConnection) -> Sequence[str]:
        """The columns that a flow reads that was found, in their order; none if nothing tells."""
        ...

    def transformations(self, spec: CRMDataflowSpec) -> Sequence[Mapping[str, Any]]:
        """What a flow does beside the mapping."""
        ...

    def made_for(self, spec: CRMDataflowSpec, origin: Origin) -> Mapping[str, Any]:
        """Further fields of the spec that only another flow can have otherwise, by what decides them."""
        ...

    def was_made_for(self, remote: Flow, made: SourceStatus | None) -> Mapping[str, Any]:
        """The same as a flow has them that was ``made`` for them."""
        ...
