"""How a list of steps becomes one pass over one resource."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar, cast

from pydantic import BaseModel

from crmflow.aep.egress import IpAllowList, packaged_allow_list
from crmflow.aep.models import MappingSetRef
from crmflow.api.base import DeletionPolicy
from crmflow.observability import logs
from crmflow.observability.events import Event, EventType
from crmflow.reconcile import policies
from crmflow.reconcile.conditions import FALSE, SUCCEEDED, TRUE, UNKNOWN, Conditions, ConditionType, Finding
from crmflow.reconcile.explored import Explored
from crmflow.reconcile.identity import Identity
from crmflow.reconcile.offer import Offers
from crmflow.reconcile.outcome import DONE, Outcome, OutcomeClass, bug, from_remote_error
from crmflow.reconcile.ports import (
    Access,
    Clock,
    Inventory,
    Journal,
    PassInterruptedError,
    Peers,
    Platform,
    Secrets,
)
from crmflow.reconcile.shared import CreatedNames
from crmflow.reconcile.tenancy import everybody
from crmflow.transport.errors import RemoteError

log = logging.getLogger("crmflow.reconcile")

SpecT = TypeVar("SpecT", bound=policies.Policies)
StatusT = TypeVar("StatusT", bound=BaseModel)
P = TypeVar("P", bound="Pass[Any, Any]")


@dataclass(frozen=True)
class Services:
    """What every pass may use."""

    clock: Clock
    access: Access
    secrets: Secrets
    peers: Peers
    offers: Offers
    explored: Explored
    created_names: CreatedNames[str]
    """Ids of schemas and datasets."""
    mapping_sets: CreatedNames[MappingSetRef]
    """Mapping sets, whose name says what is in them."""
    create_grace: float
    """Seconds in which a create whose answer was lost may still show up."""
    allow_list: Callable[[], IpAllowList] = packaged_allow_list
    """The addresses that Platform's sources connect from, as they are known now."""
    allows: Callable[[str, str, str], bool] = everybody
    """Whether a namespace may use a sandbox of an organization, in this order of arguments."""


@dataclass
class Pass(ABC, Generic[SpecT, StatusT]):
    """One visit to one resource: what is declared, what is known, and what was found out on the way.

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
    requested: bool = False
    """True if somebody has asked for a complete check since the last one."""
    full: bool = True
    """False: a poll of a resource that is Ready; only what listings and reads cheaply show is looked at."""
    findings: dict[str, Finding] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    platform_client: Platform | None = None
    sandbox_inventory: Inventory | None = None
    checked: bool = False
    """True once everything has been compared with the spec; the next visits may be polls."""

    @property
    @abstractmethod
    def recorded_id(self) -> str | None:
        """The id of the remote object that an adoption names, as status records it; each kind knows where."""

    @property
    def observes(self) -> bool:
        """True if nothing remote may be changed."""
        return policies.observes(self.spec)

    @property
    def adopts(self) -> bool:
        """True if what stands for the resource was there before it: its name and description stay."""
        return policies.adopts(self.spec, self.recorded_id)

    @property
    def deletion_policy(self) -> DeletionPolicy:
        """What deleting the resource does."""
        return policies.effective_deletion_policy(self.spec, self.recorded_id)

    @property
    def platform(self) -> Platform:
        """The sandbox; an earlier step has reached it."""
        if self.platform_client is None:
            raise RuntimeError("no step has reached Platform yet")
        return self.platform_client

    @property
    def inventory(self) -> Inventory:
        """What the sandbox holds; available together with :attr:`platform`."""
        if self.sandbox_inventory is None:
            raise RuntimeError("no step has reached Platform yet")
        return self.sandbox_inventory

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

    def find(self, condition: ConditionType, status: str, reason: str, message: str) -> None:
        """Say something about a condition that the running step does not decide."""
        self.findings[condition.name] = Finding(status, reason, message)

    def tell(self, reason: str, action: str, note: str, event_type: EventType = EventType.NORMAL) -> None:
        """Have an event written once the pass is over."""
        self.events.append(Event(event_type, reason, action, note))


@dataclass(frozen=True)
class Step(Generic[P]):
    """One thing that has to be true before the next one is looked at.

    ``condition`` is the condition it speaks for, None while deleting. ``only_full`` steps are left out of
    polls.
    """

    run: Callable[[P], Awaitable[Outcome]]
    condition: ConditionType | None = None
    only_full: bool = False

    @property
    def name(self) -> str:
        """The name of its function."""
        return cast(str, getattr(self.run, "__name__", "step"))


async def run_steps(pass_: P, steps: Sequence[Step[P]]) -> tuple[Outcome, str]:
    """Run ``steps`` in order up to the first that is not done; its outcome and name.

    A condition turns True when the last of its steps is done, and takes on the outcome of the step that
    stopped the pass, unless the step itself has said more about it.
    """
    name = ""
    outcome = DONE
    due = [step for step in steps if pass_.full or not step.only_full]
    for index, step in enumerate(due):
        name = step.name
        outcome = await _attempt(pass_, step)
        if not outcome.is_done:
            if step.condition:
                pass_.findings.setdefault(step.condition.name, _finding(outcome))
            return outcome, name
        is_last_of_its_condition = step.condition not in {later.condition for later in due[index + 1 :]}
        if step.condition and is_last_of_its_condition and step.condition.name not in pass_.findings:
            pass_.findings[step.condition.name] = Finding(TRUE, SUCCEEDED, step.condition.description)
    return outcome, name


async def together(*calls: Awaitable[Any]) -> list[Any]:
    """Await all of ``calls`` side by side; only when each has ended, raise the first failure."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


async def _attempt(pass_: P, step: Step[P]) -> Outcome:
    try:
        with logs.context(step=step.name):
            return await step.run(pass_)
    except RemoteError as error:
        log.warning("%s", error, extra={"step": step.name, "request_id": error.request_id})
        return from_remote_error(error)
    except PassInterruptedError:
        raise
    except Exception as error:
        log.exception("unexpected %s", type(error).__name__, extra={"step": step.name})
        return bug(
            f"Unexpected {type(error).__name__} in step {step.name}. The operator tries again; its log has "
            "the details. "
            "Please report it."
        )


def _finding(outcome: Outcome) -> Finding:
    known = outcome.outcome_class in (OutcomeClass.WAITING, OutcomeClass.STALLED)
    return Finding(FALSE if known else UNKNOWN, outcome.reason, outcome.message)
