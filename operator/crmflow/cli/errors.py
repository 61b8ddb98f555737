"""``kubectl crmflow errors``: the rows that a run has refused, as Platform keeps them, to the terminal alone.

They are customers' data. The operator never reads them: no status, event or log holds one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from crmflow.aep.client import PlatformClient
from crmflow.aep.collection import WithIds
from crmflow.aep.flow_service import RUNS
from crmflow.aep.models import RefusedRow, Run, RunMetrics, RunState
from crmflow.api.crmdataflow import RecentRun
from crmflow.api.kinds import CRM_DATAFLOW
from crmflow.cli.cluster import Cluster
from crmflow.cli.dataflow import Dataflow
from crmflow.cli.options import ErrorsOptions
from crmflow.cli.output import write, write_data
from crmflow.cli.platform import sandbox_of
from crmflow.cli.problem import Problem
from crmflow.cli.terminal import say
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.observability.redaction import redact, sanitize

_LONGEST = 2000
_TROUBLED = (RunState.FAILED, RunState.PARTIAL_SUCCESS)


async def errors(options: ErrorsOptions) -> None:
    """Carry the command out. Raises Problem."""
    cluster = await Cluster.connect(options.cluster)
    try:
        dataflow = await cluster.dataflow(options.name)
        run_id = options.run or _latest(dataflow)
        if run_id is None:
            say(f"None of the last runs of {_named(dataflow)} has refused a row.")
            if options.output is not None:
                write_data({"run": None, "rows": []}, options.output)
            return
        connection = await cluster.connection(dataflow.spec.connection_ref.name)
        async with sandbox_of(cluster, connection) as platform:
            run = await _run(platform, dataflow, run_id)
            rows = await _rows(platform, dataflow, run, options.rows)
    finally:
        await cluster.close()
    if options.output is not None:
        write_data(_as_data(run, rows), options.output)
    else:
        _show(run, rows)


def _latest(dataflow: Dataflow) -> str | None:
    """The newest run that status knows to have refused something."""
    return next((run.id for run in dataflow.status.recent_runs or () if _has_refused(run)), None)


def _has_refused(run: RecentRun) -> bool:
    return run.state in _TROUBLED or bool(run.records and run.records.failed)


async def _run(platform: PlatformClient, dataflow: Dataflow, run_id: str) -> Run:
    """The run as Platform shows it; one of another flow is none."""
    flow = dataflow.status.flow
    found = next(iter(await platform.list(RUNS, WithIds((run_id,)))), None)
    if found is None or flow is None or found.flow_id != flow.id:
        raise Problem(
            f'the flow of {_named(dataflow)} has no run "{sanitize(run_id)}"',
            f"`kubectl crmflow status {dataflow.name} -n {dataflow.namespace} --runs 10` shows the last ones",
        )
    return found


async def _rows(platform: PlatformClient, dataflow: Dataflow, run: Run, most: int) -> Sequence[RefusedRow]:
    """What its batches have kept. Raises Problem where rows were refused and none is kept."""
    rows: list[RefusedRow] = []
    for batch in run.batches:
        try:
            rows += await platform.refused_rows(batch, most - len(rows))
        except RemoteError as error:
            if error.error_class is not ErrorClass.NOT_FOUND:
                raise
        if len(rows) >= most:
            break
    refused = (run.metrics or RunMetrics()).records_failed
    if not rows and (refused or run.state in _TROUBLED):
        raise Problem(f"Platform has kept no row of run {run.id}. {_cause(run)}".strip(), _advice(dataflow))
    return rows


def _advice(dataflow: Dataflow) -> str:
    if dataflow.spec.ingestion.error_diagnostics:
        return "A run that could not read at all has none; those of others are kept for 30 days"
    return (
        "Set spec.ingestion.errorDiagnostics to true: from the next run on, Platform keeps the rows that it "
        "refuses for 30 days"
    )


def _cause(run: Run) -> str:
    first = next(iter(run.errors), None)
    return f"It says: {first.code}: {first.message}" if first else ""


def _show(run: Run, rows: Sequence[RefusedRow]) -> None:
    refused = (run.metrics or RunMetrics()).records_failed
    count = "" if refused is None else f", {refused} refused"
    write(f"Run {sanitize(run.id)}: {sanitize(run.state)}{count}, {len(rows)} shown")
    for row in rows:
        why = (
            "; ".join(f"{error.code} {error.message}".strip() for error in row.errors) or "No cause is told."
        )
        write(f"\n{redact(why)}")
        for name, value in row.values.items():
            write(f"  {sanitize(name)}: {_text(value)}")


def _text(value: Any) -> str:
    return sanitize(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), _LONGEST)


def _as_data(run: Run, rows: Sequence[RefusedRow]) -> Mapping[str, Any]:
    return {
        "run": {"id": run.id, "state": run.state, "failed": (run.metrics or RunMetrics()).records_failed},
        "rows": [
            {
                "errors": [{"code": error.code, "message": error.message} for error in row.errors],
                "values": dict(row.values),
            }
            for row in rows
        ],
    }


def _named(dataflow: Dataflow) -> str:
    return f'{CRM_DATAFLOW.kind} "{dataflow.name}"'
