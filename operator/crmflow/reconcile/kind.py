"""What the runtime has to know of a kind in order to reconcile it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crmflow.aep.listings import Collection
from crmflow.api.kinds import Kind
from crmflow.reconcile.conditions import ConditionType
from crmflow.reconcile.engine import Pass, Step


@dataclass(frozen=True)
class Reconciler:
    """A kind, the conditions it owns, and the steps that make it true and that end it.

    ``references`` names what else a resource depends on, as ``(kind, name)`` in its own namespace; a change
    there wakes it.
    """

    kind: Kind
    conditions: Sequence[ConditionType]
    make_pass: Callable[..., Pass[Any, Any]]
    steps: Sequence[Step[Any]]
    deletion_steps: Sequence[Step[Any]]
    ready_message: Callable[[Any], str]
    references: Callable[[dict[str, Any]], Sequence[tuple[str, str]]]
    slots: Mapping[str, Collection]
    """The remote objects that a resource has, and the collections that they are in."""
    claimed: Callable[[Mapping[str, Any]], Mapping[str, str]]
    """Slot → remote id of what a ``status`` records as its own."""
    adopts: Callable[[Mapping[str, Any]], str | None]
    """The remote id that a ``spec`` names as what is to stand for the resource."""
    quiet: Callable[[Any], Awaitable[bool]]
    """Whether the listings prove that a Ready resource needs no look at its remote objects. May record what
    the listings show, and may raise RemoteError.
    """
