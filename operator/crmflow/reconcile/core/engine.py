"""How the steps of a kind become one pass over one resource."""

from __future__ import annotations

import asyncio
import functools
import logging
import math
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar

from pydantic import BaseModel

from crmflow.aep.egress import IpAllowList, packaged_allow_list
from crmflow.aep.models import MappingSetRef
from crmflow.api.base import DeletionPolicy, ManagementPolicy
from crmflow.http.errors import RemoteError
from crmflow.observability import logs
from crmflow.observability.events import Event, EventType
from crmflow.reconcile.core.conditions import (
    FALSE,
    SUCCEEDED,
    TRUE,
    UNKNOWN,
    Conditions,
    ConditionType,
    Finding,
)
from crmflow.reconcile.core.created_names import CreatedNames
from crmflow.reconcile.core.outcome import DONE, Outcome, OutcomeClass, PassEndedError, bug, from_remote_error
from crmflow.reconcile.core.tenancy import everybody
from crmflow.reconcile.external.identity import Identity
from crmflow.reconcile.extraction.ports import CreditLedgers, Transfers
from crmflow.reconcile.extraction.settings import ExtractionSettings
from crmflow.reconcile.ports import Access, Journal, Lister, PassInterruptedError, Secrets, TimeSource
from crmflow.reconcile.sources.ways import Sources

log = logging.getLogger("crmflow.reconcile")


class Policies(Protocol):
    """What every spec says about what the operator may do outside the cluster."""

    @property
    def adopts(self) -> str | None:
        """The id of what is to stand for the resource although it was there before."""
        ...

    @property
    def management_policy(self) -> ManagementPolicy: ...
    @property
    def deletion_policy(self) -> DeletionPolicy | None: ...


SpecT = TypeVar("SpecT", bound=Policies)
StatusT = TypeVar("StatusT", bound=BaseModel)
P = TypeVar("P", bound="Pass[Any, Any]")
A = ParamSpec("A")
R = TypeVar("R")
Step = Callable[Concatenate[P, A], Coroutine[Any, Any, R]]


@dataclass(frozen=True)
class Running:
    """A step, and the condition that it speaks for; None while deleting."""

    name: str
    condition: ConditionType | None = None


@dataclass(frozen=True)
class Services:
    """What every pass may use."""

    clock: TimeSource
    access: Access
    secrets: Secrets
    lister: Lister
    sources: Sources
    """The ways in which records get into Platform."""
    created_names: CreatedNames[str]
    """Ids of schemas and datasets."""
    mapping_sets: CreatedNames[MappingSetRef]
    """Mapping sets, whose name says what is in them."""
    create_grace: float
    """Seconds in which a create whose answer was lost may still show up."""
    transfers: Transfers
    """The Jobs that copy windows into landing zones."""
    credit_ledgers: CreditLedgers
    extraction_settings: ExtractionSettings
    allow_list: Callable[[], IpAllowList] = packaged_allow_list
    """The addresses that Platform's sources connect from, as they are known now."""
    allows: Callable[[str, str, str], bool] = everybody
    """Whether a namespace may use a sandbox of an organization, in this order of arguments."""
    foresees: bool = False
    """True where writes are only noted: what a pass would wait for counts as having come, such as the run
    after which one flow hands over to another, and what is due by schedule alone is left out.
    """


@dataclass
class Pass(Generic[SpecT, StatusT]):
    """One pass over one resource: what is declared, what is known, and what was found out on the way.

    ``status`` is a draft: steps record facts in it, the runtime compares and writes it at the end (and at
    checkpoints).
    """

    services: Services
    identity: Identity
    generation: int
    spec: SpecT
    status: StatusT
    conditions: Conditions
    """As they were before the pass."""
    observed_generation: int | None
    journal: Journal
    requests: Mapping[str, str] = field(default_factory=dict)
    """What people ask for by annotations of ours, by their names without the group."""
    requested: bool = False
    """True if somebody has asked for a complete check since the last one."""
    full: bool = True
    """False: a poll of a resource that is Ready; only what listings and reads cheaply show is looked at."""
    findings: dict[str, Finding] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    running: Running = Running("")
    """The step that runs, or ran last."""
    waits_for_slot: bool = False
    """True if it waits for its turn to read Zoho CRM, and is to be counted as waiting until the next pass."""
    look_at: float | None = None
    """When there will be something to do that no event tells of."""
    checked: bool = False
    """True once everything has been compared with the spec; the next passes may be polls."""

    @property
    def recorded_id(self) -> str | None:
        """The id of the remote object that an adoption names, as status records it; a kind that adopts knows
        where.
        """
        return None

    @property
    def observes(self) -> bool:
        """True if nothing remote may be created, changed or deleted."""
        return self.spec.management_policy is ManagementPolicy.OBSERVE

    @property
    def adopts(self) -> bool:
        """True if what stands for the resource was there before it: its name and description stay. A resource
        that has made something of its own adopts nothing any more.
        """
        return self.spec.adopts is not None and self.recorded_id in (None, self.spec.adopts)

    @property
    def deletion_policy(self) -> DeletionPolicy:
        """What deleting the resource does: unless the spec says it, what was created goes and what was
        adopted stays. What is only observed stays in any case.
        """
        if self.observes:
            return DeletionPolicy.ORPHAN
        return self.spec.deletion_policy or (DeletionPolicy.ORPHAN if self.adopts else DeletionPolicy.DELETE)

    @property
    def was_ready(self) -> bool:
        """True if this generation was found Ready before: what differs now was changed from outside."""
        return self.conditions.is_ready(self.generation, self.observed_generation)

    @property
    def now(self) -> float:
        """Seconds since the epoch."""
        return self.services.clock.now()

    @property
    def utcnow(self) -> datetime:
        """The same, as an aware datetime to the second."""
        return datetime.fromtimestamp(int(self.now), UTC)

    def record(self, **facts: object) -> None:
        """Set fields of the status draft."""
        self.status = self.status.model_copy(update=facts)

    def look_again(self, at: datetime | None) -> None:
        """Have the next pass begin no later, once everything is done; None says nothing."""
        if at is not None:
            self.look_at = min(at.timestamp(), self.look_at or math.inf)

    def set_condition(self, condition: ConditionType, status: str, reason: str, message: str) -> None:
        """Say something of a condition that the outcome of its steps does not say."""
        self.findings[condition.name] = Finding(status, reason, message)

    def fulfill(self, condition: ConditionType) -> None:
        """Say that the last step of a condition is done: it is True, unless a step has said more about it."""
        self.findings.setdefault(condition.name, Finding(TRUE, SUCCEEDED, condition.description))

    def record_event(
        self, reason: str, action: str, note: str, event_type: EventType = EventType.NORMAL
    ) -> None:
        """Have an event written once the pass is over."""
        self.events.append(Event(event_type, reason, action, note))


