"""The outcome table, row by row."""

from __future__ import annotations

import random

import pytest

from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.reconcile.core.decide import (
    STALLED_NET_SECONDS,
    WAITING_NET_SECONDS,
    Decision,
    Priority,
    Streak,
    decide,
)
from crmflow.reconcile.core.outcome import (
    DONE,
    PAUSED,
    Outcome,
    OutcomeClass,
    bug,
    completed,
    degraded,
    explain,
    from_remote_error,
    stalled,
    transient,
    waiting,
)

NEXT_CHECK = 3600.0
TRANSITION = waiting("FlowSettling", "settling", transition=True)
WAITING = waiting("SecretNotFound", "no Secret")
STALLED = stalled("TableNotFound", "no table")
DEGRADED = degraded("ConnectionTestFailed", "no way in", retry_after=150.0)
TRANSIENT = transient("Unavailable", "down")
BUG = bug("oops")
ENDED = completed("Transferred", "all is over")
FAILED = completed("TransferFailed", "it is over", failed=True)


def look_up(
    outcome: Outcome,
    streak: Streak | None = None,
    *,
    ready: bool = False,
    observed: bool | None = None,
    now: float = 0.0,
    seed: int = 1,
    begun: bool = False,
) -> Decision:
    return decide(
        outcome,
        Streak() if streak is None else streak,
        was_ready=ready,
        was_observed=ready if observed is None else observed,
        now=now,
        next_check_at=NEXT_CHECK,
        is_begun=begun,
        ready_message="all is well",
        jitter=random.Random(seed),
    )


ROWS = [
    # outcome, ready before, observed before → (Ready, Reconciling, Stalled), observes, priority
    pytest.param(DONE, False, False, ("True", None, None), True, Priority.POLL, id="done"),
    pytest.param(WAITING, False, False, ("False", "True", None), True, Priority.RETRY, id="waiting"),
    pytest.param(WAITING, True, True, ("False", "True", None), True, Priority.RETRY, id="waiting, was Ready"),
    pytest.param(TRANSITION, False, False, ("False", "True", None), True, Priority.RETRY, id="transition"),
    pytest.param(
        TRANSIENT, False, False, ("False", "True", None), False, Priority.RETRY, id="transient, new"
    ),
    pytest.param(
        TRANSIENT, False, True, ("False", "True", None), False, Priority.RETRY, id="transient, observed"
    ),
    pytest.param(TRANSIENT, True, True, None, False, Priority.RETRY, id="transient, was Ready"),
    pytest.param(DEGRADED, True, True, ("True", None, None), True, Priority.RETRY, id="degraded"),
    pytest.param(PAUSED, False, False, ("False", None, None), False, Priority.POLL, id="paused, new"),
    pytest.param(PAUSED, False, True, None, False, Priority.POLL, id="paused, observed"),
    pytest.param(PAUSED, True, True, None, False, Priority.POLL, id="paused, was Ready"),
    pytest.param(STALLED, False, False, ("False", None, "True"), True, Priority.POLL, id="stalled"),
    pytest.param(STALLED, True, True, ("False", None, "True"), True, Priority.POLL, id="stalled, was Ready"),
    pytest.param(ENDED, False, False, ("True", None, None), True, Priority.POLL, id="completed"),
    pytest.param(FAILED, False, True, ("False", None, "True"), True, Priority.POLL, id="failed for good"),
    pytest.param(BUG, False, False, ("False", "True", None), False, Priority.RETRY, id="bug"),
    pytest.param(BUG, True, True, ("False", "True", None), False, Priority.RETRY, id="bug, was Ready"),
]


@pytest.mark.parametrize(("outcome", "ready", "observed", "statuses", "observes", "priority"), ROWS)
def test_the_table(
    outcome: Outcome,
    ready: bool,
    observed: bool,
    statuses: tuple[str | None, ...] | None,
    observes: bool,
    priority: Priority,
) -> None:
    decision = look_up(outcome, ready=ready, observed=observed)
    if statuses is None:
        assert decision.summary is None
    else:
        assert decision.summary is not None
        found = [decision.summary.get(name) for name in ("Ready", "Reconciling", "Stalled")]
        assert tuple(finding and finding.status for finding in found) == statuses
        assert len({(finding.reason, finding.message) for finding in found if finding}) == 1
    assert decision.observes_generation is observes
    assert decision.priority is priority


