"""What a CRMDataflowRun is to do, how it goes on over lost answers, and what its dataflow makes of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crmflow.aep.models import Flow, FlowOptions, RunMetrics, ScheduleParams
from crmflow.api.crmdataflow import (
    CRMDataflowSpec,
    CRMDataflowStatus,
    Extraction,
    IngestedStatus,
    LastRun,
    Predecessor,
    RecentRun,
    RunRecords,
    RunWindow,
    SandboxStatus,
)
from crmflow.api.crmdataflowrun import CRMDataflowRunSpec, CRMDataflowRunStatus, RunResult
from crmflow.api.kinds import CRM_DATAFLOW_RUN
from crmflow.http.errors import ErrorClass
from crmflow.reconcile.dataflow.requested_runs import note_requested_runs, run_ahead
from crmflow.reconcile.ports import Referrer
from crmflow.reconcile.run.choose import (
    Choice,
    ReadFiles,
    RunAgain,
    RunOnDemand,
    choose,
    has_run,
)
from crmflow.reconcile.run.kind import KIND as RUN
from tests.fakes.failing import remote_error
from tests.unit.reconcile.fakes import NOW, View
from tests.unit.reconcile.harness import NAMESPACE, Harness, Resource, dataflow_spec

BEGAN = datetime.fromtimestamp(NOW, UTC)
LAG = timedelta(minutes=2)
HOUR = timedelta(hours=1)
ONCE = {"schedule": {"frequency": "Once"}, "deltaColumn": None}


def run_of(id: str, state: str, hours: int, written: int | None = 0, **more: Any) -> RecentRun:
    """A run that read the hour that ended so many hours ago."""
    end = BEGAN - hours * HOUR
    return RecentRun(
        id=id,
        state=state,
        window=RunWindow(start=end - HOUR, end=end),
        start_time=end,
        completion_time=None if state == "inProgress" else end,
        records=RunRecords(read=9, written=written) if written is not None else None,
        **more,
    )


FAILED, EMPTY, WELL = (
    run_of("r1", "failed", 1, None),
    run_of("r2", "success", 2),
    run_of("r3", "success", 3, 9),
)


def chosen(
    *history: RecentRun, window: tuple[int, int] | None = None, status: Any = None, **spec: Any
) -> Choice:
    """What is done; ``window`` in hours before now."""
    asked: dict[str, Any] = {"dataflowRef": {"name": "contacts"}}
    if window is not None:
        start, end = (f"{BEGAN - hours * HOUR:%Y-%m-%dT%H:%M:%SZ}" for hours in window)
        asked["window"] = {"start": start, "end": end}
    known = {"transport": "PlatformSource", "recent_runs": history or None, **(status or {})}
    return choose(
        CRMDataflowRunSpec.model_validate(asked),
        CRMDataflowSpec.model_validate(dataflow_spec(**spec)),
        CRMDataflowStatus(**known),
        BEGAN,
        LAG,
    )


def reason(choice: Choice) -> str:
    assert isinstance(choice, RunResult)
    return choice.reason


def span(start: int, end: int) -> RunWindow:
    return RunWindow(start=BEGAN - start * HOUR, end=BEGAN - end * HOUR)


ZONE = {"transport": "LandingZone", "extraction": Extraction(cursor=BEGAN - HOUR, cursor_set_time=BEGAN)}


def test_what_is_read_into_files() -> None:
    assert chosen(window=(5, 4), status=ZONE) == ReadFiles(span(5, 4))
    assert chosen(status=ZONE) == ReadFiles(RunWindow(start=BEGAN - HOUR, end=BEGAN - LAG))
    fresh = Extraction(cursor=BEGAN - LAG, cursor_set_time=BEGAN)
    assert reason(chosen(status={**ZONE, "extraction": fresh})) == "NothingNew"


def test_which_run_of_a_recurring_dataflow_is_done_again() -> None:
    assert chosen(WELL, FAILED, EMPTY) == RunAgain(FAILED)
    assert chosen(FAILED, EMPTY, WELL, window=(3, 2)) == RunAgain(EMPTY)
    assert reason(chosen(FAILED, EMPTY, WELL, window=(4, 3))) == "NothingToRunAgain"
    assert reason(chosen()) == "NothingToRunAgain"
    assert reason(chosen(run_of("r0", "inProgress", 0))) == "RunUnderWay"


def test_what_was_done_again_is_not_done_once_more() -> None:
    again = run_of("r9", "success", 1, 9)
    assert reason(chosen(again, FAILED)) == "NothingToRunAgain"
    untold = again.model_copy(update={"window": None, "retry_of": "r1"})
    assert reason(chosen(untold, FAILED)) == "NothingToRunAgain"
    assert chosen(run_of("r9", "failed", 1, None), FAILED) == RunAgain(run_of("r9", "failed", 1, None))


def test_how_a_one_time_dataflow_is_run() -> None:
    until = {"ingested": IngestedStatus(until=BEGAN - 9 * HOUR)}
    assert chosen(window=(5, 4), **ONCE) == RunOnDemand(span(5, 4))
    assert chosen(FAILED, **ONCE) == RunAgain(FAILED)
    now = RunWindow(start=BEGAN - 9 * HOUR, end=BEGAN - LAG)
    assert chosen(WELL, status=until, **ONCE) == RunOnDemand(now)
    assert chosen(**ONCE) == RunOnDemand(RunWindow(start=datetime(1970, 1, 1, tzinfo=UTC), end=BEGAN - LAG))


@pytest.mark.parametrize(
    ("why", "spec"),
    [
        ("DataflowObserved", {"managementPolicy": "Observe", "flowId": "f1"}),
        ("FlowDisabled", {"ingestion": {"enabled": False}}),
    ],
)
def test_what_platform_would_refuse_is_refused(why: str, spec: dict[str, Any]) -> None:
    assert reason(chosen(FAILED, **spec)) == why


def test_a_window_has_to_be_over() -> None:
    assert reason(chosen(window=(1, 0), status=ZONE)) == "WindowNotOver"
    assert reason(chosen(window=(1, -1), **ONCE)) == "WindowNotOver"


def test_a_run_that_is_made_anew_is_known_by_name_and_window() -> None:
    asked = CRMDataflowRunSpec.model_validate({"dataflowRef": {"name": "contacts"}})
    start, end = BEGAN - 2 * HOUR, BEGAN - HOUR
    window = {"start": start.isoformat(), "end": end.isoformat()}
    narrowed = asked.model_validate({"dataflowRef": {"name": "contacts"}, "window": window})
    known = FAILED.model_copy(update={"requested_by": "again"})
    assert has_run(asked, "again", [known])
    assert has_run(narrowed, "again", [known])
    assert not has_run(narrowed, "again", [known.model_copy(update={"window": span(9, 8)})])
    assert not has_run(asked, "other", [known])


# Passes


class Asking:
    """A run of a one-time dataflow through Platform's own source."""

    def __init__(self) -> None:
        self.harness = harness = Harness()
        dataflow = harness.dataflow(**ONCE)
        schedule = ScheduleParams(int(NOW), "once", None, None)
        names = ("f1", "etag", "Contacts", "", "enabled", "spec")
        flow = Flow(*names, (), (), schedule, None, None, None, FlowOptions(None, None), None)
        harness.platform.flows["f1"] = flow
        status = CRMDataflowStatus.model_validate(
            {
                "flow": {"id": "f1", "state": "enabled"},
                "transport": "PlatformSource",
                "platform": {"organization": "1A2B@AdobeOrg", "sandbox": "prod"},
            }
        )
        spec = CRMDataflowSpec.model_validate(dataflow.spec)
        self.dataflow = View(spec, status, uid="dataflow-uid")
        harness.lister.resources["CRMDataflow", NAMESPACE, "contacts"] = self.dataflow
        self.run = Resource(harness, RUN, "now", {"dataflowRef": {"name": "contacts"}})

    @property
    def starts(self) -> int:
        """How often Platform was asked for a run."""
        return self.harness.timeline.count("runs.start")

    def end(self, state: str = "success", **more: Any) -> None:
        """The only run ends."""
        runs = self.harness.platform.runs
        [(run_id, run)] = runs.items()
        metrics = RunMetrics(9, 9 if state == "success" else 0, 0, 0)
        runs[run_id] = replace(
            run, state=state, started_at=NOW, completed_at=NOW + 60, metrics=metrics, **more
        )


