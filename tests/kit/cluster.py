"""A small synchronous client of the API server, for tests: no cache, no retries, every refusal an
exception.
"""

from __future__ import annotations

import base64
import json
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.kit.waiting import deadline

Object = dict[str, Any]

_OURS = "/apis/crmflow.io/v1alpha1"
_RBAC = "/apis/rbac.authorization.k8s.io/v1"
_RESOURCES = {
    "Namespace": ("/api/v1", "namespaces"),
    "Secret": ("/api/v1", "secrets"),
    "ConfigMap": ("/api/v1", "configmaps"),
    "Pod": ("/api/v1", "pods"),
    "Node": ("/api/v1", "nodes"),
    "Job": ("/apis/batch/v1", "jobs"),
    "Lease": ("/apis/coordination.k8s.io/v1", "leases"),
    "ClusterRole": (_RBAC, "clusterroles"),
    "ClusterRoleBinding": (_RBAC, "clusterrolebindings"),
    "Role": (_RBAC, "roles"),
    "RoleBinding": (_RBAC, "rolebindings"),
    "Event": ("/apis/events.k8s.io/v1", "events"),
    "CustomResourceDefinition": ("/apis/apiextensions.k8s.io/v1", "customresourcedefinitions"),
    "ZohoSourceConnection": (_OURS, "zohosourceconnections"),
    "CRMDataflow": (_OURS, "crmdataflows"),
    "CRMDataflowRun": (_OURS, "crmdataflowruns"),
}
OUR_KINDS = ("CRMDataflow", "ZohoSourceConnection")
"""Those that declare what is to stand in Platform."""
_POLL_SECONDS = 0.05


class ApiError(Exception):
    """The API server's refusal."""

    def __init__(self, response: httpx.Response) -> None:
        self.status = response.status_code
        self.body: Object = response.json()
        super().__init__(f"{self.status}: {self.body.get('message')}")

    @property
    def causes(self) -> list[Object]:
        """Field, reason and message of each thing that is wrong with the object."""
        return list(self.body.get("details", {}).get("causes", ()))


