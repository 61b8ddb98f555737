"""Jobs of transfers: made once whatever dies between, supplied, counted, deleted."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.reconcile.extraction.names import FileKey
from crmflow.reconcile.extraction.observed import JobState
from crmflow.reconcile.extraction.pending import JobKey
from crmflow.runtime.kubernetes.errors import KubernetesError, Refusal
from crmflow.runtime.kubernetes.jobs import ListedKind
from crmflow.transfer.report import Report, TransferResult
from tests.unit.runtime.transfers.fakes import (
    FILE,
    ORGANIZATION,
    OTHER_ORGANIZATION,
    FakeJobs,
    Harness,
    credentials,
    order,
)

KEY = JobKey(FILE, 0)
WRITTEN = Report(exit_code=0, reason=TransferResult.WRITTEN, rows=7)
UNREACHABLE = KubernetesError("the API server can't be reached")
FORBIDDEN = KubernetesError("403", 403, words="no right", refusal=Refusal.RIGHTS)


@pytest.fixture
async def harness(tmp_path: Path) -> Harness:
    return await Harness.listed(tmp_path)


def data(harness: Harness, name: str) -> dict[str, str]:
    encoded = harness.api.secret_bodies[name]["data"]
    return {key: base64.b64decode(value).decode() for key, value in encoded.items()}


def owners(harness: Harness, name: str) -> list[Any]:
    return list(harness.api.secret_bodies[name]["metadata"].get("ownerReferences", ()))


async def end(harness: Harness, name: str, report: Report = WRITTEN) -> None:
    """The Job's pod ends, then the Job, and the watch tells of both."""
    harness.api.end_pod(harness.api.make_pod(name), report)
    harness.api.end_job(name, "Failed" if report.exit_code else "Complete")
    await harness.transfers.list()


async def test_a_job_is_made_with_its_secret_which_goes_with_it(harness: Harness) -> None:
    await harness.transfers.start(order())
    name = harness.job
    assert harness.take_calls() == ["apply secret", "create job", "apply secret"]
    assert data(harness, name) == {"accessToken": "token-1", "sasUri": "https://blob/c?sig=1"}
    (owner,) = owners(harness, name)
    assert (owner["kind"], owner["name"], owner["uid"]) == (
        "Job",
        name,
        harness.api.jobs[name]["metadata"]["uid"],
    )
    assert harness.api.labels(name) == harness.api.jobs[name]["metadata"]["labels"]
    found = await harness.transfers.jobs("uid-1")
    assert {key: job.state for key, job in found.items()} == {KEY: JobState.RUNNING}


async def test_no_secret_is_in_the_job(harness: Harness) -> None:
    await harness.transfers.start(order())
    body = str(harness.api.jobs[harness.job])
    assert "token-1" not in body
    assert "sig=" not in body