@pytest.fixture
def asking() -> Asking:
    return Asking()


async def test_a_run_is_asked_for_once_and_followed(asking: Asking) -> None:
    result = await asking.run.visit()
    assert (result.outcome.reason, asking.starts) == ("Running", 1)
    assert asking.run.checkpoints[0]["request"]["flowId"] == "f1"
    assert "run" not in asking.run.checkpoints[0]
    await asking.run.visit()
    asking.end()
    await asking.run.visit()
    assert asking.run.condition("Complete")[:2] == ("True", "Succeeded")
    assert asking.run.condition("Ready")[0] == "True"
    assert asking.run.condition("Failed") == ("", "", "")
    assert asking.starts == 1
    before = len(asking.harness.timeline)
    await asking.run.visit()
    assert len(asking.harness.timeline) == before


@pytest.mark.parametrize("began", [True, False])
async def test_a_lost_answer_is_looked_for_and_never_asked_for_again(began: bool, asking: Asking) -> None:
    lost = remote_error(ErrorClass.TRANSIENT, maybe_applied=True)
    asking.harness.platform.fail("runs.start", lost, after=began)
    await asking.run.visit()
    result = await asking.run.visit()
    assert result.outcome.reason == "Requested"  # no listing shows a run that has not begun
    asking.harness.clock.time += 31 * 60
    if began:
        asking.end("failed")
    await asking.run.visit()
    reasons = asking.run.condition("Failed")[1]
    assert reasons == ("RunFailed" if began else "RequestLost")
    assert asking.starts == 1


