"""What becomes of Jobs is noticed, and whom it concerns is woken."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from crmflow.runtime.kubernetes.errors import ExpiredError, KubernetesError, Refusal
from crmflow.runtime.kubernetes.jobs import ListedKind
from crmflow.runtime.transfers.jobs import LOOK_SECONDS
from crmflow.runtime.transfers.sweeper import Sweeper
from crmflow.runtime.transfers.watch import RECONNECT_SECONDS
from crmflow.transfer.report import Report, TransferResult
from tests.unit.runtime.fakes import settle
from tests.unit.runtime.transfers.fakes import TEMPLATE, Harness, order

WRITTEN = Report(exit_code=0, reason=TransferResult.WRITTEN)
FORBIDDEN = KubernetesError("403", 403, words="no right", refusal=Refusal.RIGHTS)


class Watched(Harness):
    """The same, while its watches run."""

    def __init__(self, directory: Path, template: object = TEMPLATE) -> None:
        super().__init__(directory, template)
        self.task = asyncio.create_task(self.transfers.run())

    async def end(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def pass_time(self, seconds: float = RECONNECT_SECONDS[1]) -> None:
        self.clock.jump(seconds)
        await settle()


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[Watched]:
    harness = Watched(tmp_path)
    await settle()
    await harness.transfers.start(order())
    await settle()
    harness.take_calls()
    harness.take_woken()
    yield harness
    await harness.end()


async def test_the_end_of_a_job_wakes_its_dataflow_once(harness: Watched) -> None:
    pod = harness.api.make_pod(harness.job)
    harness.api.change(ListedKind.JOBS, harness.job, {"active": 1})
    await settle()
    assert harness.take_woken() == []
    harness.api.end_pod(pod, WRITTEN)
    await settle()
    assert harness.take_woken() == []
    harness.api.end_job(harness.job)
    await settle()
    assert harness.take_woken() == ["uid-1"]
    assert harness.take_calls() == []


async def test_a_pod_that_ends_after_its_job_wakes_the_dataflow(harness: Watched) -> None:
    pod = harness.api.make_pod(harness.job)
    await settle()
    harness.api.end_job(harness.job, "Failed")
    await settle()
    harness.take_woken()
    harness.api.end_pod(pod, WRITTEN)
    await settle()
    assert harness.take_woken() == ["uid-1"]


async def test_a_job_that_somebody_deletes_wakes_the_dataflow(harness: Watched) -> None:
    harness.api.remove(ListedKind.JOBS, harness.job)
    await settle()
    assert harness.take_woken() == ["uid-1"]
    assert await harness.transfers.jobs("uid-1") == {}


async def test_a_job_that_is_deleted_after_its_end_wakes_nobody(harness: Watched) -> None:
    pod = harness.api.make_pod(harness.job)
    harness.api.end_pod(pod, WRITTEN)
    harness.api.end_job(harness.job)
    await settle()
    harness.take_woken()
    await harness.transfers.delete_all("uid-1")
    harness.api.remove(ListedKind.PODS, pod)
    await settle()
    assert harness.take_woken() == []


async def test_why_a_pod_does_not_run_wakes_the_dataflow(harness: Watched) -> None:
    pod = harness.api.make_pod(harness.job)
    waiting = {"reason": "ErrImagePull", "message": "no such image"}
    harness.api.change(
        ListedKind.PODS, pod, {"containerStatuses": [{"name": "transfer", "state": {"waiting": waiting}}]}
    )
    await settle()
    assert harness.take_woken() == ["uid-1"]
    (job,) = (await harness.transfers.jobs("uid-1")).values()
    assert job.trouble == "ErrImagePull: no such image"


async def test_a_watch_that_is_too_old_lists_again(harness: Watched) -> None:
    name = harness.job
    for what in ListedKind:
        harness.api.events[what].put_nowait(ExpiredError("410", 410))
    await settle()
    harness.api.jobs.clear()  # nobody tells
    await harness.pass_time()
    assert [call for call in harness.take_calls() if call.startswith("list")] == ["list jobs", "list pods"]
    assert harness.take_woken() == ["uid-1"]
    assert name not in harness.api.jobs


async def test_a_watch_that_was_interrupted_goes_on_where_it_was(harness: Watched) -> None:
    harness.api.events[ListedKind.JOBS].put_nowait(KubernetesError("the API server can't be reached"))
    await settle()
    harness.api.end_job(harness.job)
    await harness.pass_time()
    assert harness.take_calls() == ["watch jobs"]
    assert harness.take_woken() == ["uid-1"]


async def test_a_listing_that_began_before_an_own_write_takes_nothing_away(harness: Watched) -> None:
    version, objects = await harness.api.list(ListedKind.JOBS, "app.kubernetes.io/name=crmflow-transfer")
    await harness.transfers.start(order("uid-2"))
    harness.transfers._jobs.listed(version, objects)
    assert len(await harness.transfers.jobs("uid-2")) == 1


async def test_a_right_that_is_taken_and_given_again_is_told(harness: Watched) -> None:
    harness.api.events[ListedKind.PODS].put_nowait(FORBIDDEN)
    harness.api.errors["list pods"] = [FORBIDDEN, FORBIDDEN]
    await settle()
    for _ in range(2):
        await harness.pass_time()
    assert "may not watch pods" in (harness.transfers.obstacle or "")
    assert harness.rechecks == 1
    for _ in range(3):
        await harness.pass_time()
    assert harness.transfers.obstacle is None
    assert harness.rechecks == 2


async def test_a_template_that_is_corrected_is_told_and_one_that_is_damaged_changes_nothing(
    tmp_path: Path,
) -> None:
    harness = Watched(tmp_path, {"spec": {}})
    await settle()
    for content, rechecks in ((TEMPLATE, 1), ({"spec": {}}, 1)):
        new = harness.path.with_suffix(".new")
        new.write_text(json.dumps(content))
        new.replace(harness.path)
        await harness.pass_time(LOOK_SECONDS)
        assert harness.rechecks == rechecks
    await harness.end()


async def test_bookmarks_and_others_jobs_are_passed_over(harness: Watched) -> None:
    foreign = {"metadata": {"name": "x", "uid": "u", "resourceVersion": "90", "labels": {}}}
    for event in (("BOOKMARK", {"metadata": {"resourceVersion": "91"}}), ("ADDED", foreign)):
        harness.api.events[ListedKind.JOBS].put_nowait(event)
    await settle()
    assert harness.take_woken() == []
    assert not harness.task.done()


async def test_it_is_swept_at_once_and_again_while_all_are_seen(harness: Watched) -> None:
    exists, sees_all = {"uid-1"}, [False]
    sweeper = Sweeper(harness.transfers, harness.clock, 300.0, exists.__contains__, lambda: sees_all[-1])
    task = asyncio.create_task(sweeper.run())
    exists.clear()
    await harness.pass_time(300.0)
    assert len(harness.api.jobs) == 1
    sees_all.append(True)
    harness.api.errors["list secrets"] = [FORBIDDEN]
    for _ in range(2):
        await harness.pass_time(300.0)
    assert harness.api.jobs == {}
    task.cancel()
