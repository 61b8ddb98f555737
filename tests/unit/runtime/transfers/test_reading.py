"""What Jobs and pods say, and what reconciling makes of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from crmflow.observability.redaction import register
from crmflow.reconcile.extraction.observed import JobState
from crmflow.reconcile.extraction.pending import JobKey
from crmflow.runtime.kubernetes.jobs import ListedKind
from crmflow.runtime.transfers.manifests import job_of
from crmflow.runtime.transfers.reading import KnownJob, KnownPod, report_of, transfer_job
from crmflow.runtime.transfers.template import PodTemplate
from crmflow.transfer.declaration import FORM_VERSION
from crmflow.transfer.report import ExitCode, Report, TransferResult
from tests.unit.runtime.transfers.fakes import FILE, ORGANIZATION, TEMPLATE, FakeJobs, order

WRITTEN = Report(exit_code=0, reason=TransferResult.WRITTEN, rows=7, credits=55)


def with_version(report: Report, version: int) -> Report:
    return report.model_copy(update={"form_version": version})


class Cluster:
    """One Job and its pods."""

    def __init__(self) -> None:
        self.api = FakeJobs()
        body = job_of(order(), PodTemplate.model_validate(TEMPLATE), None)
        self.name = self.api.make_job(body)

    @property
    def job(self) -> KnownJob:
        known = KnownJob.of(self.api.jobs[self.name])
        assert known is not None
        return known

    @property
    def seen(self) -> Any:
        return transfer_job(self.job, [KnownPod.of(pod) for pod in self.api.pods.values()])


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def test_a_job_says_what_it_is(cluster: Cluster) -> None:
    assert cluster.job.key == JobKey(FILE, 0)
    assert (cluster.job.dataflow, cluster.job.organization, cluster.job.credits) == (
        "uid-1",
        ORGANIZATION,
        60,
    )
    assert not cluster.job.has_ended


@pytest.mark.parametrize(
    "damage",
    [
        lambda metadata: metadata["labels"].pop("crmflow.io/window"),
        lambda metadata: metadata["labels"].update({"crmflow.io/window": "yesterday"}),
        lambda metadata: metadata["labels"].pop("crmflow.io/organization"),
        lambda metadata: metadata["annotations"].pop("crmflow.io/attempt"),
        lambda metadata: metadata["annotations"].update({"crmflow.io/attempt": "one"}),
        lambda metadata: metadata.pop("annotations"),
    ],
)
def test_a_job_of_somebody_else_is_none(cluster: Cluster, damage: Any) -> None:
    damage(cluster.api.jobs[cluster.name]["metadata"])
    assert KnownJob.of(cluster.api.jobs[cluster.name]) is None


def test_what_is_expected_of_credits_may_be_unknown(cluster: Cluster) -> None:
    cluster.api.jobs[cluster.name]["metadata"]["annotations"]["crmflow.io/expected-credits"] = "many"
    assert cluster.job.credits == 0


def test_a_job_that_has_ended_well_says_what_its_pod_has_said(cluster: Cluster) -> None:
    pod = cluster.api.make_pod(cluster.name)
    assert cluster.seen.state is JobState.RUNNING
    cluster.api.end_pod(pod, WRITTEN)
    assert cluster.seen.state is JobState.RUNNING  # the Job says when it has ended
    cluster.api.end_job(cluster.name)
    seen = cluster.seen
    assert (seen.state, seen.result, seen.exit_code) == (
        JobState.SUCCEEDED,
        TransferResult.WRITTEN,
        ExitCode.DONE,
    )
    assert seen.report == WRITTEN


def test_a_job_whose_pod_still_ends_runs(cluster: Cluster) -> None:
    cluster.api.make_pod(cluster.name)
    cluster.api.end_job(cluster.name, "Failed", reason="DeadlineExceeded", message="too long")
    assert cluster.seen.state is JobState.RUNNING
    cluster.api.pods.clear()
    seen = cluster.seen
    assert (seen.state, seen.report, seen.exit_code) == (JobState.FAILED, None, None)
    assert seen.trouble == "DeadlineExceeded: too long"


def test_a_failure_says_who_has_to_act(cluster: Cluster) -> None:
    report = Report(exit_code=20, reason="TokenRejected", message="no", advice="renew", retry_after=90.0)
    cluster.api.end_pod(cluster.api.make_pod(cluster.name), report)
    cluster.api.end_job(cluster.name, "Failed")
    seen = cluster.seen
    assert (seen.state, seen.exit_code, seen.result) == (JobState.FAILED, ExitCode.ZOHO_TOKEN, None)
    assert seen.retry_after == timedelta(seconds=90)
    assert seen.report is not None
    assert (seen.report.message, seen.report.advice) == ("no", "renew")


def test_a_process_that_was_killed_has_left_no_report(cluster: Cluster) -> None:
    cluster.api.end_pod(cluster.api.make_pod(cluster.name), None, 137, reason="OOMKilled")
    cluster.api.end_job(cluster.name, "Failed", reason="BackoffLimitExceeded", message="Job has reached it")
    seen = cluster.seen
    assert (seen.report, seen.exit_code) == (None, None)
    assert seen.trouble == "OOMKilled, exit code 137"


def test_an_exit_status_of_ours_counts_without_a_report(cluster: Cluster) -> None:
    cluster.api.end_pod(cluster.api.make_pod(cluster.name), None, 21)
    cluster.api.end_job(cluster.name, "Failed")
    assert cluster.seen.exit_code is ExitCode.SAS


def test_the_newest_pod_speaks_for_the_job(cluster: Cluster) -> None:
    evicted = cluster.api.make_pod(cluster.name)
    cluster.api.end_pod(evicted, Report(exit_code=10, reason="Terminated"))
    cluster.api.end_pod(cluster.api.make_pod(cluster.name), WRITTEN)
    cluster.api.end_job(cluster.name)
    assert cluster.seen.report == WRITTEN


@pytest.mark.parametrize(
    ("status", "trouble"),
    [
        ({"phase": "Pending"}, ""),
        ({"phase": "Running", "containerStatuses": [{"name": "transfer", "state": {"running": {}}}]}, ""),
        (
            {
                "phase": "Pending",
                "conditions": [
                    {
                        "type": "PodScheduled",
                        "status": "False",
                        "reason": "Unschedulable",
                        "message": "0/3 nodes are available",
                    }
                ],
            },
            "Unschedulable: 0/3 nodes are available",
        ),
        (
            {
                "phase": "Pending",
                "containerStatuses": [
                    {"name": "sidecar", "state": {"waiting": {"reason": "CrashLoopBackOff"}}},
                    {"name": "transfer", "state": {"waiting": {"reason": "ContainerCreating"}}},
                ],
            },
            "",
        ),
        (
            {
                "phase": "Pending",
                "containerStatuses": [
                    {
                        "name": "transfer",
                        "state": {"waiting": {"reason": "ImagePullBackOff", "message": "not <b>found</b>"}},
                    }
                ],
            },
            "ImagePullBackOff: not found",
        ),
    ],
)
def test_why_a_pod_does_not_run_is_said(cluster: Cluster, status: dict[str, Any], trouble: str) -> None:
    cluster.api.make_pod(cluster.name, **status)
    cluster.api.change(ListedKind.JOBS, cluster.name, {"active": 1})
    seen = cluster.seen
    assert (seen.state, seen.trouble) == (JobState.RUNNING, trouble)


def test_a_job_without_a_pod_says_so(cluster: Cluster) -> None:
    """A quota or an admission policy may keep the controller from making one."""
    assert not cluster.seen.has_pod
    cluster.api.change(ListedKind.JOBS, cluster.name, {"active": 1})
    assert cluster.seen.has_pod


@pytest.mark.parametrize("version", [FORM_VERSION, FORM_VERSION - 1])
def test_reports_of_this_form_and_the_one_before_are_read(version: int) -> None:
    report = with_version(WRITTEN, version)
    assert report_of(report.model_dump_json(by_alias=True)) == report


def test_a_report_may_say_more_than_is_known_here() -> None:
    text = WRITTEN.model_dump_json(by_alias=True).removesuffix("}") + ', "moreLater": [1]}'
    assert report_of(text) == WRITTEN


@pytest.mark.parametrize(
    "text",
    [
        "",
        "panic",
        "{}",
        "[1]",
        WRITTEN.model_dump_json(by_alias=True)[:-4],
        with_version(WRITTEN, FORM_VERSION + 1).model_dump_json(by_alias=True),
    ],
)
def test_what_is_no_report_is_none(text: str) -> None:
    assert report_of(text) is None


def test_a_report_is_made_fit_for_a_status() -> None:
    register("hush-hush")
    text = Report(exit_code=32, reason="R", message="<p>hush-hush</p>\n\x1b[31mno").model_dump_json(
        by_alias=True
    )
    report = report_of(text)
    assert report is not None
    assert "hush" not in report.message
    assert "\n" not in report.message
    assert "<p>" not in report.message
