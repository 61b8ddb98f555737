"""Jobs of shell scripts, and the pods that come of Jobs, on a control plane with a node (``hack.node``)."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from tests.kit.cluster import Cluster, Object, condition


class Jobs:
    """The Jobs of one namespace, and their pods."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.namespace = namespace
        self._cluster = cluster

    def create(
        self, script: str, *, spec: Object | None = None, pod: Object | None = None, **container: Any
    ) -> str:
        """Make a Job that runs a shell script once, and return its name. ``spec`` adds to the Job's spec,
        ``pod`` to its pod's, the rest to the container.
        """
        name = f"job-{uuid.uuid4().hex[:8]}"
        template = {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "containers": [{"name": "main", "image": "shell:1", "args": [script], **container}],
            **(pod or {}),
        }
        once = {"backoffLimit": 0, "podReplacementPolicy": "Failed"}
        self._cluster.create(
            {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "metadata": {"name": name, "namespace": self.namespace},
                "spec": {**once, **(spec or {}), "template": {"spec": template}},
            }
        )
        return name

    def wait_end(self, job: str, type_: str) -> str:
        """Wait for a Job to end as ``Complete`` or as ``Failed``, and return the reason."""
        end = self._cluster.wait("Job", job, self.namespace, has_ended, what="end", seconds=30)
        found = condition(end, type_)
        assert found, end["status"]
        return str(found["reason"])

    def pods(self, job: str) -> list[Object]:
        """The pods of a Job, the newest last."""
        pods = [
            pod
            for pod in self._cluster.list("Pod", self.namespace)
            if pod["metadata"]["labels"]["batch.kubernetes.io/job-name"] == job
        ]
        return sorted(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))

    def wait_pod(self, job: str, until: Callable[[Object], bool], *, seconds: float = 20) -> Object:
        """Wait for the Job's newest pod, and for ``until`` to hold of it."""
        found: list[Object] = []

        def holds(_: Object) -> bool:
            found[:] = [pod for pod in self.pods(job)[-1:] if until(pod)]
            return bool(found)

        self._cluster.wait("Job", job, self.namespace, holds, what="such a pod", seconds=seconds)
        return found[0]


def is_running(pod: Object) -> bool:
    """Whether the pod's program has been started and has not ended, as far as the API server knows."""
    return bool(pod["status"]["phase"] == "Running")


def has_ended(job: Object) -> bool:
    """Whether the Job is complete or has failed."""
    return any((condition(job, type_) or {}).get("status") == "True" for type_ in ("Complete", "Failed"))
