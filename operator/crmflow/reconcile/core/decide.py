"""The outcome table: what an outcome does to Ready, Reconciling, Stalled and observedGeneration, and when to
look again.

This is the only place where that is decided, for every kind, for creation, repair and deletion alike.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import IntEnum

from crmflow.reconcile.core.conditions import (
    FALSE,
    PROGRESSING_WITH_RETRY,
    READY,
    RECONCILING,
    STALLED,
    SUCCEEDED,
    TRUE,
    Finding,
)
from crmflow.reconcile.core.outcome import Outcome, OutcomeClass

WAITING_NET_SECONDS = 300.0
"""A waiting resource is woken by its event; this catches the event that never came."""
LOOK_SECONDS = 1.0
"""A Ready resource that has something to do is not looked at more often."""
STALLED_NET_SECONDS = 3600.0
"""Cures at Adobe or Zoho send no event."""
TRANSITION_SECONDS = (0.5, 30.0)
"""First and longest pause between two reads of a remote state that is about to change."""
BACKOFF_SECONDS = (1.0, 300.0)
"""First and longest pause after a failure, before jitter."""
TRIES_BEFORE_OTHERS = 4
"""How often what was begun is tried before all others; then it takes its turn, or thousands that fail would
keep everybody waiting."""
FAILURES_BEFORE_NOT_READY = 3
FAILING_SECONDS_BEFORE_NOT_READY = 300.0


class Priority(IntEnum):
    """Who is served first; a lower number is more urgent."""

    BEGUN = 0
    """What is half made can be finished: that comes before anything new is begun."""
    CHANGE = 1
    """Somebody has edited or deleted a resource, or asked for something by an annotation."""
    NEW = 2
    """A resource that nobody has served yet."""
    WOKEN = 3
    """What it depends on has changed. One change may wake thousands, so a new resource goes first."""
    FIRST_SIGHT = 4
    """This process has not looked at it yet."""
    RETRY = 5
    POLL = 6


@dataclass
class Streak:
    """What the operator remembers of a resource between passes; lost on restart, which only makes it more
    patient.
    """

    failures: int = 0
    failing_since: float | None = None
    transition_reads: int = 0


@dataclass(frozen=True)
class Decision:
    """What to do after a pass. ``summary`` is None when status must stay as it is."""

    summary: dict[str, Finding] | None
    observes_generation: bool
    at: float | None
    """The instant of the next pass; None: only an event wakes it."""
    priority: Priority


def decide(
    outcome: Outcome,
    streak: Streak,
    *,
    was_ready: bool,
    was_observed: bool,
    now: float,
    next_check_at: float,
    look_at: float | None = None,
    is_begun: bool = False,
    ready_message: str,
    jitter: random.Random,
) -> Decision:
    """Look ``outcome`` up in the table and keep ``streak`` up to date.

    ``was_ready``: this generation was found Ready before. ``was_observed``: this generation has had a result
    before. ``next_check_at``: when a Ready resource is compared completely again. ``look_at``: when it has
    something to do before. ``is_begun``: part of what it stands for was made, or may have been, and it was
    not Ready yet; it goes on before others begin, unless it has been tried in vain too often.
    """
    repeated = (OutcomeClass.TRANSIENT, OutcomeClass.DEGRADED, OutcomeClass.BUG)
    if outcome.outcome_class in repeated or outcome.silent:
        streak.failures += 1
        streak.failing_since = now if streak.failing_since is None else streak.failing_since
    else:
        streak.failures, streak.failing_since = 0, None
    if not outcome.transition:
        streak.transition_reads = 0

    def said(status: str) -> Finding:
        return Finding(status, outcome.reason, outcome.message)

    def again() -> Priority:
        tries = max(streak.failures, streak.transition_reads)
        return Priority.BEGUN if is_begun and tries <= TRIES_BEFORE_OTHERS else Priority.RETRY

    match outcome.outcome_class:
        case OutcomeClass.DONE:
            summary = {READY: Finding(TRUE, SUCCEEDED, ready_message)}
            at = next_check_at if look_at is None else min(next_check_at, max(look_at, now + LOOK_SECONDS))
            return Decision(summary, True, at, Priority.POLL)
        case OutcomeClass.WAITING:
            if outcome.transition:
                streak.transition_reads += 1
            summary = _reconciling(outcome.reason, outcome.message)
            return Decision(summary, True, now + _patience(outcome, streak), again())
        case OutcomeClass.STALLED:
            summary = {READY: said(FALSE), STALLED: said(TRUE)}
            if outcome.silent:
                return Decision(summary, True, now + _patient(outcome, streak, jitter), Priority.RETRY)
            net = outcome.retry_after or STALLED_NET_SECONDS
            return Decision(summary, True, now + net * jitter.uniform(0.9, 1.0), Priority.POLL)
        case OutcomeClass.COMPLETED:
            summary = {READY: said(FALSE), STALLED: said(TRUE)} if outcome.failed else {READY: said(TRUE)}
            return Decision(summary, True, None, Priority.POLL)
        case OutcomeClass.DEGRADED:
            again_at = now + (outcome.retry_after or 0.0)
            return Decision({READY: said(TRUE)}, True, again_at, Priority.RETRY)
        case OutcomeClass.PAUSED:
            return Decision(None if was_observed else {READY: said(FALSE)}, False, None, Priority.POLL)
        case OutcomeClass.TRANSIENT:
            keeps_status = was_ready and not _has_failed_for_long(streak, now)
            retrying = _reconciling(PROGRESSING_WITH_RETRY, outcome.message)
            again_at = now + _patient(outcome, streak, jitter)
            return Decision(None if keeps_status else retrying, False, again_at, again())
        case OutcomeClass.BUG:
            summary = _reconciling(outcome.reason, outcome.message)
            return Decision(summary, False, now + _patient(outcome, streak, jitter), Priority.RETRY)


def _reconciling(reason: str, message: str) -> dict[str, Finding]:
    return {READY: Finding(FALSE, reason, message), RECONCILING: Finding(TRUE, reason, message)}


def _patience(outcome: Outcome, streak: Streak) -> float:
    if not outcome.transition:
        return outcome.retry_after or WAITING_NET_SECONDS
    first, longest = TRANSITION_SECONDS
    return max(outcome.retry_after or 0.0, min(longest, first * 2.0 ** min(streak.transition_reads - 1, 16)))


def _patient(outcome: Outcome, streak: Streak, jitter: random.Random) -> float:
    return max(outcome.retry_after or 0.0, backoff(streak, jitter))


def backoff(streak: Streak, jitter: random.Random) -> float:
    """The pause after so many failures in a row."""
    first, longest = BACKOFF_SECONDS
    return min(longest, first * 2.0 ** min(streak.failures - 1, 16)) * jitter.uniform(0.5, 1.0)


def _has_failed_for_long(streak: Streak, now: float) -> bool:
    since = now if streak.failing_since is None else streak.failing_since
    return streak.failures >= FAILURES_BEFORE_NOT_READY and now - since >= FAILING_SECONDS_BEFORE_NOT_READY
