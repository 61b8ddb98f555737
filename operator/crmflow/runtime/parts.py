"""The parts of the operator, each made once and told what it needs of the others."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from crmflow.aep.egress import AllowListFile
from crmflow.aep.ims import Ims
from crmflow.clock import Clock
from crmflow.observability.metrics import Metrics
from crmflow.reconcile.connection.reconciler import RECONCILER as CONNECTION
from crmflow.reconcile.dataflow.reconciler import RECONCILER as DATAFLOW
from crmflow.reconcile.engine import Services
from crmflow.reconcile.explored import Explored
from crmflow.reconcile.offer import Offers
from crmflow.reconcile.shared import CreatedNames
from crmflow.reconcile.tenancy import everybody
from crmflow.runtime.access import RemoteAccess
from crmflow.runtime.cache import ObjectCache
from crmflow.runtime.events import EventWriter
from crmflow.runtime.guardrail import ProfileGuardrail
from crmflow.runtime.inventories import Installation, Inventories
from crmflow.runtime.kube import Kubernetes, own_namespace
from crmflow.runtime.peers import CachedPeers
from crmflow.runtime.queue import WorkQueue
from crmflow.runtime.refresher import TokenRefresher
from crmflow.runtime.secrets import SecretReader
from crmflow.runtime.status import ObjectWriter
from crmflow.runtime.tenancy import Tenancy
from crmflow.runtime.tokenstore import TokenStore
from crmflow.runtime.watch import Observer
from crmflow.runtime.worker import Worker
from crmflow.runtime.zoho_access import ZohoServices
from crmflow.settings import Settings
from crmflow.transport.http import HttpClient
from crmflow.zoho.accounts import ZohoAccounts
from crmflow.zoho.crm import ZohoCRM
from crmflow.zoho.datacenters import ZohoEndpoints
from crmflow.zoho.grants import ZohoGrants

RECONCILERS = {reconciler.kind.kind: reconciler for reconciler in (CONNECTION, DATAFLOW)}


class Parts:
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
        self.queue = WorkQueue(clock, metrics.queue_wait_seconds.observe, held=True)
        self.cache = ObjectCache(RECONCILERS)
        self.secrets = SecretReader(kubernetes)
        self.observer = Observer(
            self.cache,
            self.queue,
            RECONCILERS,
            recheck=lambda key: self.worker.recheck(key),
            forget=lambda key: self.worker.forget(key),
        )
        self.tenancy = (
            Tenancy(Path(settings.tenancy), clock, self.observer.tenancy_changed)
            if settings.tenancy
            else None
        )
        events = EventWriter(kubernetes, clock, metrics, instance)
        offers = Offers(clock)
        self.inventories = Inventories(
            Installation(instance, settings.create_grace, settings.poll_interval),
            clock,
            self.cache,
            RECONCILERS,
            offers,
            events,
            metrics,
            self.observer.listed,
        )
        self.guardrail = ProfileGuardrail(self.cache, events, metrics, clock, settings.poll_interval)
        endpoints = ZohoEndpoints(settings.zoho_accounts_url, settings.zoho_api_url)
        self.refresher = TokenRefresher(clock, self.cache, self.queue)
        self.access = RemoteAccess(
            http,
            ZohoServices(
                ZohoAccounts(http, endpoints, clock),
                ZohoGrants(http, endpoints, clock),
                ZohoCRM(http, endpoints),
            ),
            Ims(http, settings.ims_url, clock),
            settings.platform_url,
            TokenStore(kubernetes, settings.pod_namespace or own_namespace() or "default", instance),
            clock,
            metrics,
            self.inventories,
            self.refresher,
        )
        self.worker = Worker(
            settings=settings,
            instance=instance,
            clock=clock,
            queue=self.queue,
            cache=self.cache,
            reconcilers=RECONCILERS,
            services=Services(
                clock,
                self.access,
                self.secrets,
                CachedPeers(self.cache),
                offers,
                Explored(clock),
                CreatedNames(),
                CreatedNames(),
                settings.create_grace,
                AllowListFile(settings.ip_allow_list).current,
                self.tenancy.allows if self.tenancy else everybody,
            ),
            writer=ObjectWriter(kubernetes, metrics, self.observer.seen),
            events=events,
            metrics=metrics,
        )
        metrics.queue_depth.set_function(lambda: self.queue.depth)
        metrics.queue_oldest_seconds.set_function(lambda: self.queue.oldest_wait)
        for kind in RECONCILERS:
            metrics.objects.labels(kind).set_function(partial(self.cache.count, kind))
            metrics.ready_objects.labels(kind).set_function(partial(self.cache.count_ready, kind))
