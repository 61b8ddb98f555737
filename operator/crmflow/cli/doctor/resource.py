"""A connection as the cluster shows it: its Secrets, and what the operator says."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

from crmflow.api.base import ConditionStatus, StatusCondition
from crmflow.cli.api_server import ForbiddenError
from crmflow.cli.connection import Connection
from crmflow.cli.doctor.checks import Check, Subject, failed, failed_by, ok, warning
from crmflow.cli.problem import Problem
from crmflow.clock import Clock
from crmflow.reconcile.core.conditions import (
    PENDING,
    PROGRESSING,
    PROGRESSING_WITH_RETRY,
    READY,
    RECONCILING,
    STALLED,
)
from crmflow.reconcile.secret_values import Flaw
from crmflow.sentences import every


class Suspected(Protocol):
    """What a Secret holds."""

    @property
    def suspicions(self) -> Sequence[Flaw]:
        """What is odd about its values."""
        ...


C = TypeVar("C", bound=Suspected)

_NEW_SECONDS = 60.0
_ON_ITS_WAY = frozenset({PENDING, PROGRESSING, PROGRESSING_WITH_RETRY})
_GUIDE = "docs/guides/troubleshooting.md"


async def check_secret(subject: str, name: str, reading: Awaitable[C]) -> tuple[Check, C | None]:
    """The credentials in a Secret, None if it does not hold them or may not be read."""
    try:
        held = await reading
    except ForbiddenError as problem:
        # The person need not be able to read it, the operator must.
        return warning(subject, problem.message, f"{problem.advice} Its keys are not checked"), None
    except Problem as problem:
        return failed_by(subject, problem), None
    if held.suspicions:
        odd = every(f"{flaw.key} {flaw.what}" for flaw in held.suspicions)
        fix = " ".join(dict.fromkeys(flaw.fix for flaw in held.suspicions))
        return warning(subject, f'in Secret "{name}", {odd}', f"If it is refused: {fix}"), held
    return ok(subject, f'Secret "{name}" holds the keys that are needed'), held


def check_status(connection: Connection, clock: Clock) -> list[Check]:
    """What the operator says: one line for its work, one for each condition."""
    ours = (RECONCILING, STALLED)  # they qualify Ready
    conditions = [found for found in connection.status.conditions if found.type not in ours]
    ready = any(found.type == READY and found.status is ConditionStatus.TRUE for found in conditions)
    worked_on = _check_work(connection, clock)
    return [*worked_on, *(_check_condition(found, ready=ready) for found in conditions)]


def _check_work(connection: Connection, clock: Clock) -> list[Check]:
    observed, name, namespace = connection.status.observed_generation, connection.name, connection.namespace
    if connection.deleting:
        return [
            warning(
                Subject.RECONCILED,
                "it is being deleted",
                f"Wait. If it stays, Ready says why: kubectl -n {namespace} describe zsc {name}",
            )
        ]
    if connection.spec.paused:
        return [
            warning(Subject.RECONCILED, "spec.paused is true: nothing is read or changed", "Set it to false")
        ]
    if not connection.status.conditions:
        return [_untouched(connection, clock)]
    if observed != connection.generation:
        return [
            warning(
                Subject.RECONCILED,
                f"generation {connection.generation} is not done yet, the conditions speak of {observed}",
                "Wait a minute. If it stays, look at the operator's log",
            )
        ]
    return [ok(Subject.RECONCILED, f"the operator has done generation {observed}")]


def _untouched(connection: Connection, clock: Clock) -> Check:
    message = "no operator has looked at it"
    if _age(connection, clock) < _NEW_SECONDS:
        return warning(Subject.RECONCILED, f"{message} yet", "Run the doctor again in a minute")
    return failed(
        Subject.RECONCILED,
        message,
        "See that the operator runs, and that its CRMFLOW_WATCH_NAMESPACES is empty or contains "
        f'"{connection.namespace}"',
    )


def _age(connection: Connection, clock: Clock) -> float:
    try:
        return clock.now() - datetime.fromisoformat(connection.created_at).timestamp()
    except ValueError:
        return _NEW_SECONDS


def _check_condition(condition: StatusCondition, *, ready: bool) -> Check:
    if condition.status is ConditionStatus.TRUE:
        return ok(condition.type, condition.message)
    message = f"{condition.reason}: {condition.message}" if condition.message else condition.reason
    if condition.status is ConditionStatus.UNKNOWN or condition.reason in _ON_ITS_WAY:
        fix = "See the conditions before it" if condition.type != READY else "Wait, or see its conditions"
        return warning(condition.type, message, fix, condition.reason)
    fix = f"Do what the message says; {_GUIDE} has more about {condition.reason}"
    make = warning if ready else failed  # what exists works all the same
    return make(condition.type, message, fix, condition.reason)
