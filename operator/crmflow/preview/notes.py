"""What a pass would have written, in the order in which it would have."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from crmflow.aep.catalog import DATA_SETS
from crmflow.aep.collection import AnyCollection
from crmflow.aep.data_prep import MAPPING_SETS
from crmflow.aep.flow_service import CONNECTIONS, FLOWS, SOURCE_CONNECTIONS, TARGET_CONNECTIONS
from crmflow.aep.schema_registry import DESCRIPTORS, SCHEMAS

FILE, JOB = "file", "transfer Job"
NOUNS: dict[AnyCollection, str] = {
    CONNECTIONS: "base connection",
    SOURCE_CONNECTIONS: "source connection",
    TARGET_CONNECTIONS: "target connection",
    FLOWS: "flow",
    MAPPING_SETS: "mapping set",
    SCHEMAS: "schema",
    DESCRIPTORS: "identity of schema",
    DATA_SETS: "dataset",
}
"""What the objects of each collection that is written to are called."""


class ChangeVerb(StrEnum):
    """What is done."""

    CREATE = "Create"
    USE = "Use"
    """What resources share is there already. An operator that has just begun may make another one like it.
    """
    UPDATE = "Update"
    ENABLE = "Enable"
    DISABLE = "Disable"
    DELETE = "Delete"
    RETRY = "Retry"
    """Platform does a run that failed again."""
    RUN = "Run"
    """A one-time flow is run over a window."""
    START = "Start"
    """A Job that reads Zoho CRM."""
    END = "End"


@dataclass(frozen=True)
class Write:
    """One thing that would be done outside the cluster, or a Job that would do it."""

    verb: ChangeVerb
    object: str
    """What it is done to: a noun."""
    id: str = ""
    """Of what exists."""
    name: str = ""
    """Of what is created, of a file, or what a Job reads."""
    fields: tuple[str, ...] = ()
    """JSON pointers of what is changed."""
    credits: int = 0
    """What a Job is expected to take of Zoho's credits."""


@dataclass
class Notes:
    """All that was noted."""

    writes: list[Write] = field(default_factory=list)
    assumptions: dict[str, None] = field(default_factory=dict)
    """What could not be asked yet, as sentences, each once."""
    credits: int = 0
    """What the reads of the preview itself have taken of Zoho's credits."""

    def write(self, write: Write) -> None:
        """Note a write."""
        self.writes.append(write)

    def assume(self, text: str) -> None:
        """Note what is taken for true."""
        self.assumptions[text] = None
