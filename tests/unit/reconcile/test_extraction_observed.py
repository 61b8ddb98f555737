"""What a run of Platform tells of files."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from crmflow.aep.models import Run, RunMetrics
from crmflow.reconcile.extraction.names import FileKey
from crmflow.reconcile.extraction.observed import FileRun, file_run
from crmflow.transfer.declaration import Window

NAME = "20261104T100000Z-20261104T110000Z-0.csv"
KEY = FileKey(Window(begin=datetime(2026, 11, 4, 10, tzinfo=UTC), end=datetime(2026, 11, 4, 11, tzinfo=UTC)))


def run(state: str = "success", completed: float | None = 60.0, **more: object) -> Run:
    return Run("r1", "f1", state, 1.0, completed, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("state", "completed", "succeeded"),
    [
        ("success", 60.0, True),
        ("partialSuccess", 60.0, True),
        ("failed", 60.0, False),
        ("cancelled", None, False),
        ("inProgress", None, None),
        ("queued", None, None),
    ],
)
def test_how_it_ended(state: str, completed: float | None, succeeded: bool | None) -> None:
    assert file_run(run(state, completed)).succeeded is succeeded


def test_window_and_counts() -> None:
    found = file_run(run(window=(0.0, 1_793_790_000.0), metrics=RunMetrics(7, 5, 0, 2)))
    window = (datetime(1970, 1, 1, tzinfo=UTC), datetime(2026, 11, 4, 11, tzinfo=UTC))
    assert found == FileRun("r1", True, window, None, records_read=7, records_skipped=0, records_failed=2)


def test_files_that_are_ours() -> None:
    paths = (f"/dlz-user-container/crmflow/a/{NAME}", NAME, "crmflow/a/by-hand.csv")
    assert file_run(run(), paths).files == {KEY}


@pytest.mark.parametrize("paths", [(), ("staging/part-0000.parquet",)])
def test_a_manifest_that_names_none_of_ours_tells_nothing(paths: tuple[str, ...]) -> None:
    assert file_run(run(), paths).files is None
