"""What is said of a flow that exists when its source has changed, or its dataset is gone: beside everything
else, which is kept as the spec says all the same.
"""

from __future__ import annotations

from crmflow.reconcile.conditions import FALSE, ConditionType
from crmflow.reconcile.dataflow.conditions import SOURCE_READY, TARGET_READY
from crmflow.reconcile.dataflow.state import DataflowPass
from crmflow.reconcile.outcome import DONE, Outcome, stalled

_REASONS = {SOURCE_READY: ("ColumnsAppeared", "ColumnsVanished"), TARGET_READY: ("DatasetGone",)}


def keep(pass_: DataflowPass, condition: ConditionType) -> None:
    """What was last said goes on to hold, since this pass does not look."""
    said = pass_.conditions.get(condition.name)
    if said is not None and said.reason in _REASONS[condition]:
        pass_.find(condition, said.status, said.reason, said.message)


def keep_all(pass_: DataflowPass) -> None:
    """A poll looks at neither columns nor dataset."""
    for condition in _REASONS:
        keep(pass_, condition)


async def report_losses(pass_: DataflowPass) -> Outcome:
    """Nothing that the flow reads or writes into is gone. It comes last: until somebody cures that, all else
    is kept as the spec says.
    """
    for condition, reasons in _REASONS.items():
        finding = pass_.findings.get(condition.name)
        if finding is not None and finding.status == FALSE and finding.reason in reasons:
            return stalled(finding.reason, finding.message)
    return DONE
