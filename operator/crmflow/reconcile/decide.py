"""The outcome table: what an outcome does to Ready, Reconciling, Stalled and observedGeneration, and when to
look again.

This is the only place where that is decided, for both kinds, for creation, repair and deletion alike.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import IntEnum

from crmflow.reconcile.conditions import (
    FALSE,
    PROGRESSING_WITH_RETRY,
    READY,
    RECONCILING,
    STALLED,
    SUCCEEDED,
    TRUE,
    Finding,
)
from crmflow.reconcile.outcome import Outcome, OutcomeClass

WAITING_NET_SECONDS = 300.0
"""A waiting resource is woken by its event; this catches the event that never came."""
STALLED_NET_SECONDS = 3600.0
"""Cures at Adobe or Zoho send no event."""
TRANSITION_SECONDS = (0.5, 30.0)
"""First and longest pause between two reads of a remote state that is about to change."""
BACKOFF_SECONDS = (1.0, 300.0)
"""First and longest pause after a failure, before jitter."""
FAILURES_BEFORE_NOT_READY = 3
FAILING_SECONDS_BEFORE_NOT_READY = 300.0


class Priority(IntEnum):
    """Who is served first; a lower number is more urgent."""

    CHANGE = 0
    FIRST_SIGHT = 1
    RETRY = 2
    POLL = 3


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
    """The instant of the next visit; None: only an event wakes it."""
    priority: Priority


def decide(
    outcome: Outcome,
    streak: Streak,
    *,
    was_ready: bool,
    was_observed: bool,
    now: float,
    next_check_at: float,
    ready_message: str,
    jitter: random.Random,
) -> Decision:
    """Look ``outcome`` up in the table and keep ``streak`` up to date.

    ``was_ready``: this generation was found Ready before. ``was_observed``: this generation has had a result
    before. ``next_check_at``: when a Ready resource is compared completely again.
    """
    if outcome.outcome_class in (OutcomeClass.TRANSIENT, OutcomeClass.DEGRADED, OutcomeClass.BUG):
        streak.failures += 1
        streak.failing_since = now if streak.failing_since is None else streak.failing_since
    else:
        streak.failures, streak.failing_since = 0, None
    if not outcome.transition:
        streak.transition_reads = 0

    match outcome.outcome_class:
        case OutcomeClass.DONE:
            summary = {READY: Finding(TRUE, SUCCEEDED, ready_message)}
            return Decision(summary, True, next_check_at, Priority.POLL)
        case OutcomeClass.WAITING:
            if outcome.transition:
                streak.transition_reads += 1
            return Decision(
                _reconciling(outcome.reason, outcome.message),
                True,
                now + _patience(outcome, streak),
                Priority.RETRY,
            )
        case OutcomeClass.STALLED:
            finding = Finding(FALSE, outcome.reason, outcome.message)
            summary = {READY: finding, STALLED: Finding(TRUE, outcome.reason, outcome.message)}
            net = outcome.retry_after or STALLED_NET_SECONDS
            return Decision(summary, True, now + net * jitter.uniform(0.9, 1.0), Priority.POLL)
        case OutcomeClass.DEGRADED:
            summary = {READY: Finding(TRUE, outcome.reason, outcome.message)}
            return Decision(summary, True, now + (outcome.retry_after or 0.0), Priority.RETRY)
        case OutcomeClass.PAUSED:
            paused = None if was_observed else {READY: Finding(FALSE, outcome.reason, outcome.message)}
            return Decision(paused, False, None, Priority.POLL)
        case OutcomeClass.TRANSIENT | OutcomeClass.BUG:
            again_at = now + _backoff(outcome, streak, jitter)
            if (
                was_ready
                and outcome.outcome_class is OutcomeClass.TRANSIENT
                and not _has_failed_for_long(streak, now)
            ):
                return Decision(None, False, again_at, Priority.RETRY)
            reason = (
                PROGRESSING_WITH_RETRY if outcome.outcome_class is OutcomeClass.TRANSIENT else outcome.reason
            )
            return Decision(_reconciling(reason, outcome.message), False, again_at, Priority.RETRY)


def _reconciling(reason: str, message: str) -> dict[str, Finding]:
    return {READY: Finding(FALSE, reason, message), RECONCILING: Finding(TRUE, reason, message)}


def _patience(outcome: Outcome, streak: Streak) -> float:
    if not outcome.transition:
        return outcome.retry_after or WAITING_NET_SECONDS
    first, longest = TRANSITION_SECONDS
    return max(outcome.retry_after or 0.0, min(longest, first * 2.0 ** min(streak.transition_reads - 1, 16)))


def _backoff(outcome: Outcome, streak: Streak, jitter: random.Random) -> float:
    first, longest = BACKOFF_SECONDS
    pause = min(longest, first * 2.0 ** min(streak.failures - 1, 16)) * jitter.uniform(0.5, 1.0)
    return max(outcome.retry_after or 0.0, pause)


def _has_failed_for_long(streak: Streak, now: float) -> bool:
    since = now if streak.failing_since is None else streak.failing_since
    return streak.failures >= FAILURES_BEFORE_NOT_READY and now - since >= FAILING_SECONDS_BEFORE_NOT_READY
