"""The rows of the table: what is measured, and how."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path

from hack.console import ToolError, say
from hack.install import ROOT
from tests.bench import writes
from tests.bench.distribution import Row, curve, distribution
from tests.bench.life import live
from tests.bench.load import Watched, create_all, create_namespace, dataflow, prepare
from tests.bench.stage import Reading, Stage, stage

READY_SECONDS = 3 * 3600.0
MOST_CONNECTIONS = 100


def connections_of(flows: int) -> int:
    """Ten dataflows for each connection, up to a hundred connections."""
    return min(MOST_CONNECTIONS, max(1, flows // 10))


def script(directory: Path, flows: int, way: str, latency: float) -> Row:
    """One of the scripts, on emulators of its own."""
    with stage(directory) as place:
        place.answer_after(latency)
        command = [sys.executable, "-m", "tests.bench.procedure", str(directory / "emulators.json")]
        command += [str(flows), str(connections_of(flows)), way]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ToolError(done.stderr[-2000:])
        row: Row = json.loads(done.stdout)
        calls = sum(entry["count"] for entry in place.control.get("/exchanges")["exchanges"])
        say(f"{way}, {flows} dataflows, {latency:g} s: {row['seconds']:.1f} s")
        return {**row, "calls": calls / flows, "latency": latency}


def bulk(directory: Path, flows: int, latency: float, *, life: bool = True) -> Row:
    """Apply ``flows`` dataflows and wait until all are Ready; with ``life``, also what follows."""
    with stage(directory) as place:
        place.answer_after(latency)
        place.start_operator()
        return asyncio.run(_bulk(place, flows, latency, life=life))


async def _bulk(place: Stage, flows: int, latency: float, *, life: bool) -> Row:
    connections = connections_of(flows)
    async with place.api() as session:
        await prepare(place, session, connections)
        watched = Watched()
        watch = asyncio.create_task(watched.follow(session, "crmdataflows"))
        before = await place.reading(session)
        begun = time.time()
        await create_all(session, (dataflow(number, connections) for number in range(flows)))
        applied = time.time() - begun
        await _all_ready(watched, flows)
        spent = before.until(await place.reading(session))
        seconds = max(watched.ready_at.values()) - begun
        row = _told(spent, flows, seconds, latency)
        row |= {"applied": applied, "memory": place.memory(), "settled": _settled(place, watched)}
        row["ready"] = curve([at - begun for at in watched.ready_at.values()])
        say(
            f"bulk, {flows} dataflows, {latency:g} s: {seconds:.1f} s, {row['calls']:.2f} calls, "
            f"{row['writes']:.2f} writes, {row['cpu']['operator']:.1f} ms CPU each; "
            f"p99 after creation {row['settled']['p99']:.1f} s; {row['memory']['peak']:.0f} MiB"
        )
        if life:
            row["life"] = await live(place, session, watched, flows, connections)
        watch.cancel()
        return row


def alone(directory: Path, flows: int) -> Row:
    """The same writes to the API server by a bare client, which asks no remote service: what no operator that
    makes them can be faster than, on this machine.
    """
    with stage(directory) as place:
        return asyncio.run(_alone(place, flows))


async def _alone(place: Stage, flows: int) -> Row:
    async with place.api() as session:
        await create_namespace(session)
        before = await place.reading(session)
        begun = time.monotonic()
        await writes.make(session, (dataflow(number, connections_of(flows)) for number in range(flows)))
        seconds = time.monotonic() - begun
        spent = before.until(await place.reading(session))
    row = _told(spent, flows, seconds, 0.0)
    say(f"the writes alone, {flows} dataflows: {seconds:.1f} s, {row['writes']:.2f} writes each")
    return {**row, "cpu": {**row["cpu"], "operator": 0.0}}


async def _all_ready(watched: Watched, flows: int) -> None:
    """Tell of the progress until all are Ready."""
    deadline, told = time.monotonic() + READY_SECONDS, time.monotonic()
    while len(watched.ready_at) < flows:
        if time.monotonic() > deadline:
            raise ToolError(f"{len(watched.ready_at)} of {flows} were Ready after {READY_SECONDS:.0f} s")
        if time.monotonic() - told > 30:
            told = time.monotonic()
            say(f"{len(watched.ready_at)} of {flows} are Ready")
        await asyncio.sleep(0.05)


def _settled(place: Stage, watched: Watched) -> Row:
    """From a flow's creation in Platform until its resource was seen Ready."""
    flows = place.control.get("/aep")["sandboxes"]["prod"]["flows"]
    entries = flows.values() if isinstance(flows, dict) else flows
    created = {flow["id"]: flow["createdAt"] / 1000 for flow in entries}
    names = {flow_id: name for name, flow_id in watched.flow_ids.items()}
    return distribution(
        [watched.ready_at[names[flow_id]] - at for flow_id, at in created.items() if flow_id in names]
    )


def _told(spent: Reading, flows: int, seconds: float, latency: float) -> Row:
    ours = {name: count for name, count in spent.writes.items() if not name.startswith("POST crmdataflows")}
    return {
        "flows": flows,
        "connections": connections_of(flows),
        "latency": latency,
        "seconds": seconds,
        "calls": spent.remote.total() / flows,
        "writes": sum(ours.values()) / flows,
        "cpu": {name: 1000 * value / flows for name, value in spent.cpu.items()},
        "remote": {name: count / flows for name, count in spent.remote.most_common(20)},
        "kubernetes": {name: count / flows for name, count in ours.items()},
    }
