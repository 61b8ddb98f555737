"""One scenario, once without a crash and then once for each crash point."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.faults.bench import POLL_SECONDS, Bench
from tests.faults.outcome import Outcome, Verdict, compare, outcome_of
from tests.faults.points import CrashPoint, points_of
from tests.faults.scenarios import Scenario
from tests.kit.tenant import Tenant

QUIET_SECONDS = 0.6
"""An operator that asks nobody anything for so long waits for time to pass."""
STRIDE_SECONDS = 61.0
"""How far the clock then moves: beyond a create's grace."""
ONE_POLL_SECONDS = POLL_SECONDS * 1.06
"""The operator spreads its polls by 5 %."""
LIMIT_SECONDS = 30.0
ATTEMPTS = 3
"""How often a run is tried until its crash point occurs: calls that depend on time may be left out once."""

_PAUSE_SECONDS = 0.1


class DidNotFinishError(Exception):
    """The run without a crash led nowhere: there is nothing to compare with."""


@dataclass(frozen=True)
class Recording:
    """A run without a crash."""

    scenario: Scenario
    outcome: Outcome
    points: tuple[CrashPoint, ...]


def record(bench: Bench, scenario: Scenario) -> Recording:
    """Watch ``scenario`` without disturbing it. Raises DidNotFinishError."""
    with bench.tenant() as tenant:
        scenario.prepare(tenant)
        _until_quiet(bench)
        bench.gate.begin()
        scenario.act(tenant)
        if not _wait(bench, lambda: scenario.finished(tenant)):
            raise DidNotFinishError(
                f"{scenario.name} leads nowhere even without a crash: see {bench.log_file}"
            )
        _until_quiet(bench)
        calls = bench.gate.calls
        _let_a_poll_pass(bench)
        return Recording(scenario, outcome_of(tenant), tuple(points_of(calls)))


def replay(bench: Bench, recording: Recording, point: CrashPoint) -> Verdict:
    """Kill the operator at ``point``, and compare where that leads to."""
    for _ in range(ATTEMPTS):
        verdict = _attempt(bench, recording, point)
        if verdict is not None:
            return verdict
    return Verdict(differences=("the crash point did not occur again",))


def _attempt(bench: Bench, recording: Recording, point: CrashPoint) -> Verdict | None:
    """None if the point did not occur."""
    scenario = recording.scenario
    with bench.tenant() as tenant:
        scenario.prepare(tenant)
        _until_quiet(bench)
        bench.gate.begin(point)
        scenario.act(tenant)
        if not _wait(bench, lambda: bench.gate.struck or _is_over(bench, scenario, tenant)):
            return _verdict(recording, tenant)
        if not bench.gate.struck:
            _let_a_poll_pass(bench)  # a call that was only late, as one more read of a state, occurs now
        if not bench.gate.struck:
            return None
        _wait(bench, lambda: bench.operator.is_ready() and _verdict(recording, tenant).converged)
        # What lies twice or is forgotten shows at the next poll, and must have been put right by then.
        _let_a_poll_pass(bench)
        return _verdict(recording, tenant)


def _is_over(bench: Bench, scenario: Scenario, tenant: Tenant) -> bool:
    return bench.gate.quiet_for(QUIET_SECONDS) and scenario.finished(tenant)


def _verdict(recording: Recording, tenant: Tenant) -> Verdict:
    return compare(recording.outcome, outcome_of(tenant), recording.scenario.may_differ)


def _let_a_poll_pass(bench: Bench) -> None:
    bench.control.advance(ONE_POLL_SECONDS)
    _until_quiet(bench)


def _until_quiet(bench: Bench) -> None:
    since = time.monotonic()

    def quiet() -> bool:
        return time.monotonic() - since >= QUIET_SECONDS and bench.gate.quiet_for(QUIET_SECONDS)

    _wait(bench, quiet, moving_clock=False)


def _wait(bench: Bench, met: Callable[[], bool], *, moving_clock: bool = True) -> bool:
    """Keep the operator running until ``met``; whenever it only waits, let time pass. False: not in time."""
    deadline = time.monotonic() + LIMIT_SECONDS
    moved = time.monotonic()
    while not met():
        if time.monotonic() > deadline:
            return False
        bench.operator.revive()
        idle = time.monotonic() - moved >= QUIET_SECONDS and bench.gate.quiet_for(QUIET_SECONDS)
        if moving_clock and idle and bench.operator.is_ready():
            bench.control.advance(STRIDE_SECONDS)
            moved = time.monotonic()
        time.sleep(_PAUSE_SECONDS)
    return True
