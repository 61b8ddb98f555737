"""The target connection: the dataset that a flow writes into, with its schema (platform.md 4.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from crmflow.aep.flow_service import TARGET_CONNECTIONS
from crmflow.aep.models import TargetConnection
from crmflow.reconcile.external.identity import Slot
from crmflow.reconcile.external.remote_object import RemoteObject, Values, observed_name
from crmflow.reconcile.external.schema import major_version

DATA_LAKE_CONNECTION_SPEC_ID = "c604ff05-7f1a-43c0-8e18-33bf874cb11c"
"""The only target that is allowed (platform.md 0; any other is refused with 1307)."""
DATA_LAKE_CONNECTION_SPEC_VERSION = "1.0"

SCHEMA, DATASET = "/data/schema", "/params/dataSetId"


@dataclass(frozen=True)
class SchemaVersion:
    """A schema in one of its versions. Only the major one counts (platform.md 16.1, 20), and the content type
    that names it goes out as it stands in status.
    """

    id: str
    major: str | None
    content_type: str = field(compare=False)

    @property
    def sent(self) -> Mapping[str, str]:
        """As Flow Service takes it."""
        return {"id": self.id, "version": self.content_type}

    @classmethod
    def of(cls, schema_id: str, content_type: str) -> SchemaVersion:
        """The version that a content type names."""
        return cls(schema_id, major_version(content_type), content_type)


def observed(remote: TargetConnection) -> Values:
    """A target connection as Platform has it."""
    return {
        **observed_name(remote),
        SCHEMA: SchemaVersion.of(remote.schema_id, remote.schema_version),
        DATASET: remote.dataset_id,
    }


def desired(named: Values, schema_id: str, content_type: str, dataset_id: str) -> Values:
    """What a target connection should be."""
    return {**named, SCHEMA: SchemaVersion.of(schema_id, content_type), DATASET: dataset_id}


def creation(desired: Values) -> Values:
    """What a target connection is created with."""
    spec = {"id": DATA_LAKE_CONNECTION_SPEC_ID, "version": DATA_LAKE_CONNECTION_SPEC_VERSION}
    return {**desired, "/connectionSpec": spec}


TARGET_CONNECTION = RemoteObject(
    slot=Slot("target"),
    collection=TARGET_CONNECTIONS,
    noun="target connection",
    recorded_at=("target_connection_id",),
    record=lambda remote_id: {"target_connection_id": remote_id},
    observed=observed,
    fields={SCHEMA: "spec.target.schema", DATASET: "spec.target.dataset"},
)
