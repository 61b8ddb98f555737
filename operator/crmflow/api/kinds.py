"""The kinds as Kubernetes knows them: names, models and printer columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from crmflow.api.base import Model
from crmflow.api.crmdataflow import CRMDataflowSpec, CRMDataflowStatus
from crmflow.api.crmdataflowrun import CRMDataflowRunSpec, CRMDataflowRunStatus
from crmflow.api.zohosourceconnection import ZohoSourceConnectionSpec, ZohoSourceConnectionStatus

GROUP = "crmflow.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
CATEGORIES = ("crmflow",)
RECONCILE_REQUESTED_AT = f"{GROUP}/reconcile-requested-at"
"""Annotation: a new value, of any form, asks for a complete check at once."""

APPROVE_PLAN = f"{GROUP}/approve-plan"
"""Annotation: its value approves the plan in status with that hash, and no other one."""


@dataclass(frozen=True)
class PrinterColumn:
    """One column of ``kubectl get``; those with ``priority`` 1 only show with ``-o wide``."""

    name: str
    json_path: str
    type: Literal["string", "integer", "date"] = "string"
    priority: Literal[0, 1] = 0


@dataclass(frozen=True)
class Kind:
    """What a CustomResourceDefinition says about a kind beside its schema."""

    kind: str
    plural: str
    short_names: tuple[str, ...]
    description: str
    spec: type[Model]
    status: type[Model]
    printer_columns: tuple[PrinterColumn, ...]

    @property
    def singular(self) -> str:
        """The name of one resource in the API, as ``kubectl get`` accepts it."""
        return self.kind.lower()

    @property
    def crd_name(self) -> str:
        """The name of the CustomResourceDefinition."""
        return f"{self.plural}.{GROUP}"


_READY = PrinterColumn("Ready", '.status.conditions[?(@.type=="Ready")].status')
_STATUS = PrinterColumn("Status", '.status.conditions[?(@.type=="Ready")].reason')
_MESSAGE = PrinterColumn("Message", '.status.conditions[?(@.type=="Ready")].message', priority=1)
_AGE = PrinterColumn("Age", ".metadata.creationTimestamp", type="date")

ZOHO_SOURCE_CONNECTION = Kind(
    kind="ZohoSourceConnection",
    plural="zohosourceconnections",
    short_names=("zsc",),
    description=(
        "A Zoho CRM organization as a source in one sandbox of Adobe Experience Platform: the operator "
        "keeps one base connection "
        "equal to it."
    ),
    spec=ZohoSourceConnectionSpec,
    status=ZohoSourceConnectionStatus,
    printer_columns=(
        _READY,
        _STATUS,
        PrinterColumn("Data Center", ".spec.zoho.dataCenter", priority=1),
        PrinterColumn("Sandbox", ".spec.platform.sandbox", priority=1),
        PrinterColumn("Organization", ".status.zohoOrganization.name", priority=1),
        PrinterColumn("Transport", ".status.transport", priority=1),
        PrinterColumn("Base Connection", ".status.baseConnection.id", priority=1),
        _MESSAGE,
        _AGE,
    ),
)

CRM_DATAFLOW = Kind(
    kind="CRMDataflow",
    plural="crmdataflows",
    short_names=("cdf",),
    description=(
        "A table of Zoho CRM that flows into a dataset of Adobe Experience Platform: the operator keeps "
        "source connection, target "
        "connection, mapping set and flow equal to it."
    ),
    spec=CRMDataflowSpec,
    status=CRMDataflowStatus,
    printer_columns=(
        _READY,
        _STATUS,
        PrinterColumn("Table", ".spec.source.table"),
        PrinterColumn("Connection", ".spec.connectionRef.name", priority=1),
        PrinterColumn("Frequency", ".spec.schedule.frequency", priority=1),
        PrinterColumn("Transport", ".status.transport", priority=1),
        PrinterColumn("Flow", ".status.flow.id", priority=1),
        PrinterColumn("Last Run", ".status.lastRun.state", priority=1),
        _MESSAGE,
        _AGE,
    ),
)

CRM_DATAFLOW_RUN = Kind(
    kind="CRMDataflowRun",
    plural="crmdataflowruns",
    short_names=("cdfr",),
    description=(
        "One run of a CRMDataflow beside its schedule, now or for a window that is past: it is carried out "
        "once, and then only tells how it ended."
    ),
    spec=CRMDataflowRunSpec,
    status=CRMDataflowRunStatus,
    printer_columns=(
        _READY,
        _STATUS,
        PrinterColumn("Dataflow", ".spec.dataflowRef.name"),
        PrinterColumn("Start", ".status.window.start", priority=1),
        PrinterColumn("End", ".status.window.end", priority=1),
        PrinterColumn("Records", ".status.run.records.written", type="integer"),
        PrinterColumn("Run", ".status.run.id", priority=1),
        _MESSAGE,
        _AGE,
    ),
)

KINDS = (ZOHO_SOURCE_CONNECTION, CRM_DATAFLOW, CRM_DATAFLOW_RUN)
