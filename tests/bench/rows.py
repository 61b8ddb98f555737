"""The rows of the table: what is measured, and how."""

from __future__ import annotations

import asyncio
import json
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hack.console import ToolError, say
from hack.install import ROOT
from tests.bench.load import NAMESPACE, Watched, create, create_all, dataflow, prepare
from tests.bench.stage import OURS, Reading, Stage, stage

Row = dict[str, Any]
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
        row["ready"] = _curve([at - begun for at in watched.ready_at.values()])
        say(
            f"bulk, {flows} dataflows, {latency:g} s: {seconds:.1f} s, {row['calls']:.2f} calls, "
            f"{row['writes']:.2f} writes, {row['cpu']['operator']:.1f} ms CPU each; "
            f"p99 after creation {row['settled']['p99']:.1f} s; {row['memory']['peak']:.0f} MiB"
        )
        if life:
            row["life"] = await _life(place, session, watched, flows)
        watch.cancel()
        return row


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


async def _life(place: Stage, session: Any, watched: Watched, flows: int) -> Row:
    """A restart, polls in which nothing has changed, one change, and new objects beside all of that."""
    connections = connections_of(flows)
    await asyncio.sleep(3)
    place.stop_operator()
    before = await place.reading(session)
    ready = place.start_operator(CRMFLOW_POLL_INTERVAL=f"{POLL_SECONDS:g}s")
    began = time.time()
    await create(session, dataflow(flows, connections))
    await watched.until(lambda: len(watched.ready_at) == flows + 1, 300)
    first = time.time() - began
    await asyncio.sleep(15)
    spent = before.until(await place.reading(session))
    tokens = sum(n for call, n in spent.remote.items() if call.endswith(("/ims/token/v3", "/oauth/v2/token")))
    restart = {
        "ready": ready,
        "first": first,
        "calls": spent.remote.total(),
        "writes": spent.writes.total(),
        "tokens": tokens,
        "cpu": spent.cpu["operator"],
        "memory": place.memory(),
    }
    say(f"restart: ready in {ready:.1f} s, {spent.remote.total()} calls, first new object {first:.1f} s")
    before = await place.reading(session)
    polls = 3
    await asyncio.sleep(polls * POLL_SECONDS)
    spent = before.until(await place.reading(session))
    pages = sum(n for call, n in spent.remote.items() if call.split("/")[-1] in LISTED)
    counted = max(1, round(sum(n for call, n in spent.remote.items() if call.endswith("/runs"))))
    quiet = {
        "polls": counted,
        "calls": spent.remote.total() / counted,
        "pages": pages / counted,
        "writes": spent.writes.total(),
        "cpu": spent.cpu["operator"] / counted,
        "share": spent.cpu["operator"] / counted / DEFAULT_POLL_SECONDS,
        "memory": place.memory(),
    }
    say(f"quiet poll: {quiet['calls']:.0f} calls, {quiet['writes']} writes, {quiet['cpu']:.2f} s CPU")
    latencies = await _latencies(session, watched, flows + 1, connections)
    return {"restart": restart, "quiet": quiet, "latency": latencies}


async def _latencies(session: Any, watched: Watched, first: int, connections: int) -> Row:
    """How long a new object, an edit and a deletion take beside polls."""
    found: dict[str, list[float]] = {"create": [], "edit": [], "delete": []}
    for number in range(first, first + LATENCIES):
        name = f"flow-{number:05}"
        begun = time.time()
        await create(session, dataflow(number, connections))
        await watched.until(lambda name=name: name in watched.ready_at, 120)
        found["create"].append(time.time() - begun)
        path = f"{OURS}/namespaces/{NAMESPACE}/crmdataflows/{name}"
        begun = time.time()
        content = {"Content-Type": "application/merge-patch+json"}
        patch = json.dumps({"spec": {"displayName": f"Renamed {number}"}})
        watched.ready_at.pop(name)
        async with session.patch(path, data=patch, headers=content) as answer:
            answer.raise_for_status()
        await watched.until(lambda name=name: name in watched.ready_at, 120)
        found["edit"].append(time.time() - begun)
        begun = time.time()
        async with session.delete(path) as answer:
            answer.raise_for_status()
        await watched.until(lambda name=name: name not in watched.present, 120)
        found["delete"].append(time.time() - begun)
    for what, values in found.items():
        say(f"{what}: median {statistics.median(values):.2f} s, worst {max(values):.2f} s")
    return {what: distribution(values) for what, values in found.items()}


POLL_SECONDS = 20.0
DEFAULT_POLL_SECONDS = 300.0
LATENCIES = 20
LISTED = ("connections", "sourceConnections", "targetConnections", "flows", "runs")


def _settled(place: Stage, watched: Watched) -> Row:
    """From a flow's creation in Platform until its resource was seen Ready."""
    flows = place.control.get("/aep")["sandboxes"]["prod"]["flows"]
    entries = flows.values() if isinstance(flows, dict) else flows
    created = {flow["id"]: flow["createdAt"] / 1000 for flow in entries}
    names = {flow_id: name for name, flow_id in watched.flow_ids.items()}
    return distribution(
        [watched.ready_at[names[flow_id]] - at for flow_id, at in created.items() if flow_id in names]
    )


def distribution(values: Sequence[float]) -> Row:
    """Median, 99th percentile and the greatest, with the curve."""
    ordered = sorted(values)
    return {
        "median": statistics.median(ordered),
        "p99": ordered[max(0, math.ceil(len(ordered) * 0.99) - 1)],
        "worst": ordered[-1],
        "curve": _curve(ordered),
    }


def _curve(values: Sequence[float]) -> list[float]:
    """Up to 101 points of a distribution, from the least to the greatest."""
    ordered, most = sorted(values), len(values) - 1
    return [round(ordered[round(most * share / 100)], 3) for share in range(101)]


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
