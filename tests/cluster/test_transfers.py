"""Jobs of transfers with the operator's rights, on a real API server with Kubernetes' own Job controller and
kubelet.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from crmflow.clock import SteadyClock
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.reconcile.extraction.observed import JobState, TransferJob
from crmflow.reconcile.extraction.pending import JobKey
from crmflow.reconcile.extraction.ports import TransferCredentials
from crmflow.runtime.kubernetes.api_server import ApiServer
from crmflow.runtime.kubernetes.client import Kubernetes
from crmflow.runtime.transfers.jobs import TransferJobs
from crmflow.runtime.transfers.manifests import name_of
from crmflow.runtime.transfers.template import CREDENTIALS, MESSAGE, TemplateFile
from crmflow.transfer.report import ExitCode, Report, TransferResult
from tests.kit.cluster import Cluster, Object
from tests.kit.jobs import Jobs, is_running
from tests.kit.waiting import deadline
from tests.unit.runtime.transfers.fakes import FILE, INSTANCE, credentials, order

pytestmark = pytest.mark.usefixtures("node")

KEY = JobKey(FILE, 0)
WRITTEN = Report(exit_code=0, reason=TransferResult.WRITTEN, rows=7, credits=55)
SAY = f"printf '%s' '{WRITTEN.model_dump_json(by_alias=True)}' > {MESSAGE}"
WAIT = "trap 'exit 143' TERM; while :; do sleep 0.05; done"


class Operator:
    """The part of an operator that runs transfers, in its own namespace."""

    def __init__(
        self, kubernetes: Kubernetes, cluster: Cluster, home: str, directory: Path, own_pod: str | None
    ) -> None:
        self.cluster, self.home = cluster, home
        self.woken: set[str] = set()
        self.pods = Jobs(cluster, home)
        self._template = directory / "template.json"
        self.shell(WAIT)
        file = TemplateFile(str(self._template), own_pod)
        self.transfers = TransferJobs(
            kubernetes.jobs(home), file, INSTANCE, 4, SteadyClock(), self.woken.add, lambda: None
        )

    def template(self, container: Object, **spec: Any) -> None:
        """What the installation says of the pods."""
        content = {"spec": {"terminationGracePeriodSeconds": 20, "containers": [container], **spec}}
        new = self._template.with_suffix(".new")
        new.write_text(json.dumps(content))
        new.replace(self._template)

    def shell(self, script: str) -> None:
        """A shell's script in the place of a transfer, which finds the arguments of one."""
        self.template({"image": "shell:1", "command": ["/bin/sh", "-c", script]})

    async def seen(self, uid: str = "uid-1") -> TransferJob:
        """The only Job of a dataflow."""
        (job,) = (await self.transfers.jobs(uid)).values()
        return job

    async def ended(self, uid: str = "uid-1") -> TransferJob:
        """The same, once it has ended and its dataflow was woken."""

        async def has_ended() -> bool:
            return uid in self.woken and (await self.seen(uid)).state is not JobState.RUNNING

        await until(has_ended, seconds=30)
        return await self.seen(uid)

    async def running_pod(self, name: str) -> Object:
        """The Job's pod, once it runs."""
        await until(lambda: any(map(is_running, self.pods.pods(name))), seconds=30)
        return self.pods.pods(name)[-1]

    def is_told_to_end(self, name: str) -> bool:
        """Whether the Job's only pod is."""
        (pod,) = self.pods.pods(name)
        return "deletionTimestamp" in pod["metadata"]

    def left(self) -> list[str]:
        """What is there of transfers."""
        return [
            f"{kind} {obj['metadata']['name']}"
            for kind in ("Job", "Pod", "Secret")
            for obj in self.cluster.list(kind, self.home)
        ]


def patient(end: Path) -> str:
    """A script that takes its time once it is told to end, until the file ``end`` is there."""
    return f"trap 'until [ -e {end} ]; do sleep 0.05; done; exit 143' TERM; while :; do sleep 0.05; done"


async def until(met: Callable[[], bool | Awaitable[bool]], seconds: float = 20) -> None:
    """Wait until it is so, while watches go on."""
    end = deadline(seconds)
    while not (found if isinstance(found := met(), bool) else await found):
        assert time.monotonic() < end, f"not within {seconds} s"
        await asyncio.sleep(0.05)


