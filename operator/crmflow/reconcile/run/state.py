"""What a pass over a CRMDataflowRun knows."""

from __future__ import annotations

from dataclasses import dataclass

from crmflow.api.crmdataflowrun import CRMDataflowRunSpec, CRMDataflowRunStatus, RunResult
from crmflow.reconcile.core.engine import Pass


@dataclass
class RunPass(Pass[CRMDataflowRunSpec, CRMDataflowRunStatus]):
    """One pass over one CRMDataflowRun."""


def succeeded(reason: str, message: str) -> RunResult:
    """The run has done what it was for."""
    return RunResult(failed=False, reason=reason, message=message)


def failed(reason: str, message: str) -> RunResult:
    """The run has come to an end without that. Another one may do it."""
    return RunResult(failed=True, reason=reason, message=message)
