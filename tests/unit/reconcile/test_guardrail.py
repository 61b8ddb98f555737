"""How much of Profile's limit a dataflow takes; and the dataset that it writes into."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from crmflow.reconcile.core.outcome import OutcomeClass
from crmflow.reconcile.dataflow.schedule import profile_runs_per_day
from tests.fakes.platform import DATASET_ID
from tests.unit.reconcile.harness import Harness, dataflow_spec

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


@pytest.mark.parametrize("enabled", [True, False])
async def test_whether_profile_reads_the_dataset_is_in_status_and_kept_up_to_date(enabled: bool) -> None:
    harness = Harness()
    dataset = harness.platform.datasets[DATASET_ID]
    harness.platform.datasets[DATASET_ID] = replace(dataset, profile_enabled=enabled)
    resource = harness.dataflow()
    await resource.until_done()
    assert resource.status["dataset"]["profileEnabled"] is enabled
    assert harness.timeline.count("dataSets.get") == 1
    harness.platform.datasets[DATASET_ID] = replace(dataset, profile_enabled=not enabled)
    await resource.visit()
    assert resource.status["dataset"]["profileEnabled"] is not enabled


async def test_a_dataset_that_is_gone_has_a_reason_of_its_own_and_heals() -> None:
    harness = Harness()
    resource = harness.dataflow()
    await resource.until_done()
    assert resource.status["dataset"] == {"id": DATASET_ID, "profileEnabled": False}
    dataset = harness.platform.datasets.pop(DATASET_ID)
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (OutcomeClass.STALLED, "DatasetGone")
    assert resource.condition("TargetReady")[:2] == ("False", "DatasetGone")
    assert "expired" in result.outcome.message
    harness.platform.datasets[DATASET_ID] = dataset
    assert (await resource.visit()).outcome.is_done
    assert resource.condition("TargetReady")[0] == "True"


async def test_a_flow_whose_dataset_is_gone_can_still_be_changed_and_disabled() -> None:
    harness = Harness()
    resource = harness.dataflow()
    await resource.until_done()
    dataset = harness.platform.datasets.pop(DATASET_ID)
    resource.edit(lambda spec: (spec["schedule"].update(interval=2), spec["ingestion"].update(enabled=False)))
    await resource.visit()
    result = await resource.visit()
    assert result.outcome.reason == "DatasetGone"
    assert resource.condition("TargetReady")[:2] == ("False", "DatasetGone")
    assert resource.condition("Synced")[0] == "True"
    [flow] = harness.platform.flows.values()
    assert (flow.state, flow.schedule.interval) == ("disabled", 2)
    assert (await resource.visit(full=False)).outcome.reason == "DatasetGone"

    harness.platform.datasets[DATASET_ID] = dataset
    assert (await resource.visit()).outcome.is_done
    assert resource.condition("TargetReady")[:2] == ("True", "Succeeded")
