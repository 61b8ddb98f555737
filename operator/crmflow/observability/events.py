"""Events: what happened to a resource, told once per change of state, never per poll."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

REPAIR = "Repair"
"""The action of events that tell of drift that was put right."""


class EventType(StrEnum):
    """Kubernetes knows two."""

    NORMAL = "Normal"
    WARNING = "Warning"


@dataclass(frozen=True)
class Event:
    """One thing worth telling; ``reason`` is CamelCase, ``note`` a sentence of at most 1,024 characters."""

    type: EventType
    reason: str
    action: str
    note: str
