"""The termination message."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crmflow.transfer.report import MOST_BYTES, ExitCode, Report, TransferResult, write
from tests.unit.transfer.declared import declared


def test_it_is_json_with_a_form_version(tmp_path: Path) -> None:
    report = Report(
        exit_code=ExitCode.DONE,
        reason=TransferResult.WRITTEN,
        window=declared().window,
        rows=7,
        count_before=7,
    )
    write(report, tmp_path / "log")
    assert json.loads((tmp_path / "log").read_text()) == {
        "formVersion": 1,
        "exitCode": 0,
        "reason": "Written",
        "message": "",
        "advice": "",
        "window": {"begin": "2026-11-04T10:00:00Z", "end": "2026-11-04T11:00:00Z"},
        "rows": 7,
        "deleted": 0,
        "bytes": 0,
        "countBefore": 7,
        "credits": 0,
        "seconds": 0.0,
    }
    assert Report.model_validate_json((tmp_path / "log").read_text()) == report


@pytest.mark.parametrize("letter", ["x", "☃", '"'])
def test_it_is_as_short_as_kubernetes_wants_it(tmp_path: Path, letter: str) -> None:
    write(
        Report(exit_code=10, reason="Unavailable", message=letter * 9000, advice=letter * 9000),
        tmp_path / "log",
    )
    written = (tmp_path / "log").read_bytes()
    assert len(written) <= MOST_BYTES
    assert json.loads(written)["message"].startswith(letter)
