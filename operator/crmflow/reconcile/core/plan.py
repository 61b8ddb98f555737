"""What is to be done about the remote objects of a resource, worked out before anything is done.

A plan is data: made by pure functions from what is declared, recorded and observed, shown where nothing may
be changed, carried out by :mod:`crmflow.reconcile.core.act`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from crmflow.aep.models import PatchOperation
from crmflow.reconcile.external.remote_object import RemoteObject, Values, differing


class Effect(StrEnum):
    """What an action does."""

    CREATE = "Create"
    SHARE = "Share"
    """What resources share is found by its name, or created: no intent stands for it."""
    PATCH = "Patch"
    SET_STATE = "SetState"
    """A flow is enabled or disabled, which is an action of its own (platform.md 4.4)."""
    DELETE = "Delete"
    RUN_AGAIN = "RunAgain"
    """A flow does the work of a run again (platform.md 7.3)."""
    RECORD = "Record"
    """It changes nothing remote: the status learns something."""


@dataclass(frozen=True)
class Action:
    """One thing to do about one remote object."""

    effect: Effect
    kind: RemoteObject[Any]
    fields: tuple[str, ...] = ()
    """JSON pointers of what differs."""
    reason: str = ""
    remote_id: str = ""
    """Of what exists."""
    etag: str = ""
    """Of what is patched or set, as it was observed."""
    operations: tuple[PatchOperation, ...] = field(default=(), repr=False)
    values: Values = field(default_factory=dict, repr=False)
    """What is created, or the state that is set."""
    key: tuple[str, ...] = ()
    """What this process remembers a shared object by."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the status that are true once this is done; of a creation, unless the object was found."""
    learn: Callable[[str], Mapping[str, Any]] | None = field(default=None, repr=False, compare=False)
    """The same, by the id in the answer."""

    @property
    def differences(self) -> list[str]:
        """What differs, as fields of the spec where it is for the spec to say, else of the object."""
        return [self.kind.fields.get(path) or self.kind.differs_in(path) for path in self.fields]


@dataclass(frozen=True)
class Plan:
    """Actions in no order of their own: what is built on something is created after it and deleted before."""

    actions: tuple[Action, ...] = ()
    needs_replacement: tuple[str, ...] = ()
    """The fields of the spec that only other remote objects can have."""
    others: tuple[str, ...] = ()
    """Further fields of the spec that what exists does not have yet."""

    @property
    def differences(self) -> tuple[str, ...]:
        """All that differs, each field once."""
        changed = [field for action in self.actions for field in action.differences]
        return tuple(dict.fromkeys((*self.needs_replacement, *changed, *self.others)))

    def of(self, effect: Effect) -> tuple[Action, ...]:
        """The actions with that effect."""
        return tuple(action for action in self.actions if action.effect is effect)

    def waves(self) -> Iterator[tuple[Action, ...]]:
        """The actions in portions that may be done side by side: records, what is shared, patches, deletions,
        creations, states, runs. After a patch the state waits for another plan: it may be on its way, and the
        patched flow has another etag.
        """
        patches = self.of(Effect.PATCH)
        yield from filter(None, (self.of(Effect.RECORD), self.of(Effect.SHARE), patches))
        yield from reversed(list(_levels(self.of(Effect.DELETE))))
        yield from _levels(self.of(Effect.CREATE))
        if not patches:
            yield from filter(None, [self.of(Effect.SET_STATE)])
        yield from filter(None, [self.of(Effect.RUN_AGAIN)])


def patch(kind: RemoteObject[Any], desired: Values, remote: Any, reason: str = "") -> tuple[Action, ...]:
    """What makes ``remote`` as ``desired``: one action, or none."""
    fields = differing(desired, kind.observed(remote))
    if not fields:
        return ()
    operations = tuple(kind.patch(fields, desired, remote))
    return (Action(Effect.PATCH, kind, tuple(fields), reason, remote.id, remote.etag, operations),)


def _levels(actions: tuple[Action, ...]) -> Iterator[tuple[Action, ...]]:
    """What is built on nothing among ``actions``, then what is built on that alone, and so on."""
    while actions:
        slots = {action.kind.slot for action in actions}
        level = tuple(action for action in actions if slots.isdisjoint(action.kind.built_on))
        yield level
        actions = tuple(action for action in actions if action not in level)
