"""How much of Profile's limit a dataflow takes, and who crosses it; and the dataset that it writes into."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from crmflow.reconcile.dataflow.guardrail import crossing, profile_runs_per_day
from crmflow.reconcile.outcome import OutcomeClass
from tests.unit.reconcile.fakes import DATASET_ID
from tests.unit.reconcile.world import World, dataflow_spec

STATUS = {"flow": {"id": "f1"}, "dataset": {"id": "d1", "profileEnabled": True}}


@pytest.mark.parametrize(
    ("frequency", "interval", "runs"),
    [("Minute", 15, 96), ("Hour", 1, 24), ("Day", 2, 0.5), ("Week", 1, 1 / 7), ("Once", None, 0)],
)
def test_a_schedule_takes_its_runs_per_day(frequency: str, interval: int | None, runs: float) -> None:
    spec = dataflow_spec(schedule={"frequency": frequency, "interval": interval})
    assert profile_runs_per_day(spec, STATUS) == pytest.approx(runs)


@pytest.mark.parametrize(
    ("spec", "status"),
    [
        (dataflow_spec(ingestion={"enabled": False}), STATUS),
        (dataflow_spec(), {**STATUS, "flow": None}),
        (dataflow_spec(), {**STATUS, "dataset": {"id": "d1", "profileEnabled": False}}),
        (dataflow_spec(), {**STATUS, "dataset": {"id": "d1"}}),
        (dataflow_spec(), {}),
    ],
    ids=["disabled", "no flow", "no Profile", "not known", "nothing"],
)
def test_what_makes_no_batch_for_profile_takes_nothing(spec: dict[str, Any], status: dict[str, Any]) -> None:
    assert profile_runs_per_day(spec, status) == 0.0


@pytest.mark.parametrize(
    ("before", "now", "culprit"),
    [
        ({}, {}, None),
        ({}, {"a": 90.0}, None),
        ({}, {"a": 96.0}, "a"),
        ({}, {"a": 48.0, "b": 42.0, "c": 1.0}, "c"),
        ({"a": 48.0, "c": 24.0}, {"a": 48.0, "b": 24.0, "c": 24.0}, "b"),
        ({"a": 24.0, "b": 48.0}, {"a": 48.0, "b": 48.0}, "a"),
        ({"a": 96.0}, {"a": 96.0, "b": 24.0}, None),
        ({"a": 96.0}, {"a": 48.0}, None),
        ({"a": 48.0, "b": 42.0}, {"a": 96.0}, "a"),
        ({"a": 80.0, "b": 10.0}, {"a": 10.0, "b": 80.0}, None),
    ],
)
def test_the_one_that_crosses_is_named(
    before: dict[str, float], now: dict[str, float], culprit: str | None
) -> None:
    crossed = crossing(before, now)
    assert (crossed and crossed[0]) == culprit


@pytest.mark.parametrize("enabled", [True, False])
async def test_whether_profile_reads_the_dataset_is_in_status_and_kept_up_to_date(enabled: bool) -> None:
    world = World()
    dataset = world.platform.datasets[DATASET_ID]
    world.platform.datasets[DATASET_ID] = replace(dataset, profile_enabled=enabled)
    resource = world.dataflow()
    await resource.until_done()
    assert resource.status["dataset"]["profileEnabled"] is enabled
    assert world.timeline.count("dataset") == 1
    world.platform.datasets[DATASET_ID] = replace(dataset, profile_enabled=not enabled)
    await resource.visit()
    assert resource.status["dataset"]["profileEnabled"] is not enabled


async def test_a_dataset_that_is_gone_has_a_reason_of_its_own_and_heals() -> None:
    world = World()
    resource = world.dataflow()
    await resource.until_done()
    assert resource.status["dataset"] == {"id": DATASET_ID, "profileEnabled": False}
    dataset = world.platform.datasets.pop(DATASET_ID)
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (OutcomeClass.STALLED, "DatasetGone")
    assert resource.condition("TargetReady")[:2] == ("False", "DatasetGone")
    assert "expired" in result.outcome.message
    world.platform.datasets[DATASET_ID] = dataset
    assert (await resource.visit()).outcome.is_done
    assert resource.condition("TargetReady")[0] == "True"


async def test_a_flow_whose_dataset_is_gone_can_still_be_changed_and_disabled() -> None:
    world = World()
    resource = world.dataflow()
    await resource.until_done()
    dataset = world.platform.datasets.pop(DATASET_ID)
    resource.edit(lambda spec: (spec["schedule"].update(interval=2), spec["ingestion"].update(enabled=False)))
    await resource.visit()
    result = await resource.visit()
    assert result.outcome.reason == "DatasetGone"
    assert resource.condition("TargetReady")[:2] == ("False", "DatasetGone")
    assert resource.condition("Synced")[0] == "True"
    [flow] = world.platform.flows.values()
    assert (flow.state, flow.schedule.interval) == ("disabled", 2)
    assert (await resource.visit(full=False)).outcome.reason == "DatasetGone"

    world.platform.datasets[DATASET_ID] = dataset
    assert (await resource.visit()).outcome.is_done
    assert resource.condition("TargetReady")[:2] == ("True", "Succeeded")
