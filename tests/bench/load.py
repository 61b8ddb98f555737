"""Many dataflows as their users would declare them, and the moment at which each one is Ready."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import aiohttp

from tests.bench.stage import OURS, Stage
from tests.emulators.aep.seed_data import CONTACTS_DATASET
from tests.kit import manifests
from tests.kit.cluster import Object

NAMESPACE = "crm-bench"
TABLES = (
    "Accounts",
    "Calls",
    "Contacts",
    "Deals",
    "Events",
    "Leads",
    "Notes",
    "Products",
    "Tasks",
    "Vendors",
)
"""Each connection has a dataflow for each of them."""
VARIANTS = 10
"""So many different mappings there are among all dataflows."""
APPLIERS = 20
"""Requests at once, as a GitOps tool makes them."""
COLUMNS = ("Created_Time", "Modified_Time", "id")
_TARGETS = (
    *(
        f"{address}.{part}"
        for address in ("homeAddress", "mailingAddress", "workAddress")
        for part in ("street1", "city", "state", "postalCode", "country")
    ),
    "_crmflowdemo.leadSource",
    "_crmflowdemo.department",
)


def connection_name(number: int) -> str:
    """The connection of that number."""
    return f"zoho-{number:03}"


def connection(number: int) -> Object:
    """The connection of that number."""
    return manifests.connection(NAMESPACE, connection_name(number), displayName=f"Zoho {number}")


def dataflow(number: int, connections: int) -> Object:
    """A dataflow with 20 mapping entries into the targets that all share."""
    return manifests.dataflow(
        NAMESPACE,
        f"flow-{number:05}",
        displayName=f"Flow {number}",
        connectionRef={"name": connection_name(number % connections)},
        source={"table": TABLES[number // connections % len(TABLES)], "columns": list(COLUMNS)},
        mapping=mapping(number % VARIANTS),
        target={"dataset": {"id": CONTACTS_DATASET}},
    )


def mapping(variant: int) -> list[dict[str, str]]:
    """20 entries."""
    return [
        {"target": "_crmflowdemo.zohoId", "source": "id"},
        {"target": "_crmflowdemo.createdTime", "source": "Created_Time"},
        {"target": "_crmflowdemo.modifiedTime", "source": "Modified_Time"},
        *({"target": target, "value": f"{variant}"} for target in _TARGETS),
    ]


@dataclass
class Watched:
    """When each object was first seen Ready, as anybody sees it who watches."""

    ready_at: dict[str, float] = field(default_factory=dict)
    flow_ids: dict[str, str] = field(default_factory=dict)
    runs: dict[str, int] = field(default_factory=dict)
    """How many runs of each have succeeded, as its status counts them."""
    changed_at: dict[str, float] = field(default_factory=dict)
    """When the last drift of each was told."""
    present: set[str] = field(default_factory=set)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def until(self, is_done: Callable[[], bool], seconds: float) -> None:
        """Wait until it is so. Raises TimeoutError."""
        async with asyncio.timeout(seconds), self.changed:
            await self.changed.wait_for(is_done)

    async def follow(self, session: aiohttp.ClientSession, plural: str) -> None:
        """Watch for ever."""
        params = {"watch": "1", "resourceVersion": "0", "timeoutSeconds": "36000"}
        path = f"{OURS}/namespaces/{NAMESPACE}/{plural}"
        timeout = aiohttp.ClientTimeout(total=None)
        async with session.get(path, params=params, timeout=timeout) as answer:
            buffer = b""
            async for chunk in answer.content.iter_any():
                *lines, buffer = (buffer + chunk).split(b"\n")
                for line in lines:
                    await self._take(json.loads(line))

    async def _take(self, event: Mapping[str, Any]) -> None:
        obj = event["object"]
        name, status = obj["metadata"]["name"], obj.get("status", {})
        ready = any(
            one["type"] == "Ready"
            and one["status"] == "True"
            and one.get("observedGeneration") == obj["metadata"]["generation"]
            for one in status.get("conditions", ())
        )
        if event["type"] == "DELETED":
            self.ready_at.pop(name, None)
            self.present.discard(name)
        else:
            self.present.add(name)
            self.runs[name] = status.get("totals", {}).get("runsSucceeded", 0)
            if drift := status.get("lastDrift", {}).get("time"):
                self.changed_at[name] = datetime.fromisoformat(drift).timestamp()
            if ready:
                self.ready_at.setdefault(name, time.time())
                self.flow_ids[name] = status.get("flow", {}).get("id", "")
            else:
                self.ready_at.pop(name, None)
        async with self.changed:
            self.changed.notify_all()


async def create_all(session: aiohttp.ClientSession, objects: Iterable[Object]) -> None:
    """Create them in their order, some at once."""
    waiting = iter(objects)

    async def work() -> None:
        for obj in waiting:
            await create(session, obj)

    async with asyncio.TaskGroup() as group:
        for _ in range(APPLIERS):
            group.create_task(work())


async def create(session: aiohttp.ClientSession, obj: Object) -> None:
    """Create one object. Raises RuntimeError."""
    plural = {"ZohoSourceConnection": "zohosourceconnections", "CRMDataflow": "crmdataflows"}.get(obj["kind"])
    namespace = obj["metadata"].get("namespace")
    path = {"Namespace": "/api/v1/namespaces", "Secret": f"/api/v1/namespaces/{namespace}/secrets"}.get(
        obj["kind"], f"{OURS}/namespaces/{namespace}/{plural}"
    )
    async with session.post(path, json=obj) as answer:
        if answer.status >= 300:
            raise RuntimeError(await answer.text())


async def create_namespace(session: aiohttp.ClientSession) -> None:
    """Where all of it is."""
    await create(session, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})


async def create_secrets(stage: Stage, session: aiohttp.ClientSession) -> None:
    """Both credentials of the emulators."""
    for secret in manifests.secrets(NAMESPACE, stage.info):
        await create(session, secret)


async def prepare(stage: Stage, session: aiohttp.ClientSession, connections: int) -> None:
    """The namespace with its Secrets, and connections that are Ready."""
    await create_namespace(session)
    await create_secrets(stage, session)
    watched = Watched()
    watch = asyncio.create_task(watched.follow(session, "zohosourceconnections"))
    await create_all(session, map(connection, range(connections)))
    await watched.until(lambda: len(watched.ready_at) == connections, 600)
    watch.cancel()
