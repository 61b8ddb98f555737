"""What a run finds to ingest: files of a folder (landing-zone.md K.4), rows of a table (platform.md 6.1)."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any, Protocol

from tests.emulators.aep.flowservice import tables, transformations
from tests.emulators.aep.flowservice.metrics import RunError
from tests.emulators.aep.gateway import Context
from tests.emulators.aep.ingestion import schedule
from tests.emulators.aep.ingestion.files import chosen, prefix
from tests.emulators.aep.ingestion.ingest import Ingested, Input, ingest, ingest_rows
from tests.emulators.aep.resource import Resource
from tests.emulators.aep.state import AepState, Sandbox
from tests.emulators.core.source import SourceError

if TYPE_CHECKING:
    from tests.emulators.blob.container import Blob, Container

Window = tuple[float, float]


class CopyFailed(Exception):
    """Nothing can be read; ``error`` is what the run reports."""

    def __init__(self, error: RunError) -> None:
        super().__init__(error.message)
        self.error = error


class Offer(Protocol):
    """What is in a window."""

    @property
    def skipped(self) -> bool:
        """Whether a tick makes no run of it."""
        ...

    async def ingested(self, given: Input) -> Ingested:
        """What comes of it. Raises CopyFailed."""
        ...


class Look:
    """A sandbox's container as it is found when a flow of files first needs it."""

    def __init__(self, state: AepState, sandbox: Sandbox) -> None:
        self._blobs, self._sandbox = state.blobs, sandbox
        self._found: tuple[Container, list[Blob]] | None = None

    async def found(self) -> tuple[Container, list[Blob]]:
        """The container, and its blobs with those that have expired."""
        if self._found is None:
            container = await self._blobs.container(self._sandbox.name)
            self._found = container, await container.blobs(expired=True)
        return self._found


async def offered(ctx: Context, flow: Resource, window: Window, look: Look) -> Offer:
    """What the flow finds in the window at the time of ``ctx``."""
    if flow.id in ctx.sandbox.file_flows:
        return await _files(ctx, flow, window, look)
    try:
        return _Rows(ctx, _rows(ctx, flow, window))
    except (SourceError, KeyError):
        return _Rows(ctx, None)


# --- files ------------------------------------------------------------------------------------------------


@dataclass
class _Files:
    ctx: Context
    format: str
    container: Container
    blobs: list[Blob]

    @property
    def skipped(self) -> bool:
        return not self.blobs and self.ctx.switches.emptyRun == "none"

    async def ingested(self, given: Input) -> Ingested:
        if self.ctx.switches.fileRuns == "fail":
            raise CopyFailed(RunError())
        if self.format != "delimited":
            message = f"{self.format} files are not emulated"
            raise CopyFailed(RunError(code="CONNECTOR-2001-500", message=message))
        with ExitStack() as stack:
            opened: list[tuple[str, int, IO[bytes]]] = []
            for blob in self.blobs:
                content = stack.enter_context(tempfile.TemporaryFile())
                async for chunk in self.container.read(blob.name):
                    content.write(chunk)
                content.seek(0)
                opened.append((blob.name, blob.size, content))
            return await asyncio.to_thread(ingest, opened, given)


async def _files(ctx: Context, flow: Resource, window: Window, look: Look) -> _Files:
    source, life = flow.extra["source"], ctx.state.blobs.switches.lifeSeconds
    params = source["params"]
    container, blobs = await look.found()
    alive = [b for b in blobs if b.changed + life > ctx.now and b.name.startswith(prefix(params["path"]))]
    inside = [b for b in chosen(alive, params) if schedule.inside(b, window, ctx.switches)]
    return _Files(ctx, source["data"]["format"], container, inside)


# --- rows -------------------------------------------------------------------------------------------------


@dataclass
class _Rows:
    ctx: Context
    rows: list[dict[str, Any]] | None
    """None if the source does not give them."""

    @property
    def skipped(self) -> bool:
        return self.rows == [] and self.ctx.switches.emptySourceRun == "none"

    async def ingested(self, given: Input) -> Ingested:
        if self.rows is None:
            raise CopyFailed(RunError())
        return await asyncio.to_thread(ingest_rows, self.rows, given)


def _rows(ctx: Context, flow: Resource, window: Window) -> list[dict[str, Any]]:
    """The columns of the source connection, of the rows whose delta column is in the window; without a delta
    column, of all rows. Instants are in UTC, as every table source delivers them (platform.md 6.1).
    """
    columns = [column["name"] for column in flow.extra["source"]["params"]["columns"]]
    delta = transformations.delta_column(flow.body["transformations"])
    instants = tables.instants(ctx, flow)
    return [
        {name: _utc(row[name]) if name in instants else row[name] for name in columns}
        for row in tables.rows(ctx, flow)
        if delta is None or _inside(row[delta["name"]], window)
    ]


def _inside(value: Any, window: Window) -> bool:
    """After the window's start and not after its end; no instant at all is only in a window of everything."""
    start, end = window
    everything, at = start == schedule.BEGINNING, _instant(value)
    if at is None:
        return everything
    return (everything or start < at.timestamp()) and at.timestamp() <= end


def _utc(value: Any) -> Any:
    at = _instant(value)
    return value if at is None else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _instant(value: Any) -> datetime | None:
    """A date counts as its midnight in UTC."""
    try:
        at = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
