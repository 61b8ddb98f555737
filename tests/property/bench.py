"""The operator's real parts over an API server and the emulators, in one process, on a clock that jumps."""

from __future__ import annotations

import asyncio
import base64
import random
import time
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import httpx

from crmflow.http.client import HttpClient
from crmflow.observability.metrics import Metrics
from crmflow.runtime.controller.keys import Key
from crmflow.runtime.wiring import MANAGED_KINDS, Components
from crmflow.settings import Settings
from tests.emulators.core.server import Emulators
from tests.property.apiserver import ApiServer
from tests.unit.runtime.fakes import JumpingClock

NAMESPACE = "crm"
INSTANCE = "property"
POLL_SECONDS = 300.0
_WORKERS = 4
_CALM_SECONDS = 20.0
"""Of real time: whoever works for so long while none passes works in vain."""
_STEPS = (1.0, 2.0, 5.0, 15.0, 60.0, 120.0, POLL_SECONDS)
_LIMIT_SECONDS = 4 * 3600.0
HABITS: dict[str, tuple[Any, ...]] = {
    "indexLagSeconds": (0.0, 20.0, 45.0),
    "softDeletedInLists": (False, True),
    "deleteTransition": ("none", "finalizing"),
    "cascadeOnFlowDelete": (False, True),
    "numbersOnRead": ("strings", "numbers"),
}
"""What Platform may do either way, beside the lag that the create rule allows for."""


class EmulatorsClock(JumpingClock):
    """The emulators' time; whoever sleeps wakes when it is moved."""

    def __init__(self, emulators: Emulators) -> None:
        super().__init__()
        self._emulators = emulators

    def now(self) -> float:
        return self._emulators.clock.now()

    def jump(self, seconds: float) -> None:
        self._emulators.clock.advance(seconds)
        super().jump(0.0)


class CountedTransport(httpx.AsyncHTTPTransport):
    """Knows how many requests wait for an answer. The emulators speak plain HTTP: to read all trusted roots
    at each start would take longer than a sequence.
    """

    def __init__(self) -> None:
        super().__init__(verify=False, trust_env=False)
        self.under_way = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.under_way += 1
        try:
            return await super().handle_async_request(request)
        finally:
            self.under_way -= 1


