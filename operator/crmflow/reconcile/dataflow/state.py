"""What a pass over a CRMDataflow knows, and the connection that it reads through."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from crmflow.aep.models import Flow, SourceConnection, TargetConnection
from crmflow.api.base import Transport
from crmflow.api.crmdataflow import CRMDataflowSpec, CRMDataflowStatus, FlowRecord, SandboxStatus
from crmflow.api.zohosourceconnection import ZohoSourceConnectionSpec, ZohoSourceConnectionStatus
from crmflow.reconcile.core.engine import Pass
from crmflow.reconcile.core.platform_access import connection_key
from crmflow.reconcile.core.sandbox import SandboxClient
from crmflow.reconcile.external.flow import FLOW
from crmflow.reconcile.external.remote_object import RemoteObject
from crmflow.reconcile.external.source_connection import SOURCE_CONNECTION
from crmflow.reconcile.external.target_connection import TARGET_CONNECTION
from crmflow.reconcile.ports import Zoho
from crmflow.reconcile.sources.connector import Offer, Origin, Reader, SourceConnector
from crmflow.transfer.declaration import Window


@dataclass(frozen=True)
class Objects:
    """The remote objects of a CRMDataflow in one revision of their slots, in the order in which they are
    deleted.
    """

    flow: RemoteObject[Flow]
    source: RemoteObject[SourceConnection]
    target: RemoteObject[TargetConnection]

    def __iter__(self) -> Iterator[RemoteObject[Any]]:
        yield from (self.flow, self.source, self.target)


@cache
def objects_at(revision: int) -> Objects:
    """Those of a ``revision``: a successor has another one than what it replaces."""
    return Objects(FLOW.at(revision), SOURCE_CONNECTION.at(revision), TARGET_CONNECTION.at(revision))


SUCCESSOR = 1
"""The slot revision of what takes the place of something that is still there."""
OBJECTS = objects_at(0)
REPLACED: tuple[RemoteObject[Any], ...] = tuple(
    replace(kind, recorded_at=("predecessor", *kind.recorded_at)) for kind in objects_at(SUCCESSOR)
)
"""What is being replaced, for the index of what resources own. While both are there, the names of the one are
those of revision 0 and those of the other of revision 1."""


def fields_of(record: FlowRecord) -> dict[str, Any]:
    """What a status or a predecessor records of its flow, by the name of the field."""
    return {name: getattr(record, name) for name in FlowRecord.model_fields}


def sandbox_of(connection: ZohoSourceConnectionSpec) -> SandboxStatus:
    """The sandbox that a connection leads to, as status records it."""
    platform = connection.platform
    return SandboxStatus(organization=platform.organization, sandbox=platform.sandbox)


@dataclass
class DataflowPass(Pass[CRMDataflowSpec, CRMDataflowStatus]):
    """One pass over one CRMDataflow."""

    is_flow_new: bool = False
    """True once this pass has created the flow."""
    postponed: tuple[str, ...] = ()
    """Fields of the spec that only another flow can have, edited while the flow takes the place of one."""
    window: Window | None = None
    """What the files are to hold, of a flow that a CRMDataflowRun has for itself. None: all that there is."""

    @property
    def recorded_id(self) -> str | None:
        """The flow's."""
        return self.status.flow.id if self.status.flow else None

    @property
    def objects(self) -> Objects:
        """What the resource has one of each, as status records them."""
        return objects_at(self.status.slot_revision or 0)


@dataclass(frozen=True)
class Upstream:
    """The connection that a dataflow reads through, which is Ready, and what it leads to."""

    name: str
    spec: ZohoSourceConnectionSpec
    status: ZohoSourceConnectionStatus
    transport: Transport
    connector: SourceConnector
    sandbox: SandboxClient
    base_connection_id: str | None = None
    """What Platform reads Zoho through; None where files of ours come through the landing zone."""
    zoho: Zoho | None = None
    """Zoho CRM by the connection's grant, where we read it."""

    @property
    def parents(self) -> tuple[str, ...]:
        """What a listing shows the source connection to be built on."""
        return (self.base_connection_id,) if self.base_connection_id is not None else ()

    def key(self, *name: str) -> tuple[str, ...]:
        """What one sandbox has only one of: the schema of a title, the dataset or mapping set of a name."""
        return self.spec.platform.organization, self.spec.platform.sandbox, *name

    async def offer(self) -> Offer:
        """What Platform offers for this way. May raise RemoteError."""
        return await self.connector.offer(self.sandbox.platform, *self.key())

    def reader(self, pass_: DataflowPass) -> Reader:
        """What tables and columns are read with."""
        who = connection_key(pass_.identity.namespace, self.name)
        return Reader(
            who, self.sandbox.platform, self.base_connection_id, self.zoho, self.spec.zoho.environment
        )

    def origin(self, pass_: DataflowPass) -> Origin:
        """Where the records of the flow come from."""
        folder = pass_.status.landing_zone.path if pass_.status.landing_zone else None
        return Origin(self.name, pass_.spec.source.table, self.base_connection_id, folder)