async def test_a_job_runs_once_and_gives_way_to_evictions(harness: Harness) -> None:
    await harness.transfers.start(order())
    spec = dict(harness.api.jobs[harness.job]["spec"])
    del spec["template"]
    assert spec.pop("activeDeadlineSeconds") < 24 * 3600
    assert spec == {
        "completions": 1,
        "parallelism": 1,
        "backoffLimit": 0,
        "podReplacementPolicy": "Failed",
        "podFailurePolicy": {
            "rules": [
                {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
            ]
        },
    }
    metadata = harness.api.jobs[harness.job]["metadata"]
    assert metadata["annotations"]["crmflow.io/dataflow"] == "marketing/contacts"


@pytest.mark.parametrize("lost", range(3))
async def test_whatever_fails_between_the_next_try_completes_it(harness: Harness, lost: int) -> None:
    answers = iter([*[None] * lost, UNREACHABLE])

    def lose(call: str) -> None:
        if (error := next(answers, None)) is not None:
            raise error

    harness.api.after = lose
    with pytest.raises(RemoteError) as raised:
        await harness.transfers.start(order())
    assert raised.value.error_class is ErrorClass.TRANSIENT
    await harness.transfers.start(order())
    assert len(harness.api.jobs) == len(harness.api.secret_bodies) == 1
    assert len(owners(harness, harness.job)) == 1


@pytest.mark.parametrize("lost", range(3))
async def test_whatever_dies_between_the_next_process_completes_it(tmp_path: Path, lost: int) -> None:
    api, answers = FakeJobs(), iter([*[None] * lost, UNREACHABLE])

    def die(call: str) -> None:
        if (error := next(answers, None)) is not None:
            raise error

    api.after = die
    with pytest.raises(RemoteError):
        await (await Harness.listed(tmp_path, api=api)).transfers.start(order())
    harness = await Harness.listed(tmp_path, api=api)
    await harness.transfers.start(order())
    assert len(api.jobs) == len(api.secret_bodies) == 1
    assert len(owners(harness, harness.job)) == 1


async def test_a_job_that_the_watch_has_not_told_of_is_the_same(tmp_path: Path) -> None:
    harness = await Harness.listed(tmp_path)
    other = await Harness.listed(tmp_path, api=harness.api)
    await other.transfers.start(order())
    await harness.transfers.start(order())
    assert harness.take_calls()[-3:] == ["create job", "find jobs", "apply secret"]
    assert len(harness.api.jobs) == 1
    assert KEY in await harness.transfers.jobs("uid-1")


async def test_another_attempt_is_another_job(harness: Harness) -> None:
    await harness.transfers.start(order())
    await harness.transfers.start(order(attempt=1))
    assert len(harness.api.jobs) == 2
    assert set(await harness.transfers.jobs("uid-1")) == {KEY, JobKey(FILE, 1)}
    assert await harness.transfers.jobs("uid-2") == {}


async def test_credentials_are_written_only_where_they_are_news(harness: Harness) -> None:
    await harness.transfers.start(order())
    harness.take_calls()
    await harness.transfers.supply("uid-1", credentials())
    assert harness.take_calls() == []
    for _ in range(2):
        await harness.transfers.supply("uid-1", credentials(2))
    assert harness.take_calls() == ["apply secret"]
    assert data(harness, harness.job)["accessToken"] == "token-2"
    assert len(owners(harness, harness.job)) == 1


async def test_a_process_that_does_not_know_what_a_secret_holds_writes_it_once(tmp_path: Path) -> None:
    before = await Harness.listed(tmp_path)
    await before.transfers.start(order())
    harness = await Harness.listed(tmp_path, api=before.api)
    for _ in range(2):
        await harness.transfers.supply("uid-1", credentials())
    assert harness.take_calls() == ["apply secret"]


async def test_credentials_that_were_not_written_are_written_later(harness: Harness) -> None:
    await harness.transfers.start(order())
    harness.api.errors["apply secret"] = [UNREACHABLE]
    with pytest.raises(RemoteError):
        await harness.transfers.supply("uid-1", credentials(2))
    await harness.transfers.supply("uid-1", credentials(2))
    assert data(harness, harness.job)["accessToken"] == "token-2"


async def test_a_job_that_has_ended_gets_no_credentials(harness: Harness) -> None:
    await harness.transfers.start(order())
    await end(harness, harness.job)
    harness.take_calls()
    await harness.transfers.supply("uid-1", credentials(2))
    await harness.transfers.supply("uid-2", credentials(2))
    assert harness.take_calls() == []


async def test_a_job_that_has_ended_says_what_came_of_it(harness: Harness) -> None:
    await harness.transfers.start(order())
    await end(harness, harness.job)
    harness.take_calls()
    (job,) = (await harness.transfers.jobs("uid-1")).values()
    assert (job.state, job.result, job.report) == (JobState.SUCCEEDED, TransferResult.WRITTEN, WRITTEN)
    assert harness.take_calls() == []


async def test_pods_are_asked_for_where_the_watch_has_shown_none(harness: Harness) -> None:
    await harness.transfers.start(order())
    name = harness.job
    harness.api.end_pod(harness.api.make_pod(name), WRITTEN)
    harness.api.end_job(name)
    await harness.transfers._watches[0].list()
    (job,) = (await harness.transfers.jobs("uid-1")).values()
    assert job.report == WRITTEN


async def test_an_earlier_job_of_the_same_name_does_not_speak_for_this_one(harness: Harness) -> None:
    await harness.transfers.start(order())
    name = harness.job
    harness.api.end_pod(harness.api.make_pod(name), WRITTEN)
    harness.api.remove(ListedKind.JOBS, name)
    await harness.transfers.list()
    await harness.transfers.start(order())
    harness.api.end_job(name, "Failed")
    await harness.transfers.list()
    (job,) = (await harness.transfers.jobs("uid-1")).values()
    assert (job.state, job.report) == (JobState.FAILED, None)


async def test_a_deleted_job_takes_its_secret_along(harness: Harness) -> None:
    await harness.transfers.start(order())
    for _ in range(2):
        await harness.transfers.delete("uid-1", KEY)
    assert harness.api.jobs == harness.api.secret_bodies == {}
    assert await harness.transfers.jobs("uid-1") == {}


async def test_of_others_nothing_is_deleted(harness: Harness) -> None:
    await harness.transfers.start(order())
    await harness.transfers.start(order("uid-2"))
    await harness.transfers.delete("uid-1", JobKey(FileKey(FILE.window, 1), 0))
    assert len(harness.api.jobs) == 2
    await harness.transfers.delete_all("uid-1")
    assert set(await harness.transfers.jobs("uid-2")) == {KEY}
    assert len(harness.api.jobs) == len(harness.api.secret_bodies) == 1


async def test_a_dataflow_goes_once_nothing_of_it_runs(harness: Harness) -> None:
    await harness.transfers.start(order())
    pod = harness.api.make_pod(harness.job)
    assert not await harness.transfers.delete_all("uid-1")
    assert harness.api.jobs == harness.api.secret_bodies == {}
    assert not await harness.transfers.delete_all("uid-1")
    harness.api.end_pod(pod, None, 143)
    assert await harness.transfers.delete_all("uid-1")


async def test_a_job_whose_pod_is_still_to_come_is_awaited(harness: Harness) -> None:
    await harness.transfers.start(order())
    assert not await harness.transfers.delete_all("uid-1")
    assert await harness.transfers.delete_all("uid-1")


async def test_what_has_ended_goes_at_once(harness: Harness) -> None:
    await harness.transfers.start(order())
    await end(harness, harness.job)
    assert await harness.transfers.delete_all("uid-1")
    assert harness.api.jobs == harness.api.secret_bodies == {}


async def test_a_secret_without_a_job_goes_too(harness: Harness) -> None:
    harness.api.errors["create job"] = [UNREACHABLE]
    with pytest.raises(RemoteError):
        await harness.transfers.start(order())
    assert len(harness.api.secret_bodies) == 1
    assert await harness.transfers.delete_all("uid-1")
    assert harness.api.secret_bodies == {}


async def test_what_was_made_by_another_process_meanwhile_is_deleted_too(tmp_path: Path) -> None:
    harness = await Harness.listed(tmp_path)
    other = await Harness.listed(tmp_path, api=harness.api)
    await other.transfers.start(order())
    assert not await harness.transfers.delete_all("uid-1")
    assert harness.api.jobs == {}


async def test_what_nobody_owns_is_swept(harness: Harness) -> None:
    for uid in ("uid-1", "uid-2"):
        await harness.transfers.start(order(uid))
    harness.api.errors["create job"] = [UNREACHABLE]
    with pytest.raises(RemoteError):
        await harness.transfers.start(order("uid-3"))
    await harness.transfers.sweep(lambda uid: uid == "uid-2")
    assert set(await harness.transfers.jobs("uid-2")) == {KEY}
    assert len(harness.api.jobs) == len(harness.api.secret_bodies) == 1


async def test_another_installations_transfers_are_not_swept(harness: Harness) -> None:
    await harness.transfers.start(order())
    for stored in (harness.api.jobs, harness.api.secret_bodies):
        stored[harness.job]["metadata"]["labels"]["crmflow.io/instance"] = "eu-2"
    other = await Harness.listed(harness.path.parent, api=harness.api)
    await other.transfers.sweep(lambda uid: False)
    assert len(harness.api.jobs) == len(harness.api.secret_bodies) == 1


async def test_credits_of_what_runs_are_reserved(harness: Harness) -> None:
    await harness.transfers.start(order(credits=60))
    await harness.transfers.start(order("uid-2", credits=30))
    await harness.transfers.start(order("uid-3", organization=OTHER_ORGANIZATION, credits=7))
    assert harness.transfers.reserved_credits(ORGANIZATION) == 90
    reserved = []
    harness.api.after = lambda _: reserved.append(harness.transfers.reserved_credits(ORGANIZATION))
    await harness.transfers.start(order("uid-4", credits=9))
    assert set(reserved) == {99}
    await end(harness, next(iter(harness.api.jobs)))
    assert harness.transfers.reserved_credits(ORGANIZATION) == 39


@pytest.mark.parametrize(
    ("error", "error_class", "reason"),
    [
        (UNREACHABLE, ErrorClass.TRANSIENT, "KubernetesUnavailable"),
        (FORBIDDEN, ErrorClass.TERMINAL, "TransferForbidden"),
        (
            KubernetesError("422", 422, words="strict decoding error", refusal=Refusal.POLICY),
            ErrorClass.TERMINAL,
            "TransferForbidden",
        ),
    ],
)
async def test_a_refusal_says_whose_turn_it_is(
    harness: Harness, error: KubernetesError, error_class: ErrorClass, reason: str
) -> None:
    harness.api.errors["create job"] = [error]
    with pytest.raises(RemoteError) as raised:
        await harness.transfers.start(order())
    assert (raised.value.error_class, raised.value.reason) == (error_class, reason)
    assert error.words in raised.value.message


async def test_without_the_setting_nothing_is_asked(tmp_path: Path) -> None:
    harness = await Harness.listed(tmp_path, template=None)
    assert not harness.transfers.is_configured
    assert await harness.transfers.jobs("uid-1") == {}
    assert await harness.transfers.delete_all("uid-1")
    await harness.transfers.sweep(lambda uid: False)
    with pytest.raises(RemoteError) as raised:
        await harness.transfers.start(order())
    assert raised.value.message == harness.transfers.obstacle
    assert harness.take_calls() == []


async def test_a_template_that_is_damaged_stops_no_job(tmp_path: Path) -> None:
    harness = await Harness.listed(tmp_path, template={"spec": {}})
    assert harness.transfers.obstacle is not None
    assert await harness.transfers.jobs("uid-1") == {}
    assert await harness.transfers.delete_all("uid-1")


async def test_before_jobs_are_listed_nothing_is_decided(tmp_path: Path) -> None:
    harness = Harness(tmp_path)
    with pytest.raises(RemoteError) as raised:
        await harness.transfers.jobs("uid-1")
    assert raised.value.error_class is ErrorClass.TRANSIENT
    harness.api.errors["list pods"] = [UNREACHABLE]
    with pytest.raises(KubernetesError):
        await harness.transfers.list()
    with pytest.raises(RemoteError):
        await harness.transfers.jobs("uid-1")


async def test_a_missing_right_is_an_obstacle_until_it_is_given(tmp_path: Path) -> None:
    harness = Harness(tmp_path)
    harness.api.errors["list jobs"] = [FORBIDDEN]
    await harness.transfers.list()
    assert "may not watch jobs" in (harness.transfers.obstacle or "")
    with pytest.raises(RemoteError) as raised:
        await harness.transfers.jobs("uid-1")
    assert raised.value.error_class is ErrorClass.TERMINAL
    await harness.transfers.list()
    assert harness.transfers.obstacle is None
    assert await harness.transfers.jobs("uid-1") == {}


async def test_the_operators_own_pod_is_read_once(tmp_path: Path) -> None:
    template = {"spec": {"containers": [{}]}}
    harness = await Harness.listed(tmp_path, template=template, own_pod="crmflow-0")
    harness.api.pods["crmflow-0"] = {"spec": {"containers": [{"name": "operator", "image": "r/crmflow:7"}]}}
    await harness.transfers.start(order())
    await harness.transfers.start(order("uid-2"))
    assert harness.take_calls().count("find pods") == 1
    for job in harness.api.jobs.values():
        assert job["spec"]["template"]["spec"]["containers"][0]["image"] == "r/crmflow:7"


async def test_without_its_own_pod_it_waits(tmp_path: Path) -> None:
    harness = await Harness.listed(tmp_path, template={"spec": {"containers": [{}]}}, own_pod="crmflow-0")
    with pytest.raises(RemoteError) as raised:
        await harness.transfers.start(order())
    assert raised.value.error_class is ErrorClass.TRANSIENT
    assert "crmflow-0" in raised.value.message
