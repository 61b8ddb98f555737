"""The part of a node, played in this process: what the pods of transfers would do is done here, against the
emulators themselves, and counted apart from what the operator asks.

The API server and its Job controller are real, so Jobs, pods and Secrets are; a process for each of a
thousand Jobs would take an hour.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import httpx

from crmflow.clock import Clock
from crmflow.http.client import HttpClient
from crmflow.transfer.report import Report
from tests.faults.calls import Call, Caller
from tests.kit.cluster import Cluster, Object
from tests.kit.loop_thread import LoopThread
from tests.kit.played_transfer import ended, play, secret_name

_LOOK_SECONDS = 0.2
_AT_ONCE = 4
_LABEL = ("app.kubernetes.io/name", "crmflow-transfer")


class PlayedJobs(LoopThread):
    """Runs the pods of one namespace, for the block."""

    def __init__(self, kubeconfig: Path, namespace: str, clock: Path, services: Mapping[str, str]) -> None:
        """``services`` has the name of each by its address."""
        super().__init__("jobs")
        self._cluster = Cluster(kubeconfig)
        self._namespace = namespace
        self._clock = Clock(clock)
        self._transport = _CountingTransport(services)
        self._begun: set[str] = set()
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._tasks: list[asyncio.Task[None]] = []
        self.credits = 0
        """Of Zoho CRM, that have been spent since :meth:`count_anew`."""

    async def start(self) -> None:
        self._tasks.append(asyncio.create_task(self._watch()))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._transport.aclose()
        self._cluster.close()

    def count_anew(self) -> None:
        """Nothing has been asked or spent yet."""
        self._transport.calls.clear()
        self.credits = 0

    @property
    def calls(self) -> Counter[Call]:
        """What the Jobs have asked since :meth:`count_anew`."""
        return Counter(self._transport.calls)

    async def _watch(self) -> None:
        while True:
            for pod in await asyncio.to_thread(self._cluster.list, "Pod", self._namespace):
                uid, labels = pod["metadata"]["uid"], pod["metadata"].get("labels", {})
                if _LABEL in labels.items() and uid not in self._begun:
                    self._begun.add(uid)
                    self._tasks.append(asyncio.create_task(self._run(pod)))
            await asyncio.sleep(_LOOK_SECONDS)

    async def _run(self, pod: Object) -> None:
        async with self._slots:
            report = await self._transfer(pod)
        self.credits += report.credits
        name = f"{pod['metadata']['name']}/status"
        status = {"status": ended(pod["spec"], report)}
        await asyncio.to_thread(self._cluster.patch, "Pod", name, self._namespace, status)

    async def _transfer(self, pod: Object) -> Report:
        name = secret_name(pod["spec"])
        secret = await asyncio.to_thread(self._cluster.get, "Secret", name, self._namespace)
        http = HttpClient(self._transport, self._clock)
        return await play(pod["spec"], secret, http, self._clock)


class _CountingTransport(httpx.AsyncHTTPTransport):
    """Counts what passes, by the service that it goes to."""

    def __init__(self, services: Mapping[str, str]) -> None:
        super().__init__(verify=False, trust_env=False)
        self.calls: Counter[Call] = Counter()
        self._services = services

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        address = f"{request.url.scheme}://{request.url.netloc.decode()}"
        path, comp = request.url.raw_path.decode().partition("?")[0], request.url.params.get("comp", "")
        call = Call.of(self._services[address], request.method, path, comp=comp, caller=Caller.JOB)
        self.calls[call] += 1
        return await super().handle_async_request(request)
