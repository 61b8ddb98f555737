"""Definitions of the kinds that are older or newer than the operator."""

from __future__ import annotations

import copy
import logging
from pathlib import Path
from typing import Any

import pytest
import yaml

from crmflow.api.kinds import CRM_DATAFLOW, KINDS, Kind
from crmflow.observability.metrics import Metrics
from crmflow.runtime.kubernetes.definitions import Definitions, known_fields, served_fields
from crmflow.runtime.kubernetes.errors import KubernetesError
from tests.unit.runtime.fakes import FakeKubernetes, JumpingClock

CRDS = Path(__file__).resolve().parents[4] / "crds"


def schema_of(kind: Kind) -> dict[str, Any]:
    """As the API server serves it, under the definitions of this version."""
    for file in CRDS.glob("*.yaml"):
        definition = yaml.safe_load(file.read_text())
        if definition["spec"]["names"]["kind"] == kind.kind:
            schema: dict[str, Any] = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
            return schema
    raise AssertionError(kind.kind)


class Served(FakeKubernetes):
    def __init__(self) -> None:
        super().__init__()
        self.schemas: dict[str, Any] = {kind.kind: schema_of(kind) for kind in KINDS}

    async def served_schemas(self) -> dict[str, Any]:
        self._call("served_schemas")
        return copy.deepcopy(self.schemas)

    def properties(self, *path: str) -> dict[str, Any]:
        """Of the dataflow's definition."""
        found = self.schemas["CRMDataflow"]
        for name in path:
            found = found["properties"][name]
        properties: dict[str, Any] = found["properties"]
        return properties


class Harness:
    def __init__(self) -> None:
        self.served = Served()
        self.metrics = Metrics()
        self.definitions = Definitions(self.served.port, KINDS, JumpingClock(), self.metrics)

    def differences(self, difference: str) -> float | None:
        labels = {"kind": "CRMDataflow", "difference": difference}
        return self.metrics.registry.get_sample_value("crmflow_definition_differences", labels)


@pytest.fixture
def harness(caplog: pytest.LogCaptureFixture) -> Harness:
    caplog.set_level(logging.INFO, "crmflow.definitions")
    return Harness()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_the_models_and_the_definitions_of_this_version_have_the_same_fields(kind: Kind) -> None:
    there = served_fields(schema_of(kind))
    assert there == known_fields(kind)
    assert ("status", "conditions", "reason") in there, "what is in lists counts as well"


async def test_definitions_of_this_version_are_not_worth_a_word(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    await harness.definitions.look()
    assert caplog.records == []
    assert (harness.differences("missing"), harness.differences("unknown")) == (0, 0)
    status = {"conditions": [{"type": "Ready"}], "lastRun": {"id": "r1"}}
    assert harness.definitions.declared(CRM_DATAFLOW, status) == status


async def test_what_an_older_definition_lacks_is_said_once_and_left_out(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    del harness.served.properties("status")["lastRun"]
    del harness.served.properties("spec")["displayName"]
    for _ in range(3):
        await harness.definitions.look()
    [record] = caplog.records
    assert record.levelname == "WARNING"
    assert "older than this operator: it lacks spec.displayName, status.lastRun." in record.getMessage()
    assert (harness.differences("missing") or 0) >= 2
    status = {"conditions": [{"type": "Ready"}], "lastRun": {"id": "r1"}}
    assert harness.definitions.declared(CRM_DATAFLOW, status) == {"conditions": [{"type": "Ready"}]}


async def test_a_field_within_a_list_is_left_out_of_each_item(harness: Harness) -> None:
    items = harness.served.properties("status")["conditions"]["items"]
    del items["properties"]["observedGeneration"]
    await harness.definitions.look()
    status = {"conditions": [{"type": "A", "observedGeneration": 1}, {"type": "B"}]}
    assert harness.definitions.declared(CRM_DATAFLOW, status) == {
        "conditions": [{"type": "A"}, {"type": "B"}]
    }


async def test_where_unknown_fields_are_kept_nothing_is_left_out(harness: Harness) -> None:
    """Such a field has no properties, and loses none: an id that is left out of status would be made anew."""
    harness.served.properties("status")["flow"] = {"x-kubernetes-preserve-unknown-fields": True}
    await harness.definitions.look()
    status = {"flow": {"id": "f1", "state": "enabled"}, "columns": ["Email"]}
    assert harness.definitions.declared(CRM_DATAFLOW, status) == status
    assert harness.differences("missing") == 0


async def test_fields_of_a_newer_definition_are_said(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    harness.served.properties("spec")["retention"] = {
        "type": "object",
        "properties": {"days": {"type": "integer"}},
    }
    await harness.definitions.look()
    [record] = caplog.records
    assert "newer than this operator, which does not follow spec.retention." in record.getMessage()
    assert harness.differences("unknown") == 2


async def test_what_is_mended_is_used_again(harness: Harness, caplog: pytest.LogCaptureFixture) -> None:
    whole = copy.deepcopy(harness.served.schemas)
    del harness.served.properties("status")["lastRun"]
    await harness.definitions.look()
    harness.served.schemas = whole
    await harness.definitions.look()
    assert caplog.records[-1].getMessage().endswith("is that of this version again")
    assert harness.definitions.declared(CRM_DATAFLOW, {"lastRun": {}}) == {"lastRun": {}}
    assert harness.differences("missing") == 0


async def test_a_schema_that_can_not_be_read_changes_nothing(harness: Harness) -> None:
    del harness.served.properties("status")["lastRun"]
    await harness.definitions.look()
    harness.served.errors["served_schemas"] = [KubernetesError("403", 403)]
    await harness.definitions.look()
    assert harness.definitions.declared(CRM_DATAFLOW, {"lastRun": {}}) == {}


async def test_a_kind_that_is_not_served_for_a_moment_changes_nothing(harness: Harness) -> None:
    del harness.served.schemas["CRMDataflow"]
    await harness.definitions.look()
    assert harness.definitions.declared(CRM_DATAFLOW, {"lastRun": {}}) == {"lastRun": {}}
