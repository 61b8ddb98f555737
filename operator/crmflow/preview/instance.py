"""The name of the installation that serves a namespace, which is part of the name of every remote object."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from crmflow.aep.client import PlatformClient
from crmflow.aep.errors import found
from crmflow.api.zohosourceconnection import ZohoSourceConnectionSpec
from crmflow.http.errors import RemoteError
from crmflow.preview.access import PlatformReader
from crmflow.preview.preview import KINDS
from crmflow.reconcile.core.ownership import owner_in
from crmflow.reconcile.core.reading import at, read_spec, text_at
from crmflow.reconcile.credentials import MissingKeysError, PlatformCredentials
from crmflow.reconcile.ports import Secrets
from crmflow.reconcile.secret_values import InvalidValuesError


async def find_instance(
    reader: PlatformReader, secrets: Secrets, objects: Iterable[Mapping[str, Any]]
) -> str | None:
    """The installation that what the resources record says it is managed by; None if none of them has made
    anything. Raises RemoteError where that can't be read.
    """
    objects = list(objects)
    failure: RemoteError | None = None
    connections = {obj["metadata"]["name"]: obj for obj in objects if obj["kind"] == "ZohoSourceConnection"}
    for obj in objects:
        kind, status = KINDS[obj["kind"]], obj.get("status") or {}
        name = text_at(obj, "spec", "connectionRef", "name") or obj["metadata"]["name"]
        for slot, remote_id in kind.recorded_ids(status).items():
            if at(status, "adopted") is True or name not in connections:
                break
            try:
                client = await _client(reader, secrets, connections[name])
                if client is None:
                    break
                remote = await found(client.get(kind.collections[slot], remote_id))
            except RemoteError as error:
                failure = failure or error
                break
            owner = owner_in(getattr(remote, "description", "") or "")
            if owner is not None and owner.uid == obj["metadata"]["uid"]:
                return owner.instance
    if failure is not None:
        raise failure
    return None


async def _client(
    reader: PlatformReader, secrets: Secrets, connection: Mapping[str, Any]
) -> PlatformClient | None:
    """The sandbox of a connection; None if what names it can't be read, which the plan itself will say.
    Raises RemoteError.
    """
    spec = read_spec(ZohoSourceConnectionSpec, connection)
    if spec.problems:
        return None
    platform = spec.value.platform
    try:
        data = await secrets.read(connection["metadata"]["namespace"], platform.credentials_secret_ref.name)
        credentials = PlatformCredentials.from_secret(data or {})
        return await reader.client(platform.organization, platform.sandbox, credentials)
    except (MissingKeysError, InvalidValuesError):
        return None
