"""What a flow takes of batches and credits."""

from __future__ import annotations

from typing import Any

import pytest

from crmflow.api.base import Transport
from crmflow.api.crmdataflow import CRMDataflowSpec, PlanBudget
from crmflow.reconcile.dataflow.budget import budget_of
from crmflow.zoho import bulk_read
from tests.kit import manifests

ZONE, SOURCE = Transport.LANDING_ZONE, Transport.PLATFORM_SOURCE
HOURLY = {"schedule": {"frequency": "Hour", "interval": 1}}


def spec(**changes: Any) -> CRMDataflowSpec:
    return CRMDataflowSpec.model_validate(manifests.dataflow("crm", **{**HOURLY, **changes})["spec"])


def budget(given: CRMDataflowSpec, transport: Transport = ZONE, **more: Any) -> PlanBudget | None:
    known = {"columns": 5, "feeds_profile": False, "first": None}
    return budget_of(given, transport, **{**known, **more})


def test_each_run_into_a_dataset_of_profile_is_a_batch() -> None:
    assert budget(spec(), SOURCE) is None
    found = budget(spec(), SOURCE, feeds_profile=True)
    assert found == PlanBudget(profile_batches_per_day=24.0)
    assert budget(spec(ingestion={"enabled": False}), SOURCE, feeds_profile=True) is None


def test_a_flow_that_runs_once_takes_nothing_of_a_day() -> None:
    once = {"frequency": "Once", "interval": None, "backfill": None}
    found = budget(spec(schedule=once, deltaColumn=None), first=10, feeds_profile=True)
    assert found is not None
    assert (found.profile_batches_per_day, found.zoho_credits_per_day) == (None, None)
    assert found.zoho_credits


def test_what_is_read_first_costs_a_count_and_what_its_job_takes() -> None:
    nothing, little, much = (budget(spec(), first=rows) for rows in (0, 10, 450_000))
    assert nothing
    assert little
    assert much
    assert nothing.zoho_credits == 1
    assert nothing.zoho_credits < (little.zoho_credits or 0) < bulk_read.CREDITS
    assert (much.zoho_credits or 0) > 3 * bulk_read.CREDITS


@pytest.mark.parametrize("interval", [1, 2])
def test_a_day_has_a_window_for_each_run(interval: int) -> None:
    found = budget(spec(schedule={"frequency": "Hour", "interval": interval}), first=10)
    assert found
    assert found.zoho_credits_per_day == 24 // interval * (budget(spec(), first=1) or found).zoho_credits  # type: ignore[operator]


def test_full_reads_count_as_often_as_they_come() -> None:
    known = budget(spec(), first=450_000)
    often = budget(spec(extract={"fullReadEvery": "24h"}), first=450_000)
    assert known
    assert often
    extra = (often.zoho_credits_per_day or 0) - (known.zoho_credits_per_day or 0)
    assert extra == known.zoho_credits
