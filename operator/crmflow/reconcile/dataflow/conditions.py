"""The conditions that a CRMDataflow owns, and what holds of them until a pass looks again."""

from __future__ import annotations

from crmflow.reconcile.core.conditions import FALSE, ConditionType
from crmflow.reconcile.core.engine import step
from crmflow.reconcile.core.outcome import StalledError
from crmflow.reconcile.dataflow.state import DataflowPass

SOURCE_READY = ConditionType(
    "SourceReady", "The connection is Ready, and table, columns and delta column exist."
)
TARGET_READY = ConditionType("TargetReady", "Schema and dataset exist and belong together.")
MAPPING_VALID = ConditionType("MappingValid", "Platform accepts the mapping.")
SYNCED = ConditionType("Synced", "Source connection, target connection and flow are what the spec says.")
RUNS_HEALTHY = ConditionType("RunsHealthy", "The last run succeeded.")

EXTRACTED = ConditionType("Extracted", "The last window of Zoho CRM is in the landing zone.")
INGESTION_COMPLETE = ConditionType(
    "IngestionComplete", "The flow has read as many records as Zoho CRM had and the files hold."
)

CONDITIONS = (
    SOURCE_READY,
    TARGET_READY,
    MAPPING_VALID,
    SYNCED,
    RUNS_HEALTHY,
    EXTRACTED,
    INGESTION_COMPLETE,
)
"""In the order in which they are written."""

_LASTING = {
    SOURCE_READY: ("ColumnsAppeared", "ColumnsVanished", "TableNotReadable"),
    TARGET_READY: ("DatasetGone",),
}
"""What is said of a flow that exists when its source has changed, or its dataset is gone: beside everything
else, which is kept as the spec says all the same. It holds until a pass looks again.
"""


def carry_over(pass_: DataflowPass, condition: ConditionType) -> None:
    """What was last said goes on to hold, since this pass does not look."""
    said = pass_.conditions.get(condition.name)
    if said is not None and said.reason in _LASTING[condition]:
        pass_.set_condition(condition, said.status, said.reason, said.message)


def carry_over_all(pass_: DataflowPass) -> None:
    """A poll looks at neither columns nor dataset."""
    for condition in _LASTING:
        carry_over(pass_, condition)


@step()
async def check_losses(pass_: DataflowPass) -> None:
    """Nothing that the flow reads or writes into is gone; raises PassEndedError if so. It comes last: until
    somebody cures that, all else is kept as the spec says.
    """
    for condition, reasons in _LASTING.items():
        finding = pass_.findings.get(condition.name)
        if finding is not None and finding.status == FALSE and finding.reason in reasons:
            raise StalledError(finding.reason, finding.message)
