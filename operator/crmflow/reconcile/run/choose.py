"""What a run is to do, worked out from what it asks for and how its dataflow is.

| transport, schedule          | with a window                      | without one                          |
|------------------------------|------------------------------------|--------------------------------------|
| LandingZone                  | read the window into files         | the same from the cursor until now   |
| PlatformSource, one-time     | a run on demand over the window    | the failed run again, else on demand |
|                              |                                    | over what changed since the last run |
| PlatformSource, recurring    | the newest run in the window that  | the newest run that can be run again |
|                              | can be run again                   |                                      |

Platform runs one-time flows on demand alone (platform.md 7.2), and runs again what has failed or ingested
nothing (7.3). What it would refuse is refused here, with the way out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from crmflow.aep.models import RunState
from crmflow.api.base import ManagementPolicy, Transport
from crmflow.api.crmdataflow import (
    CRMDataflowSpec,
    CRMDataflowStatus,
    Frequency,
    RecentRun,
    RunWindow,
)
from crmflow.api.crmdataflowrun import CRMDataflowRunSpec, RunResult, Window
from crmflow.reconcile.dataflow.recent_runs import is_final
from crmflow.reconcile.extraction.rhythm import BEGINNING, to_the_second
from crmflow.reconcile.run.state import failed, succeeded

_INGESTED = (RunState.SUCCESS, RunState.PARTIAL_SUCCESS)


@dataclass(frozen=True)
class ReadFiles:
    """Read a window of Zoho CRM into files, and have a flow of the run's own take them."""

    window: RunWindow


@dataclass(frozen=True)
class RunAgain:
    """Have Platform do the work of a run again."""

    run: RecentRun


@dataclass(frozen=True)
class RunOnDemand:
    """Have Platform run the one-time flow over a window."""

    window: RunWindow


Choice = ReadFiles | RunAgain | RunOnDemand | RunResult


def choose(
    asked: CRMDataflowRunSpec, spec: CRMDataflowSpec, status: CRMDataflowStatus, now: datetime, lag: timedelta
) -> Choice:
    """What to do for a dataflow that has a flow, or how the run ends at once. ``lag``: so long after a change
    Zoho CRM shows it for certain.
    """
    if spec.management_policy is ManagementPolicy.OBSERVE:
        return failed(
            "DataflowObserved",
            "spec.managementPolicy of the dataflow is Observe, so nothing is run for it. Run it in Platform, "
            "or set it to Manage and create another CRMDataflowRun.",
        )
    latest = to_the_second(now - lag)
    if asked.window is not None and to_the_second(asked.window.end) > latest:
        return failed(
            "WindowNotOver",
            f"spec.window.end must be past by {int(lag.total_seconds())} s when the run begins, so that all "
            "changes show. Create another CRMDataflowRun then, or one with an earlier end.",
        )
    if status.transport is Transport.LANDING_ZONE:
        return _read_files(asked.window, status, latest)
    if not spec.ingestion.enabled:
        return failed(
            "FlowDisabled",
            "Platform runs no flow that is disabled. Set spec.ingestion.enabled of the dataflow to true, and "
            "create another CRMDataflowRun.",
        )
    if spec.schedule.frequency is Frequency.ONCE:
        return _run_once(asked.window, status, latest)
    return _run_again(asked.window, status.recent_runs or ())


def has_run(asked: CRMDataflowRunSpec, name: str, history: Iterable[RecentRun]) -> bool:
    """Whether the history of the dataflow has this run already: it was made anew, as from a manifest in
    Git.
    """
    return any(
        run.requested_by == name and (asked.window is None or _is_window(asked.window, run.window))
        for run in history
    )


def can_run_again(run: RecentRun) -> bool:
    """Whether Platform does its work again: it has failed, or ingested nothing (platform.md 7.3)."""
    if not is_final(run):
        return False
    if run.state in _INGESTED:
        return run.records is not None and run.records.written == 0
    return run.state == RunState.FAILED


def _read_files(window: Window | None, status: CRMDataflowStatus, latest: datetime) -> Choice:
    if window is not None:
        return ReadFiles(_of(window))
    cursor = status.extraction.cursor if status.extraction else BEGINNING
    if cursor >= latest:
        return succeeded("NothingNew", f"All changes until {latest:%Y-%m-%dT%H:%M:%SZ} have been read.")
    return ReadFiles(RunWindow(start=cursor, end=latest))


def _run_once(window: Window | None, status: CRMDataflowStatus, latest: datetime) -> Choice:
    if window is not None:
        return RunOnDemand(_of(window))
    history = status.recent_runs or ()
    if history and not is_final(history[0]):
        return _under_way(history[0])
    if history and history[0].state == RunState.FAILED:
        return RunAgain(history[0])
    since = status.ingested.until if status.ingested else None
    return RunOnDemand(RunWindow(start=since or BEGINNING, end=latest))


def _run_again(window: Window | None, history: Sequence[RecentRun]) -> Choice:
    open_runs = [run for run in history if not _is_made_up_for(run, history)]
    inside = [run for run in open_runs if window is None or _lies_in(run.window, window)]
    found = next((run for run in inside if can_run_again(run)), None)
    if found is not None:
        return RunAgain(found)
    under_way = next((run for run in inside if not is_final(run)), None)
    if under_way is not None:
        return _under_way(under_way)
    where = "in spec.window " if window is not None else ""
    return failed(
        "NothingToRunAgain",
        f"None of the last runs of the dataflow {where}has failed or ingested nothing, and Platform does no "
        "other run of a recurring flow again: it runs when its schedule says. To have records read anew, use "
        "transport LandingZone, or a one-time dataflow beside this one.",
    )


def _is_made_up_for(failed_run: RecentRun, history: Sequence[RecentRun]) -> bool:
    """Whether a later run does its work, or has done it."""
    newer = history[: history.index(failed_run)]
    return any(
        run.retry_of == failed_run.id or (run.window is not None and run.window == failed_run.window)
        for run in newer
    )


def _under_way(run: RecentRun) -> RunResult:
    return failed(
        "RunUnderWay",
        f"Run {run.id} of the dataflow is under way. Create another CRMDataflowRun once it has ended, if it "
        "has failed.",
    )


def _of(window: Window) -> RunWindow:
    return RunWindow(start=to_the_second(window.start), end=to_the_second(window.end))


def _is_window(asked: Window, window: RunWindow | None) -> bool:
    return window is not None and _of(asked) == window


def _lies_in(window: RunWindow | None, asked: Window) -> bool:
    return (
        window is not None
        and (window.start or BEGINNING) >= to_the_second(asked.start)
        and window.end <= asked.end
    )
