"""What a pass over a CRMDataflow knows, and where its remote objects are recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from crmflow.aep.listings import Collection
from crmflow.aep.models import Column, DataSet, Flow, Schema
from crmflow.api.crmdataflow import CRMDataflowSpec, CRMDataflowStatus, FlowStatus
from crmflow.reconcile.ahead import Answer
from crmflow.reconcile.engine import Pass
from crmflow.reconcile.identity import Slot
from crmflow.reconcile.ports import ConnectionView

if TYPE_CHECKING:
    from crmflow.reconcile.dataflow.source import SourceView


@dataclass
class DataflowPass(Pass[CRMDataflowSpec, CRMDataflowStatus]):
    """One visit to one CRMDataflow."""

    connection_view: ConnectionView | None = None
    columns: tuple[Column, ...] = ()
    """The table's columns that the flow is to read, as explore gives them."""
    source_answer: Answer[SourceView | None] | None = None
    schemas_answer: Answer[Sequence[Schema]] = field(default_factory=lambda: Answer(()))
    """The schemas that the spec may mean."""
    datasets_answer: Answer[Sequence[DataSet]] = field(default_factory=lambda: Answer(()))
    """The datasets that the spec may mean."""
    schema: Schema | None = None
    """The schema, while there is no flow yet."""
    flow: Flow | None = None
    target_ids: tuple[str | None, str | None] = (None, None)
    """The schema and the dataset that the spec means, of a flow that exists; None for none or several."""
    remotes: Mapping[str, Any] = field(default_factory=dict)
    """Slot → remote object, as it was compared in this pass; empty where there is no flow yet."""
    posted: set[str] = field(default_factory=set)
    """Slots whose object was created in this very pass."""

    @property
    def recorded_id(self) -> str | None:
        """The flow's."""
        return self.flow_id

    @property
    def connection(self) -> ConnectionView:
        """The connection; an earlier step has found it."""
        if self.connection_view is None:
            raise RuntimeError("no step has looked up the connection yet")
        return self.connection_view

    @property
    def flow_id(self) -> str | None:
        """The recorded id."""
        return self.status.flow.id if self.status.flow else None

    @property
    def base_connection_id(self) -> str:
        """The base connection to read through; a Ready connection has one."""
        base = self.connection.status.base_connection
        if base is None:
            raise RuntimeError("a Ready connection has a base connection")
        return base.id

    def sandbox_key(self, slot: str, name: str) -> tuple[str, ...]:
        """What one sandbox has only one of: the schema of a title, the dataset of a name."""
        platform = self.connection.spec.platform
        return platform.organization, platform.sandbox, slot, name

    @property
    def creates(self) -> bool:
        """True while the flow is still to be created: only then are source, target and mapping checked."""
        return self.flow_id is None


@dataclass(frozen=True)
class Named:
    """Name and description, which every remote object has and which can be patched at any time."""

    name: str
    description: str

    @classmethod
    def desired(cls, pass_: DataflowPass, slot: str) -> Named:
        """As the spec wants them."""
        return cls(
            pass_.identity.remote_name(pass_.spec.display_name, slot),
            pass_.identity.description(pass_.spec.description),
        )


SLOTS = {
    Slot.FLOW: Collection.FLOWS,
    Slot.SOURCE: Collection.SOURCE_CONNECTIONS,
    Slot.TARGET: Collection.TARGET_CONNECTIONS,
}
"""Flow Service's collection for each slot, in the order in which they are deleted."""


def recorded_ids(pass_: DataflowPass) -> dict[str, str]:
    """Slot → id of the remote objects that status records."""
    ids = {
        Slot.FLOW: pass_.flow_id,
        Slot.SOURCE: pass_.status.source_connection_id,
        Slot.TARGET: pass_.status.target_connection_id,
    }
    return {slot: remote_id for slot, remote_id in ids.items() if remote_id is not None}


def record_id(pass_: DataflowPass, slot: str, remote_id: str | None) -> None:
    """Set or clear the id in a slot."""
    match slot:
        case Slot.FLOW:
            pass_.record(flow=FlowStatus(id=remote_id) if remote_id else None)
        case Slot.SOURCE:
            pass_.record(source_connection_id=remote_id)
        case Slot.TARGET:
            pass_.record(target_connection_id=remote_id)
