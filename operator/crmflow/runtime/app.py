"""The operator as a whole: what is started, in which order, and how it ends."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import uuid
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from typing import Any, TypeVar

from kubernetes.aio import client

from crmflow.clock import Clock, SteadyClock
from crmflow.environment import SettingError
from crmflow.http.client import HttpClient
from crmflow.http.pool import SpreadTransport
from crmflow.observability.metrics import Metrics
from crmflow.runtime.controller.initial_sync import InitialSync
from crmflow.runtime.controller.namespace_watch import NamespaceWatch
from crmflow.runtime.controller.secrets import SecretWatch
from crmflow.runtime.controller.served_namespaces import ServedNamespaces
from crmflow.runtime.controller.watch import Watch
from crmflow.runtime.health import Check, LoopLag, loop_is_prompt, queue_moves, watches_connect
from crmflow.runtime.kubernetes.api_server import ApiServer
from crmflow.runtime.kubernetes.client import Kubernetes, own_namespace
from crmflow.runtime.kubernetes.errors import KubernetesError
from crmflow.runtime.kubernetes.leader import Elector, LeaseTimes
from crmflow.runtime.kubernetes.leases import Leases
from crmflow.runtime.probes import ProbeServer
from crmflow.runtime.wiring import MANAGED_KINDS, Components
from crmflow.settings import Settings, unknown_settings

log = logging.getLogger("crmflow")

RETRY_SECONDS = 2.0

_ADVICE: dict[int | None, str] = {
    401: ". Give the operator credentials that are valid: the ServiceAccount of its Pod, or KUBECONFIG",
    403: ". Give the operator the rights that come with the chart or deploy/base",
}
"""What to do where the API server refuses the first requests."""

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
        self._elector: Elector | None = None
        self._served: ServedNamespaces | None = None
        self._ends = False
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT. Raises what waiting can't cure, such as a lost Lease, and SettingError
        for a setting that has to be corrected first.
        """
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self._stop.set)
        for text in unknown_settings():
            log.warning("%s", text)
        async with AsyncExitStack() as started:  # ends what was started, also where a setting can't be used
            probes = ProbeServer(
                self._settings.listen, self._metrics.text, lambda: self.waiting_for, self._checks
            )
            started.push_async_callback(probes.stop)
            await probes.start(self._settings.listen_file)
            api_server = ApiServer()
            await api_server.load()
            lease_api = api_server.connect()  # of its own: the Lease must not queue behind anything
            started.push_async_callback(lease_api.close)
            self._elector = self._new_elector(lease_api) if self._settings.leader_election else None
            may_act = self._elector.check if self._elector else lambda: None
            kubernetes = Kubernetes(api_server.connect(), may_act, self._settings.kubernetes_timeout)
            started.push_async_callback(kubernetes.close)
            transport = SpreadTransport()
            started.push_async_callback(transport.aclose)
            http = HttpClient(transport, self._clock, self._metrics.remote_call, may_send=may_act)
            await self._serve(kubernetes, api_server, http)

    def _new_elector(self, api: client.ApiClient) -> Elector:
        settings = self._settings
        namespace = settings.pod_namespace or own_namespace()
        if namespace is None:
            raise SettingError(
                "CRMFLOW_POD_NAMESPACE",
                None,
                "leader election needs it, the namespace of the Lease",
                "Set it, or set CRMFLOW_LEADER_ELECTION to false where one process runs",
            )
        times = LeaseTimes(
            settings.lease_duration, settings.lease_renew_deadline, settings.lease_retry_period
        )
        leases = Leases(api, namespace, settings.lease_name, times.request)
        # The uid, since a container that is started again has the same name, and another one may go on.
        identity = f"{settings.pod_name or socket.gethostname()}_{uuid.uuid4()}"
        return Elector(leases, identity, self._clock, self._steady, times)

    async def _serve(self, kubernetes: Kubernetes, api_server: ApiServer, http: HttpClient) -> None:
        settings, elector = self._settings, self._elector
        instance = await self._until_stopped(self._start_on_cluster(kubernetes))
        if instance is None:
            return
        components = Components(settings, self._clock, self._metrics, instance, kubernetes, http)
        served = components.served
        watches = {
            namespace: SecretWatch(
                kubernetes,
                components.secrets,
                self._clock,
                self._steady,
                namespace,
                served,
                components.handler.secret_changed,
            )
            for namespace in served.names
        }
        kinds = list(MANAGED_KINDS.values())
        initial_sync = InitialSync(
            kubernetes,
            kinds,
            served,
            components.cache,
            components.handler,
            watches,
            [components.transfers.list],
        )
        await components.definitions.look()  # before the first status is written
        if not await self._until_stopped(self.fill(initial_sync, served)):
            return
        log.info("ready", extra={"instance": instance, "objects": len(components.cache.keys())})

        lag = LoopLag(self._steady)
        self._checks += [
            loop_is_prompt(lag),
            watches_connect(list(watches.values())),
            queue_moves(components.queue),
        ]
        self._metrics.leader.set_function(lambda: elector is None or elector.is_leading)
        self._metrics.clock_ahead_seconds.set_function(lambda: self._clock.ahead)
        self._metrics.event_loop_lag_seconds.set_function(lambda: lag.seconds)
        self._metrics.secret_watch_age_seconds.set_function(
            lambda: max(watch.age for watch in watches.values())
        )
        watch = Watch(api_server, kinds, components.handler)
        never = asyncio.Event().wait
        election: asyncio.Task[Any] = asyncio.create_task(elector.run() if elector else never())
        workers = [asyncio.create_task(components.worker.run()) for _ in range(settings.workers)]
        background = [
            asyncio.create_task(part)
            for part in (
                self._lead(components, initial_sync),
                lag.run(),
                components.definitions.run(),
                components.events.run(),
                *(secret_watch.run() for secret_watch in watches.values()),
                *(
                    NamespaceWatch(namespace, served, initial_sync, watch, self._steady).run()
                    for namespace in served.names
                ),
                *([components.tenancy.run()] if components.tenancy else []),
                *([components.transfers.run()] if components.transfers.is_configured else []),
            )
        ]
        stopping = asyncio.create_task(self._stop.wait())
        await _first_of(election, stopping, *background)
        self._ends = True
        components.queue.close()
        await self._drain(workers, election)
        if not election.done():
            await components.events.flush()
        await _cancel(*workers, *background)
        await _cancel(election, stopping)
        if elector:
            await elector.release()
        for task in (election, *background):
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

    async def _drain(self, workers: Sequence[asyncio.Task[None]], election: asyncio.Task[Any]) -> None:
        """Let the passes in flight end, within the grace, and only as long as the Lease is kept."""
        if election.done():
            self._checks.append(lambda: "the Lease is lost")
            return
        passes = asyncio.gather(*workers, return_exceptions=True)
        await _first_of(passes, election, within=self._settings.shutdown_grace)

    async def _lead(self, components: Components, initial_sync: InitialSync) -> None:
        """Work, once this process is the leader. What others wrote up to then is taken in first: a watch may
        lag behind, and a pass over an older status would look for nothing that its intents name.
        """
        if self._elector is not None:
            await self._elector.elected.wait()
            await self.fill(initial_sync, components.served)
        components.sandboxes.leader_since = self._clock.now()
        components.queue.open()
        await together(
            components.poller.run(components.access.sandboxes),
            components.guardrail.run(),
            components.refresher.run(components.access),
            components.sweeper.run(),
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

    async def _start_on_cluster(self, kubernetes: Kubernetes) -> str:
        """Wait for the API server, our CRDs and the Lease; the name of this installation."""
        wanted = {kind.api.plural for kind in MANAGED_KINDS.values()}
        while True:
            try:
                if self._elector is not None:
                    await self._elector.look()
                missing = wanted - await kubernetes.served_kinds()
                if missing:
                    self._wait_for(f"the CustomResourceDefinitions of {', '.join(sorted(missing))}")
                elif (instance := await self.instance(kubernetes)) is not None:
                    return instance
            except KubernetesError as error:
                self._wait_for(f"the API server: {error}{_ADVICE.get(error.status, '')}")
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
        if self._ends:
            return "shutting down"
        faults = [part.fault for part in (self._elector, self._served) if part is not None]
        return next(filter(None, faults), None) or self._waiting_for

    def _wait_for(self, what: str) -> None:
        if what != self._waiting_for:
            log.warning("waiting for %s", what)
        self._waiting_for = what

    async def fill(self, initial_sync: InitialSync, served: ServedNamespaces) -> bool:
        """Try until everything is known that can be, and that is something; then True."""
        self._served = served
        while True:
            try:
                await initial_sync.run()
            except KubernetesError as error:
                log.warning("waiting for the API server: %s", error)
            else:
                if served.fault is None:
                    self._waiting_for = None
                    return True
            await asyncio.sleep(RETRY_SECONDS)


async def _first_of(*tasks: asyncio.Future[Any], within: float | None = None) -> None:
    await asyncio.wait(tasks, timeout=within, return_when=asyncio.FIRST_COMPLETED)


async def together(*parts: Coroutine[Any, Any, None]) -> None:
    """Run ``parts`` until one of them fails or this is canceled. All have ended then, with whatever they do
    at their end; :func:`asyncio.gather` leaves them behind with that.
    """
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            if not task.cancelling():  # a second time would end what is done at the end
                task.cancel()
        await asyncio.wait(tasks)


async def _cancel(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
