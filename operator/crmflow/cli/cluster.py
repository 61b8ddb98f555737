"""The API server with the person's own kubeconfig: read the connection, read and write its Secret."""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import aiohttp
from kubernetes.aio import client, config
from kubernetes.aio.client.exceptions import ApiException
from pydantic import SecretStr, ValidationError

from crmflow.api.kinds import GROUP, VERSION, ZOHO_SOURCE_CONNECTION
from crmflow.api.zohosourceconnection import DataCenter, Environment, ZohoSourceConnectionSpec
from crmflow.cli.problem import Problem
from crmflow.cli.secret import StoredSecret
from crmflow.observability.redaction import register, sanitise

FIELD_MANAGER = "kubectl-crmflow"
_REQUEST_SECONDS = 30.0

T = TypeVar("T")


class ForbiddenError(Problem):
    """The person's rights do not allow it."""


class UnansweredError(Problem):
    """The API server did not answer: a write may have been carried out or not."""


@dataclass(frozen=True)
class Connection:
    """What a ZohoSourceConnection says about its grant."""

    namespace: str
    name: str
    data_center: DataCenter
    environment: Environment
    secret_name: str
    organization_id: str | None
    """The Zoho organization that the operator has pinned in its status."""


class Cluster:
    """The calls that the command makes. Each raises Problem when it fails."""

    def __init__(self, api: client.ApiClient, namespace: str) -> None:
        self._api = api
        self._core = client.CoreV1Api(api)
        self._objects = client.CustomObjectsApi(api)
        self.namespace = namespace

    @classmethod
    async def connect(cls, kubeconfig: str | None, context: str | None, namespace: str | None) -> Cluster:
        """The cluster, and unless ``namespace`` is given the namespace, that kubectl itself would take."""
        configuration = client.Configuration()
        try:
            loader: Any = await config.load_kube_config(  # type: ignore[no-untyped-call]
                config_file=kubeconfig,
                context=context,
                client_configuration=configuration,
                persist_config=False,
            )
            chosen = namespace or loader.current_context["context"].get("namespace") or "default"
        except Exception:
            # Not chained and not quoted: the library puts whole entries into its messages, tokens included.
            raise Problem(
                "no cluster: the kubeconfig is missing, has no such context, or can't be used",
                "Check KUBECONFIG, --kubeconfig and --context; `kubectl cluster-info` must work with them",
            ) from None
        return cls(client.ApiClient(configuration), chosen)

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()  # type: ignore[no-untyped-call]

    async def connection(self, name: str) -> Connection:
        """The ZohoSourceConnection of that name."""
        found: Any = await _call(
            self._objects.get_namespaced_custom_object(
                GROUP,
                VERSION,
                self.namespace,
                ZOHO_SOURCE_CONNECTION.plural,
                name,
                _request_timeout=_REQUEST_SECONDS,
            ),
            f'ZohoSourceConnection "{name}"',
        )
        if found is None:
            raise Problem(
                f'there is no ZohoSourceConnection "{name}" in namespace "{self.namespace}"',
                "Apply it first, or name its namespace with -n; it may name a Secret that does not exist yet",
            )
        try:
            zoho = ZohoSourceConnectionSpec.model_validate(found["spec"]).zoho
        except ValidationError as error:
            raise Problem(
                f'this command can\'t read ZohoSourceConnection "{name}"', "Use a newer kubectl-crmflow"
            ) from error
        pinned = found.get("status", {}).get("zohoOrganization", {})
        return Connection(
            self.namespace,
            name,
            zoho.data_center,
            zoho.environment,
            zoho.credentials_secret_ref.name,
            pinned.get("id"),
        )

    async def secret(self, name: str) -> StoredSecret | None:
        """A Secret, None if it does not exist. Raises ForbiddenError without the right to read it."""
        found: Any = await _call(
            self._core.read_namespaced_secret(name, self.namespace, _request_timeout=_REQUEST_SECONDS),
            f'Secret "{name}"',
        )
        if found is None:
            return None
        controllers = [owner for owner in found.metadata.owner_references or () if owner.controller]
        return StoredSecret(
            {
                key: SecretStr(base64.b64decode(value).decode(errors="replace"))
                for key, value in (found.data or {}).items()
            },
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
        await _call(
            self._core.patch_namespaced_secret(
                name,
                self.namespace,
                body,
                field_manager=FIELD_MANAGER,
                force=True,
                _content_type="application/apply-patch+yaml",
                _request_timeout=_REQUEST_SECONDS,
                **dry,
            ),
            f'Secret "{name}"',
        )


async def _call(request: Awaitable[T], what: str) -> T | None:
    """The answer, None for a 404."""
    try:
        return await request
    except ApiException as error:
        if error.status == 404:
            return None
        message = f"the API server refused {what}: {_message(error)}"
        if error.status in (401, 403):
            raise ForbiddenError(message, "Ask whoever manages the namespace for this right") from None
        raise Problem(message) from None
    except (aiohttp.ClientError, TimeoutError) as error:
        raise UnansweredError(
            f"the API server did not answer ({type(error).__name__})", "Check it with `kubectl cluster-info`"
        ) from None


def _message(error: ApiException) -> str:
    try:
        status = json.loads(error.body or "")
        text = str(status["message"])
    except (TypeError, ValueError, KeyError):
        text = str(error.reason or "")
    return f"{error.status} {sanitise(text)}"