@pytest.mark.parametrize(
    ("outcome", "reason", "message"),
    [
        (DONE, "Succeeded", "all is well"),
        (WAITING, "SecretNotFound", "no Secret"),
        (STALLED, "TableNotFound", "no table"),
        (DEGRADED, "ConnectionTestFailed", "no way in"),
        (TRANSIENT, "ProgressingWithRetry", "down"),
        (PAUSED, "Paused", PAUSED.message),
        (ENDED, "Transferred", "all is over"),
        (FAILED, "TransferFailed", "it is over"),
        (BUG, "InternalError", "oops"),
    ],
    ids=lambda value: value.outcome_class.value if isinstance(value, Outcome) else None,
)
def test_ready_carries_reason_and_message(outcome: Outcome, reason: str, message: str) -> None:
    summary = look_up(outcome).summary
    assert summary is not None
    assert (summary["Ready"].reason, summary["Ready"].message) == (reason, message)


@pytest.mark.parametrize("outcome", [TRANSITION, TRANSIENT], ids=["transition", "failure"])
def test_what_was_begun_goes_on_before_others_until_it_has_been_tried_in_vain(outcome: Outcome) -> None:
    """However many new resources wait; but thousands that fail keep nobody waiting."""
    streak = Streak()
    tries = [look_up(outcome, streak, begun=True).priority for _ in range(6)]
    assert tries == [Priority.BEGUN] * 4 + [Priority.RETRY] * 2


def test_a_ready_resource_is_visited_when_its_next_check_is_due() -> None:
    assert look_up(DONE, now=1000.0).at == NEXT_CHECK


def test_what_is_completed_is_not_visited_again_and_has_failed_no_more() -> None:
    for outcome in (ENDED, FAILED):
        streak = Streak(failures=3, failing_since=0.0)
        assert look_up(outcome, streak).at is None
        assert streak == Streak()


def test_a_visit_counts_from_the_instant_of_the_decision() -> None:
    for outcome in (WAITING, TRANSITION, STALLED, TRANSIENT, DEGRADED, BUG):
        at, later = look_up(outcome).at, look_up(outcome, now=1000.0).at
        assert at is not None
        assert later == pytest.approx(at + 1000.0)


def test_a_stalled_resource_is_looked_at_hourly() -> None:
    pauses = [look_up(STALLED, seed=seed).at for seed in range(200)]
    assert all(
        pause is not None and STALLED_NET_SECONDS * 0.9 <= pause <= STALLED_NET_SECONDS for pause in pauses
    )


def test_a_stalled_resource_is_looked_at_sooner_where_that_is_worth_it() -> None:
    pauses = [look_up(stalled("R", "m", retry_after=150.0), seed=seed).at for seed in range(200)]
    assert all(pause is not None and 135.0 <= pause <= 150.0 for pause in pauses)


def test_a_degraded_resource_stays_ready_and_counts_as_failing() -> None:
    streak = Streak()
    assert look_up(DEGRADED, streak, ready=True).at == 150.0
    look_up(DEGRADED, streak, ready=True, now=150.0)
    assert (streak.failures, streak.failing_since) == (2, 0.0)
    assert look_up(TRANSIENT, streak, ready=True, now=299.0).summary is None
    assert look_up(TRANSIENT, streak, ready=True, now=300.0).summary is not None


def test_a_waiting_resource_has_a_net_and_takes_what_it_is_told() -> None:
    assert look_up(WAITING).at == WAITING_NET_SECONDS == 300.0
    assert look_up(waiting("CreatePending", "", retry_after=4.0)).at == 4.0


def test_a_paused_resource_is_woken_by_its_spec_alone() -> None:
    assert look_up(PAUSED).at is None


def test_a_transition_is_read_again_after_growing_pauses() -> None:
    streak = Streak()
    pauses = [look_up(TRANSITION, streak).at for _ in range(9)]
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


def test_a_transition_may_last_for_days() -> None:
    assert look_up(TRANSITION, Streak(transition_reads=100_000)).at == 30.0


def test_a_transition_obeys_retry_after() -> None:
    outcome = waiting("InTransition", "", transition=True, retry_after=12.0)
    assert look_up(outcome).at == 12.0
    assert look_up(outcome, Streak(transition_reads=6)).at == 30.0


