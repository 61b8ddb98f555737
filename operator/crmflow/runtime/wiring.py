"""The parts of the operator, each made once and told what it needs of the others."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from pathlib import Path

from crmflow.aep.egress import AllowListFile
from crmflow.aep.ims import Ims
from crmflow.api.kinds import KINDS
from crmflow.clock import Clock, SteadyClock, SystemTime
from crmflow.http.client import HttpClient
from crmflow.observability.metrics import Metrics
from crmflow.reconcile.connection.kind import KIND as CONNECTION
from crmflow.reconcile.core.created_names import CreatedNames
from crmflow.reconcile.core.decide import Priority
from crmflow.reconcile.core.engine import Services
from crmflow.reconcile.core.tenancy import everybody
from crmflow.reconcile.dataflow.kind import KIND as DATAFLOW
from crmflow.reconcile.extraction.settings import ExtractionSettings
from crmflow.reconcile.run.kind import KIND as RUN
from crmflow.reconcile.sources.ways import Sources
from crmflow.runtime.controller.cache import ObjectCache
from crmflow.runtime.controller.installation import ServingInstallation
from crmflow.runtime.controller.keys import Key
from crmflow.runtime.controller.lister import CacheLister
from crmflow.runtime.controller.queue import WorkQueue
from crmflow.runtime.controller.reconciliation import ReconcileContext
from crmflow.runtime.controller.secrets import SecretReader
from crmflow.runtime.controller.served_namespaces import ServedNamespaces
from crmflow.runtime.controller.status_writer import ObjectWriter
from crmflow.runtime.controller.watch import ResourceEventHandler
from crmflow.runtime.controller.worker import Worker
from crmflow.runtime.credentials.adobe import AdobeServices
from crmflow.runtime.credentials.refresher import TokenRefresher
from crmflow.runtime.credentials.registry import CredentialRegistry
from crmflow.runtime.credentials.token_store import TokenStore
from crmflow.runtime.credentials.zoho import ZohoServices
from crmflow.runtime.inventory.orphans import OrphanReporter
from crmflow.runtime.inventory.polled_sandbox import Installation, Sandboxes
from crmflow.runtime.inventory.poller import Poller
from crmflow.runtime.kubernetes.client import Kubernetes, own_namespace
from crmflow.runtime.kubernetes.definitions import Definitions
from crmflow.runtime.kubernetes.events import EventRecorder
from crmflow.runtime.profile_guardrail import ProfileGuardrail
from crmflow.runtime.resource_readings import ResourceReadings
from crmflow.runtime.tenancy import Tenancy
from crmflow.runtime.transfers.credits import StoredLedgers
from crmflow.runtime.transfers.jobs import TransferJobs
from crmflow.runtime.transfers.sweeper import Sweeper
from crmflow.runtime.transfers.template import TemplateFile
from crmflow.settings import Settings
from crmflow.zoho.accounts import ZohoAccounts
from crmflow.zoho.crm import ZohoCRM
from crmflow.zoho.datacenters import ZohoEndpoints
from crmflow.zoho.grants import ZohoGrants

MANAGED_KINDS = {kind.name: kind for kind in (CONNECTION, DATAFLOW, RUN)}


class Components:
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
        self._settings = settings
        self.queue = WorkQueue(clock, metrics.queue_wait_seconds.observe, held=True)
        self.cache = ObjectCache(MANAGED_KINDS)
        self.secrets = SecretReader(kubernetes)
        self.handler = ResourceEventHandler(
            self.cache,
            self.queue,
            recheck=lambda key: self.worker.recheck(key),
            forget=lambda key: self.worker.forget(key),
        )
        self.served = ServedNamespaces(settings.watch_namespaces, metrics, self.handler.recheck_all)
        self.tenancy = (
            Tenancy(Path(settings.tenancy), clock, self.handler.recheck_all) if settings.tenancy else None
        )
        allow_list = AllowListFile(settings.ip_allow_list)
        metrics.file_usable.labels("ip-allow-list").set_function(lambda: allow_list.usable)
        metrics.file_usable.labels("tenancy").set_function(
            lambda: self.tenancy is None or self.tenancy.usable
        )
        self.definitions = Definitions(kubernetes, KINDS, clock, metrics)
        home = settings.pod_namespace or own_namespace() or "default"
        self.installation = ServingInstallation(
            f"{home}/{settings.lease_name}",
            instance,
            elects=settings.leader_election,
            kubernetes=kubernetes,
            steady=SteadyClock(),
            takeover_after=settings.takeover_after,
        )
        template = TemplateFile(settings.transfer_template, settings.pod_name)
        metrics.file_usable.labels("transfer-template").set_function(lambda: template.usable)
        self.transfers = TransferJobs(
            kubernetes.jobs(home),
            template,
            instance,
            settings.transfer_slots,
            clock,
            wake=self._wake,
            obstacle_changed=self.handler.recheck_all,
        )
        self.sweeper = Sweeper(
            self.transfers,
            clock,
            settings.poll_interval,
            exists=lambda uid: self.cache.with_uid(uid) is not None,
            sees_all=self.sees_all,
        )
        self.events = EventRecorder(kubernetes, clock, metrics, instance)
        sources = Sources.new(SystemTime(clock))
        polls = Installation(instance, settings.create_grace, settings.poll_interval)
        self.sandboxes = Sandboxes(
            polls,
            clock,
            self.cache,
            MANAGED_KINDS,
            sources,
            is_served_elsewhere=self.installation.leaves,
            wake=self.handler.settled,
        )
        orphans = OrphanReporter(instance, self.cache, MANAGED_KINDS, self.events, self.sees_all)
        self.poller = Poller(polls, clock, self.cache, orphans, metrics, self.handler.listed)
        self.guardrail = ProfileGuardrail(self.cache, self.events, metrics, clock, settings.poll_interval)
        connection_named = partial(Key.named, CONNECTION.name)
        endpoints = ZohoEndpoints(settings.zoho_accounts_url, settings.zoho_api_url)
        self.refresher = TokenRefresher(
            clock,
            self.cache,
            self.queue,
            connection_named,
            recheck=lambda key: self.worker.recheck(key),
            sees=self.served.sees,
            is_served_elsewhere=self.installation.leaves,
        )
        store = TokenStore(kubernetes, home, instance)
        self.credits = StoredLedgers(store, clock, metrics)
        self.access = CredentialRegistry(
            ZohoServices(
                ZohoAccounts(http, endpoints, clock),
                ZohoGrants(http, endpoints, clock),
                ZohoCRM(http, endpoints),
            ),
            AdobeServices(
                http,
                Ims(http, settings.ims_url, clock),
                settings.platform_url,
                self.sandboxes,
                connection_named,
            ),
            store,
            clock,
            metrics,
        )
        services = Services(
            SystemTime(clock),
            self.access,
            self.secrets,
            CacheLister(self.cache),
            sources,
            CreatedNames(),
            CreatedNames(),
            settings.create_grace,
            self.transfers,
            self.credits,
            _extraction_settings(settings),
            allow_list.current,
            self.tenancy.allows if self.tenancy else everybody,
        )
        writer = ObjectWriter(kubernetes, metrics, self.handler.seen, self.definitions.declared)
        context = ReconcileContext(
            settings, instance, self.installation, clock, services, writer, self.events, metrics
        )
        self.worker = Worker(context, self.queue, self.cache, MANAGED_KINDS, self.handler.gone)
        metrics.queue_depth.set_function(lambda: self.queue.depth)
        metrics.queue_oldest_seconds.set_function(lambda: self.queue.oldest_wait)
        metrics.resources.read = ResourceReadings(self.cache, self.installation.leaves)
        for kind in MANAGED_KINDS:
            metrics.events_dropped.labels(kind)  # at 0, so that the first one is an increase
            metrics.objects.labels(kind).set_function(partial(self.cache.count, kind))
            metrics.ready_objects.labels(kind).set_function(partial(self.cache.count_ready, kind))

    def _wake(self, uid: str) -> None:
        """Have the dataflow of that uid reconciled."""
        key = self.cache.with_uid(uid)
        if key is not None:
            self.queue.add(key, Priority.CHANGE)

    def sees_all(self) -> bool:
        """True if every resource whose objects bear the name of this installation can be seen. Without a name
        of its own it has the cluster's, as others have that serve other namespaces.
        """
        settings = self._settings
        has_own_name = settings.instance is not None or not settings.watch_namespaces
        return has_own_name and self.served.complete


def _extraction_settings(settings: Settings) -> ExtractionSettings:
    lead = settings.extraction_lead
    return ExtractionSettings(
        timedelta(seconds=settings.extraction_lag),
        None if lead is None else timedelta(seconds=lead),
        settings.zoho_credit_reserve,
        settings.bulk_read_rows,
    )
