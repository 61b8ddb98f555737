"""The operator as a whole: what is started, in which order, and how it ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from functools import partial

from kubernetes.aio import client

from crmflow.aep.ims import Ims
from crmflow.clock import Clock
from crmflow.observability.metrics import Metrics
from crmflow.reconcile.connection.reconciler import RECONCILER as CONNECTION
from crmflow.reconcile.dataflow.reconciler import RECONCILER as DATAFLOW
from crmflow.reconcile.engine import Services
from crmflow.reconcile.offer import Offers
from crmflow.runtime.access import RemoteAccess
from crmflow.runtime.cache import ObjectCache
from crmflow.runtime.events import EventWriter
from crmflow.runtime.inventories import Installation, Inventories
from crmflow.runtime.kube import Kubernetes, KubernetesError, load_configuration
from crmflow.runtime.peers import CachedPeers
from crmflow.runtime.probes import ProbeServer
from crmflow.runtime.queue import WorkQueue
from crmflow.runtime.secrets import SecretReader, SecretWatch
from crmflow.runtime.status import ObjectWriter
from crmflow.runtime.watch import Observer, watch
from crmflow.runtime.worker import Worker
from crmflow.settings import Settings
from crmflow.transport.http import HttpClient
from crmflow.transport.pool import SpreadTransport
from crmflow.zoho.accounts import ZohoAccounts
from crmflow.zoho.crm import ZohoCRM
from crmflow.zoho.datacenters import ZohoEndpoints

log = logging.getLogger("crmflow")

RECONCILERS = {reconciler.kind.kind: reconciler for reconciler in (CONNECTION, DATAFLOW)}
RETRY_SECONDS = 2.0


class Application:
    """Everything that one operator process consists of."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._metrics = Metrics()
        self._waiting_for: str | None = "the API server"

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT. Raises what can't be cured by waiting."""
        probes = ProbeServer(self._settings.listen, self._metrics.registry, lambda: self._waiting_for)
        await probes.start(self._settings.listen_file)
        configuration = await load_configuration()
        kubernetes = Kubernetes(client.ApiClient(configuration))
        transport = SpreadTransport()
        try:
            await self._serve(
                kubernetes, configuration, HttpClient(transport, self._clock, self._metrics.remote_call)
            )
        finally:
            await transport.aclose()
            await kubernetes.close()
            await probes.stop()

    async def _serve(
        self, kubernetes: Kubernetes, configuration: client.Configuration, http: HttpClient
    ) -> None:
        settings = self._settings
        instance = await self._start_on_cluster(kubernetes)
        parts = _Parts(settings, self._clock, self._metrics, instance, kubernetes, http)
        watches = [
            SecretWatch(kubernetes, parts.secrets, self._clock, namespace, parts.observer.secret_changed)
            for namespace in settings.watch_namespaces or (None,)
        ]
        await self._fill(kubernetes, parts.observer, watches)
        self._waiting_for = None
        log.info("ready", extra={"instance": instance, "objects": len(parts.cache.keys())})

        # Tasks that exist before kopf starts are left alone by it; those made later would be cancelled at its
        # exit.
        following = [asyncio.create_task(secret_watch.run()) for secret_watch in watches]
        following.append(asyncio.create_task(parts.inventories.run()))
        workers = [asyncio.create_task(parts.worker.run()) for _ in range(settings.workers)]
        try:
            await watch(configuration, list(RECONCILERS.values()), settings.watch_namespaces, parts.observer)
        finally:
            self._waiting_for = "the end"
            parts.queue.close()
            await _end(following, 0)
            await _end(workers, settings.shutdown_grace)

    async def _start_on_cluster(self, kubernetes: Kubernetes) -> str:
        """Wait for the API server and our CRDs; the name of this installation."""
        wanted = {reconciler.kind.plural for reconciler in RECONCILERS.values()}
        while True:
            try:
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

    async def _fill(self, kubernetes: Kubernetes, observer: Observer, watches: Sequence[SecretWatch]) -> None:
        """Know everything before anything is decided: a connection that is not known yet would look as if it
        were missing.
        """
        while True:
            try:
                for namespace in self._settings.watch_namespaces or (None,):
                    for reconciler in RECONCILERS.values():
                        async for obj in kubernetes.list_objects(reconciler.kind, namespace):
                            observer.seen(obj)
                for secret_watch in watches:
                    await secret_watch.list()
            except KubernetesError as error:
                self._wait_for(f"the API server: {error}")
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return


class _Parts:
    """The parts of a running operator, wired together."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        metrics: Metrics,
        instance: str,
        kubernetes: Kubernetes,
        http: HttpClient,
    ) -> None:
        self.queue = WorkQueue(clock, metrics.queue_wait_seconds.observe)
        self.cache = ObjectCache(RECONCILERS)
        self.secrets = SecretReader(kubernetes)
        self.observer = Observer(
            self.cache,
            self.queue,
            RECONCILERS,
            recheck=lambda key: self.worker.recheck(key),
            forget=lambda key: self.worker.forget(key),
        )
        events = EventWriter(kubernetes, clock, metrics, instance)
        offers = Offers(clock)
        self.inventories = Inventories(
            Installation(instance, clock.now(), settings.create_grace, settings.poll_interval),
            clock,
            self.cache,
            RECONCILERS,
            offers,
            events,
            metrics,
            self.observer.listed,
        )
        endpoints = ZohoEndpoints(settings.zoho_accounts_url, settings.zoho_api_url)
        access = RemoteAccess(
            http,
            ZohoAccounts(http, endpoints, clock),
            ZohoCRM(http, endpoints),
            Ims(http, settings.ims_url, clock),
            settings.platform_url,
            clock,
            metrics,
            self.inventories,
        )
        self.worker = Worker(
            settings=settings,
            instance=instance,
            clock=clock,
            queue=self.queue,
            cache=self.cache,
            reconcilers=RECONCILERS,
            services=Services(
                clock, access, self.secrets, CachedPeers(self.cache), offers, settings.create_grace
            ),
            writer=ObjectWriter(kubernetes, metrics, self.observer.seen),
            events=events,
            metrics=metrics,
        )
        metrics.queue_depth.set_function(lambda: self.queue.depth)
        for kind in RECONCILERS:
            metrics.objects.labels(kind).set_function(partial(self.cache.count, kind))


async def _end(tasks: Sequence[asyncio.Task[None]], grace: float) -> None:
    """Let ``tasks`` finish for ``grace`` seconds, then cancel what is left."""
    if grace:
        await asyncio.wait(tasks, timeout=grace)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
