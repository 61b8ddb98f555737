"""The numbers in the guide to the landing zone are those of the code."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from crmflow.reconcile.extraction import credits
from crmflow.reconcile.extraction.cutting import MOST_ROWS
from crmflow.reconcile.extraction.names import FileKey
from crmflow.reconcile.extraction.pending import MOST_PENDING
from crmflow.reconcile.extraction.rhythm import Due, next_window
from crmflow.reconcile.extraction.settings import ExtractionSettings
from crmflow.reconcile.extraction.slots import SLOTS
from crmflow.transfer.declaration import Way
from crmflow.zoho import bulk_read
from crmflow.zoho.scopes import LANDING_ZONE_SCOPES
from tests.unit.reasons import ROOT

PAGE = (ROOT / "docs" / "guides" / "landing-zone.md").read_text()
WORDS = " ".join(PAGE.split())
COLUMNS = 50
WAYS = {"COQL": Way.COQL, "Bulk Read": Way.BULK}

_COST = re.compile(r"^\| ([0-9,]+)(?: to ([0-9,]+))? \| (COQL|Bulk Read) \| ([0-9]+) \|$", re.MULTILINE)


def test_a_window_costs_what_the_table_says() -> None:
    rows = _COST.findall(PAGE)
    assert len(rows) == 5
    for *bounds, way, told in rows:
        for number in (int(bound.replace(",", "")) for bound in bounds if bound):
            chosen = credits.choose(number, COLUMNS, credits.ROWS_OF_BULK)
            assert (chosen, credits.cost(chosen, number, COLUMNS)) == (WAYS[way], int(told))


def test_what_is_spent_is_a_share_of_what_every_organization_has() -> None:
    assert credits.allowance("enterprise") == 50_000 * 4 / 5
    assert credits.allowance("free") == 5_000 * 4 / 5
    assert "at least 50,000 a day, 5,000 with the free edition" in WORDS
    assert "at most four fifths" in WORDS


def test_the_limits_are_those_of_the_code() -> None:
    assert f"at most {MOST_ROWS:,} rows" in WORDS
    assert f"up to {bulk_read.MOST_FIELDS} with Bulk Read" in WORDS
    assert f"at most {MOST_PENDING} per dataflow" in WORDS
    assert f"| {SLOTS} for each organization" in WORDS
    assert all(scope in WORDS for scope in LANDING_ZONE_SCOPES)


def test_the_hour_of_a_schedule_is_as_it_is_told() -> None:
    day = datetime(2026, 11, 4, tzinfo=UTC)
    rhythm = ExtractionSettings().rhythm(day, timedelta(hours=1))
    cursor, due_at = day.replace(hour=8, minute=45), day.replace(hour=9, minute=47)
    due = next_window(rhythm, cursor, due_at)
    assert next_window(rhythm, cursor, due_at - timedelta(seconds=1)) != due
    assert isinstance(due, Due)
    assert due.tick == day.replace(hour=10)
    assert f"`{FileKey(due.window)}`" in WORDS
