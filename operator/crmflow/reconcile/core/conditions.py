"""Conditions as data, and the one summarizer that derives ``Ready`` from the outcome of a pass.

Each kind declares the condition types it owns, in the order in which they are always written (a different
order would be a write). Steps name the condition they speak for; they never touch ``Ready``, ``Reconciling``
or ``Stalled``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

READY = "Ready"
RECONCILING = "Reconciling"
STALLED = "Stalled"

TRUE = "True"
FALSE = "False"
UNKNOWN = "Unknown"

PROGRESSING = "Progressing"
PROGRESSING_WITH_RETRY = "ProgressingWithRetry"
SUCCEEDED = "Succeeded"
PENDING = "Pending"


@dataclass(frozen=True)
class ConditionType:
    """A condition that a kind owns: its name, and the sentence that is its message while it is True."""

    name: str
    description: str


@dataclass(frozen=True)
class Condition:
    """One entry of ``status.conditions``."""

    type: str
    status: str
    reason: str
    message: str
    observed_generation: int
    last_transition_time: str = ""

    def to_wire(self) -> dict[str, object]:
        """The entry as Kubernetes writes it."""
        return {
            "type": self.type,
            "status": self.status,
            "reason": self.reason,
            "message": self.message,
            "observedGeneration": self.observed_generation,
            "lastTransitionTime": self.last_transition_time,
        }

    @classmethod
    def from_wire(cls, entry: Mapping[str, object]) -> Condition:
        """Read an entry leniently: whoever wrote it, a missing part is empty."""
        generation = entry.get("observedGeneration")
        return cls(
            type=str(entry.get("type", "")),
            status=str(entry.get("status", UNKNOWN)),
            reason=str(entry.get("reason", "")),
            message=str(entry.get("message", "")),
            observed_generation=generation if isinstance(generation, int) else 0,
            last_transition_time=str(entry.get("lastTransitionTime", "")),
        )


@dataclass(frozen=True)
class Finding:
    """What a pass found out about one condition."""

    status: str
    reason: str
    message: str


class Conditions:
    """The conditions of one resource, as last written."""

    def __init__(self, entries: Iterable[Condition] = ()) -> None:
        self._by_type = {entry.type: entry for entry in entries}

    @classmethod
    def from_status(cls, status: Mapping[str, object]) -> Conditions:
        """The conditions of an object's ``status``."""
        entries = status.get("conditions")
        entries = entries if isinstance(entries, list) else ()
        return cls(Condition.from_wire(entry) for entry in entries if isinstance(entry, Mapping))

    def get(self, name: str) -> Condition | None:
        """The condition of that type, if it is present."""
        return self._by_type.get(name)

    def of(self, declared: Sequence[ConditionType]) -> list[Condition]:
        """Those that are ours to write, in their fixed order."""
        names = (READY, RECONCILING, STALLED, *(declaration.name for declaration in declared))
        return [self._by_type[name] for name in names if name in self._by_type]

    def __contains__(self, name: object) -> bool:
        return name in self._by_type

    def is_true(self, name: str) -> bool:
        """True if the condition is present and True."""
        entry = self._by_type.get(name)
        return entry is not None and entry.status == TRUE

    def is_ready(self, generation: int, observed_generation: int | None) -> bool:
        """True if this very generation was found Ready."""
        return self.is_true(READY) and observed_generation == generation


def compose(
    declared: Sequence[ConditionType],
    previous: Conditions,
    findings: Mapping[str, Finding],
    summary: Mapping[str, Finding],
    generation: int,
    now: datetime,
) -> list[Condition]:
    """The conditions to write: ``Ready``, ``Reconciling`` and ``Stalled`` from ``summary``, then the kind's
    own.

    A condition that this pass did not reach keeps what it said, and the generation it said it of.
    ``lastTransitionTime`` moves only when ``status`` does.
    """
    summarized = [name for name in (READY, RECONCILING, STALLED) if name in summary]
    result = [_settle(name, summary[name], previous, generation, now) for name in summarized]
    unknown = Finding(UNKNOWN, PENDING, "Not looked at yet.")
    for name in (declaration.name for declaration in declared):
        finding, before = findings.get(name), previous.get(name)
        kept = before if finding is None else None
        result.append(kept or _settle(name, finding or unknown, previous, generation, now))
    return result


def _settle(name: str, finding: Finding, previous: Conditions, generation: int, now: datetime) -> Condition:
    before = previous.get(name)
    same = before is not None and before.status == finding.status
    since = before.last_transition_time if same and before else now.strftime("%Y-%m-%dT%H:%M:%SZ")
    return Condition(name, finding.status, finding.reason, finding.message, generation, since)
