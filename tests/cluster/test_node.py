"""The control plane and its node run Jobs as a cluster does: Kubernetes' own Job controller, scheduler,
garbage collectors and kubelet, over processes of this machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hack.kubectl import Kubectl
from hack.node import Node
from hack.processes import start_time
from tests.cluster.conftest import SHELL
from tests.kit.cluster import Cluster, Object, condition
from tests.kit.jobs import Jobs, is_running

pytestmark = pytest.mark.usefixtures("node")

_IGNORE_DISRUPTIONS = {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]}


def _terminated(pod: Object) -> Object:
    (status,) = pod["status"]["containerStatuses"]
    return dict(status["state"]["terminated"])


def _data(cluster: Cluster, namespace: str, kind: str, name: str, **data: str) -> None:
    field = "stringData" if kind == "Secret" else "data"
    metadata = {"name": name, "namespace": namespace}
    cluster.apply({"apiVersion": "v1", "kind": kind, "metadata": metadata, field: data})


def _volume(path: str, **source: Any) -> tuple[Object, Object]:
    name = path.strip("/").replace("/", "-")
    return {"name": name, **source}, {"name": name, "mountPath": path}


def test_a_pod_gets_what_it_asks_for(cluster: Cluster, jobs: Jobs, namespace: str, kubectl: Kubectl) -> None:
    _data(cluster, namespace, "Secret", "keys", token="from a Secret")
    _data(cluster, namespace, "ConfigMap", "settings", level="from a ConfigMap")
    volumes, mounts = zip(
        _volume("/etc/crmflow/keys", secret={"secretName": "keys"}),
        _volume("/etc/crmflow/settings", configMap={"name": "settings"}),
        _volume("/scratch", emptyDir={}),
        strict=True,
    )
    variables = [
        {"name": "NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "token"}}},
        {"name": "LEVEL", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "level"}}},
        {"name": "BOTH", "value": "$(TOKEN), $(LEVEL)"},
    ]
    script = """
        echo $(NAMESPACE); echo "$BOTH"; pwd
        cat /etc/crmflow/keys/token /etc/crmflow/settings/level; echo
        touch file || exit 1
        touch /file 2>/dev/null && echo the root is writable
        ls /var/run/secrets/kubernetes.io/serviceaccount 2>/dev/null && echo there is a token
        printf '%s' "process $$$$" > /dev/termination-log
    """
    job = jobs.create(
        script,
        pod={"volumes": list(volumes)},
        volumeMounts=list(mounts),
        env=variables,
        workingDir="/scratch",
        securityContext={"readOnlyRootFilesystem": True, "runAsNonRoot": True},
    )
    assert jobs.wait_end(job, "Complete") == "CompletionsReached"
    (pod,) = jobs.pods(job)
    assert pod["status"]["phase"] == "Succeeded"
    assert (_terminated(pod)["reason"], _terminated(pod)["message"]) == ("Completed", "process 1")
    assert kubectl("logs", f"job/{job}", f"--namespace={namespace}").splitlines() == [
        namespace,
        "from a Secret, from a ConfigMap",
        "/scratch",
        "from a Secretfrom a ConfigMap",
    ]


def test_the_operators_image_runs_even_if_a_volume_hides_it(
    jobs: Jobs, namespace: str, kubectl: Kubectl
) -> None:
    volume, mount = _volume("/tmp", emptyDir={})
    job = jobs.create(
        "", image="crmflow:1", args=["--version"], pod={"volumes": [volume]}, volumeMounts=[mount]
    )
    jobs.wait_end(job, "Complete")
    assert kubectl("logs", f"job/{job}", f"--namespace={namespace}").startswith("crmflow ")


def test_a_failure_fails_the_job_and_says_no_more_than_4096_bytes(jobs: Jobs) -> None:
    job = jobs.create(
        "head -c 5000 /dev/zero | tr '\\0' x > /message; exit 20", terminationMessagePath="/message"
    )
    assert jobs.wait_end(job, "Failed") == "BackoffLimitExceeded"
    (pod,) = jobs.pods(job)
    end = _terminated(pod)
    assert (pod["status"]["phase"], end["exitCode"], end["reason"]) == ("Failed", 20, "Error")
    assert end["message"] == 4096 * "x"


def test_what_cannot_run_says_so(jobs: Jobs) -> None:
    unknown = jobs.create("", image="unknown:1")
    missing = jobs.create("", command=["/no/such/program"])
    jobs.wait_end(missing, "Failed")
    end = _terminated(jobs.pods(missing)[0])
    assert (end["exitCode"], end["reason"]) == (128, "StartError")
    assert "/no/such/program" in end["message"]

    def is_refused(pod: Object) -> bool:
        waiting = [
            status["state"].get("waiting", {}) for status in pod["status"].get("containerStatuses", ())
        ]
        return any(state.get("reason") in ("ErrImagePull", "ImagePullBackOff") for state in waiting)

    assert jobs.wait_pod(unknown, is_refused)


def test_a_program_is_tried_again_where_the_pod_says_so(jobs: Jobs) -> None:
    volume, mount = _volume("/scratch", emptyDir={})
    job = jobs.create(
        "[ -e /scratch/tried ] || { touch /scratch/tried; exit 1; }",
        spec={"backoffLimit": 3},
        pod={"restartPolicy": "OnFailure", "volumes": [volume]},
        volumeMounts=[mount],
    )
    jobs.wait_end(job, "Complete")
    (pod,) = jobs.pods(job)
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 1


def test_an_evicted_pod_is_replaced_once_it_has_ended_and_a_killed_one_is_a_failure(
    cluster: Cluster, jobs: Jobs, namespace: str, node: Node, tmp_path: Path
) -> None:
    script = f"""
        trap 'touch {tmp_path}/asked; until [ -e {tmp_path}/end ]; do sleep 0.1; done; exit 143' TERM
        touch {tmp_path}/started
        sleep 60 & wait
    """
    spec = {"podFailurePolicy": _IGNORE_DISRUPTIONS}
    job = jobs.create(script, spec=spec, pod={"terminationGracePeriodSeconds": 60})
    first = jobs.wait_pod(job, lambda _: (tmp_path / "started").exists())
    cluster.evict(first["metadata"]["name"], namespace)
    status = cluster.wait(
        "Job", job, namespace, lambda obj: obj["status"].get("terminating") == 1, what="eviction"
    )
    assert status["status"].get("failed", 0) == 0
    jobs.wait_pod(job, lambda _: (tmp_path / "asked").exists())
    assert [pod["metadata"]["uid"] for pod in jobs.pods(job)] == [first["metadata"]["uid"]]
    (tmp_path / "end").touch()
    cluster.wait_gone("Pod", first["metadata"]["name"], namespace)
    second = jobs.wait_pod(job, is_running, seconds=30)
    assert second["metadata"]["uid"] != first["metadata"]["uid"]
    node.kill(second)
    assert jobs.wait_end(job, "Failed") == "BackoffLimitExceeded"
    assert _terminated(jobs.pods(job)[-1])["exitCode"] == 137


def test_a_deleted_job_takes_its_pod_along_which_is_asked_first(
    cluster: Cluster, jobs: Jobs, namespace: str, node: Node, tmp_path: Path
) -> None:
    polite = jobs.create(
        f"trap 'touch {tmp_path}/asked; exit 0' TERM; touch {tmp_path}/started; sleep 60 & wait"
    )
    stubborn = jobs.create("trap '' TERM; sleep 60", pod={"terminationGracePeriodSeconds": 1})
    pods = [jobs.wait_pod(job, is_running) for job in (polite, stubborn)]
    jobs.wait_pod(polite, lambda _: (tmp_path / "started").exists())
    processes = [node.process_id(pod) for pod in pods]
    for job in (polite, stubborn):
        cluster.delete("Job", job, namespace, propagation="Background")
    for pod in pods:
        cluster.wait_gone("Pod", pod["metadata"]["name"], namespace)
    assert cluster.list("Job", namespace) == []
    assert (tmp_path / "asked").exists()
    assert [start_time(process) for process in processes] == [None, None]


def test_a_pod_that_takes_too_long_is_ended(jobs: Jobs) -> None:
    job = jobs.create("sleep 60", pod={"activeDeadlineSeconds": 1, "terminationGracePeriodSeconds": 1})
    jobs.wait_end(job, "Failed")
    (pod,) = jobs.pods(job)
    assert (pod["status"]["phase"], pod["status"]["reason"]) == ("Failed", "DeadlineExceeded")


@pytest.fixture
def late_volumes(node: Node) -> Iterator[None]:
    """Volumes hold what the kubelet read in the last 90 s."""
    node.set_volume_delay(90)
    yield
    node.set_volume_delay(0)


def test_a_changed_secret_reaches_the_volume_after_the_delay(
    cluster: Cluster, jobs: Jobs, namespace: str, node: Node, late_volumes: None, tmp_path: Path
) -> None:
    _data(cluster, namespace, "Secret", "keys", token="old")
    # The kubelet is at all of a pod's volumes when an annotation changes, and one of them tells of that.
    look = {"path": "look", "fieldRef": {"fieldPath": "metadata.annotations['crmflow.io/look']"}}
    volumes = {"keys": {"secret": {"secretName": "keys"}}, "pod": {"downwardAPI": {"items": [look]}}}
    job = jobs.create(
        f"while :; do cp -rL /volumes/. {tmp_path}; sleep 0.05; done",
        pod={
            "volumes": [{"name": name, **source} for name, source in volumes.items()],
            "terminationGracePeriodSeconds": 0,
        },
        volumeMounts=[{"name": name, "mountPath": f"/volumes/{name}"} for name in volumes],
    )

    def wait_content(file: str, content: str) -> None:
        path = tmp_path / file
        seen = lambda _: path.exists() and path.read_text() == content  # noqa: E731
        cluster.wait("Job", job, namespace, seen, what=f"{content} in {file}")

    wait_content("keys/token", "old")
    (pod,) = jobs.pods(job)
    _data(cluster, namespace, "Secret", "keys", token="new")
    for number in ("1", "2"):
        cluster.annotate("Pod", pod["metadata"]["name"], namespace, look=number)
        wait_content("pod/look", number)
    assert (tmp_path / "keys" / "token").read_text() == "old"
    node.set_volume_delay(0)
    wait_content("keys/token", "new")


def test_the_pod_of_a_node_that_is_gone_is_collected_and_replaced(
    cluster: Cluster, jobs: Jobs, kubectl: Kubectl, tmp_path: Path
) -> None:
    with Node(kubectl, tmp_path, [SHELL], name="lost", labels={"place": "there"}, scheduler=False) as lost:
        place = {"nodeSelector": {"place": "there"}}
        job = jobs.create("sleep 600", spec={"podFailurePolicy": _IGNORE_DISRUPTIONS}, pod=place)
        first = jobs.wait_pod(job, is_running)
        process = lost.process_id(first)
    cluster.wait("Job", job, jobs.namespace, lambda _: start_time(process) is None, what="end of the process")
    cluster.delete("Node", "lost")
    # The collector looks every 20 s, and leaves a pod alone for 40 s after it has missed the node.
    cluster.wait_gone("Pod", first["metadata"]["name"], jobs.namespace, seconds=120)

    def waits_for_a_node(pod: Object) -> bool:
        return (condition(pod, "PodScheduled") or {}).get("reason") == "Unschedulable"

    assert jobs.wait_pod(job, waits_for_a_node)["metadata"]["uid"] != first["metadata"]["uid"]