AnyPass = Pass[Any, Any]


def step(condition: ConditionType | None = None) -> Callable[[Step[P, A, R]], Step[P, A, R]]:
    """Declare a coroutine function as a step: one thing that has to be true before the next one is looked at.

    It returns what it found out, and raises PassEndedError or RemoteError when it is not done. That ends the
    pass, and the ``condition`` for which it speaks takes on the outcome.
    """

    def declare(function: Step[P, A, R]) -> Step[P, A, R]:
        name = function.__name__

        @functools.wraps(function)
        async def run(pass_: P, /, *args: A.args, **kwargs: A.kwargs) -> R:
            pass_.running = Running(name, condition)
            with logs.context(step=name):
                return await function(pass_, *args, **kwargs)

        return run

    return declare


async def look_and_run(
    pass_: P, quiet: Callable[[P], Awaitable[bool]] | None, steps: Callable[[P], Awaitable[None]]
) -> tuple[Outcome, str]:
    """Run ``steps``, unless a poll of a Ready resource is ``quiet``; outcome and name of the last step.

    A poll only proves that nothing has to be done. Where it can't, for whatever reason but an outage, the
    pass becomes a complete one, whose steps know which condition the reason belongs to.
    """
    if pass_.was_ready and not pass_.full:
        try:
            if quiet is not None and await quiet(pass_):
                return DONE, "quiet"
        except PassEndedError:
            pass
        except RemoteError as error:
            outcome = from_remote_error(error)
            if outcome.outcome_class is OutcomeClass.TRANSIENT:
                return outcome, "quiet"
            log.info("%s; everything is looked at", error)
        except PassInterruptedError:
            raise
        except Exception as error:
            log.exception("unexpected %s in a poll; everything is looked at", type(error).__name__)
        pass_.full = True
        pass_.findings.clear()
    return await run_steps(pass_, steps)


async def run_steps(pass_: P, steps: Callable[[P], Awaitable[None]]) -> tuple[Outcome, str]:
    """Run ``steps`` up to the first that is not done; outcome and name of the last one."""
    outcome = await _outcome_of(pass_, steps)
    running = pass_.running
    if not outcome.is_done and running.condition:
        pass_.findings.setdefault(running.condition.name, _finding(outcome))
    return outcome, running.name


async def together(*calls: Awaitable[Any]) -> list[Any]:
    """Await all of ``calls`` side by side; only when each has ended, raise the first failure."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


async def _outcome_of(pass_: P, steps: Callable[[P], Awaitable[None]]) -> Outcome:
    try:
        await steps(pass_)
    except PassEndedError as error:
        return error.outcome
    except RemoteError as error:
        log.warning("%s", error, extra={"step": pass_.running.name, "request_id": error.request_id})
        return from_remote_error(error)
    except PassInterruptedError:
        raise
    except Exception as error:
        name = pass_.running.name
        log.exception("unexpected %s", type(error).__name__, extra={"step": name})
        return bug(
            f"Unexpected {type(error).__name__} in step {name}. The operator tries again; its log has the "
            "details. Please report it."
        )
    return DONE


def _finding(outcome: Outcome) -> Finding:
    if outcome.outcome_class is OutcomeClass.COMPLETED:
        return Finding(FALSE if outcome.failed else TRUE, outcome.reason, outcome.message)
    known = outcome.outcome_class in (OutcomeClass.WAITING, OutcomeClass.STALLED)
    return Finding(FALSE if known else UNKNOWN, outcome.reason, outcome.message)
