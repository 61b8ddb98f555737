"""The part of an operator process that has to do with credentials and sandboxes, over fakes."""

from __future__ import annotations

from functools import partial
from typing import Any

from crmflow.observability.metrics import Metrics
from crmflow.reconcile.connection.kind import KIND as CONNECTION
from crmflow.reconcile.dataflow.kind import KIND as DATAFLOW
from crmflow.reconcile.sources.ways import Sources
from crmflow.runtime.controller.cache import ObjectCache
from crmflow.runtime.controller.keys import Key, ReconcileRequest
from crmflow.runtime.credentials.adobe import AdobeServices
from crmflow.runtime.credentials.registry import CredentialRegistry
from crmflow.runtime.credentials.token_store import TokenStore
from crmflow.runtime.credentials.zoho import ZohoServices
from crmflow.runtime.inventory.orphans import OrphanReporter
from crmflow.runtime.inventory.polled_sandbox import Installation, Sandboxes
from crmflow.runtime.inventory.poller import Poller
from crmflow.runtime.kubernetes.events import EventRecorder
from tests.unit.runtime.fakes import FakeKubernetes, JumpingClock

HOME = "crmflow-system"
POLL = 300.0
GRACE = 60.0
KINDS = {kind.name: kind for kind in (CONNECTION, DATAFLOW)}


class Process:
    """What ends with a process: all but the remote services, the API server, and the cache that it fills."""

    def __init__(self, clock: JumpingClock, kubernetes: FakeKubernetes, cache: ObjectCache) -> None:
        self.clock, self.kubernetes, self.cache = clock, kubernetes, cache
        self.metrics = Metrics()
        self.requests: list[ReconcileRequest] = []
        self.all_are_seen = True
        self.served_elsewhere: set[Key] = set()
        installation = Installation("test", GRACE, POLL)
        self.sandboxes = Sandboxes(
            installation,
            clock,
            cache,
            KINDS,
            Sources.new(clock),
            lambda key: key in self.served_elsewhere,
        )
        self.events = EventRecorder(kubernetes.port, clock, self.metrics, "test")
        self.orphans = OrphanReporter("test", cache, KINDS, self.events, lambda: self.all_are_seen)
        self.poller = Poller(installation, clock, cache, self.orphans, self.metrics, self.requests.append)

    def registry(self, zoho: Any, ims: Any, http: Any = None) -> CredentialRegistry:
        """Its registry, with services that are fakes."""
        self.store = TokenStore(self.kubernetes.port, HOME, "test")
        return CredentialRegistry(
            ZohoServices(zoho, zoho, zoho),
            AdobeServices(http, ims, "http://platform", self.sandboxes, partial(Key.named, CONNECTION.name)),
            self.store,
            self.clock,
            self.metrics,
        )

    def metric(self, name: str, labels: dict[str, str] | None = None) -> float | None:
        """The value of a metric."""
        return self.metrics.registry.get_sample_value(f"crmflow_{name}", labels or {})