@pytest.mark.parametrize("between", [DONE, WAITING, STALLED, TRANSIENT, DEGRADED, PAUSED, BUG])
def test_each_other_outcome_ends_the_transition(between: Outcome) -> None:
    streak = Streak(transition_reads=5)
    look_up(between, streak)
    assert look_up(TRANSITION, streak).at == 0.5


@pytest.mark.parametrize("outcome", [TRANSIENT, BUG], ids=["transient", "bug"])
@pytest.mark.parametrize("failures", [1, 2, 3, 8, 9, 10, 5000])
def test_failures_back_off_exponentially_with_jitter(outcome: Outcome, failures: int) -> None:
    longest = min(300.0, 2.0 ** min(failures - 1, 16))
    pauses = [
        look_up(outcome, Streak(failures=failures - 1, failing_since=0.0), seed=seed).at
        for seed in range(200)
    ]
    assert all(pause is not None and longest / 2 <= pause <= longest for pause in pauses)
    assert len(set(pauses)) > 100


def test_a_failure_obeys_retry_after_but_never_hurries() -> None:
    assert look_up(transient("TokenThrottled", "", retry_after=600.0)).at == 600.0
    pause = look_up(transient("RateLimited", "", retry_after=1.0), Streak(failures=9, failing_since=0.0)).at
    assert pause is not None
    assert pause >= 150.0


@pytest.mark.parametrize("between", [DONE, WAITING, STALLED, PAUSED, TRANSITION])
def test_each_other_outcome_ends_the_streak_of_failures(between: Outcome) -> None:
    streak = Streak(failures=7, failing_since=0.0)
    look_up(between, streak, ready=True)
    assert (streak.failures, streak.failing_since) == (0, None)


@pytest.mark.parametrize(
    ("times", "stays_ready"),
    [
        ([0.0], True),
        ([0.0, 10.0], True),
        ([0.0, 400.0], True),
        ([0.0, 10.0, 20.0], True),
        ([0.0, 10.0, 299.9], True),
        ([0.0, 10.0, 300.0], False),
        ([0.0, 1.0, 2.0, 3.0, 4.0, 5.0], True),
    ],
)
def test_ready_survives_until_three_failures_and_five_minutes(times: list[float], stays_ready: bool) -> None:
    streak = Streak()
    for now in times:
        decision = look_up(TRANSIENT, streak, ready=True, now=now)
    assert (decision.summary is None) is stays_ready
    assert not decision.observes_generation


@pytest.mark.parametrize(
    ("error_class", "outcome_class", "transition"),
    [
        (ErrorClass.TERMINAL, OutcomeClass.STALLED, False),
        (ErrorClass.NOT_FOUND, OutcomeClass.STALLED, False),
        (ErrorClass.WAIT, OutcomeClass.WAITING, True),
        (ErrorClass.IN_USE, OutcomeClass.WAITING, False),
        (ErrorClass.TRANSIENT, OutcomeClass.TRANSIENT, False),
        (ErrorClass.CONFLICT, OutcomeClass.TRANSIENT, False),
        (ErrorClass.BUG, OutcomeClass.BUG, False),
    ],
)
def test_a_remote_error_becomes_an_outcome_by_its_class(
    error_class: ErrorClass, outcome_class: OutcomeClass, transition: bool
) -> None:
    error = RemoteError("S", "o", error_class, "Reason", "It failed.", advice="Do this.", retry_after=7.0)
    outcome = from_remote_error(error)
    assert (outcome.outcome_class, outcome.reason, outcome.transition) == (
        outcome_class,
        "Reason",
        transition,
    )
    if error_class is not ErrorClass.CONFLICT:
        assert outcome.message == "S: It failed. Do this."
    if error_class in (ErrorClass.TRANSIENT, ErrorClass.WAIT):
        assert outcome.retry_after == 7.0


@pytest.mark.parametrize(
    ("message", "advice", "expected"),
    [
        ("it failed", "", "S: it failed."),
        ("it failed", "Do this", "S: it failed. Do this."),
        ("Why?", "Go!", "S: Why? Go!"),
    ],
)
def test_a_remote_error_is_told_in_sentences(message: str, advice: str, expected: str) -> None:
    assert explain(RemoteError("S", "o", ErrorClass.BUG, "R", message, advice=advice)) == expected


def test_every_error_class_has_an_outcome() -> None:
    for error_class in ErrorClass:
        assert not from_remote_error(RemoteError("S", "o", error_class, "R", "m")).is_done
