"""One scenario, once without a fault and then once for each point of one."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.faults.bench import POLL_SECONDS, QUIET_SECONDS, Bench
from tests.faults.outcome import Difference, Outcome, Verdict, compare, outcome_of
from tests.faults.points import CRASHES, Fault, FaultPoint, points_of
from tests.faults.scenarios import Scenario
from tests.kit.tenant import Tenant

ONE_POLL_SECONDS = POLL_SECONDS * 1.06
"""The operator spreads its polls by 5 %."""
ATTEMPTS = 3
"""How often a run is tried until its point occurs: calls that depend on time may be left out once."""

_PAUSE_SECONDS = 0.1


class DidNotFinishError(Exception):
    """The run without a crash led nowhere: there is nothing to compare with."""


@dataclass(frozen=True)
class Recording:
    """A run without a crash."""

    scenario: Scenario
    outcome: Outcome
    points: tuple[FaultPoint, ...]


def record(bench: Bench, scenario: Scenario, faults: frozenset[Fault] = CRASHES) -> Recording:
    """Watch ``scenario`` without disturbing it. Raises DidNotFinishError."""
    with bench.tenant() as tenant:
        scenario.prepare(tenant)
        _until_quiet(bench)
        bench.gate.begin()
        scenario.act(tenant)
        if not _wait(bench, scenario, lambda: scenario.finished(tenant)):
            raise DidNotFinishError(
                f"{scenario.name} leads nowhere even without a crash: see {bench.log_file}"
            )
        _until_quiet(bench)
        calls = bench.gate.calls
        _let_a_poll_pass(bench)
        return Recording(scenario, outcome_of(tenant), tuple(points_of(calls, faults)))


def replay(bench: Bench, recording: Recording, point: FaultPoint) -> Verdict:
    """Have ``point`` happen, and compare where that leads to."""
    for _ in range(ATTEMPTS):
        verdict = _attempt(bench, recording, point)
        if verdict is not None:
            return verdict
    if point.call.is_read:
        return Verdict(allowed=frozenset({Difference.READ_LESS_OFTEN}))
    return Verdict(differences=("the point did not occur again",))


def _attempt(bench: Bench, recording: Recording, point: FaultPoint) -> Verdict | None:
    """None if the point did not occur."""
    scenario = recording.scenario
    with bench.tenant() as tenant:
        scenario.prepare(tenant)
        _until_quiet(bench)
        bench.gate.begin(point)
        scenario.act(tenant)
        if not _wait(bench, scenario, lambda: bench.gate.struck or _is_over(bench, scenario, tenant)):
            return _verdict(recording, tenant)
        if not bench.gate.struck:
            _let_a_poll_pass(bench)  # a call that was only late, as one more read of a state, occurs now
        if not bench.gate.struck:
            return None
        _wait(bench, scenario, lambda: _has_settled(bench) and _verdict(recording, tenant).converged)
        # What lies twice or is forgotten shows at the next poll, and must have been put right by then.
        _let_a_poll_pass(bench)
        return _verdict(recording, tenant)


def _is_over(bench: Bench, scenario: Scenario, tenant: Tenant) -> bool:
    return bench.is_quiet() and scenario.finished(tenant)


def _has_settled(bench: Bench) -> bool:
    return bench.is_quiet() and bench.operator.is_ready()


def _verdict(recording: Recording, tenant: Tenant) -> Verdict:
    return compare(recording.outcome, outcome_of(tenant), recording.scenario.may_differ)


def _let_a_poll_pass(bench: Bench) -> None:
    bench.control.advance(ONE_POLL_SECONDS)
    _until_quiet(bench)


def _until_quiet(bench: Bench) -> None:
    since = time.monotonic()

    def quiet() -> bool:
        return time.monotonic() - since >= QUIET_SECONDS and bench.gate.quiet_for(QUIET_SECONDS)

    _keep_running(bench, quiet)


def _wait(bench: Bench, scenario: Scenario, met: Callable[[], bool]) -> bool:
    """Keep the operator running until ``met``; whenever it only waits, let time pass. False: not in time."""
    moved = time.monotonic()

    def let_time_pass() -> None:
        nonlocal moved
        if time.monotonic() - moved >= QUIET_SECONDS and _has_settled(bench):
            bench.control.advance(scenario.stride)
            moved = time.monotonic()

    return _keep_running(bench, met, let_time_pass, scenario.limit)


def _keep_running(
    bench: Bench, met: Callable[[], bool], meanwhile: Callable[[], None] = lambda: None, seconds: float = 30.0
) -> bool:
    """Start the operator whenever it has died, until ``met``; False: not in time."""
    deadline = time.monotonic() + seconds
    while not met():
        if time.monotonic() > deadline:
            return False
        bench.operator.revive()
        meanwhile()
        time.sleep(_PAUSE_SECONDS)
    return True
