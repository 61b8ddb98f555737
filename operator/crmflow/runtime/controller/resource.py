"""A resource of ours as the API server gave it, read once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from crmflow.reconcile.core.conditions import Conditions
from crmflow.reconcile.core.kind import ManagedKind
from crmflow.reconcile.core.reading import Understanding, mapping, text_at, understand
from crmflow.runtime.controller.keys import Key
from crmflow.runtime.kubernetes.client import FINALIZER

Object = dict[str, Any]


@dataclass(frozen=True)
class Resource:
    """A typed view of one object. The API server vouches for ``metadata``; of spec and status any part may be
    anything, and what can't be read counts as absent, unless :attr:`understood` is asked.
    """

    kind: ManagedKind
    raw: Object
    """The object as it is on the wire; not to be changed."""

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The object's metadata."""
        metadata: Mapping[str, Any] = self.raw["metadata"]
        return metadata

    @property
    def key(self) -> Key:
        """What the queue and the cache call it."""
        return Key.of(self.raw)

    @property
    def uid(self) -> str:
        """Tells it from an earlier or later one of the same name."""
        return str(self.metadata["uid"])

    @property
    def generation(self) -> int:
        """Counts the edits of the spec."""
        return int(self.metadata.get("generation", 0))

    @property
    def deleting(self) -> bool:
        """True if somebody has asked for its deletion."""
        return "deletionTimestamp" in self.metadata

    @property
    def held(self) -> bool:
        """True if it has our finalizer."""
        return FINALIZER in (self.metadata.get("finalizers") or ())

    @property
    def annotations(self) -> Mapping[str, str]:
        """All its annotations."""
        return self.metadata.get("annotations") or {}

    @property
    def spec(self) -> Mapping[str, Any]:
        """The spec on the wire."""
        return mapping(self.raw.get("spec"))

    @property
    def status(self) -> Mapping[str, Any]:
        """The status on the wire."""
        return mapping(self.raw.get("status"))

    @property
    def paused(self) -> bool:
        """True if nothing is to be read or written for it: its deletion goes on all the same."""
        return self.spec.get("paused") is True and not self.deleting

    @property
    def observed_generation(self) -> int | None:
        """The generation that the status speaks of."""
        return self.status.get("observedGeneration")

    @property
    def served_by(self) -> str | None:
        """The installation that the status names."""
        return text_at(self.status, "servedBy")

    @cached_property
    def conditions(self) -> Conditions:
        """The conditions as last written."""
        return Conditions.from_status(self.status)

    @cached_property
    def recorded_ids(self) -> Mapping[str, str]:
        """Slot → id of the remote objects that the status records."""
        return self.kind.recorded_ids(self.status)

    @property
    def has_made(self) -> bool:
        """True if the status records something remote, or that it was about to be created."""
        return bool(self.recorded_ids or self.status.get("intents"))

    @cached_property
    def understood(self) -> Understanding:
        """Spec and status as this version understands them."""
        return understand(self.kind.api.spec, self.kind.api.status, self.raw)
