"""What the cluster's resources say of a scope, and what a poll says to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from crmflow.aep.listings import Collection
from crmflow.reconcile.dataflow.runs import RunRecord
from crmflow.runtime.keys import Key


@dataclass(frozen=True)
class Claim:
    """A resource of the cluster records this remote object as its own."""

    key: Key
    collection: Collection
    id: str
    runs: RunRecord | None = None
    """What the resource says of the runs of this flow, if a visit would record a new one."""


@dataclass(frozen=True)
class Known:
    """What the cluster knows of a scope: claims, and the lookup keys of all its resources."""

    claims: tuple[Claim, ...] = ()
    owners: Mapping[str, Key] = field(default_factory=dict)
    """Lookup key → the resource that it belongs to."""
    adopting: frozenset[Key] = frozenset()
    """Those that have adopted what stands for them: an object with their key is not theirs."""
    accepts_loss: frozenset[str] = frozenset()
    """Values of the annotation ``crmflow.io/accept-loss`` on connections of the scope."""
    all_there_at: float | None = None
    """When a resource last became Ready, of those that are Ready: then everything that it records existed."""


@dataclass(frozen=True)
class Finding:
    """What a poll wants done about a resource."""

    key: Key
    recheck: bool
    """True: compare everything; False: only the last run is new."""
