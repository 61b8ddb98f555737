"""Other resources of the cluster as the steps see them, straight from the cache."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from crmflow.api.kinds import CRM_DATAFLOW, ZOHO_SOURCE_CONNECTION
from crmflow.api.zohosourceconnection import ZohoSourceConnectionSpec, ZohoSourceConnectionStatus
from crmflow.reconcile.conditions import READY, Conditions
from crmflow.reconcile.ports import Dataflow
from crmflow.runtime.cache import ObjectCache
from crmflow.runtime.keys import Key


@dataclass(frozen=True)
class CachedConnection:
    """A ``ZohoSourceConnection`` as last seen."""

    uid: str
    generation: int
    deleting: bool
    ready: bool
    spec: ZohoSourceConnectionSpec
    status: ZohoSourceConnectionStatus

    @classmethod
    def of(cls, obj: dict[str, Any]) -> CachedConnection:
        """Read the object; the API server has validated it."""
        metadata, status = obj["metadata"], obj.get("status") or {}
        return cls(
            uid=metadata["uid"],
            generation=metadata.get("generation", 0),
            deleting="deletionTimestamp" in metadata,
            ready=Conditions.from_status(status).is_true(READY),
            spec=ZohoSourceConnectionSpec.model_validate(obj["spec"]),
            status=ZohoSourceConnectionStatus.model_validate(status),
        )


class CachedPeers:
    """Implements the port of the same shape."""

    def __init__(self, cache: ObjectCache) -> None:
        self._cache = cache

    def connection(self, namespace: str, name: str) -> CachedConnection | None:
        """The connection of that name."""
        obj = self._cache.get(Key(ZOHO_SOURCE_CONNECTION.kind, namespace, name))
        return CachedConnection.of(obj) if obj else None

    def dataflows_of(self, namespace: str, connection: str) -> list[Dataflow]:
        """The dataflows that use the connection."""
        referrers = self._cache.referrers(ZOHO_SOURCE_CONNECTION.kind, namespace, connection)
        return [
            Dataflow(key.name, self._cache.is_deleting(key))
            for key in referrers
            if key.kind == CRM_DATAFLOW.kind
        ]

    def intents_of_others(self, own: str, slot: str, name: str) -> list[datetime]:
        """When dataflows other than ``own`` wrote down that they are about to create this very object."""
        found = self._cache.intents(CRM_DATAFLOW.kind, slot, name)
        return [datetime.fromisoformat(time) for key, time in found.items() if str(key) != own]

    def owner_of(self, remote_id: str) -> str | None:
        """The resource that a remote object belongs to."""
        key = self._cache.owner(remote_id)
        return str(key) if key else None
