"""Runs of a flow (platform.md 7)."""

from __future__ import annotations

import copy
import json
import uuid
from typing import Any

from aiohttp import web
from pydantic import BaseModel

from tests.emulators.aep import errors
from tests.emulators.aep.flowservice import tables, transformations
from tests.emulators.aep.flowservice.collection import (
    Body,
    Collection,
    match_etag,
    operation,
    provider_error,
    reference,
)
from tests.emulators.aep.flowservice.metrics import (
    FileSummary,
    Measured,
    RunOutcome,
    activities,
    metrics,
    status,
)
from tests.emulators.aep.flowservice.schedule import frequency, integer
from tests.emulators.aep.gateway import Context, context
from tests.emulators.aep.resource import Resource, milliseconds
from tests.emulators.aep.seed_data import CLOUD_STORAGE_FLOW_SPEC
from tests.emulators.aep.state import Diagnostics, PendingRun
from tests.emulators.core.source import SourceError
from tests.emulators.core.web import answer, read_json


class Runs(Collection):
    """``/runs``. Those of a flow that does not run by itself appear only when the control API makes them."""

    kind = "runs"
    shape = BaseModel
    fields = frozenset(["flowId", "flowSpec", "metrics", "activities", "activites", "eTag", "params"])

    def routes(self) -> list[web.RouteDef]:
        """List, start, read, put and act; a flow's runs by path as in older pages (platform.md 16.1.9)."""
        one = f"/{self.kind}/{{id}}"
        return [
            web.get(f"/{self.kind}", self.get_list),
            web.post(f"/{self.kind}", self.start),
            web.get(f"{one}", self.get),
            web.put(f"{one}", self.put),
            web.post(f"{one}/action", self.action),
            web.get("/flows/{id}/runs", self.of_flow),
        ]

    def shown(self, ctx: Context, resource: Resource) -> Body:
        """The run, its etag and activities in the spelling of the switch (platform.md 16.1.10)."""
        body = copy.deepcopy(resource.body)
        if ctx.switches.runSpelling == "published":
            body["activites"] = body.pop("activities", [])
            body["eTag"] = resource.etag
        return body

    def item(self, ctx: Context, resource: Resource) -> Body:
        """A run has no name, and its state is its status."""
        item = super().item(ctx, resource)
        if ctx.switches.runSpelling == "published":
            del item["etag"], item["version"]
        return item

    def find(self, ctx: Context, id: str) -> Resource:
        """A run that ingests shows some minutes after it began (landing-zone.md E.3)."""
        run = super().find(ctx, id)
        if not _visible(ctx, run):
            raise self.not_found(ctx, id)
        return run

    def _indexed(self, ctx: Context, resource: Resource) -> bool:
        return _visible(ctx, resource) and super()._indexed(ctx, resource)

    async def of_flow(self, request: web.Request) -> web.Response:
        """``GET /flows/{id}/runs``."""
        ctx = context(request)
        id = request.match_info["id"]
        if ctx.sandbox.stores["flows"].get(id, ctx.now) is None:
            raise errors.flow("FLOW-1430-400", "Flow not found", f"No flow {id}", resource="flows", id=id)
        of_flow = (r for r in self.store(ctx).living(ctx.now) if r.body["flowId"] == id)
        runs = [self.item(ctx, run) for run in of_flow if _visible(ctx, run)]
        return answer({"items": runs, "_links": {}})

    async def start(self, request: web.Request) -> web.Response:
        """An on-demand run, for one-time flows only (platform.md 7.2)."""
        ctx = context(request)
        body = self._object(await read_json(request))
        id = str(body.get("flowId"))
        flow = ctx.sandbox.stores["flows"].get(id, ctx.now)
        if flow is None:
            raise errors.flow("FLOW-1430-400", "Flow not found", f"No flow {id}", resource="flows", id=id)
        if flow.state != "enabled":
            raise provider_error(ctx, "1388-400", "Flow not enabled", f"The flow's state is {flow.state}")
        window = _window(ctx, flow, body.get("params"))
        if ctx.state.runs_itself(ctx.sandbox, flow):
            run = _queue(ctx, flow, window, _start_time(ctx, body["params"]))
        else:
            run = begin(ctx, flow, RunOutcome(state="queued"), window)
        run.body["params"] = copy.deepcopy(body["params"])
        short = reference(run)
        return answer(short if ctx.switches.createRunAnswer == "flat" else {"items": [short]}, 201)

    async def put(self, request: web.Request) -> web.Response:
        """Runs are written by providers only (platform.md 2.3, 1427)."""
        ctx = context(request)
        run = self.find(ctx, request.match_info["id"])
        match_etag(ctx, request, run)
        raise errors.flow("FLOW-1427-400", "Not allowed", "This token may not update flow runs")

    async def action(self, request: web.Request) -> web.Response:
        """Retry the window of a run that failed, or that ingested nothing (platform.md 7.3)."""
        ctx = context(request)
        run = self.find(ctx, request.match_info["id"])
        match_etag(ctx, request, run, required=False)
        if operation(request) != "RE_TRIGGER":
            raise errors.flow("FLOW-1402-400", "Not allowed", "Only re-trigger is allowed")
        flow = ctx.sandbox.stores["flows"].get(run.body["flowId"], ctx.now)
        if flow is None or flow.state != "enabled":
            raise provider_error(ctx, "1388-400", "Flow not enabled", "The flow must be enabled")
        is_once = frequency(flow.body["scheduleParams"]) == "once"
        if not _retryable(run) or (is_once and ctx.switches.retryOfOnce == "refused"):
            raise provider_error(ctx, "1387-400", "Invalid run state", f"The run's state is {run.state}")
        window = run.extra.get("window")
        if ctx.state.runs_itself(ctx.sandbox, flow):
            return answer(reference(_queue(ctx, flow, window, ctx.now)))
        return answer(reference(begin(ctx, flow, RunOutcome(state="queued"), window)))


