"""What a pass over a CRMDataflowRun knows."""

from __future__ import annotations

from dataclasses import dataclass

from crmflow.aep.models import Run
from crmflow.api.crmdataflowrun import CRMDataflowRunSpec, CRMDataflowRunStatus, RunResult
from crmflow.reconcile.core.engine import Pass
from crmflow.reconcile.dataflow.recent_runs import in_short


@dataclass
class RunPass(Pass[CRMDataflowRunSpec, CRMDataflowRunStatus]):
    """One pass over one CRMDataflowRun."""


def succeeded(reason: str, message: str) -> RunResult:
    """The run has done what it was for."""
    return RunResult(failed=False, reason=reason, message=message)


def failed(reason: str, message: str) -> RunResult:
    """The run has come to an end without that. Another one may do it."""
    return RunResult(failed=True, reason=reason, message=message)


def run_failed(run: Run) -> RunResult:
    """The run in Platform has not succeeded; the first of its errors tells why."""
    error = run.errors[0] if run.errors else None
    text = in_short(error.code, error.message) if error else f"it ended as {run.state}"
    return failed(
        "RunFailed",
        f"Run {run.id} failed: {text.rstrip('.')}. Create another CRMDataflowRun once the cause is removed.",
    )
