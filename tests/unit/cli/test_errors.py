"""``kubectl crmflow errors``: which run is taken, what is shown of its rows, and what is said without any."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from crmflow.aep.models import RefusedRow, Run, RunError, RunMetrics
from crmflow.cli import errors as command
from crmflow.cli.dataflow import Dataflow
from crmflow.cli.options import ErrorsOptions, Format
from crmflow.cli.problem import Problem
from crmflow.http.errors import ErrorClass
from tests.fakes.failing import remote_error
from tests.unit.cli.connections import connection
from tests.unit.cli.test_approve import dataflow

ROW = RefusedRow(
    (RunError("1555", "A required field is missing."),), {"Email": None, "Last_Name": "Isarow\x1b"}
)
REFUSED = Run("r2", "f1", "partialSuccess", 1.0, 2.0, RunMetrics(9, 8, 0, 1), (RunError("INGEST", "No."),))


class Desk:
    """The cluster and the sandbox that the command reaches."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.runs: dict[str, Run] = {}
        self.rows: dict[str, Sequence[RefusedRow]] = {}
        self.spec: dict[str, Any] = {"ingestion": {"errorDiagnostics": True}}
        self.recent: list[dict[str, Any]] = []
        self.asked: list[str] = []

        async def connect(_: object) -> Desk:
            return self

        @asynccontextmanager
        async def sandbox_of(*_: object) -> AsyncIterator[Desk]:
            yield self

        monkeypatch.setattr(command.Cluster, "connect", connect)
        monkeypatch.setattr(command, "sandbox_of", sandbox_of)

    async def dataflow(self, _: str) -> Dataflow:
        obj = dataflow(spec=self.spec)
        obj["status"] |= {"flow": {"id": "f1"}, "recentRuns": self.recent}
        return Dataflow.of(obj)

    async def connection(self, _: str) -> Any:
        return connection()

    async def close(self) -> None:
        pass

    async def list(self, _: object, selection: Any) -> list[Run]:
        return [self.runs[run] for run in selection.ids if run in self.runs]

    async def refused_rows(self, batch: str, most: int) -> Sequence[RefusedRow]:
        self.asked.append(batch)
        if batch not in self.rows:
            raise remote_error(ErrorClass.NOT_FOUND)
        return self.rows[batch][:most]

    def has(self, run: Run, **rows: Sequence[RefusedRow]) -> None:
        """Platform has a run whose batches have refused rows."""
        self.rows |= rows
        self.runs[run.id] = replace(run, batches=tuple(rows))


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(monkeypatch)


async def test_the_newest_run_that_has_refused_something(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.recent = [
        {"id": "r3", "state": "success", "records": {"failed": 0}},
        {"id": "r2", "state": "partialSuccess"},
        {"id": "r1", "state": "failed"},
    ]
    desk.has(REFUSED, b1=[ROW])
    await command.errors(ErrorsOptions("contacts"))
    assert capsys.readouterr().out.splitlines() == [
        "Run r2: partialSuccess, 1 refused, 1 shown",
        "",
        "1555 A required field is missing.",
        "  Email: null",
        "  Last_Name: Isarow",
    ]


async def test_so_many_rows_of_all_its_batches_for_programs(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.has(REFUSED, b1=[ROW] * 3, b2=[ROW] * 9, b3=[ROW])
    await command.errors(ErrorsOptions("contacts", run="r2", rows=5, output=Format.JSON))
    shown = json.loads(capsys.readouterr().out)
    assert shown["run"] == {"id": "r2", "state": "partialSuccess", "failed": 1}
    assert len(shown["rows"]) == 5
    assert shown["rows"][0]["values"]["Email"] is None
    assert desk.asked == ["b1", "b2"]


async def test_nothing_to_show(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.recent = [{"id": "r3", "state": "success"}]
    await command.errors(ErrorsOptions("contacts", output=Format.JSON))
    shown = capsys.readouterr()
    assert json.loads(shown.out) == {"run": None, "rows": []}
    assert "has refused a row" in shown.err


@pytest.mark.parametrize(
    ("spec", "advice"),
    [({}, "spec.ingestion.errorDiagnostics"), ({"ingestion": {"errorDiagnostics": True}}, "30 days")],
)
async def test_rows_that_are_not_kept(desk: Desk, spec: dict[str, Any], advice: str) -> None:
    desk.spec = spec
    desk.has(REFUSED)
    with pytest.raises(Problem) as raised:
        await command.errors(ErrorsOptions("contacts", run="r2"))
    assert raised.value.message == "Platform has kept no row of run r2. It says: INGEST: No."
    assert advice in raised.value.advice


@pytest.mark.parametrize("flow", ["f1", "f2"])
async def test_a_run_of_another_flow_is_none(desk: Desk, flow: str) -> None:
    if flow == "f2":
        desk.has(Run("r9", "f2", "failed", 1.0, 2.0))
    with pytest.raises(Problem, match='no run "r9"'):
        await command.errors(ErrorsOptions("contacts", run="r9"))
