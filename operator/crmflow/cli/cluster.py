"""The API server with the person's own kubeconfig: connections and their Secrets, dataflows and what approves
their plans.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

from kubernetes.aio import client
from pydantic import SecretStr

from crmflow.api.kinds import APPROVE_PLAN, CRM_DATAFLOW, GROUP, KINDS, VERSION, ZOHO_SOURCE_CONNECTION, Kind
from crmflow.cli.api_server import REQUEST_SECONDS, call
from crmflow.cli.connection import Connection
from crmflow.cli.dataflow import Dataflow
from crmflow.cli.problem import Problem
from crmflow.cli.secret import SecretContents
from crmflow.environment import SettingError
from crmflow.kubeconfig.access import choose, request_seconds
from crmflow.kubeconfig.client import api_client
from crmflow.kubeconfig.options import ClusterOptions
from crmflow.observability.redaction import register

FIELD_MANAGER = "kubectl-crmflow"

_SECRET_KEY = re.compile(r"secret|token|password", re.IGNORECASE)


class Cluster:
    """The calls that the command makes. Each raises Problem when it fails."""

    seconds: float = REQUEST_SECONDS
    """How long one request may take."""

    def __init__(self, api: client.ApiClient, namespace: str) -> None:
        self.api = api
        self._core = client.CoreV1Api(api)
        self._objects = client.CustomObjectsApi(api)
        self.namespace = namespace

    @classmethod
    async def connect(cls, options: ClusterOptions) -> Cluster:
        """The cluster, the namespace and the identity that kubectl itself would take with these options."""
        try:
            seconds = request_seconds(options.request_timeout, REQUEST_SECONDS)
            access = choose(options)
            cluster = cls(await api_client(access), access.namespace)
        except SettingError as error:
            raise Problem(
                f"no cluster: {error}", "`kubectl cluster-info` must work with the same options"
            ) from None
        cluster.seconds = seconds
        return cluster

    async def close(self) -> None:
        """Close the connections."""
        await self.api.close()  # type: ignore[no-untyped-call]

    async def connection(self, name: str) -> Connection:
        """The ZohoSourceConnection of that name."""
        advice = "Apply it first, or name its namespace with -n; it may name a Secret that does not exist yet"
        return Connection.of(await self._object(ZOHO_SOURCE_CONNECTION, name, advice))

    async def connections(self) -> list[Connection]:
        """Every ZohoSourceConnection of the namespace, by name."""
        return [Connection.of(item) for item in await self.objects(ZOHO_SOURCE_CONNECTION)]

    async def dataflow(self, name: str) -> Dataflow:
        """The CRMDataflow of that name."""
        return Dataflow.of(await self._object(CRM_DATAFLOW, name, "Name its namespace with -n"))

    async def names(self, kind: Kind) -> list[str]:
        """The names of every resource of the kind in the namespace."""
        return [item["metadata"]["name"] for item in await self.objects(kind)]

    async def approve_plan(self, dataflow: Dataflow, plan_hash: str) -> None:
        """Annotate it with the plan's hash. Raises ConflictError if it has changed since it was read."""
        metadata = {
            "resourceVersion": dataflow.resource_version,
            "annotations": {APPROVE_PLAN: plan_hash},
        }
        await call(
            self._objects.patch_namespaced_custom_object(
                GROUP,
                VERSION,
                self.namespace,
                CRM_DATAFLOW.plural,
                dataflow.name,
                {"metadata": metadata},
                field_manager=FIELD_MANAGER,
                _content_type="application/merge-patch+json",
                _request_timeout=self.seconds,
            ),
            f'{CRM_DATAFLOW.kind} "{dataflow.name}"',
        )

    async def _object(self, kind: Kind, name: str, advice: str) -> dict[str, Any]:
        """The resource of that kind and name; a Problem with ``advice`` if there is none."""
        found: Any = await call(
            self._objects.get_namespaced_custom_object(
                GROUP, VERSION, self.namespace, kind.plural, name, _request_timeout=self.seconds
            ),
            f'{kind.kind} "{name}"',
        )
        if found is None:
            raise Problem(f'there is no {kind.kind} "{name}" in namespace "{self.namespace}"', advice)
        return dict(found)

    async def objects(
        self, kind: Kind, *, everywhere: bool = False, selector: str | None = None
    ) -> list[dict[str, Any]]:
        """Every resource of that kind in the namespace, or in all, that ``selector`` of labels leaves; by
        namespace and name.
        """
        chosen: dict[str, Any] = {"_request_timeout": self.seconds}
        if selector is not None:
            chosen["label_selector"] = selector
        listing = (
            self._objects.list_cluster_custom_object(GROUP, VERSION, kind.plural, **chosen)
            if everywhere
            else self._objects.list_namespaced_custom_object(
                GROUP, VERSION, self.namespace, kind.plural, **chosen
            )
        )
        found: Any = await call(listing, f"the {kind.kind}s")
        items = () if found is None else found["items"]
        return sorted(items, key=lambda one: (one["metadata"]["namespace"], one["metadata"]["name"]))

    async def dry_run(
        self, manifest: Mapping[str, Any], existing: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """A resource as the API server would store it if ``manifest`` took the place of ``existing``; nothing
        is stored. Raises ForbiddenError without the right to write it.
        """
        kind = next(kind for kind in KINDS if kind.kind == manifest["kind"])
        name = manifest["metadata"]["name"]
        given = {**manifest, "metadata": {**manifest["metadata"], "namespace": self.namespace}}
        given.pop("status", None)
        more: dict[str, Any] = {"dry_run": "All", "_request_timeout": self.seconds}
        what = f'{kind.kind} "{name}"'
        if existing is None:
            made: Any = await call(
                self._objects.create_namespaced_custom_object(
                    GROUP, VERSION, self.namespace, kind.plural, given, **more
                ),
                what,
            )
        else:
            given["metadata"] = {
                **given["metadata"],
                "resourceVersion": existing["metadata"]["resourceVersion"],
            }
            made = await call(
                self._objects.replace_namespaced_custom_object(
                    GROUP, VERSION, self.namespace, kind.plural, name, given, **more
                ),
                what,
            )
        if made is None:
            raise Problem(
                f'namespace "{self.namespace}" does not exist', "Create it, or name another with -n"
            )
        return {**manifest, "spec": made["spec"]}

    async def cluster_uid(self) -> str | None:
        """The UID of the namespace kube-system, which stands for the cluster."""
        found: Any = await call(
            self._core.read_namespace("kube-system", _request_timeout=self.seconds),
            'Namespace "kube-system"',
        )
        return str(found.metadata.uid) if found is not None else None

    async def secret(self, name: str) -> SecretContents | None:
        """A Secret, None if it does not exist. Raises ForbiddenError without the right to read it."""
        found: Any = await call(
            self._core.read_namespaced_secret(name, self.namespace, _request_timeout=self.seconds),
            f'Secret "{name}"',
        )
        if found is None:
            return None
        controllers = [owner for owner in found.metadata.owner_references or () if owner.controller]
        data = {
            key: base64.b64decode(value).decode(errors="replace") for key, value in (found.data or {}).items()
        }
        for key, value in data.items():
            if _SECRET_KEY.search(key):
                register(value.strip())
        return SecretContents(
            {key: SecretStr(value) for key, value in data.items()},
            next((f"{owner.kind} {owner.name}" for owner in controllers), None),
        )

    async def apply_secret(
        self, name: str, values: Mapping[str, SecretStr], *, dry_run: bool = False
    ) -> None:
        """Apply these keys server-side; the Secret's others stay. ``dry_run`` only asks whether it could."""
        data = {
            key: base64.b64encode(value.get_secret_value().encode()).decode() for key, value in values.items()
        }
        for encoded in data.values():
            register(encoded)  # a refusal may quote what it refuses
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": self.namespace},
            "data": data,
        }
        dry: dict[str, Any] = {"dry_run": "All"} if dry_run else {}
        await call(
            self._core.patch_namespaced_secret(
                name,
                self.namespace,
                body,
                field_manager=FIELD_MANAGER,
                force=True,
                _content_type="application/apply-patch+yaml",
                _request_timeout=self.seconds,
                **dry,
            ),
            f'Secret "{name}"',
        )
