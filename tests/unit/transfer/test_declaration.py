"""What a transfer lets itself be told."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tests.unit.transfer.declared import COLUMNS, declared


def test_every_attempt_of_an_extraction_has_one_file() -> None:
    expected = "crmflow/prod/team/leads/1-abcd/20261104T100000Z-20261104T110000Z-1.csv"
    assert {declared(attempt=attempt).file for attempt in (1, 2)} == {expected}
    assert declared(extraction=2).file == expected.replace("-1.csv", "-2.csv")


def test_instants_of_any_zone_are_one() -> None:
    window = {"begin": "2026-11-04T11:00:00+01:00", "end": "2026-11-04T12:00:00+01:00"}
    assert declared(window=window).file == declared().file


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"formVersion": 2}, "formVersion"),
        ({"surprise": 1}, "surprise"),
        ({"columns": []}, "columns"),
        ({"columns": ["id", "id"]}, "must differ"),
        ({"columns": ["Owner.id"]}, "columns"),
        ({"columns": ["id", "crmflow_deleted"], "dateTimes": []}, "crmflow_deleted"),
        ({"dateTimes": ["Created_Time"]}, "dateTimes has no column Created_Time"),
        ({"deletedRecords": "Mark", "columns": COLUMNS[1:]}, "needs the column id"),
        ({"module": "Leads where"}, "module"),
        ({"folder": "../other"}, "folder"),
        ({"folder": "a//b"}, "folder"),
        ({"window": {"begin": "2026-11-04T10:00:00", "end": "2026-11-04T11:00:00Z"}}, "timezone"),
        ({"window": {"begin": "2026-11-04T10:00:00.5Z", "end": "2026-11-04T11:00:00Z"}}, "whole seconds"),
        ({"window": {"begin": "2026-11-04T11:00:00Z", "end": "2026-11-04T11:00:00Z"}}, "end after it begins"),
        ({"zohoApiUrl": "https://user:pw@host"}, "zohoApiUrl"),
        ({"way": "Fax"}, "way"),
    ],
)
def test_what_it_does_not_take(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        declared(**changes)
