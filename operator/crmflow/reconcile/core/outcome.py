"""What a step, and with it a pass, can end in.

The class of an outcome alone decides conditions, observedGeneration and the next pass (``decide.py``).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.sentences import sentence


class OutcomeClass(StrEnum):
    """The rows of the outcome table."""

    DONE = "Done"
    WAITING = "Waiting"
    TRANSIENT = "Transient"
    DEGRADED = "Degraded"
    PAUSED = "Paused"
    STALLED = "Stalled"
    BUG = "Bug"
    COMPLETED = "Completed"


@dataclass(frozen=True)
class Outcome:
    """How a step ended. ``reason`` and ``message`` become conditions; they must not change while nothing
    changes.
    """

    outcome_class: OutcomeClass
    reason: str = ""
    message: str = ""
    retry_after: float | None = None
    """Seconds that the remote service asked us to wait, or after which a second look is worth it."""
    transition: bool = False
    """Waiting for a remote state to settle: read it again soon."""
    failed: bool = False
    """Completed, and not as it should have."""
    silent: bool = False
    """Stalled, and nobody tells when it is cured, which may be any minute: look at growing intervals."""
    request_id: str | None = field(default=None, compare=False)
    """Of the remote answer that caused it, for the log: what a service's support asks for."""

    @property
    def is_done(self) -> bool:
        """True if the next step may run."""
        return self.outcome_class is OutcomeClass.DONE


class PassEndedError(Exception):
    """A step ends the pass; what comes after it has to wait. Carries the outcome."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.message)
        self.outcome = outcome


class WaitingError(PassEndedError):
    """Something else has to happen first, and its happening will wake the resource."""

    def __init__(
        self, reason: str, message: str, *, transition: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__(waiting(reason, message, transition=transition, retry_after=retry_after))


class StalledError(PassEndedError):
    """Only a person can cure it; ``silent`` where nobody tells when that has happened."""

    def __init__(self, reason: str, message: str, *, silent: bool = False) -> None:
        super().__init__(stalled(reason, message, silent=silent))


DONE = Outcome(OutcomeClass.DONE)
PAUSED = Outcome(
    OutcomeClass.PAUSED,
    "Paused",
    "Paused: nothing is read from or written to Zoho and Platform. Set paused to false to go on.",
)


def waiting(
    reason: str, message: str, *, transition: bool = False, retry_after: float | None = None
) -> Outcome:
    """Something else has to happen first, and its happening will wake the resource."""
    return Outcome(OutcomeClass.WAITING, reason, message, transition=transition, retry_after=retry_after)


def stalled(reason: str, message: str, *, retry_after: float | None = None, silent: bool = False) -> Outcome:
    """Only a person can cure it; ``retry_after`` where a cure elsewhere is worth an earlier look, ``silent``
    where it is worth several.
    """
    return Outcome(OutcomeClass.STALLED, reason, message, retry_after=retry_after, silent=silent)


def completed(reason: str, message: str, *, failed: bool = False) -> Outcome:
    """The resource has come to its end, as a run does: nothing is compared or tried again, and it may be
    removed once its kind's time to live is up. ``failed``: the end is not the one that was wanted.
    """
    return Outcome(OutcomeClass.COMPLETED, reason, message, failed=failed)


def degraded(reason: str, message: str, *, retry_after: float) -> Outcome:
    """Something fails on a resource that is Ready, perhaps for a moment: that is said, and Ready stays."""
    return Outcome(OutcomeClass.DEGRADED, reason, message, retry_after=retry_after)


def transient(reason: str, message: str, *, retry_after: float | None = None) -> Outcome:
    """It may well work a little later."""
    return Outcome(OutcomeClass.TRANSIENT, reason, message, retry_after=retry_after)


def bug(message: str) -> Outcome:
    """The operator did something it should not have; a trace stands in its log."""
    return Outcome(OutcomeClass.BUG, "InternalError", message)


def from_remote_error(error: RemoteError) -> Outcome:
    """The outcome of a remote failure that no step had a better answer to."""
    return replace(_outcome_of(error, explain(error)), request_id=error.request_id)


def _outcome_of(error: RemoteError, text: str) -> Outcome:
    match error.error_class:
        case ErrorClass.TERMINAL | ErrorClass.NOT_FOUND:
            pause = error.retry_after if error.cure_is_silent else None
            return stalled(error.reason, text, retry_after=pause, silent=error.cure_is_silent)
        case ErrorClass.WAIT:
            return waiting(error.reason, text, transition=True, retry_after=error.retry_after)
        case ErrorClass.IN_USE:
            return waiting(error.reason, text)
        case ErrorClass.TRANSIENT:
            return transient(error.reason, text, retry_after=error.retry_after)
        case ErrorClass.CONFLICT:
            text = "Somebody else changed the object at the same time; it is read and compared again."
            return transient(error.reason, text)
        case ErrorClass.BUG:
            return Outcome(OutcomeClass.BUG, error.reason, text)


def is_refusal(error: RemoteError) -> bool:
    """True if only a person can cure it: tried again a moment later, it fails as before."""
    return error.error_class in (ErrorClass.TERMINAL, ErrorClass.NOT_FOUND)


def explain(error: RemoteError) -> str:
    """What happened and what to do, as sentences for a person."""
    return " ".join(sentence(part) for part in (f"{error.service}: {error.message}", error.advice) if part)