async def test_what_was_not_sent_is_asked_for_anew(asking: Asking) -> None:
    asking.harness.platform.fail("runs.start", remote_error(ErrorClass.TRANSIENT), times=1)
    await asking.run.visit()
    assert "request" not in asking.run.status
    result = await asking.run.visit()
    assert (result.outcome.reason, asking.starts) == ("Running", 2)


async def test_a_window_that_platform_takes_for_another_one_is_told(asking: Asking) -> None:
    await asking.run.visit()
    asking.end(window=(1.0, 2.0))
    await asking.run.visit()
    assert asking.run.condition("Failed")[1] == "WindowMisread"


@pytest.mark.parametrize("shows", [True, False])
async def test_a_flow_that_is_replaced_in_the_middle_ends_the_run(shows: bool, asking: Asking) -> None:
    """As soon as it is gone: the run of a flow that is no more need not come to an end."""
    await asking.run.visit()
    if not shows:
        asking.harness.platform.runs.clear()
    old = asking.dataflow.status.flow
    both = {"flow": old.model_copy(update={"id": "f2"}), "predecessor": Predecessor(flow=old)}
    asking.dataflow.status = asking.dataflow.status.model_copy(update=both)
    result = await asking.run.visit()
    assert result.outcome.reason == ("Running" if shows else "Requested")
    asking.dataflow.status = asking.dataflow.status.model_copy(update={"predecessor": None})
    await asking.run.visit()
    assert asking.run.condition("Failed")[1] == "FlowReplaced"


@pytest.mark.parametrize("how", ["gone", "deleting", "anew"])
async def test_a_dataflow_that_is_deleted_in_the_middle_ends_the_run(how: str, asking: Asking) -> None:
    await asking.run.visit()
    changed = {"gone": None, "deleting": replace(asking.dataflow, deleting=True)}
    seen = changed.get(how, replace(asking.dataflow, uid="another"))
    resources = asking.harness.lister.resources
    if seen is None:
        resources.clear()
    else:
        resources["CRMDataflow", NAMESPACE, "contacts"] = seen
    await asking.run.visit()
    assert asking.run.condition("Failed")[1] == "DataflowDeleted"


async def test_the_oldest_run_comes_first(asking: Asking) -> None:
    older = Referrer(CRM_DATAFLOW_RUN.kind, "z", False, created="2026-01-01T00:00:00Z")
    mine = Referrer(CRM_DATAFLOW_RUN.kind, "now", False, created="2026-01-01T00:00:01Z")
    asking.harness.lister.runs = [mine, older]
    assert (await asking.run.visit()).outcome.reason == "WaitingForRun"
    asking.harness.lister.runs = [mine, replace(older, ended="2026-01-01T00:10:00Z")]
    assert (await asking.run.visit()).outcome.reason == "Running"


def sibling(asking: Asking, name: str, ended: datetime, dataflow: str = "dataflow-uid") -> LastRun:
    """Another run of the same dataflow has ended, or of an earlier one of its name."""
    lister, run = asking.harness.lister, LastRun(id=f"run-of-{name}", state="success", completion_time=ended)
    status = CRMDataflowRunStatus(dataflow_uid=dataflow, completion_time=ended, run=run)
    lister.resources["CRMDataflowRun", NAMESPACE, name] = View(None, status)
    lister.runs.append(Referrer(CRM_DATAFLOW_RUN.kind, name, False, created="1", ended=ended.isoformat()))
    return run


def take_note(asking: Asking, *names: str) -> None:
    """The dataflow has these in its history."""
    noted = tuple(RecentRun(id=f"run-of-{name}", state="success", requested_by=name) for name in names)
    known = asking.dataflow.status.model_copy(update={"recent_runs": noted})
    changed = replace(asking.dataflow, status=known)
    asking.harness.lister.resources["CRMDataflow", NAMESPACE, "contacts"] = changed


