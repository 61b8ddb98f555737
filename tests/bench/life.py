"""What follows once many dataflows are Ready: a restart, polls in which nothing, one thing or everything has
changed, and new objects beside all of that.
"""

from __future__ import annotations

import asyncio
import json
import math
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp

from hack.console import say
from tests.bench.distribution import Row, distribution
from tests.bench.load import NAMESPACE, Watched, create, dataflow
from tests.bench.stage import OURS, Reading, Stage

DEFAULT_POLL_SECONDS = 300.0
LATENCIES = 20
PAGE = 100
"""Objects that one call lists (platform.md 1.4)."""
LISTED = ("connections", "sourceConnections", "targetConnections", "flows", "runs")
_SHORTEST_POLL_SECONDS, _POLL_SECONDS_FOR_EACH = 20.0, 0.01
_AT_ONCE = 20


async def live(
    place: Stage, session: aiohttp.ClientSession, watched: Watched, flows: int, connections: int
) -> Row:
    """All of it, one after the other."""
    life = _Life(place, session, watched, flows, connections)
    return {
        "restart": await life.restart(),
        "quiet": await life.quiet(),
        "change": await life.change(),
        "busy": await life.busy(),
        "latency": await life.latencies(),
    }


@dataclass
class _Life:
    place: Stage
    session: aiohttp.ClientSession
    watched: Watched
    flows: int
    connections: int

    @property
    def poll_seconds(self) -> float:
        """Shorter than the default, and long enough to change everything between two polls."""
        return max(_SHORTEST_POLL_SECONDS, self.flows * _POLL_SECONDS_FOR_EACH)

    async def restart(self) -> Row:
        """An orderly end and a new start, at which somebody applies one more."""
        await asyncio.sleep(3)
        self.place.stop_operator()
        before = await self.place.reading(self.session)
        ready = self.place.start_operator(CRMFLOW_POLL_INTERVAL=f"{self.poll_seconds:g}s")
        began = time.time()
        await create(self.session, dataflow(self.flows, self.connections))
        await self.watched.until(lambda: len(self.watched.ready_at) == self.flows + 1, 300)
        first = time.time() - began
        await asyncio.sleep(15)
        spent = before.until(await self.place.reading(self.session))
        tokens = _calls(spent, "/ims/token/v3", "/oauth/v2/token")
        say(f"restart: ready in {ready:.1f} s, {spent.remote.total()} calls, first new object {first:.1f} s")
        return {
            "ready": ready,
            "first": first,
            "calls": spent.remote.total(),
            "writes": spent.writes.total(),
            "tokens": tokens,
            "cpu": spent.cpu["operator"],
            "memory": self.place.memory(),
        }

    async def quiet(self) -> Row:
        """Polls in which nothing has changed."""
        before = await self.place.reading(self.session)
        await asyncio.sleep(3 * self.poll_seconds)
        spent = before.until(await self.place.reading(self.session))
        polls = max(1, _calls(spent, "/runs"))
        cpu = spent.cpu["operator"] / polls
        calls = spent.remote.total() / polls
        say(f"quiet poll: {calls:.0f} calls, {spent.writes.total()} writes, {cpu:.2f} s CPU")
        return {
            "polls": polls,
            "calls": calls,
            "pages": _calls(spent, *(f"/{name}" for name in LISTED)) / polls,
            "writes": spent.writes.total(),
            "cpu": cpu,
            "share": cpu / DEFAULT_POLL_SECONDS,
            "memory": self.place.memory(),
        }

    async def change(self) -> Row:
        """Somebody renames one flow in Platform, just after a poll."""
        name = f"flow-{self.flows // 2:05}"
        path = f"/aep/sandboxes/prod/flows/{self.watched.flow_ids[name]}"

        def rename() -> None:
            self.place.control.patch(path, body={"name": "renamed by somebody"})

        found = await self._told(rename, lambda: name in self.watched.changed_at)
        say(f"one change: {found['seconds']:.1f} s, {found['calls']} calls, {found['writes']} writes")
        return found

    async def busy(self) -> Row:
        """Each flow has run once between two polls."""
        names = [f"flow-{number:05}" for number in range(self.flows)]
        flow_ids = [self.watched.flow_ids[name] for name in names]

        def run() -> None:
            for flow_id in flow_ids:
                self.place.control.post("/aep/runs", flowId=flow_id, state="success", inputRecordCount=1)

        found = await self._told(run, lambda: all(self.watched.runs.get(name) for name in names))
        await asyncio.sleep(5)
        twice = sum(self.watched.runs[name] != 1 for name in names)
        found |= {"counted": sum(self.watched.runs[name] for name in names), "twice": twice}
        say(
            f"{self.flows} new runs: told {found['seconds']:.1f} s after they ended, {found['calls']} calls, "
            f"{found['writes']} writes, {found['cpu']:.1f} s CPU, {found['counted']} counted"
        )
        return found

    async def _told(self, happen: Callable[[], None], is_told: Callable[[], bool]) -> Row:
        """What it costs until statuses tell of what happens between two polls."""
        await self._poll_ends()
        before = await self.place.reading(self.session)
        await asyncio.to_thread(happen)
        happened = time.time()
        await self.watched.until(is_told, 4 * self.poll_seconds + 600)
        seconds = time.time() - happened
        await asyncio.sleep(2)
        spent = before.until(await self.place.reading(self.session))
        return {
            "seconds": seconds,
            "poll": self.poll_seconds,
            "polls": _calls(spent, "/connections"),
            "calls": spent.remote.total(),
            "pages": self._pages(),
            "writes": spent.writes.total(),
            "cpu": spent.cpu["operator"],
        }

    def _pages(self) -> int:
        """Of a poll, by what there is: one more if a listing ends with a full page is not counted."""
        collections = (self.connections, *[self.flows + 1] * 3)
        return sum(math.ceil(count / PAGE) for count in collections) + 1

    async def _poll_ends(self) -> None:
        """Wait for the end of the next poll: runs are listed last."""
        polls = _calls(await self.place.reading(self.session), "/runs")
        deadline = time.monotonic() + 3 * self.poll_seconds
        while _calls(await self.place.reading(self.session), "/runs") == polls:
            if time.monotonic() > deadline:
                raise TimeoutError("no poll")
            await asyncio.sleep(0.2)
        await asyncio.sleep(1)

    async def latencies(self) -> Row:
        """How long a new object, an edit and a deletion take beside polls."""
        begun = self.flows + 1
        lives = [await self._life_of(number) for number in range(begun, begun + LATENCIES)]
        found = dict(zip(("create", "edit", "delete"), map(list, zip(*lives, strict=True)), strict=True))
        for what, values in found.items():
            say(f"{what}: median {statistics.median(values):.2f} s, worst {max(values):.2f} s")
        return {what: distribution(values) for what, values in found.items()}

    async def _life_of(self, number: int) -> tuple[float, float, float]:
        """Seconds until a new object is Ready, until it is so again after an edit, and until it is gone."""
        obj = dataflow(number, self.connections)
        name = obj["metadata"]["name"]
        path = f"{OURS}/namespaces/{NAMESPACE}/crmdataflows/{name}"
        rename = {"spec": {"displayName": f"Renamed {number}"}}

        def is_ready() -> bool:
            return name in self.watched.ready_at

        created = await self._takes(create(self.session, obj), is_ready)
        self.watched.ready_at.pop(name)
        edited = await self._takes(self._patch(path, rename), is_ready)
        deleted = await self._takes(self._delete(path), lambda: name not in self.watched.present)
        return created, edited, deleted

    async def _takes(self, work: Awaitable[None], is_done: Callable[[], bool]) -> float:
        begun = time.time()
        await work
        await self.watched.until(is_done, 120)
        return time.time() - begun

    async def _patch(self, path: str, patch: Any) -> None:
        content = {"Content-Type": "application/merge-patch+json"}
        async with self.session.patch(path, data=json.dumps(patch), headers=content) as answer:
            answer.raise_for_status()

    async def _delete(self, path: str) -> None:
        async with self.session.delete(path) as answer:
            answer.raise_for_status()


def _calls(spent: Reading, *ends: str) -> int:
    """Calls whose path ends so, without its query."""
    return sum(count for call, count in spent.remote.items() if call.partition("?")[0].endswith(ends))