def begin(
    ctx: Context, flow: Resource, outcome: RunOutcome, window: tuple[float, float] | None = None
) -> Resource:
    """A run of ``flow``, ended or not as ``outcome`` says."""
    window = window or _next_window(ctx, flow)
    body = {
        "flowId": flow.id,
        "flowSpec": dict(flow.body["flowSpec"]),
        "providerRefId": f"{flow.id}:{uuid.uuid4()}",
    }
    run = ctx.sandbox.stores["runs"].create(body, "queued", ctx.author, ctx.now)
    run.extra["window"] = window
    report(ctx, run, flow, outcome)
    return run


def report(
    ctx: Context, run: Resource, flow: Resource, outcome: RunOutcome, files: FileSummary | None = None
) -> str | None:
    """Write a run's metrics, and what the flow shows of it; returns the batch of a run that is over."""
    over = outcome.state not in ("inProgress", "queued")
    rows, size = _offered(ctx, flow) if over else (0, 0)
    batch = _batch(ctx, flow, outcome) if over else None
    began = run.extra.setdefault("started", ctx.now - (outcome.durationSeconds if over else 0))
    measured = Measured(rows, size, batch, began, run.extra["window"], files)
    run.state = "success" if outcome.state == "partial" else outcome.state
    run.body["metrics"] = metrics(outcome, measured, ctx.switches)
    run.body["activities"] = activities(outcome, measured, ctx.switches)
    run.touch(ctx.now)
    last = {"id": run.id, "state": status(outcome, ctx.switches), "startedAtUTC": milliseconds(began)}
    if over:
        last["completedAtUTC"] = milliseconds(began + outcome.durationSeconds)
    flow.extra["lastRunDetails"] = last
    if batch is not None and outcome.refusedRows:
        refused = list(outcome.refusedRows)
        ctx.sandbox.diagnostics[batch] = Diagnostics(ctx.now, [], [], conversion_errors=refused)
    if batch is not None:
        _count(ctx.sandbox.batches[batch], run.body["metrics"])
    return batch


def _count(batch: Body, metrics: Body) -> None:
    """What Catalog tells of the batch's content (landing-zone.md C)."""
    records, sizes, files = (metrics[f"{name}Summary"] for name in ("record", "size", "file"))
    batch["metrics"] = {
        "inputByteSize": sizes["inputBytes"],
        "inputFileCount": files["inputFileCount"],
        "inputRecordCount": records["inputRecordCount"],
        "outputRecordCount": records["outputRecordCount"],
        "failedRecordCount": records["failedRecordCount"],
    }
    if errors := metrics["statusSummary"]["errors"]:
        batch["errors"] = [{"code": e["code"], "description": e["message"]} for e in errors]


def _queue(ctx: Context, flow: Resource, window: tuple[float, float] | None, at: float) -> Resource:
    """A run on demand, or a retry: it takes what is in its window when it begins."""
    run = begin(ctx, flow, RunOutcome(state="queued"), window)
    run.extra["visibleAt"] = at + ctx.switches.runVisibleSeconds
    ctx.sandbox.pending.append(PendingRun(at, run.id))
    return run