@pytest.fixture
async def kubernetes(operator_identity: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Kubernetes]:
    """The API server as the operator may use it."""
    monkeypatch.setenv("KUBECONFIG", str(operator_identity))
    api_server = ApiServer()
    await api_server.load()
    kubernetes = Kubernetes(api_server.connect())
    yield kubernetes
    await kubernetes.close()


@pytest.fixture
async def operator(
    kubernetes: Kubernetes, cluster: Cluster, home: str, tmp_path: Path
) -> AsyncIterator[Operator]:
    operator = Operator(kubernetes, cluster, home, tmp_path, None)
    await operator.transfers.list()
    task = asyncio.create_task(operator.transfers.run())
    yield operator
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_what_a_job_says_wakes_its_dataflow_and_goes_with_it(operator: Operator) -> None:
    operator.shell(SAY)
    await operator.transfers.start(order())
    job = await operator.ended()
    assert (job.state, job.result, job.report) == (JobState.SUCCEEDED, TransferResult.WRITTEN, WRITTEN)
    await operator.transfers.delete("uid-1", KEY)
    assert await operator.transfers.jobs("uid-1") == {}
    await until(lambda: operator.left() == [])


async def test_the_program_runs_in_a_restricted_namespace_with_nothing_but_its_secret(
    operator: Operator, cluster: Cluster
) -> None:
    """What its Secret holds is no address, which it says at once."""
    restricted = {"pod-security.kubernetes.io/enforce": "restricted"}
    cluster.patch("Namespace", operator.home, None, {"metadata": {"labels": restricted}})
    operator.template({"image": "crmflow:1"})
    wanted = replace(
        order(), credentials=TransferCredentials(SecretStr("token-1"), SecretStr("http://nowhere:port/x"))
    )
    await operator.transfers.start(wanted)
    job = await operator.ended()
    assert (job.state, job.exit_code) == (JobState.FAILED, ExitCode.SAS)
    assert job.report is not None
    assert "nowhere" not in job.report.message
    (pod,) = operator.pods.pods(name_of(wanted))
    assert "kube-api-access" not in json.dumps(pod["spec"])


async def test_new_credentials_reach_the_pod_that_runs(operator: Operator) -> None:
    operator.shell(f"until grep -q token-2 {CREDENTIALS}/accessToken; do sleep 0.05; done; {SAY}")
    await operator.transfers.start(order())
    await operator.running_pod(name_of(order()))
    await operator.transfers.supply("uid-1", credentials(2))
    assert (await operator.ended()).report == WRITTEN


async def test_nothing_is_left_of_a_dataflow_and_its_pod_has_ended(
    operator: Operator, tmp_path: Path
) -> None:
    end = tmp_path / "end"
    operator.shell(patient(end))
    await operator.transfers.start(order())
    name = name_of(order())
    await operator.running_pod(name)
    assert not await operator.transfers.delete_all("uid-1")
    await until(lambda: operator.is_told_to_end(name))
    assert not await operator.transfers.delete_all("uid-1")
    operator.woken.clear()
    end.touch()
    await until(lambda: "uid-1" in operator.woken)
    assert await operator.transfers.delete_all("uid-1")
    await until(lambda: operator.left() == [])


@pytest.mark.parametrize("made", ["Secret", "Job"])
async def test_what_died_between_two_calls_is_completed(
    operator: Operator, kubernetes: Kubernetes, tmp_path: Path, made: str
) -> None:
    """The first process dies after it has made the Secret, or the Job and not yet tied the Secret to it."""
    died = Operator(kubernetes, operator.cluster, operator.home, tmp_path, None)
    await died.transfers.list()
    calls = iter([True] if made == "Secret" else [True, True])
    api = died.transfers._api
    for call in ("apply_secret", "create"):
        setattr(api, call, _while_alive(getattr(api, call), calls))
    with pytest.raises(SystemExit):
        await died.transfers.start(order())
    assert [entry.split()[0] for entry in operator.left() if "Pod" not in entry] == (
        ["Secret"] if made == "Secret" else ["Job", "Secret"]
    )
    await operator.transfers.start(order())
    name = name_of(order())
    await operator.running_pod(name)
    (job,) = operator.cluster.list("Job", operator.home)
    secret = operator.cluster.get("Secret", name, operator.home)
    assert [owner["uid"] for owner in secret["metadata"]["ownerReferences"]] == [job["metadata"]["uid"]]
    operator.cluster.delete("Job", name, operator.home, propagation="Background")
    await until(lambda: operator.left() == [])

    async def is_known() -> bool:
        return await operator.transfers.jobs("uid-1") == {}

    await until(is_known)


