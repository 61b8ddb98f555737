"""The limits that somebody else documents, held where the schema could fall short of them (decision 21)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from crmflow.api.base import LastDrift
from crmflow.api.crmdataflow import Frequency, Schedule
from crmflow.api.kinds import CRM_DATAFLOW
from crmflow.reconcile.dataflow.schedule import effective_start, period_seconds
from hack.generators.structural import structural_schema
from hack.generators.walk import walk

NODES = {node.path: node.schema for node in walk(structural_schema(CRM_DATAFLOW.spec), "spec")}
LATEST_START = datetime(2999, 12, 31, 23, 59, 59, tzinfo=timezone(-timedelta(hours=23, minutes=59)))


@pytest.mark.parametrize(
    ("path", "keyword", "documented"),
    [
        ("spec.mapping[].expression", "maxLength", 4096),
        ("spec.mapping[].value", "maxLength", 4096),
        ("spec.target.schema.create.primaryIdentity.namespace", "maxLength", 1024),
        ("spec.source.columns", "maxItems", 1000),
        ("spec.mapping", "maxItems", 1000),
        ("spec.schedule.interval", "maximum", 300_000),
    ],
)
def test_no_limit_is_below_what_the_service_takes(path: str, keyword: str, documented: int) -> None:
    assert NODES[path][keyword] >= documented


@pytest.mark.parametrize("started", [datetime(1970, 1, 1, tzinfo=UTC), LATEST_START])
def test_the_longest_interval_from_any_start_leads_to_a_date(started: datetime) -> None:
    longest = NODES["spec.schedule.interval"]["maximum"]
    schedule = Schedule(frequency=Frequency.WEEK, interval=longest, start_time=started)
    now = LATEST_START + timedelta(days=1)
    assert effective_start(schedule, now.timestamp()) >= now
    assert now + timedelta(seconds=period_seconds(schedule) or 0) > now


def test_a_time_of_any_year_is_written_with_four_digits() -> None:
    drift = LastDrift(time=datetime(33, 4, 3, 9, tzinfo=UTC), fields=())
    assert drift.model_dump(mode="json")["time"] == "0033-04-03T09:00:00Z"
