"""The operator's metrics, all of them, in one place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from crmflow import __version__
from crmflow.observability import call_counter
from crmflow.observability.resource_metrics import FAMILIES, ResourceCollector

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_MINUTES = (1, 2.5, 5, 10, 30, 60, 300, 900, 3600)


@dataclass(frozen=True)
class Description:
    """A family as the reference page tells it."""

    name: str
    type: str
    labels: tuple[str, ...]
    text: str


class Metrics:
    """Counters and gauges of one operator process, on a registry of their own."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a gauge beside each counter
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.resources = ResourceCollector()
        """What resources tell of themselves."""
        self.registry.register(self.resources)
        self.descriptions = [
            Description(family.name, family.type, family.all_labels, family.text) for family in FAMILIES
        ]
        self.before_scrape: list[Callable[[], None]] = []
        """Called before the metrics are read, to bring gauges up to date."""

        self.reconciles = self._counter(
            "crmflow_reconcile", "Finished passes by their outcome.", ["kind", "outcome"]
        )
        self.reconcile_seconds = self._histogram(
            "crmflow_reconcile_duration_seconds", "Length of a pass.", ["kind"]
        )
        self.first_reconcile_seconds = self._histogram(
            "crmflow_first_reconcile_seconds",
            "Time from a resource's creation until its status first spoke of its generation.",
            ["kind"],
            _MINUTES,
        )
        self.drift_repaired = self._counter(
            "crmflow_drift_repaired",
            "Passes that put right, or made anew, what had been changed or deleted from outside.",
            ["kind"],
        )
        self.queue_depth = self._gauge(
            "crmflow_workqueue_depth", "Keys that are due and wait for a worker; none on a standby."
        )
        self.queue_oldest_seconds = self._gauge(
            "crmflow_workqueue_oldest_seconds", "How long the key that waits longest has been due."
        )
        self.queue_wait_seconds = self._histogram(
            "crmflow_workqueue_wait_seconds", "Time between a key being due and a worker taking it."
        )
        self.remote_calls = self._counter(
            "crmflow_remote_calls",
            "Calls to Zoho and Adobe by operation and HTTP status (or error class when there was no answer).",
            ["service", "operation", "status"],
        )
        self.remote_call_seconds = self._histogram(
            "crmflow_remote_call_duration_seconds", "Length of a remote call.", ["service"]
        )
        self.limiter_wait_seconds = self._histogram(
            "crmflow_limiter_wait_seconds",
            "How long remote calls were held back because the service had asked for fewer.",
            ["service"],
        )
        self.limiter_rate = self._gauge(
            "crmflow_limiter_requests_per_second",
            "What a credential may send at present, +Inf without a limit; the credential is a hash.",
            ["service", "credential"],
        )
        self.kubernetes_writes = self._counter(
            "crmflow_kubernetes_writes", "Writes to the API server that were accepted.", ["kind", "write"]
        )
        self.kubernetes_refusals = self._counter(
            "crmflow_kubernetes_refusals",
            "Writes that the API server refused for want of a right, by a policy, a webhook or a quota.",
            ["kind", "write"],
        )
        self.token_expiry = self._gauge(
            "crmflow_token_expiry_timestamp_seconds",
            "When the access token of a credential ends; the credential is a hash.",
            ["service", "credential"],
        )
        self.token_issued = self._gauge(
            "crmflow_token_issued_timestamp_seconds",
            "When the access token of a credential was issued; the credential is a hash.",
            ["service", "credential"],
        )
        scope = ["organization", "sandbox", "credential"]
        self.poll_calls = self._gauge(
            "crmflow_inventory_poll_calls", "Remote calls of the last poll of a sandbox.", scope
        )
        self.poll_pages = self._gauge(
            "crmflow_inventory_poll_pages", "Pages of listings that the last poll of a sandbox read.", scope
        )
        self.poll_wakes = self._gauge(
            "crmflow_inventory_poll_wakes", "Resources that the last poll of a sandbox woke.", scope
        )
        self.orphans = self._gauge(
            "crmflow_orphans",
            "Remote objects with this installation's key for which there is no resource.",
            scope,
        )
        self.poll_failures = self._counter(
            "crmflow_inventory_poll_failures", "Polls whose listing was discarded because a page failed."
        )
        self.profile_runs = self._gauge(
            "crmflow_profile_runs_per_day",
            "Runs a day into Profile-enabled datasets of a sandbox, by schedules; Adobe advises at most 90.",
            ["organization", "sandbox"],
        )
        account = ["organization"]
        self.credits_spent = self._gauge(
            "crmflow_zoho_credits_spent",
            "API credits that transfers have taken in the last 24 hours of an organization of Zoho CRM.",
            account,
        )
        self.credits_allowed = self._gauge(
            "crmflow_zoho_credits_allowed", "How many of them they may take in 24 hours.", account
        )
        self.leader = self._gauge("crmflow_leader", "1 while this process may act, 0 while it stands by.")
        self.objects = self._gauge("crmflow_objects", "Resources known to the operator.", ["kind"])
        self.ready_objects = self._gauge(
            "crmflow_ready_objects", "Those of them whose condition Ready is True.", ["kind"]
        )
        self.namespace_served = self._gauge(
            "crmflow_namespace_served",
            "1 while the operator may list, watch and read what it serves in the namespace (* is all of "
            "them), 0 while the API server refuses one of these.",
            ["namespace"],
        )
        self.events_dropped = self._counter(
            "crmflow_events_dropped",
            "Events that were not written, since too many waited for the API server.",
            ["kind"],
        )
        self.deletions_forbidden = self._gauge(
            "crmflow_deletions_forbidden",
            "Resources being deleted that can't go, since the operator may not write them; the log names "
            "what they have in Platform.",
            ["kind"],
        )
        self.objects_left = self._gauge(
            "crmflow_resources_served_by_another",
            "Resources that this installation leaves alone, since another one serves them.",
            ["kind"],
        )
        self.event_loop_lag_seconds = self._gauge(
            "crmflow_event_loop_lag_seconds", "How late the event loop runs what is due."
        )
        self.file_usable = self._gauge(
            "crmflow_mounted_file_usable",
            "1 while what a mounted file holds can be used, 0 while what was in force before stays.",
            ["file"],
        )
        self.definition_differences = self._gauge(
            "crmflow_definition_differences",
            "Fields of a kind that the API server's definition lacks (missing), or that this version does "
            "not know (unknown).",
            ["kind", "difference"],
        )
        self.clock_ahead_seconds = self._gauge(
            "crmflow_clock_ahead_seconds",
            "By how much the operator's count of time is ahead since the system's clock was set back.",
        )
        self.secret_watch_age_seconds = self._gauge(
            "crmflow_secret_watch_age_seconds", "Time since the watch of Secrets last connected."
        )
        self._gauge(
            "crmflow_build_info", "Always 1; the label is the version that runs.", ["version"]
        ).labels(__version__).set(1)

    @property
    def per_scope(self) -> Sequence[Gauge]:
        """The gauges that speak of one sandbox as seen with one credential."""
        return self.poll_calls, self.poll_pages, self.poll_wakes, self.orphans

    def remote_call(self, service: str, operation: str, status: str, seconds: float) -> None:
        """Count one remote call; handed to the HTTP client as its observer."""
        call_counter.count(operation)
        self.remote_calls.labels(service, operation, status).inc()
        self.remote_call_seconds.labels(service).observe(seconds)

    def text(self) -> bytes:
        """All of them in Prometheus' text format."""
        for refresh in self.before_scrape:
            refresh()
        return generate_latest(self.registry)

    def _counter(self, name: str, text: str, labels: Sequence[str] = ()) -> Counter:
        self._describe(f"{name}_total", "counter", text, labels)
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, labels: Sequence[str] = ()) -> Gauge:
        self._describe(name, "gauge", text, labels)
        return Gauge(name, text, labels, registry=self.registry)

    def _histogram(
        self, name: str, text: str, labels: Sequence[str] = (), buckets: Sequence[float] = _SECONDS
    ) -> Histogram:
        self._describe(name, "histogram", text, labels)
        return Histogram(name, text, labels, buckets=buckets, registry=self.registry)

    def _describe(self, name: str, kind: str, text: str, labels: Sequence[str]) -> None:
        self.descriptions.append(Description(name, kind, tuple(labels), text))
