"""What Jobs and pods of transfers say, as the API server gives them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from crmflow.observability.redaction import sanitize
from crmflow.reconcile.extraction import names
from crmflow.reconcile.extraction.names import FileKey
from crmflow.reconcile.extraction.observed import JobState, TransferJob
from crmflow.reconcile.extraction.pending import JobKey
from crmflow.runtime.transfers.manifests import ATTEMPT_ANNOTATION, CREDITS_ANNOTATION
from crmflow.runtime.transfers.template import CONTAINER
from crmflow.transfer.declaration import FORM_VERSION
from crmflow.transfer.report import MOST_BYTES, Report

READABLE = (FORM_VERSION, FORM_VERSION - 1)
"""A Job of before an upgrade says what it has to say in the form of that time."""
_OWNER_LABEL = "batch.kubernetes.io/controller-uid"
_STARTING = frozenset({"ContainerCreating", "PodInitializing"})
_ENDS = {"Complete": JobState.SUCCEEDED, "Failed": JobState.FAILED}

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class KnownJob:
    """A Job of a transfer."""

    name: str
    uid: str
    version: int
    labels: Mapping[str, str]
    """Those by which it is found."""
    key: JobKey
    credits: int
    """What it is expected to cost."""
    state: JobState
    has_pod: bool
    trouble: str
    """Why it has failed, in the words of Kubernetes."""

    @property
    def has_ended(self) -> bool:
        """Whether it says so: a pod of it may still have to."""
        return self.state is not JobState.RUNNING

    @property
    def dataflow(self) -> str:
        """The uid of whom it is for."""
        return self.labels[names.UID_LABEL]

    @property
    def organization(self) -> str:
        """Whose slots and credits it takes."""
        return self.labels[names.ORGANIZATION_LABEL]

    @property
    def instance(self) -> str:
        """The installation that made it."""
        return self.labels[names.INSTANCE_LABEL]

    @classmethod
    def of(cls, job: Object) -> KnownJob | None:
        """None of a Job that is none of ours, whatever its labels say."""
        metadata, status = job["metadata"], job.get("status") or {}
        labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
        file = FileKey.of_label(labels.get(names.FILE_LABEL, ""))
        attempt = annotations.get(ATTEMPT_ANNOTATION, "")
        ours = (names.APP_LABEL, names.INSTANCE_LABEL, names.UID_LABEL, names.FILE_LABEL)
        found = {name: labels[name] for name in (*ours, names.ORGANIZATION_LABEL) if name in labels}
        if file is None or not attempt.isdecimal() or len(found) <= len(ours):
            return None
        credits = annotations.get(CREDITS_ANNOTATION, "")
        state, trouble = _end_of(status)
        return cls(
            name=metadata["name"],
            uid=metadata["uid"],
            version=int(metadata["resourceVersion"]),
            labels=found,
            key=JobKey(file, int(attempt)),
            credits=int(credits) if credits.isdecimal() else 0,
            state=state,
            has_pod=any(status.get(name) for name in ("active", "terminating", "succeeded", "failed")),
            trouble=trouble,
        )


@dataclass(frozen=True, slots=True)
class KnownPod:
    """A pod of such a Job."""

    name: str
    version: int
    created: str
    job: str
    """The uid of its Job."""
    dataflow: str
    organization: str
    instance: str
    has_ended: bool
    exit_code: int | None
    message: str
    """The termination message."""
    trouble: str
    """Why it does not run, or how it has ended, in the words of Kubernetes."""

    @classmethod
    def of(cls, pod: Object) -> KnownPod:
        """Read the pod."""
        metadata, status = pod["metadata"], pod.get("status") or {}
        labels = metadata.get("labels") or {}
        state = _state_of(status)
        end = state.get("terminated") or {}
        return cls(
            name=metadata["name"],
            version=int(metadata["resourceVersion"]),
            created=metadata["creationTimestamp"],
            job=labels.get(_OWNER_LABEL, ""),
            dataflow=labels.get(names.UID_LABEL, ""),
            organization=labels.get(names.ORGANIZATION_LABEL, ""),
            instance=labels.get(names.INSTANCE_LABEL, ""),
            has_ended=status.get("phase") in ("Succeeded", "Failed"),
            exit_code=end.get("exitCode"),
            message=end.get("message") or "",
            trouble=_trouble_of(status, state),
        )


def pods_of(job: KnownJob) -> str:
    """The selector of a Job's pods. An earlier Job of the same name had others."""
    return f"{_OWNER_LABEL}={job.uid}"


def transfer_job(job: KnownJob, pods: Iterable[KnownPod]) -> TransferJob:
    """What reconciling sees of a Job with these pods."""
    ordered = sorted(pods, key=lambda pod: pod.created)
    if not job.has_ended or not all(pod.has_ended for pod in ordered):
        trouble = ordered[-1].trouble if ordered else ""
        return TransferJob(JobState.RUNNING, trouble=trouble, has_pod=job.has_pod or bool(ordered))
    if not ordered:
        return TransferJob.ended(job.state, None, trouble=job.trouble)
    last = ordered[-1]
    return TransferJob.ended(job.state, report_of(last.message), last.exit_code, last.trouble or job.trouble)


def report_of(message: str) -> Report | None:
    """A termination message; None of one that is no report, or one of a form that is not known here."""
    try:
        report = Report.model_validate_json(message)
    except ValidationError:
        return None
    if report.form_version not in READABLE:
        return None
    texts = {name: sanitize(getattr(report, name), MOST_BYTES) for name in ("reason", "message", "advice")}
    return report.model_copy(update=texts)


def _end_of(status: Object) -> tuple[JobState, str]:
    for condition in status.get("conditions") or ():
        if condition["type"] in _ENDS and condition["status"] == "True":
            return _ENDS[condition["type"]], _said(condition)
    return JobState.RUNNING, ""


def _state_of(status: Object) -> Object:
    """How the container of the transfer is; others may have added containers of their own."""
    containers = status.get("containerStatuses") or ()
    state: Object = next((one.get("state") or {} for one in containers if one["name"] == CONTAINER), {})
    return state


def _trouble_of(status: Object, state: Object) -> str:
    waiting, end = state.get("waiting") or {}, state.get("terminated") or {}
    if end and end.get("exitCode"):
        return sanitize(f"{end.get('reason') or 'Error'}, exit code {end['exitCode']}")
    if status.get("reason"):  # such as Evicted
        return _said(status)
    if waiting and waiting.get("reason") not in _STARTING:
        return _said(waiting)
    for condition in status.get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return _said(condition)
    return ""


def _said(part: Object) -> str:
    return sanitize(": ".join(filter(None, (part.get("reason"), part.get("message")))))
