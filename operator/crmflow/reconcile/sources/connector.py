"""What differs between the ways in which records of Zoho CRM get into Platform, and nothing else.

Everything that names the specifications that objects are made from, or how a flow reads its source, passes
through here; the rest of the operator knows flows, targets and mappings, which are the same for each way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from crmflow.aep.collection import AnyCollection, OfSpec
from crmflow.aep.models import Column, Flow, Table
from crmflow.api.crmdataflow import CRMDataflowSpec
from crmflow.api.zohosourceconnection import ZohoSourceConnectionSpec
from crmflow.reconcile.credentials import ZohoCredentials
from crmflow.reconcile.external.remote_object import Values
from crmflow.reconcile.ports import Platform
from crmflow.reconcile.sources.offer import Offer
from crmflow.reconcile.sources.sign_in import Params, SignIn
from crmflow.reconcile.sources.view import SourceView


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

    # What can be read

    async def tables(self, platform: Platform, connection_id: str, *, fresh: bool = False) -> Sequence[Table]:
        """The tables of Zoho CRM."""
        ...

    async def look(
        self, platform: Platform, connection_id: str, name: str, *, fresh: bool
    ) -> SourceView | None:
        """The table of that name or path, for a flow that is to be made if ``fresh``; None if the base
        connection is gone.
        """
        ...

    # What is made

    def sign_in(self, spec: ZohoSourceConnectionSpec, credentials: ZohoCredentials) -> SignIn:
        """How a base connection signs in at Zoho."""
        ...

    def base_connection(self, named: Values, offer: Offer, params: Params) -> Values:
        """What a base connection is created with."""
        ...

    def source_connection(
        self,
        named: Values,
        base_connection_id: str,
        table: str,
        names: Sequence[str],
        columns: Sequence[Column],
    ) -> Values:
        """What a source connection should be, ``columns`` being what the source shows of those with the
        ``names``. Without names it keeps the columns that it has.
        """
        ...

    def source_creation(self, desired: Values, offer: Offer) -> Values:
        """What a source connection is created with that should be as ``desired``."""
        ...

    def transformations(self, spec: CRMDataflowSpec) -> Sequence[Mapping[str, Any]]:
        """What a flow does beside the mapping."""
        ...

    def made_for(self, spec: CRMDataflowSpec) -> Mapping[str, Any]:
        """Further fields of the spec that only another flow can have otherwise."""
        ...

    def was_made_for(self, remote: Flow) -> Mapping[str, Any]:
        """The same fields as a flow has them."""
        ...