class Cluster:
    """The cluster of a kubeconfig with a token."""

    def __init__(self, kubeconfig: Path) -> None:
        content = json.loads(kubeconfig.read_text())
        cluster = content["clusters"][0]["cluster"]
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        token = content["users"][0]["user"]["token"]
        self._http = httpx.Client(
            base_url=cluster["server"],
            headers={"Authorization": f"Bearer {token}"},
            verify=ssl.create_default_context(cadata=authority),
            timeout=30,
            trust_env=False,
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def create(self, obj: Object, *, dry_run: bool = False) -> Object:
        """Create an object; unknown fields are refused as kubectl does."""
        metadata = obj["metadata"]
        params = {"fieldValidation": "Strict"} | ({"dryRun": "All"} if dry_run else {})
        return self._request("POST", _path(obj["kind"], metadata.get("namespace")), params=params, json=obj)

    def apply(self, obj: Object, *, manager: str = "test", dry_run: bool = False) -> Object:
        """Server-side apply, as ``kubectl apply --server-side --force-conflicts`` does."""
        metadata = obj["metadata"]
        params = {"fieldManager": manager, "force": "true", "fieldValidation": "Strict"}
        return self._request(
            "PATCH",
            _path(obj["kind"], metadata.get("namespace"), metadata["name"]),
            params=params | ({"dryRun": "All"} if dry_run else {}),
            content=json.dumps(obj),
            headers={"Content-Type": "application/apply-patch+yaml"},
        )

    def get(self, kind: str, name: str, namespace: str | None = None) -> Object:
        """Read one object."""
        return self._request("GET", _path(kind, namespace, name))

    def find(self, kind: str, name: str, namespace: str | None = None) -> Object | None:
        """The same, None if there is no such object."""
        try:
            return self.get(kind, name, namespace)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def list(self, kind: str, namespace: str | None = None) -> list[Object]:
        """Read all objects of a kind."""
        items: list[Object] = self._request("GET", _path(kind, namespace))["items"]
        return items

    def patch(
        self, kind: str, name: str, namespace: str | None, patch: Object, *, dry_run: bool = False
    ) -> Object:
        """Merge patch, as ``kubectl patch --type=merge`` does."""
        return self._request(
            "PATCH",
            _path(kind, namespace, name),
            params={"fieldValidation": "Strict", **({"dryRun": "All"} if dry_run else {})},
            content=json.dumps(patch),
            headers={"Content-Type": "application/merge-patch+json"},
        )

    def replace_spec(self, kind: str, name: str, namespace: str, spec: Object) -> Object:
        """Make the whole spec be ``spec``, as ``kubectl replace`` does."""
        obj = self.get(kind, name, namespace)
        replaced = {"metadata": {"resourceVersion": obj["metadata"]["resourceVersion"]}}
        try:
            return self.patch(kind, name, namespace, {**replaced, "spec": _as_merge(obj["spec"], spec)})
        except ApiError as error:
            if error.status != 409:
                raise
            return self.replace_spec(kind, name, namespace, spec)

    def annotate(self, kind: str, name: str, namespace: str, **annotations: str | None) -> Object:
        """Set annotations of ours (the part after ``crmflow.io/``, ``_`` for ``-``); None removes one."""
        changes = {f"crmflow.io/{key.replace('_', '-')}": value for key, value in annotations.items()}
        return self.patch(kind, name, namespace, {"metadata": {"annotations": changes}})

    def apply_status(self, kind: str, name: str, namespace: str, status: Object, *, manager: str) -> Object:
        """Server-side apply of a status, as ``kubectl apply --server-side --subresource=status`` does."""
        found = self.get(kind, name, namespace)
        body = {
            "apiVersion": found["apiVersion"],
            "kind": kind,
            "metadata": {"name": name, "namespace": namespace},
            "status": status,
        }
        return self._request(
            "PATCH",
            f"{_path(kind, namespace, name)}/status",
            params={"fieldManager": manager, "force": "true"},
            content=json.dumps(body),
            headers={"Content-Type": "application/apply-patch+yaml"},
        )

    def replace_status(self, kind: str, name: str, namespace: str, status: Object) -> Object:
        """Write a whole status, as ``kubectl replace --subresource=status`` and backup tools do: again if
        somebody was faster.
        """
        while True:
            obj = {**self.get(kind, name, namespace), "status": status}
            try:
                return self._request("PUT", f"{_path(kind, namespace, name)}/status", json=obj)
            except ApiError as error:
                if error.status != 409:
                    raise

    def delete(
        self, kind: str, name: str, namespace: str | None = None, *, propagation: str | None = None
    ) -> None:
        """Ask for the deletion of an object; finalizers may hold it."""
        params = {"propagationPolicy": propagation} if propagation else {}
        self._request("DELETE", _path(kind, namespace, name), params=params)

    def discard(self, kind: str, name: str, namespace: str | None = None) -> None:
        """The same of one that may be gone, or go with what owns it, at any moment."""
        try:
            self.delete(kind, name, namespace, propagation="Background")
        except ApiError as error:
            if error.status != 404:
                raise

    def evict(self, pod: str, namespace: str) -> None:
        """Have a pod deleted as ``kubectl drain`` does: with the condition ``DisruptionTarget``."""
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod, "namespace": namespace},
        }
        self._request("POST", f"{_path('Pod', namespace, pod)}/eviction", json=body)

    def may(
        self,
        verb: str,
        group: str,
        resource: str,
        name: str = "",
        namespace: str = "default",
        *,
        user: str | None = None,
    ) -> bool:
        """Whether ``user``, else this kubeconfig's own, may do it; ``resource`` may have a subresource after
        a slash. No namespace: all of them.
        """
        resource, _, subresource = resource.partition("/")
        attributes = {
            "verb": verb,
            "group": group,
            "resource": resource,
            "subresource": subresource,
            "name": name,
            "namespace": namespace,
        }
        kind = "SubjectAccessReview" if user else "SelfSubjectAccessReview"
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": kind,
            "spec": {"resourceAttributes": attributes, **({"user": user} if user else {})},
        }
        path = f"/apis/authorization.k8s.io/v1/{kind.lower()}s"
        return bool(self._request("POST", path, json=review)["status"]["allowed"])

    @contextmanager
    def namespaces(self, *names: str) -> Iterator[None]:
        """Have namespaces of these names for a while."""
        for name in names:
            self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        yield
        for name in names:
            self.delete("Namespace", name)
        for name in names:  # whoever has them next must find none that is still going
            self.wait_gone("Namespace", name, seconds=60)

    def wait(
        self,
        kind: str,
        name: str,
        namespace: str | None,
        until: Callable[[Object], bool],
        *,
        what: str,
        seconds: float = 20,
    ) -> Object:
        """Read an object until ``until`` holds; fails with its status, saying ``what`` was waited for."""
        end = deadline(seconds)
        while True:
            obj = self.get(kind, name, namespace)
            if until(obj):
                return obj
            if time.monotonic() > end:
                status = json.dumps(obj.get("status"), indent=2)
                raise AssertionError(f"{kind} {name}: no {what} within {seconds} s; status: {status}")
            time.sleep(_POLL_SECONDS)

    def wait_condition(
        self,
        kind: str,
        name: str,
        namespace: str,
        type_: str,
        status: str = "True",
        reason: str | None = None,
        *,
        seconds: float = 20,
    ) -> Object:
        """Wait for a condition that speaks of the current generation."""

        def met(obj: Object) -> bool:
            found = condition(obj, type_)
            return (
                found is not None
                and found["status"] == status
                and found.get("observedGeneration") == obj["metadata"]["generation"]
                and reason in (None, found["reason"])
            )

        what = f"{type_}={status}" + (f"/{reason}" if reason else "")
        return self.wait(kind, name, namespace, met, what=what, seconds=seconds)

    def wait_ready(self, kind: str, name: str, namespace: str, *, seconds: float = 20) -> Object:
        """Wait for ``Ready=True`` of the current generation."""
        return self.wait_condition(kind, name, namespace, "Ready", seconds=seconds)

    def wait_gone(self, kind: str, name: str, namespace: str | None = None, *, seconds: float = 20) -> None:
        """Wait until the object is really deleted."""
        end = deadline(seconds)
        while (obj := self.find(kind, name, namespace)) is not None:
            if time.monotonic() > end:
                raise AssertionError(f"{kind} {name} is still there after {seconds} s: {json.dumps(obj)}")
            time.sleep(_POLL_SECONDS)

    def wait_namespace_condition(
        self, namespace: str, type_: str, text: str = "", *, seconds: float = 30
    ) -> Object:
        """Wait until a condition of a namespace is True, and has that text in its message."""
        end = deadline(seconds)
        while True:
            found = condition(self.get("Namespace", namespace), type_) or {}
            if found.get("status") == "True" and text in found["message"]:
                return found
            assert time.monotonic() < end, f"namespace {namespace}: {type_} not within {seconds} s"
            time.sleep(_POLL_SECONDS)

    def abandon_namespace(self, namespace: str) -> None:
        """Leave nothing in a namespace that somebody would work on, without anybody's help: our finalizers
        are dropped. The namespace itself stays, since for its deletion the API server is asked for each kind
        that there is; that took a fifth of the CPU of all tests.
        """
        for kind in (*OUR_KINDS, "CRMDataflowRun"):
            for obj in self.list(kind, namespace):
                name = obj["metadata"]["name"]
                if obj["metadata"].get("finalizers"):
                    self.patch(kind, name, namespace, {"metadata": {"finalizers": None}})
                if "deletionTimestamp" not in obj["metadata"]:
                    self.delete(kind, name, namespace)
        for job in self.list("Job", namespace):
            if "deletionTimestamp" not in job["metadata"]:
                self.delete("Job", job["metadata"]["name"], namespace, propagation="Background")

    def delete_namespace(self, namespace: str) -> None:
        """Delete a namespace without anybody's help, for whoever needs its name again."""
        self.abandon_namespace(namespace)
        if self.find("Namespace", namespace):
            self.delete("Namespace", namespace)

    def _request(self, method: str, path: str, **arguments: Any) -> Object:
        response = self._http.request(method, path, **arguments)
        if response.is_error:
            raise ApiError(response)
        answer: Object = response.json()
        return answer


def condition(obj: Object, type_: str) -> Object | None:
    """A condition of an object by its type; None if it has none."""
    conditions = obj.get("status", {}).get("conditions", ())
    return next((entry for entry in conditions if entry["type"] == type_), None)


def _as_merge(old: Any, new: Any) -> Any:
    """The merge patch (RFC 7396) that turns ``old`` into ``new``."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    gone = {key: None for key in old if key not in new}
    return {**gone, **{key: _as_merge(old.get(key), value) for key, value in new.items()}}


def _path(kind: str, namespace: str | None, name: str | None = None) -> str:
    group, plural = _RESOURCES[kind]
    parts = [group, *(("namespaces", namespace) if namespace else ()), plural, *((name,) if name else ())]
    return "/".join(parts)
