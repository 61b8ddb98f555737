"""A complete life of the operator and its resources, in steps that can fail one by one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from crmflow.reconcile.extraction.names import UID_LABEL
from crmflow.zoho.scopes import DEFAULT_SCOPES
from tests.kit import manifests
from tests.kit.cluster import Object, condition
from tests.kit.pod import Pod
from tests.kit.runs import RUN, RUN_NAME, DataflowRuns
from tests.kit.tenant import CONNECTION, DATAFLOW, NOTHING, Tenant
from tests.rights.audit import AuditLog

_POLL_SECONDS = 0.05
_BY_FILES = "contacts-by-files"
"""A dataflow through the landing zone. Its Job gets no further than a pod that waits for a node."""
TIME_TO_LIVE = 60
"""Seconds, of a run that has ended."""
PATIENCE_SECONDS = 30.0
"""For a step while nothing was refused."""
REFUSED_SECONDS = 2.0
"""For a step from a refusal on: does it come about all the same?"""


@dataclass(frozen=True)
class Step:
    """Something that is done, what is to come of it, and how people would notice that it does not."""

    failure: str
    act: Callable[[], None]
    reached: Callable[[], bool]


@dataclass(frozen=True)
class Failure:
    """The first step that was not reached."""

    text: str

    def __str__(self) -> str:
        return self.text


class Lifecycle:
    """The life of ``pod``, which serves the namespace of ``tenant``."""

    def __init__(self, tenant: Tenant, pod: Pod, audit: AuditLog) -> None:
        self._tenant = tenant
        self._pod = pod
        self._audit = audit
        self._runs = DataflowRuns(tenant)
        # A grant token: the refresh token is then the operator's to keep, and to remove at the end.
        self._grant = tenant.control.post("/zoho/grants", dataCenter="EU", scopes=list(DEFAULT_SCOPES))

    def live(self) -> Failure | None:
        """Live it to its end, or until a step fails."""
        for step in self._steps():
            step.act()
            if not self._comes_about(step):
                return Failure(step.failure)
        return None

    def _comes_about(self, step: Step) -> bool:
        began = time.monotonic()
        refused_at: float | None = None
        while not step.reached():
            now = time.monotonic()
            if refused_at is None and self._audit.forbidden():
                refused_at = now
            if now > (began + PATIENCE_SECONDS if refused_at is None else refused_at + REFUSED_SECONDS):
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def _steps(self) -> Iterator[Step]:
        yield Step("the operator does not become ready", self._pod.start, self._is_ready)
        yield Step("resources do not become Ready", self._apply, self._are_ready)
        yield Step("no Job copies records into a landing zone", _nothing, self._has_job)
        yield Step("the Lease is not renewed, and the operator ends", _nothing, self._holds_on_to_the_lease)
        yield Step("no Event tells what was made", _nothing, self._has_event)
        for kind, path in ((CONNECTION, "/connections/"), (DATAFLOW, "/flows/")):
            yield Step(
                "a pass that meets somebody else's change can't be finished",
                partial(self._change_during_a_pass, kind, path),
                partial(self._was_read_again, kind),
            )
        yield Step("a failed run is not told", self._fail_run, self._has_failed_run)
        yield Step("the failed run is not run again", self._run_again, self._was_asked_for)
        yield Step("the end of a run is not told", self._end_run, self._is_complete)
        yield Step("a run whose time to live is over stays", self._outlive_the_run, self._is_run_gone)
        yield Step("a changed Secret is not noticed", self._break_the_secret, self._is_refused_by_zoho)
        yield Step("a mended Secret is not noticed", self._apply_secrets, self._are_ready)
        yield Step("deleted resources do not go", self._delete, self._are_gone)

    def _is_ready(self) -> bool:
        return self._pod.probe("readinessProbe")

    def _apply(self) -> None:
        self._apply_secrets()
        self._tenant.apply_dataflow(_BY_FILES, transport="LandingZone")
        self._tenant.apply_dataflow()
        self._tenant.apply_connection()

    def _apply_secrets(self, **changed: str) -> None:
        tenant, info = self._tenant, self._tenant.emulators.info
        grant = {key: self._grant[key] for key in ("clientId", "clientSecret", "grantToken")} | changed
        _, platform = manifests.secrets(tenant.namespace, info)
        for secret in (manifests.secret(tenant.namespace, manifests.ZOHO_SECRET, grant), platform):
            tenant.cluster.apply(secret)

    def _are_ready(self) -> bool:
        return all(_is_ready(self._tenant.get(kind)) for kind in (CONNECTION, DATAFLOW))

    def _has_job(self) -> bool:
        """With a Secret that goes with it."""
        cluster, home = self._tenant.cluster, self._pod.namespace
        uid = cluster.get(DATAFLOW, _BY_FILES, self._tenant.namespace)["metadata"]["uid"]
        jobs, secrets = (
            [obj["metadata"] for obj in cluster.list(kind, home) if _dataflow_of(obj) == uid]
            for kind in ("Job", "Secret")
        )
        owners = [owner["uid"] for secret in secrets for owner in secret.get("ownerReferences", ())]
        return bool(jobs) and owners == [job["uid"] for job in jobs]

    def _holds_on_to_the_lease(self) -> bool:
        name = self._pod.environment["CRMFLOW_LEASE_NAME"]
        lease = self._tenant.cluster.get("Lease", name, self._pod.namespace)["spec"]
        return bool(lease["renewTime"] > lease["acquireTime"])

    def _has_event(self) -> bool:
        told = {
            event["regarding"]["uid"] for event in self._tenant.cluster.list("Event", self._tenant.namespace)
        }
        return {self._tenant.get(kind)["metadata"]["uid"] for kind in (CONNECTION, DATAFLOW)} <= told

    def _change_during_a_pass(self, kind: str, path: str) -> None:
        """Platform takes its time over a new name; meanwhile somebody labels the resource."""
        tenant = self._tenant
        tenant.control.fault(service="platform", method="PATCH", path=path, delay=1.0)
        tenant.edit(kind, displayName="Another name")
        self._wait_for_fault()
        label = {"metadata": {"labels": {"example.com/touched": "meanwhile"}}}
        tenant.cluster.patch(kind, tenant.name_of(kind), tenant.namespace, label)

    def _wait_for_fault(self) -> None:
        """Until the request has come that is to take its time, or for want of a right does not."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self._tenant.control.get("/faults")["faults"] and time.monotonic() < deadline:
            if self._audit.forbidden():
                return
            time.sleep(_POLL_SECONDS)

    def _was_read_again(self, kind: str) -> bool:
        name = self._tenant.name_of(kind)
        answered = (asked for asked in self._audit.requests() if not asked.forbidden)
        return any((asked.verb, asked.name) == ("get", name) for asked in answered) and self._are_ready()

    def _fail_run(self) -> None:
        flow = self._tenant.get(DATAFLOW)["status"]["flow"]["id"]
        self._tenant.control.post("/aep/runs", flowId=flow, state="failed")

    def _has_failed_run(self) -> bool:
        runs = self._tenant.get(DATAFLOW)["status"].get("recentRuns", ())
        return any(run["state"] == "failed" for run in runs)

    def _run_again(self) -> None:
        """Platform takes its time over the request; meanwhile somebody labels the run."""
        tenant = self._tenant
        tenant.control.fault(service="platform", method="POST", path="/action$", delay=1.0)
        self._runs.create(RUN_NAME, ttlSecondsAfterFinished=TIME_TO_LIVE)
        self._wait_for_fault()
        label = {"metadata": {"labels": {"example.com/touched": "meanwhile"}}}
        tenant.cluster.patch(RUN, RUN_NAME, tenant.namespace, label)

    def _was_asked_for(self) -> bool:
        answered = (asked for asked in self._audit.requests() if not asked.forbidden)
        was_read = any((asked.verb, asked.name) == ("get", RUN_NAME) for asked in answered)
        return was_read and "run" in self._runs.get(RUN_NAME).get("status", {})

    def _end_run(self) -> None:
        made = self._runs.get(RUN_NAME)["status"]["run"]["id"]
        self._tenant.control.post("/aep/runs", runId=made, state="success")
        self._tenant.control.advance(60)

    def _is_complete(self) -> bool:
        complete = condition(self._runs.get(RUN_NAME), "Complete")
        return complete is not None and complete["status"] == "True"

    def _outlive_the_run(self) -> None:
        self._tenant.control.advance(TIME_TO_LIVE + 60)

    def _is_run_gone(self) -> bool:
        return self._tenant.cluster.find(RUN, RUN_NAME, self._tenant.namespace) is None

    def _break_the_secret(self) -> None:
        self._apply_secrets(clientSecret="wrong")

    def _is_refused_by_zoho(self) -> bool:
        authorized = condition(self._tenant.get(CONNECTION), "Authorized")
        return authorized is not None and authorized["status"] == "False"

    def _delete(self) -> None:
        self._tenant.cluster.delete(DATAFLOW, _BY_FILES, self._tenant.namespace)
        self._tenant.delete(DATAFLOW)
        self._tenant.delete(CONNECTION)

    def _are_gone(self) -> bool:
        tenant = self._tenant
        left = [obj for kind in (CONNECTION, DATAFLOW) for obj in tenant.cluster.list(kind, tenant.namespace)]
        jobs = tenant.cluster.list("Job", self._pod.namespace)
        return left == jobs == [] and tenant.counts() == NOTHING


def _dataflow_of(obj: Object) -> str | None:
    """The uid of whom it is for, if it is one of a transfer."""
    uid: str | None = (obj["metadata"].get("labels") or {}).get(UID_LABEL)
    return uid


def _is_ready(obj: Object) -> bool:
    ready = condition(obj, "Ready")
    return (
        ready is not None
        and ready["status"] == "True"
        and ready["observedGeneration"] == obj["metadata"]["generation"]
    )


def _nothing() -> None:
    """What is to come of the step before."""
