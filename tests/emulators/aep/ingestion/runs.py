"""The runs of flows that run by themselves, on the emulators' clock (landing-zone.md K.4, platform.md 7)."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable
from dataclasses import dataclass

from tests.emulators.aep.dataprep import mapping_sets
from tests.emulators.aep.flowservice import runs, transformations
from tests.emulators.aep.flowservice.metrics import FileSummary, RunError, RunOutcome
from tests.emulators.aep.flowservice.schedule import integer
from tests.emulators.aep.gateway import Context
from tests.emulators.aep.ingestion import schedule
from tests.emulators.aep.ingestion.ingest import MESSAGES, Ingested, Input
from tests.emulators.aep.ingestion.offers import CopyFailed, Look, Offer, offered
from tests.emulators.aep.resource import Author, Resource
from tests.emulators.aep.state import AepState, Diagnostics, PendingRun, Sandbox
from tests.emulators.blob.azurite import CONTAINER

_SYSTEM = Author("acp_foundation_connectors@AdobeID", "acp_foundation_connectors")
_RUNNING = ("enabled", "enabled-finalizing", "updating")
_PROFILE_TAG = "unifiedProfile"


@dataclass
class _Task:
    """A run that begins at the time of ``ctx`` with what is offered to it."""

    ctx: Context
    flow: Resource
    run: Resource
    offer: Offer


class Ingestion:
    """Works off what is due: ticks, starts and ends of runs, in the order of their times."""

    def __init__(self, state: AepState) -> None:
        self._state = state
        self._working = asyncio.Lock()

    async def settle(self) -> None:
        """Everything that was due by now. To be called before anybody looks, writes or changes the clock."""
        if not any(self._due(sandbox) for sandbox in self._state.sandboxes.values()):
            return
        async with self._working:
            for sandbox in list(self._state.sandboxes.values()):
                await self._work_off(sandbox)

    async def run_now(self, sandbox: Sandbox, flow: Resource) -> Resource | None:
        """A tick at this moment that ends at once; None if there is nothing to take."""
        async with self._working:
            now = self._state.now()
            run = await self._tick(sandbox, flow, now, Look(self._state, sandbox), seconds=0)
            if run is not None:
                run.extra["visibleAt"] = now
                pending = next(p for p in sandbox.pending if p.run == run.id)
                await self._step(sandbox, pending, now)
            return run

    def _due(self, sandbox: Sandbox) -> bool:
        return self._next(sandbox)[0] <= self._state.now()

    def _next(self, sandbox: Sandbox) -> tuple[float, PendingRun | Resource | None]:
        """The earliest of what is to come: a step of a run, or the tick of a flow."""
        now = self._state.now()
        found: tuple[float, PendingRun | Resource | None] = (schedule.NEVER, None)
        for pending in sandbox.pending:
            if pending.at < found[0]:
                found = pending.at, pending
        for id in self._state.self_running(sandbox):
            flow = sandbox.stores["flows"].get(id, now)
            if flow is not None and flow.state != "draft":
                listing = schedule.next_tick(flow) + schedule.LISTED_AFTER
                found = min(found, (listing, flow), key=lambda event: event[0])
        return found

    async def _work_off(self, sandbox: Sandbox) -> None:
        look = Look(self._state, sandbox)
        while True:
            at, what = self._next(sandbox)
            if at > self._state.now() or what is None:
                return
            if isinstance(what, PendingRun):
                await self._step(sandbox, what, at)
                continue
            tick = what.extra["ticked"] = schedule.next_tick(what)
            if what.state in _RUNNING:
                await self._tick(sandbox, what, tick, look)

    async def _tick(
        self, sandbox: Sandbox, flow: Resource, at: float, look: Look, seconds: float | None = None
    ) -> Resource | None:
        """A run of what came since the last one; where nothing came there may be none (K.4)."""
        switches = self._state.switches
        window = schedule.window(flow, switches, float(int(at)))
        ctx = Context(self._state, sandbox, _SYSTEM, at)
        offer = await offered(ctx, flow, window, look)
        if offer.skipped:
            return None
        flow.extra["windowEnd"] = window[1]
        run = runs.begin(ctx, flow, RunOutcome(state="inProgress"), window)
        run.extra["visibleAt"] = at + switches.runVisibleSeconds
        sandbox.pending.append(await _read(_Task(ctx, flow, run, offer), seconds))
        return run

    async def _step(self, sandbox: Sandbox, pending: PendingRun, at: float) -> None:
        """A run begins, or it ends."""
        sandbox.pending.remove(pending)
        run = sandbox.stores["runs"].get(pending.run, at)
        flow = sandbox.stores["flows"].get(run.body["flowId"], at) if run else None
        if run is None or flow is None:
            return
        ctx = Context(self._state, sandbox, _SYSTEM, at)
        if pending.finish is not None:
            pending.finish(ctx, run, flow)
            return
        runs.report(ctx, run, flow, RunOutcome(state="inProgress"))
        offer = await offered(ctx, flow, run.extra["window"], Look(self._state, sandbox))
        sandbox.pending.append(await _read(_Task(ctx, flow, run, offer)))


async def _read(task: _Task, seconds: float | None = None) -> PendingRun:
    """Read what is offered now; what came of it shows when the run ends."""
    seconds = task.ctx.switches.fileRunSeconds if seconds is None else seconds
    try:
        found = await task.offer.ingested(_input(task.ctx.sandbox, task.flow, task.ctx.state))
        task.flow.extra["header"] = found.header
        finish = _ending(found, task.flow, seconds)
    except CopyFailed as failed:
        finish = _failing(failed.error, seconds)
    return PendingRun(task.ctx.now + seconds, task.run.id, finish)


Finish = Callable[[Context, Resource, Resource], None]


def _input(sandbox: Sandbox, flow: Resource, state: AepState) -> Input:
    params = (transformations.named(flow.body["transformations"], "Mapping") or {})["params"]
    version = integer(params.get("mappingVersion", 0)) or 0
    mapping_set = mapping_sets.find(sandbox, params["mappingId"], version) or {}
    schema, major = mapping_sets.output_schema(mapping_set)
    dataset = sandbox.datasets.get(flow.extra["target"]["params"]["dataSetId"], {})
    profile = "enabled:true" in [t.replace(" ", "") for t in dataset.get("tags", {}).get(_PROFILE_TAG, [])]
    return Input(
        properties=flow.extra["source"]["data"].get("properties") or {},
        mappings=copy.deepcopy(mapping_set["mappings"]),
        document=sandbox.schemas[str(schema)][major or 1],
        identity=_primary_identity(sandbox, str(schema)) if profile else None,
        header=flow.extra.get("header"),
        switches=state.switches.model_copy(),
    )


def _primary_identity(sandbox: Sandbox, schema: str) -> str | None:
    """The path of the field without which Profile takes no row."""
    for descriptor in sandbox.descriptors.values():
        if descriptor.get("xdm:isPrimary") is True and descriptor.get("xdm:sourceSchema") == schema:
            return str(descriptor["xdm:sourceProperty"]).strip("/").replace("/", ".")
    return None


def _failing(error: RunError, seconds: float) -> Finish:
    outcome = RunOutcome(state="failed", durationSeconds=seconds, errors=[error])

    def finish(ctx: Context, run: Resource, flow: Resource) -> None:
        runs.report(ctx, run, flow, outcome)

    return finish


def _ending(found: Ingested, flow: Resource, seconds: float) -> Finish:
    """What the run reports at its end, and the rows that the lake then holds."""
    options = flow.body.get("options") or {}
    failed = found.failed.total()
    share = 100 * failed / found.read if found.read else 0
    too_many = failed > 0 and share > float(options.get("partialIngestionPercent") or 0)
    nothing_read = bool(found.unreadable) and len(found.unreadable) == len(found.files)
    lost = too_many or nothing_read
    errors = _errors(found, diagnosed=str(options.get("errorDiagnosticsEnabled")).lower() == "true")
    outcome = RunOutcome(
        state="failed" if lost else "partial" if errors else "success",
        inputRecordCount=found.read,
        outputRecordCount=0 if lost else len(found.rows),
        failedRecordCount=failed,
        inputBytes=found.size,
        outputBytes=0 if lost else found.size,
        durationSeconds=seconds,
        errors=errors,
    )
    summary = FileSummary(
        read=len(found.files),
        failed=len(found.unreadable),
        warnings=found.warnings,
    )

    def finish(ctx: Context, run: Resource, flow: Resource) -> None:
        batch = runs.report(ctx, run, flow, outcome, summary)
        sandbox = ctx.sandbox
        sandbox.diagnostics[str(batch)] = Diagnostics(
            at=ctx.now,
            files=[_manifest_path(name, ctx) for name in found.files],
            parsing_errors=found.parsing_errors,
            conversion_errors=found.conversion_errors,
        )
        if not lost:
            dataset = sandbox.lake.setdefault(flow.extra["target"]["params"]["dataSetId"], [])
            for row in found.rows:
                row.batch, row.run = str(batch), run.id
            dataset += found.rows

    return finish


def _errors(found: Ingested, *, diagnosed: bool) -> list[RunError]:
    unreadable = [
        RunError(code="CONNECTOR-2001-500", message=f"{name}: {reason}")
        for name, reason in found.unreadable.items()
    ]
    if not found.failed:
        return unreadable
    total = found.failed.total()
    if not diagnosed:
        message = "Encountered errors while parsing, converting or otherwise validating the data."
        return [*unreadable, RunError(code="INGEST-1211-400", message=message)]
    message = f"Encountered {total} errors in the data. Successfully ingested {len(found.rows)} rows."
    each = [
        RunError(code=code, message=MESSAGES[code], recordCount=count) for code, count in found.failed.items()
    ]
    return [*unreadable, RunError(code="INGEST-1212-400", message=message), *each]


def _manifest_path(name: str, ctx: Context) -> str:
    """How a manifest names a file is unknown."""
    match ctx.switches.manifestPath:
        case "container":
            return f"{CONTAINER}/{name}"
        case "name":
            return name.rsplit("/", 1)[-1]
        case _:
            return name
