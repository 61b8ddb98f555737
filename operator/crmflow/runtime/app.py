"""The operator as a whole: what is started, in which order, and how it ends."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import uuid
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from kubernetes.aio import client

from crmflow.clock import Clock, SteadyClock
from crmflow.observability.metrics import Metrics
from crmflow.runtime.health import Check, LoopLag, loop_is_prompt, queue_moves, watches_connect
from crmflow.runtime.kube import Kubernetes, KubernetesError, load_configuration, own_namespace
from crmflow.runtime.leader import Elector
from crmflow.runtime.leases import Leases
from crmflow.runtime.parts import RECONCILERS, Parts
from crmflow.runtime.probes import ProbeServer
from crmflow.runtime.secrets import SecretWatch
from crmflow.runtime.stock import Stock
from crmflow.runtime.watch import watch
from crmflow.settings import Settings
from crmflow.transport.http import HttpClient
from crmflow.transport.pool import SpreadTransport

log = logging.getLogger("crmflow")

RETRY_SECONDS = 2.0
KOPF_SECONDS = 10.0
"""kopf ends in a fraction of a second; once it was seen not to end at all."""

T = TypeVar("T")


class Application:
    """Everything that one operator process consists of."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._steady = SteadyClock()
        self._metrics = Metrics()
        self._checks: list[Check] = []
        self._waiting_for: str | None = "the API server"
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT. Raises what waiting can't cure, such as a lost Lease."""
        self._take_signals()
        probes = ProbeServer(
            self._settings.listen, self._metrics.text, lambda: self._waiting_for, self._checks
        )
        await probes.start(self._settings.listen_file)
        configuration = await load_configuration()
        lease_api = client.ApiClient(configuration)  # of its own: the Lease must not queue behind anything
        elector = self._elector(lease_api) if self._settings.leader_election else None
        may_act = elector.check if elector else _always
        kubernetes = Kubernetes(client.ApiClient(configuration), may_act)
        transport = SpreadTransport()
        try:
            await self._serve(
                kubernetes,
                configuration,
                HttpClient(transport, self._clock, self._metrics.remote_call, may_send=may_act),
                elector,
            )
        finally:
            await transport.aclose()
            await kubernetes.close()
            await lease_api.close()  # type: ignore[no-untyped-call]
            await probes.stop()

    def _take_signals(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self._stop.set)

    def _elector(self, api: client.ApiClient) -> Elector:
        namespace = self._settings.pod_namespace or own_namespace()
        if namespace is None:
            raise ValueError(
                "Leader election needs CRMFLOW_POD_NAMESPACE, the namespace of the Lease. "
                "Set it, or set CRMFLOW_LEADER_ELECTION to false where one process runs."
            )
        leases = Leases(api, namespace, self._settings.lease_name)
        # The uid, since a container that is started again has the same name, and another one may go on.
        identity = f"{self._settings.pod_name or socket.gethostname()}_{uuid.uuid4()}"
        return Elector(leases, identity, self._clock, self._steady)

    async def _serve(
        self,
        kubernetes: Kubernetes,
        configuration: client.Configuration,
        http: HttpClient,
        elector: Elector | None,
    ) -> None:
        settings = self._settings
        instance = await self._until_stopped(self._start_on_cluster(kubernetes, elector))
        if instance is None:
            return
        parts = Parts(settings, self._clock, self._metrics, instance, kubernetes, http)
        watches = [
            SecretWatch(
                kubernetes, parts.secrets, self._clock, self._steady, namespace, parts.observer.secret_changed
            )
            for namespace in settings.watch_namespaces or (None,)
        ]
        reconcilers = list(RECONCILERS.values())
        stock = Stock(
            kubernetes, reconcilers, settings.watch_namespaces, parts.cache, parts.observer, watches
        )
        if not await self._until_stopped(self._fill(stock)):
            return
        self._waiting_for = None
        log.info("ready", extra={"instance": instance, "objects": len(parts.cache.keys())})

        lag = LoopLag(self._steady)
        self._checks += [loop_is_prompt(lag), watches_connect(watches), queue_moves(parts.queue)]
        self._metrics.leader.set_function(lambda: elector is None or elector.is_leading)
        self._metrics.event_loop_lag_seconds.set_function(lambda: lag.seconds)
        self._metrics.secret_watch_age_seconds.set_function(lambda: max(watch.age for watch in watches))
        stop_watching = asyncio.Event()
        # Tasks that exist before kopf starts are left alone by it; those made later would be cancelled at its
        # exit.
        election = asyncio.create_task(elector.run() if elector else _for_ever())
        workers = [asyncio.create_task(parts.worker.run()) for _ in range(settings.workers)]
        background = [
            asyncio.create_task(self._lead(parts, stock, elector)),
            asyncio.create_task(lag.run()),
            *(asyncio.create_task(secret_watch.run()) for secret_watch in watches),
            *([asyncio.create_task(parts.tenancy.run())] if parts.tenancy else []),
        ]
        watching = asyncio.create_task(
            watch(
                configuration,
                reconcilers,
                settings.watch_namespaces,
                parts.observer,
                stop_watching,
                self._take_signals,
            )
        )
        stopping = asyncio.create_task(self._stop.wait())
        await _first_of(election, watching, stopping, *background)
        self._waiting_for = "the end"
        parts.queue.close()
        await self._drain(workers, election)
        await _cancel(*workers, *background)
        stop_watching.set()
        await asyncio.wait([watching], timeout=KOPF_SECONDS)
        await _cancel(election, watching, stopping)
        if elector:
            await elector.release()
        for task in (election, watching, *background):
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

    async def _drain(self, workers: Sequence[asyncio.Task[None]], election: asyncio.Task[Any]) -> None:
        """Let the passes in flight end, within the grace, and only as long as the Lease is kept."""
        if election.done():
            self._checks.append(lambda: "the Lease is lost")
            return
        passes = asyncio.gather(*workers, return_exceptions=True)
        await _first_of(passes, election, within=self._settings.shutdown_grace)

    async def _lead(self, parts: Parts, stock: Stock, elector: Elector | None) -> None:
        """Work, once this process is the leader. What others wrote up to then is taken in first: a watch may
        lag behind, and a pass over an older status would look for nothing that its intents name.
        """
        if elector is not None:
            await elector.elected.wait()
            await self._fill(stock)
        parts.inventories.leader_since = self._clock.now()
        parts.queue.open()
        await asyncio.gather(
            parts.inventories.run(), parts.guardrail.run(), parts.refresher.run(parts.access)
        )

    async def _until_stopped(self, start: Coroutine[Any, Any, T]) -> T | None:
        """What ``start`` gives; None if the process is told to stop before."""
        starting = asyncio.create_task(start)
        stopping = asyncio.create_task(self._stop.wait())
        await _first_of(starting, stopping)
        stopping.cancel()
        if not starting.done():
            await _cancel(starting)
            return None
        return await starting

    async def _start_on_cluster(self, kubernetes: Kubernetes, elector: Elector | None) -> str:
        """Wait for the API server, our CRDs and the Lease; the name of this installation."""
        wanted = {reconciler.kind.plural for reconciler in RECONCILERS.values()}
        while True:
            try:
                if elector is not None:
                    await elector.look()
                missing = wanted - await kubernetes.served_kinds()
                if missing:
                    self._wait_for(f"the CustomResourceDefinitions of {', '.join(sorted(missing))}")
                elif (instance := await self.instance(kubernetes)) is not None:
                    return instance
            except KubernetesError as error:
                self._wait_for(f"the API server: {error}")
            await asyncio.sleep(RETRY_SECONDS)

    async def instance(self, kubernetes: Kubernetes) -> str | None:
        """The name of this installation; None where it has to be set and is not. Raises KubernetesError."""
        if self._settings.instance:
            return self._settings.instance
        try:
            return await kubernetes.namespace_uid("kube-system")
        except KubernetesError as error:
            if error.status != 403:
                raise
            self._wait_for(
                "CRMFLOW_INSTANCE, the name of this installation: set it, since the operator may not read "
                "the namespace kube-system, whose UID would stand for it"
            )
            return None

    @property
    def waiting_for(self) -> str | None:
        """What keeps the operator from being ready, as /readyz tells it."""
        return self._waiting_for

    def _wait_for(self, what: str) -> None:
        if what != self._waiting_for:
            log.warning("waiting for %s", what)
        self._waiting_for = what

    async def _fill(self, stock: Stock) -> bool:
        """Try until everything is known; then True."""
        while True:
            try:
                await stock.take()
            except KubernetesError as error:
                log.warning("waiting for the API server: %s", error)
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return True


async def _first_of(*tasks: asyncio.Future[Any], within: float | None = None) -> None:
    await asyncio.wait(tasks, timeout=within, return_when=asyncio.FIRST_COMPLETED)


async def _cancel(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _for_ever() -> None:
    await asyncio.Event().wait()


def _always() -> None:
    """Without an election this process may always act."""
