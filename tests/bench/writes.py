"""The writes to the API server that a new dataflow costs, by a client that does nothing else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from typing import Any

import aiohttp

from crmflow.reconcile.core.conditions import READY
from tests.bench.load import APPLIERS, NAMESPACE, create
from tests.bench.stage import OURS
from tests.kit.cluster import Object

_APPLY = {"fieldManager": "crmflow", "force": "true"}
_TYPES = (READY, "SourceReady", "TargetReady", "MappingValid", "Synced", "RunsHealthy")
_REMOTE_ID = "0f5a1c5e-7d8b-4c1a-9b1e-3f0c2d4e5a6b"


async def make(session: aiohttp.ClientSession, objects: Iterable[Object]) -> None:
    """Each object with its finalizer, four statuses and an Event: as many writes, in the same forms, as the
    operator needs for it. As many at once as whoever applies the objects.
    """
    waiting = iter(objects)

    async def work() -> None:
        for obj in waiting:
            await create(session, obj)
            await _reconcile(session, obj["metadata"]["name"])

    async with asyncio.TaskGroup() as group:
        for _ in range(APPLIERS):
            group.create_task(work())


async def _reconcile(session: aiohttp.ClientSession, name: str) -> None:
    path = f"{OURS}/namespaces/{NAMESPACE}/crmdataflows/{name}"
    meta = {"apiVersion": "crmflow.io/v1alpha1", "kind": "CRMDataflow", "metadata": {"name": name}}
    finalizer = [{"op": "add", "path": "/metadata/finalizers", "value": ["crmflow.io/cleanup"]}]
    await _patch(session, path, finalizer, "application/json-patch+json", {"fieldManager": "crmflow"})
    for step in range(4):
        body = {**meta, "status": _status(step)}
        await _patch(session, f"{path}/status", body, "application/apply-patch+yaml", _APPLY)
    event = {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": f"{name}.1", "namespace": NAMESPACE},
        "eventTime": "2026-01-31T10:00:00.000000Z",
        "type": "Normal",
        "reason": "Created",
        "action": "Create",
        "note": f"Flow {_REMOTE_ID} was created.",
        "reportingController": "crmflow.io/operator",
        "reportingInstance": "crmflow",
        "regarding": {**meta, "namespace": NAMESPACE, "name": name},
    }
    del event["regarding"]["metadata"]  # type: ignore[attr-defined]  # a reference has its name beside its kind
    where = f"/apis/events.k8s.io/v1/namespaces/{NAMESPACE}/events/{name}.1"
    await _patch(session, where, event, "application/apply-patch+yaml", _APPLY)


def _status(step: int) -> dict[str, Any]:
    """What is known after so many steps."""
    is_ready = step == 3
    conditions = [
        {
            "type": name,
            "status": "True" if is_ready else "Unknown",
            "reason": "Succeeded" if is_ready else "Progressing",
            "message": f"{name} is what the spec says, or soon will be, of flow {_REMOTE_ID}.",
            "lastTransitionTime": f"2026-01-31T10:00:0{step}Z",
            "observedGeneration": 1,
        }
        for name in _TYPES[: 1 + 2 * step]
    ]
    status: dict[str, Any] = {
        "observedGeneration": 1,
        "conditions": conditions,
        "deletionPolicy": "Delete",
        "columns": ["Created_Time", "Modified_Time", "id"],
    }
    if step:
        status["platform"] = {"organization": "7C51A9F0C0FFEE0A495EF1A2@AdobeOrg", "sandbox": "prod"}
        status["mappingSet"] = {"contentHash": "f8a96c1bb421eb0f", "id": _REMOTE_ID, "version": 0}
    if step > 1:
        status["sourceConnectionId"] = status["targetConnectionId"] = _REMOTE_ID
        status["flow"] = {"id": _REMOTE_ID, "state": "enabled", "stateSince": "2026-01-31T10:00:03Z"}
    return status


async def _patch(
    session: aiohttp.ClientSession, path: str, body: Any, media_type: str, query: Mapping[str, str]
) -> None:
    headers = {"Content-Type": media_type}
    async with session.patch(path, params=query, data=json.dumps(body), headers=headers) as answer:
        if answer.status >= 300:
            raise RuntimeError(await answer.text())