async def test_an_evicted_pod_is_no_end(operator: Operator, tmp_path: Path) -> None:
    again = tmp_path / "again"
    operator.shell(f"if [ -e {again} ]; then {SAY}; else {WAIT}; fi")
    await operator.transfers.start(order())
    name = name_of(order())
    first = await operator.running_pod(name)
    again.touch()
    operator.cluster.evict(first["metadata"]["name"], operator.home)
    job = await operator.ended()
    assert (job.state, job.report) == (JobState.SUCCEEDED, WRITTEN)
    assert len(operator.cluster.list("Job", operator.home)) == 1


async def test_a_job_is_running_until_its_pod_has_ended(operator: Operator, tmp_path: Path) -> None:
    """Its deadline is over, and its pod takes its time."""
    end = tmp_path / "end"
    operator.shell(patient(end))
    await operator.transfers.start(order())
    name = name_of(order())
    await operator.running_pod(name)
    operator.cluster.patch("Job", name, operator.home, {"spec": {"activeDeadlineSeconds": 1}})
    await until(lambda: operator.is_told_to_end(name))
    assert (await operator.seen()).state is JobState.RUNNING
    end.touch()
    job = await operator.ended()
    assert job.state is JobState.FAILED
    assert "DeadlineExceeded" in job.trouble


async def test_why_a_pod_does_not_run_is_told(operator: Operator) -> None:
    operator.template({"image": "crmflow:1"}, nodeSelector={"pool": "none"})
    await operator.transfers.start(order())
    await until(lambda: "uid-1" in operator.woken)
    job = await operator.seen()
    assert job.state is JobState.RUNNING
    assert job.trouble.startswith("Unschedulable: ")


async def test_a_template_that_the_api_server_does_not_understand_is_refused(operator: Operator) -> None:
    operator.template({"image": "crmflow:1"}, nodeSelektor={"pool": "none"})
    with pytest.raises(RemoteError) as raised:
        await operator.transfers.start(order())
    assert raised.value.error_class is ErrorClass.TERMINAL
    assert "nodeSelektor" in raised.value.message


async def test_the_image_is_that_of_the_operators_own_pod(
    kubernetes: Kubernetes, cluster: Cluster, home: str, tmp_path: Path
) -> None:
    container = {"name": "operator", "image": "r.example.com/crmflow:7", "imagePullPolicy": "Never"}
    own = {"metadata": {"name": "crmflow-0", "namespace": home}, "apiVersion": "v1", "kind": "Pod"}
    pull = {"imagePullSecrets": [{"name": "registry"}], "nodeSelector": {"pool": "none"}}
    account = {"automountServiceAccountToken": False}
    cluster.create({**own, "spec": {"containers": [container], **pull, **account}})
    operator = Operator(kubernetes, cluster, home, tmp_path, "crmflow-0")
    operator.template({}, nodeSelector={"pool": "none"})
    await operator.transfers.list()
    await operator.transfers.start(order())
    spec = cluster.get("Job", name_of(order()), home)["spec"]["template"]["spec"]
    (made,) = spec["containers"]
    assert (made["image"], made["imagePullPolicy"]) == ("r.example.com/crmflow:7", "Never")
    assert spec["imagePullSecrets"] == [{"name": "registry"}]


async def test_where_jobs_may_not_be_watched_there_are_no_transfers(
    kubernetes: Kubernetes, cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    operator = Operator(kubernetes, cluster, namespace, tmp_path, None)
    await operator.transfers.list()
    assert 'cannot list resource "jobs"' in (operator.transfers.obstacle or "")
    with pytest.raises(RemoteError) as raised:
        await operator.transfers.jobs("uid-1")
    assert raised.value.error_class is ErrorClass.TERMINAL


async def test_what_nobody_owns_is_swept(operator: Operator) -> None:
    for uid in ("uid-1", "uid-2"):
        await operator.transfers.start(order(uid))
    await operator.transfers.sweep(lambda uid: uid == "uid-1")
    (job,) = operator.cluster.list("Job", operator.home)
    (secret,) = operator.cluster.list("Secret", operator.home)
    assert {job["metadata"]["name"], secret["metadata"]["name"]} == {name_of(order("uid-1"))}


def _while_alive(call: Any, calls: Any) -> Any:
    async def made(*arguments: Any) -> Any:
        if next(calls, None) is None:
            raise SystemExit
        return await call(*arguments)

    return made
