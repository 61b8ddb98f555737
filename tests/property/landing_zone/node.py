"""Jobs of transfers, and a node that runs them in this process: they outlive the operator."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from typing import Any

from crmflow.clock import Clock
from crmflow.http.client import HttpClient
from crmflow.runtime.kubernetes.jobs import ListedKind
from tests.kit.played_transfer import ended, play, secret_name
from tests.property.bench import CountedTransport, EmulatorsClock
from tests.unit.runtime.transfers.fakes import FakeJobs

STARTS_AFTER = (0.0, 0.0, 2.0, 40.0)
"""Seconds, until a pod runs."""


class Node(FakeJobs):
    """The API server's Jobs, pods and Secrets with the controllers that serve them."""

    def __init__(self, clock: EmulatorsClock, rng: random.Random) -> None:
        super().__init__()
        self.transport = CountedTransport()
        self._clock = clock
        self._rng = rng
        self._running: dict[str, asyncio.Task[None]] = {}
        self._clocks: set[_Sleepers] = set()
        """Of the transfers that run."""

    def forget_watchers(self) -> None:
        """An operator that starts anew lists, and watches from there on."""
        for what in ListedKind:
            self.events[what] = asyncio.Queue()

    async def create(self, job: Mapping[str, Any]) -> dict[str, Any]:
        made = await super().create(job)
        name = made["metadata"]["name"]
        self._running[name] = asyncio.create_task(self._run(name, self.make_pod(name)))
        return made

    async def delete(self, name: str) -> None:
        """In the background: its pod and its Secret go as well."""
        if (task := self._running.pop(name, None)) is not None:
            task.cancel()
        uid = self.jobs.get(name, {}).get("metadata", {}).get("uid")
        await super().delete(name)
        for pod in [pod for pod, held in self.pods.items() if _job_of(held) == uid]:
            self.remove(ListedKind.PODS, pod)
        for secret in [name for name, body in self.secret_bodies.items() if _is_owned(body, uid)]:
            del self.secret_bodies[secret]

    def kill(self) -> int:
        """Every pod that runs is killed; how many."""
        killed = [name for name, task in self._running.items() if not task.done()]
        for name in killed:
            self._running.pop(name).cancel()
            for pod in [pod for pod, held in self.pods.items() if pod.startswith(name)]:
                self.end_pod(pod, None, 137)
            self.end_job(name, "Failed", reason="PodFailurePolicy")
        return len(killed)

    @property
    def is_calm(self) -> bool:
        """Whether every transfer waits for time to pass."""
        return not self.transport.under_way and all(clock.sleepers for clock in self._clocks)

    @property
    def left(self) -> list[str]:
        """The names of all that is there."""
        return [*self.jobs, *self.pods, *self.secret_bodies]

    async def close(self) -> None:
        """End what runs."""
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)
        await self.transport.aclose()

    async def _run(self, job: str, pod: str) -> None:
        await self._clock.sleep(self._rng.choice(STARTS_AFTER))
        spec = self.jobs[job]["spec"]["template"]["spec"]
        clock = _Sleepers(self._clock)
        self._clocks.add(clock)
        try:
            http = HttpClient(self.transport, clock)
            report = await play(spec, self.secret_bodies[secret_name(spec)], http, clock)
        finally:
            self._clocks.remove(clock)
        self.change(ListedKind.PODS, pod, ended(spec, report))
        self.end_job(job, "Failed" if report.exit_code else "Complete")


class _Sleepers(Clock):
    """The clock of a transfer, which knows how much of it sleeps."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.sleepers = 0
        self._clock = clock

    def now(self) -> float:
        return self._clock.now()

    async def sleep_until(self, when: float) -> None:
        self.sleepers += 1
        try:
            await self._clock.sleep_until(when)
        finally:
            self.sleepers -= 1

    async def wait(self, event: asyncio.Event, until: float | None) -> bool:
        self.sleepers += 1
        try:
            return await self._clock.wait(event, until)
        finally:
            self.sleepers -= 1


def _job_of(pod: Mapping[str, Any]) -> str:
    return str(pod["metadata"]["labels"]["batch.kubernetes.io/controller-uid"])


def _is_owned(secret: Mapping[str, Any], uid: str | None) -> bool:
    return any(owner["uid"] == uid for owner in secret["metadata"].get("ownerReferences", ()))