async def test_what_a_run_has_read_is_noted_before_the_next_one_begins(asking: Asking) -> None:
    """Else it would read the same again, or take the other one for a run that goes on."""
    sibling(asking, "first", BEGAN)
    sibling(asking, "of-an-earlier-dataflow", BEGAN, dataflow="another")
    result = await asking.run.visit()
    assert (result.outcome.reason, asking.starts) == ("WaitingForRun", 0)
    take_note(asking, "first")
    assert (await asking.run.visit()).outcome.reason == "Running"


async def test_a_run_is_not_gone_before_it_was_noted(asking: Asking) -> None:
    await asking.run.visit()
    asking.end()
    await asking.run.visit()
    [ended] = asking.harness.platform.runs
    status = CRMDataflowRunStatus.model_validate(asking.run.status)
    asking.harness.lister.resources["CRMDataflowRun", NAMESPACE, "now"] = View(None, status)
    asking.harness.lister.runs = [Referrer("CRMDataflowRun", "now", False, created="1", ended="2")]
    result = await asking.run.visit(deleting=True)
    assert result.outcome.reason == "WaitingForDataflow"
    known = {"recent_runs": (RecentRun(id=ended, state="success", requested_by="now"),)}
    noted = replace(asking.dataflow, status=asking.dataflow.status.model_copy(update=known))
    asking.harness.lister.resources["CRMDataflow", NAMESPACE, "contacts"] = noted
    assert (await asking.run.visit(deleting=True)).outcome.is_done
    asking.harness.lister.resources["CRMDataflow", NAMESPACE, "contacts"] = asking.dataflow
    asking.harness.clock.time += 61
    assert (await asking.run.visit(deleting=True)).outcome.is_done


# The dataflow


def noted(harness: Harness, *, failed: bool = False, window: RunWindow | None = None) -> Resource:
    """A dataflow through the landing zone, of which a run has ended."""
    dataflow = harness.dataflow()
    dataflow.status = {
        "flow": {"id": "f1", "state": "enabled"},
        "transport": "LandingZone",
        "extraction": {"cursor": "2026-01-31T08:00:00Z", "cursorSetTime": "2026-01-31T08:00:00Z"},
    }
    status = CRMDataflowRunStatus(
        dataflow_uid=dataflow.uid,
        transport="LandingZone",
        platform=SandboxStatus(organization="o", sandbox="prod"),
        window=window,
        completion_time=BEGAN,
        run=LastRun(
            id="r7-of-now",
            state="failed" if failed else "success",
            start_time=BEGAN - HOUR,
            completion_time=BEGAN,
        ),
        result=RunResult(failed=failed, reason="x", message="x"),
    )
    harness.lister.resources["CRMDataflowRun", NAMESPACE, "now"] = View(None, status)
    harness.lister.runs = [Referrer("CRMDataflowRun", "now", False, created="1", ended="2")]
    return dataflow


def test_a_run_that_has_left_the_history_counts_no_second_time() -> None:
    """As once ten newer ones were begun by the schedule."""
    harness = Harness()
    dataflow = noted(harness)
    pass_ = dataflow.begin()
    note_requested_runs(pass_)
    assert pass_.status.totals.runs_succeeded == 1
    pass_.record(recent_runs=tuple(run_of(f"r{hours}", "success", -hours) for hours in range(10, 0, -1)))
    for _ in range(2):
        note_requested_runs(pass_)
    assert pass_.status.totals.runs_succeeded == 1
    assert "r7-of-now" not in [run.id for run in pass_.status.recent_runs]


def instant(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-01-31T{text}+00:00")


@pytest.mark.parametrize(
    ("start", "end", "failed", "cursor"),
    [
        ("08:00", "08:30", False, "08:30"),
        ("07:00", "08:30", False, "08:30"),
        ("07:00", "08:00", False, "08:00"),
        ("08:10", "08:30", False, "08:00"),
        ("08:00", "08:30", True, "08:00"),
    ],
)
def test_windows_go_on_behind_what_a_run_has_read(start: str, end: str, failed: bool, cursor: str) -> None:
    harness = Harness()
    window = RunWindow(start=instant(start), end=instant(end))
    pass_ = noted(harness, failed=failed, window=window).begin()
    for _ in range(2):
        note_requested_runs(pass_)
    assert [one.requested_by for one in pass_.status.recent_runs] == ["now"]
    assert pass_.status.extraction.cursor == instant(cursor)
    totals = pass_.status.totals
    assert (totals.runs_succeeded, totals.runs_failed) == ((None, 1) if failed else (1, None))


def test_no_window_is_begun_that_a_run_is_reading() -> None:
    harness = Harness()
    window = RunWindow(start=instant("07:00"), end=instant("08:30"))
    pass_ = noted(harness, window=window).begin()
    assert run_ahead(pass_) is None
    harness.lister.runs = [Referrer("CRMDataflowRun", "now", False, created="1")]
    assert run_ahead(pass_) == "now"