def _start_time(ctx: Context, params: Body) -> float:
    """When an on-demand run begins."""
    scale = 1000 if ctx.switches.runTimes == "milliseconds" else 1
    return max(ctx.now, (integer(params.get("startTime")) or 0) / scale)


def _reads_files(flow: Resource) -> bool:
    return bool(flow.body["flowSpec"]["id"] == CLOUD_STORAGE_FLOW_SPEC)


def _visible(ctx: Context, run: Resource) -> bool:
    return bool(run.extra.get("visibleAt", 0) <= ctx.now)


def _offered(ctx: Context, flow: Resource) -> tuple[int, int]:
    """Rows of the flow's table and their size in bytes; nothing if the source lets nobody in."""
    try:
        rows = tables.rows(ctx, flow)
    except (SourceError, KeyError):
        return 0, 0
    return len(rows), len(json.dumps(rows, default=str))


def _batch(ctx: Context, flow: Resource, outcome: RunOutcome) -> str:
    """The batch that the run wrote, in Catalog too (platform.md 9)."""
    dataset = flow.extra["target"]["params"]["dataSetId"]
    id = f"01{uuid.uuid4().hex[:24].upper()}"
    state = "failure" if outcome.state == "failed" else "success"
    now = milliseconds(ctx.now)
    ctx.sandbox.batches[id] = {
        "status": state,
        "imsOrg": ctx.state.organization,
        "relatedObjects": [{"type": "dataSet", "id": dataset}],
        "created": now,
        "updated": now,
        "completed": now,
    }
    if dataset in ctx.sandbox.datasets:
        ctx.sandbox.datasets[dataset] |= {"lastBatchId": id, "lastBatchStatus": state}
    return id


def _next_window(ctx: Context, flow: Resource) -> tuple[float, float]:
    """From where the last run ended, or where a flow that was disabled may begin (platform.md 16.3.7)."""
    since: float = flow.extra.get("windowEnd", flow.created_at)
    if ctx.switches.windowAfterPause == "skip":
        since = max(since, flow.extra.get("enabledAt", since))
    flow.extra["windowEnd"] = ctx.now
    return since, ctx.now


def _window(ctx: Context, flow: Resource, params: Any) -> tuple[float, float]:
    """The window of an on-demand run; raises the refusals 1382 to 1386."""
    if frequency(flow.body["scheduleParams"]) != "once":
        detail = "On-demand runs are for flows with the frequency once"
        raise provider_error(ctx, "1386-400", "Frequency not supported", detail)
    names = ("startTime", "windowStartTime", "windowEndTime")
    times = [integer(params.get(name)) for name in names] if isinstance(params, dict) else [None]
    if not isinstance(params, dict) or None in times:
        raise provider_error(ctx, "1384-400", "Invalid params", f"{', '.join(names)} are required")
    start, end = (int(t) for t in times[1:] if t is not None)
    if end < start:
        raise provider_error(ctx, "1381-400", "Invalid window", "windowEndTime is before windowStartTime")
    if _reads_files(flow):
        if "deltaColumn" in params and ctx.switches.fileRunDeltaColumn == "refused":
            raise provider_error(ctx, "1384-400", "Invalid params", "Files have no deltaColumn")
    else:
        _check_delta_column(ctx, flow, params.get("deltaColumn"))
    scale = 1000 if ctx.switches.runTimes == "milliseconds" else 1
    return start / scale, end / scale


def _check_delta_column(ctx: Context, flow: Resource, column: Any) -> None:
    """Needed once; it then stays in the flow's Copy (platform.md 7.2)."""
    known = transformations.delta_column(flow.body.get("transformations"))
    name = column.get("name") if isinstance(column, dict) else None
    if known is None and name is None:
        raise provider_error(ctx, "1383-400", "Delta column missing", "deltaColumn is required")
    if known is not None and name not in (None, known["name"]):
        raise provider_error(ctx, "1382-400", "Delta column differs", f"The flow uses {known['name']}")
    if known is None:
        flow.body.setdefault("transformations", []).insert(
            0, {"name": "Copy", "params": {"deltaColumn": dict(column)}}
        )


def _retryable(run: Resource) -> bool:
    if run.state == "failed":
        return True
    records = run.body.get("metrics", {}).get("recordSummary", {})
    return run.state == "success" and records.get("outputRecordCount") == 0
