"""The operator's metrics, all of them, in one place."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """Counters and gauges of one operator process, on a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.reconciles = Counter(
            "crmflow_reconcile",
            "Finished passes by their outcome.",
            ["kind", "outcome"],
            registry=self.registry,
        )
        self.reconcile_seconds = Histogram(
            "crmflow_reconcile_duration_seconds",
            "Length of a pass.",
            ["kind"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.queue_depth = Gauge(
            "crmflow_workqueue_depth", "Keys that are due and wait for a worker.", registry=self.registry
        )
        self.queue_wait_seconds = Histogram(
            "crmflow_workqueue_wait_seconds",
            "Time between a key being due and a worker taking it.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.remote_calls = Counter(
            "crmflow_remote_calls",
            "Calls to Zoho and Adobe by operation and HTTP status (or error class when there was no answer).",
            ["service", "operation", "status"],
            registry=self.registry,
        )
        self.remote_call_seconds = Histogram(
            "crmflow_remote_call_duration_seconds",
            "Length of a remote call.",
            ["service"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.kubernetes_writes = Counter(
            "crmflow_kubernetes_writes",
            "Writes to the API server that were accepted.",
            ["kind", "write"],
            registry=self.registry,
        )
        self.token_expiry = Gauge(
            "crmflow_token_expiry_timestamp_seconds",
            "When the access token of a credential ends; the credential is a hash.",
            ["service", "credential"],
            registry=self.registry,
        )
        self.token_issued = Gauge(
            "crmflow_token_issued_timestamp_seconds",
            "When the access token of a credential was issued; the credential is a hash.",
            ["service", "credential"],
            registry=self.registry,
        )
        self.poll_calls = Gauge(
            "crmflow_inventory_poll_calls",
            "Remote calls of the last poll of a sandbox.",
            ["organization", "sandbox"],
            registry=self.registry,
        )
        self.poll_pages = Gauge(
            "crmflow_inventory_poll_pages",
            "Pages of listings that the last poll of a sandbox read.",
            ["organization", "sandbox"],
            registry=self.registry,
        )
        self.poll_wakes = Gauge(
            "crmflow_inventory_poll_wakes",
            "Resources that the last poll of a sandbox woke.",
            ["organization", "sandbox"],
            registry=self.registry,
        )
        self.poll_failures = Counter(
            "crmflow_inventory_poll_failures",
            "Polls whose listing was discarded because a page failed.",
            registry=self.registry,
        )
        self.orphans = Gauge(
            "crmflow_orphans",
            "Remote objects with this installation's key for which there is no resource.",
            ["organization", "sandbox"],
            registry=self.registry,
        )
        self.leader = Gauge(
            "crmflow_leader",
            "1 while this process may act, 0 while it stands by.",
            registry=self.registry,
        )
        self.profile_runs = Gauge(
            "crmflow_profile_runs_per_day",
            "Runs a day into Profile-enabled datasets of a sandbox, by schedules; Adobe advises at most 90.",
            ["organization", "sandbox"],
            registry=self.registry,
        )
        self.objects = Gauge(
            "crmflow_objects", "Resources known to the operator.", ["kind"], registry=self.registry
        )

    def remote_call(self, service: str, operation: str, status: str, seconds: float) -> None:
        """Count one remote call; handed to the HTTP client as its observer."""
        self.remote_calls.labels(service, operation, status).inc()
        self.remote_call_seconds.labels(service).observe(seconds)
