"""What commands need that ask the planner: Secrets by the person's rights, manifests as the API server takes
them, and the name of the installation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from crmflow.cli.api_server import ForbiddenError
from crmflow.cli.cluster import Cluster
from crmflow.cli.problem import Problem
from crmflow.cli.terminal import say
from crmflow.clock import Clock
from crmflow.http.client import HttpClient
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.preview.access import PlatformReader, ServiceUrls
from crmflow.settings import Settings
from crmflow.zoho.datacenters import ZohoEndpoints

Manifest = Mapping[str, Any]


def reader(http: HttpClient, settings: Settings, clock: Clock) -> PlatformReader:
    """Sandboxes that are only read, at the addresses of ``settings``."""
    zoho = ZohoEndpoints(settings.zoho_accounts_url, settings.zoho_api_url)
    return PlatformReader(http, ServiceUrls(zoho, settings.ims_url, settings.platform_url), clock)


async def checked(cluster: Cluster, manifest: Manifest, existing: Mapping[str, Any] | None) -> Manifest:
    """The manifest as the API server would take it, which is asked if the person may: with defaults, and
    past its rules. Raises Problem for one that it refuses.
    """
    try:
        return await cluster.dry_run(manifest, existing)
    except ForbiddenError:
        what = "update" if existing else "create"
        name = f'{manifest["kind"]} "{manifest["metadata"]["name"]}"'
        say(f"The API server was not asked about {name}: your rights do not allow to {what} it.")
        return manifest


async def cluster_instance(cluster: Cluster) -> str | None:
    """What an installation without a name of its own goes by; None if that may not be read."""
    try:
        return await cluster.cluster_uid()
    except Problem:
        return None


class ClusterSecrets:
    """Implements the port ``Secrets`` with the person's rights."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def read(self, namespace: str, name: str) -> Mapping[str, SecretStr] | None:
        try:
            stored = await self._cluster.secret(name)
        except Problem as problem:
            raise RemoteError(
                "Kubernetes",
                "readSecret",
                ErrorClass.TERMINAL,
                "SecretForbidden" if isinstance(problem, ForbiddenError) else "KubernetesUnavailable",
                problem.message.rstrip("."),
                advice=problem.advice,
            ) from None
        return None if stored is None else stored.data
