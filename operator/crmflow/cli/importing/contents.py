"""What a sandbox holds for Zoho CRM, as an import reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from crmflow.aep.models import BaseConnection, Flow, MappingSet, SourceConnection, TargetConnection


@dataclass(frozen=True)
class FoundFlow:
    """A flow, and what it is built on; None for a part that is not there, or of which there is not one."""

    flow: Flow
    source: SourceConnection | None = None
    target: TargetConnection | None = None
    mapping: MappingSet | None = None
    header: tuple[str, ...] = ()
    """The columns of the files in the folder of a landing zone that it reads."""


@dataclass(frozen=True)
class Contents:
    """Everything, the oldest first."""

    connections: tuple[BaseConnection, ...] = ()
    flows: tuple[FoundFlow, ...] = ()
    schemas: Mapping[str, str] = field(default_factory=dict)
    """Titles by id."""
    datasets: Mapping[str, str] = field(default_factory=dict)
    """Names by id."""
    others: int = 0
    """Flows of the same flow specifications that read from other sources, or from other folders of the
    landing zone.
    """
