"""What the runtime has to know of a kind in order to reconcile it.

Every kind has conditions and steps. Everything else is a capability: a kind has it or leaves it out, and the
runtime does without. So a kind needs no remote objects, nothing to adopt, and nothing that it refers to.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Protocol

from pydantic.alias_generators import to_camel

from crmflow.aep.collection import AnyCollection
from crmflow.aep.models import Run
from crmflow.api.base import Transport
from crmflow.api.kinds import Kind
from crmflow.http.errors import RemoteError
from crmflow.observability.resource_metrics import Measurement
from crmflow.reconcile.core.conditions import ConditionType
from crmflow.reconcile.core.engine import Pass
from crmflow.reconcile.core.reading import text_at
from crmflow.reconcile.external.remote_object import RemoteObject

Raw = Mapping[str, Any]
"""A spec or a status that nobody has validated: any part of it may be anything."""


class ReportedRuns(Protocol):
    """What a resource says of the runs of its flow."""

    def is_news(
        self, run: Run | None, now: datetime, unread: RemoteError | None = None, found: Sequence[Run] = ()
    ) -> bool:
        """True if a pass would say something else, since ``run`` is the last one now, runs were ``found``, or
        runs can't be read any more.
        """
        ...

    def known(self, flow_id: str) -> Sequence[Run]:
        """The last run that status tells of, and those of which it knows no end."""
        ...


@dataclass(frozen=True)
class ManagedKind:
    """A kind, the conditions that it owns, and the steps that make it true and that end it."""

    api: Kind
    """Names and models, as the API server knows them."""
    conditions: Sequence[ConditionType]
    make_pass: Callable[..., Pass[Any, Any]]
    reconcile: Callable[[Any], Awaitable[None]]
    """The steps that make a resource true."""
    ready_message: Callable[[Any], str]
    """The message of Ready, of a pass whose steps are all done."""
    finalize: Callable[[Any], Awaitable[None]] | None = None
    """The steps that end it; None if nothing has to be done before a resource goes."""
    references: Callable[[Raw], Sequence[tuple[str, str]]] = lambda _: ()
    """What else a spec depends on, as kind and name in the same namespace; a change there wakes the
    resource.
    """
    remote_objects: Sequence[RemoteObject[Any]] = ()
    """What a resource has one of each in Platform, found again by its identity."""
    adopted_id: Callable[[Raw], str | None] = lambda _: None
    """The id that a spec names as what is to stand for the resource; None if it adopts nothing."""
    quiet: Callable[[Any], Awaitable[bool]] | None = None
    """Whether the listings prove that a Ready resource needs no look at its remote objects. May record what
    the listings show, and may raise PassEndedError and RemoteError. A kind without it runs its steps in every
    pass.
    """
    time_to_live: Callable[[Any], float | None] | None = None
    """For a kind whose resources come to an end (outcome ``Completed``): for how many seconds one is kept
    then, by its spec; None keeps it. The operator needs the right to delete resources of such a kind.
    """
    ended_at: Callable[[Raw], str | None] = lambda _: None
    """When a resource came to its end, by its status; None as long as it has not, or of a kind without one.
    """
    sandbox: Callable[[Raw], tuple[str, str] | None] = lambda _: None
    """The organization and sandbox that a spec names. Who refers to such a resource is in its sandbox."""
    run_record: Callable[[Raw, Raw], ReportedRuns | None] = lambda _spec, _status: None
    """What spec and status say of the runs of the resource's flow; None if there is none, or if this version
    can't read it.
    """
    profile_runs_per_day: Callable[[Raw, Raw], float] = lambda _spec, _status: 0.0
    """What a resource adds, by spec and status, to the runs a day into Profile-enabled datasets."""
    readings: Callable[[Raw, Raw], Sequence[Measurement]] = lambda _spec, _status: ()
    """What spec and status tell for the metrics, beside conditions."""
    transports: Callable[[Raw, Raw], frozenset[Transport] | None] = lambda _spec, _status: frozenset()
    """The ways that the records of a resource take or are to take, by spec and status; None until that is
    decided.
    """
    absent: Callable[[Any], frozenset[ConditionType]] = lambda _: frozenset()
    """The conditions that a pass has nothing to say of, as the resource is now."""

    takes_new_tokens: Callable[[Raw], bool] = lambda _: False
    """Whether a pass gives a renewed access token to what a spec stands for."""

    def conditions_of(self, pass_: Any) -> list[ConditionType]:
        """The conditions that a resource has, as a pass has found it."""
        absent = self.absent(pass_)
        return [condition for condition in self.conditions if condition not in absent]

    @property
    def name(self) -> str:
        """The name of the kind in manifests."""
        return self.api.kind

    def recorded_ids(self, status: Raw) -> Mapping[str, str]:
        """Slot → id of the remote objects that a status records as its own."""
        ids = {slot: text_at(status, *path) for slot, path in self._recorded_at.items()}
        return {slot: remote_id for slot, remote_id in ids.items() if remote_id is not None}

    @cached_property
    def _recorded_at(self) -> Mapping[str, Sequence[str]]:
        """Slot → where a status on the wire has the id."""
        return {kind.slot: tuple(map(to_camel, kind.recorded_at)) for kind in self.remote_objects}

    @cached_property
    def collections(self) -> Mapping[str, AnyCollection]:
        """Slot → collection of the remote objects."""
        return {kind.slot: kind.collection for kind in self.remote_objects}