class Bench:
    """One cluster, one operator, one sandbox."""

    def __init__(self, emulators: Emulators) -> None:
        self.emulators = emulators
        emulators.aep.reset()
        emulators.zoho.reset()
        emulators.faults.clear()
        self.server = ApiServer()
        self.clock = EmulatorsClock(emulators)
        self.components: Components
        self._busy = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._transport = CountedTransport()

    def pick_habits(self, rng: random.Random) -> str:
        """Give Platform some of its possible habits."""
        picked = {name: rng.choice(values) for name, values in HABITS.items()}
        for name, value in picked.items():
            setattr(self.emulators.aep.switches, name, value)
        return str(picked)

    async def start(self) -> None:
        """Start the operator."""
        settings = self.settings()
        metrics = Metrics()
        self._transport = CountedTransport()
        http = HttpClient(self._transport, self.clock, metrics.remote_call)
        self.components = Components(settings, self.clock, metrics, INSTANCE, self.server.port, http)
        for kind in MANAGED_KINDS.values():
            async for obj in self.server.list_objects(kind.api, None):
                self.components.handler.seen(obj)
        self.server.watcher = self._watch
        self.components.sandboxes.leader_since = self.clock.now()
        self.components.queue.open()
        self._tasks = [
            asyncio.create_task(self.components.poller.run(self.components.access.sandboxes)),
            asyncio.create_task(self.components.events.run()),
            *(asyncio.create_task(self._work()) for _ in range(_WORKERS)),
            *(asyncio.create_task(work) for work in self.further_work()),
        ]

    def settings(self, **more: Any) -> Settings:
        """Those of the operator."""
        urls = self.emulators.info()
        return Settings(
            platform_url=urls["platformUrl"],
            ims_url=urls["imsUrl"],
            zoho_accounts_url=urls["zohoAccountsUrlTemplate"],
            zoho_api_url=urls["zohoApiUrlTemplate"],
            poll_interval=POLL_SECONDS,
            **more,
        )

    def further_work(self) -> Iterable[Coroutine[Any, Any, None]]:
        """What else the operator does."""
        return ()

    async def stop(self) -> None:
        """Kill the operator, in the middle of whatever it does."""
        self.server.watcher = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._busy = 0
        await self._transport.aclose()

    async def settle(self, is_settled: Callable[[], bool]) -> bool:
        """Let time pass until ``is_settled`` and nobody works; False if that takes too long."""
        passed, step = 0.0, 0
        while passed < _LIMIT_SECONDS:
            await self.idle()
            if is_settled():
                return True
            seconds = _STEPS[min(step, len(_STEPS) - 1)]
            self.clock.jump(seconds)
            passed, step = passed + seconds, step + 1
        return False

    async def pass_time(self, seconds: float) -> None:
        """Let time pass in poll-sized pieces."""
        for _ in range(max(1, round(seconds / POLL_SECONDS))):
            self.clock.jump(min(seconds, POLL_SECONDS))
            await self.idle()

    async def idle(self) -> None:
        """Until nothing is due and nobody works, polls included."""
        calm, begun = 0, time.monotonic()
        while calm < 5:
            assert time.monotonic() < begun + _CALM_SECONDS, f"never idle: {self.state()}"
            await asyncio.sleep(0.001)
            calm = calm + 1 if self.is_calm else 0

    async def until_something_is_created(self) -> None:
        """Until the next object is created at Platform, or nobody works."""
        mark, calm = self.emulators.recorder.count, 0
        while calm < 5 and not any(_creates(call) for call in self.emulators.recorder.since(mark)):
            await asyncio.sleep(0.001)
            calm = calm + 1 if self.is_calm else 0

    async def until_calls(self, count: int) -> bool:
        """Until so many calls have been made in all; False once nobody works before."""
        calm = 0
        while self.emulators.recorder.count < count and calm < 5:
            await asyncio.sleep(0.001)
            calm = calm + 1 if self.is_calm else 0
        return self.emulators.recorder.count >= count

    @property
    def is_calm(self) -> bool:
        """Whether nobody works or waits for an answer."""
        return not self._busy and not self.components.queue.depth and not self._transport.under_way

    def state(self) -> str:
        """What is going on."""
        ready = {
            str(key): [
                c["reason"] for c in obj.get("status", {}).get("conditions", ()) if c["type"] == "Ready"
            ]
            for key, obj in self.server.objects.items()
        }
        waiting, calls = self.components.queue.depth, self._transport.under_way
        return f"{self._busy} work, {waiting} wait, {calls} calls; {ready}"

    async def _work(self) -> None:
        while (key := await self.components.queue.get()) is not None:
            self._busy += 1
            await self.components.worker.work_on(key)
            self._busy -= 1

    def _watch(self, what: str, obj: dict[str, Any]) -> None:
        if what == "DELETED":
            self.components.handler.gone(obj)
        else:
            self.components.handler.seen(obj)

    def add_secrets(self, **grant: str) -> None:
        """Both Secrets; ``grant`` replaces values of Zoho's."""
        info = self.emulators.info()
        info["zoho"] |= grant
        zoho = {key: info["zoho"][key] for key in ("clientId", "clientSecret", "refreshToken")}
        adobe = {key: info["platform"][key] for key in ("clientId", "clientSecret")}
        for name, values in {"zoho-oauth": zoho, "adobe-platform": adobe}.items():
            encoded = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
            self.server.secrets[NAMESPACE, name] = ("1", encoded)

    def key(self, kind: str, name: str) -> Key:
        """A resource of the tenant."""
        return Key(kind, NAMESPACE, name)


def _creates(call: dict[str, Any]) -> bool:
    return bool(call["service"] == "platform" and call["method"] == "POST" and "validate" not in call["path"])
