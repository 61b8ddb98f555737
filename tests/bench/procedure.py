"""``python -m tests.bench.procedure INFO FLOWS CONNECTIONS WAY``: what an engineer would write who makes the
same dataflows with a script instead of an operator. Prints one JSON line.

``one-by-one`` and ``at-once`` follow Adobe's documented procedure for each dataflow: explore the table, look
at schema, dataset and flow specification, create source connection, target connection and mapping set, create
the flow, and read it until it is enabled; the second has 20 connections at once. ``sharing`` is the best that
we can write: what is the same for many is asked and created once, and flows are read many at a time until
they are enabled. No script keeps a record of what it has made, repairs anything or could be run twice.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from tests.bench import load
from tests.bench.stage import cpu_seconds
from tests.emulators.aep import seed_data as ids

WAYS = ("one-by-one", "at-once", "sharing")
AT_ONCE = 20
FLOW_SERVICE = "/data/foundation/flowservice"
_SETTLES_SECONDS = 0.5
_IDS = 50
_XED = "application/vnd.adobe.xed-full+json; version=1"


@dataclass
class Script:
    """The calls, by a session that is authorized."""

    http: aiohttp.ClientSession
    share: bool
    _known: dict[Any, asyncio.Task[Any]] = field(default_factory=dict)

    async def make(self, number: int, base_connection: str, table: str) -> str:
        """One dataflow; its id, once it is made."""
        spec = load.dataflow(number, 1)["spec"]
        explored, _, _, flow_spec = (
            await self.once(
                ("explore", base_connection, table), lambda: self.explore(base_connection, table)
            ),
            await self.once("schema", self.schema),
            await self.once("dataset", self.dataset),
            await self.once("flowSpec", self.flow_spec),
        )
        columns = [column for column in explored if column["name"] in load.COLUMNS]
        source = {
            "name": f"Source {number}",
            "baseConnectionId": base_connection,
            "data": {"format": "tabular"},
            "params": {"tableName": table, "columns": columns},
            "connectionSpec": {"id": ids.ZOHO_SPEC, "version": "1.0"},
        }
        target = {
            "name": f"Target {number}",
            "data": {"schema": {"id": ids.CONTACTS_SCHEMA, "version": _XED}},
            "params": {"dataSetId": ids.CONTACTS_DATASET},
            "connectionSpec": {"id": ids.DATA_LAKE_SPEC, "version": "1.0"},
        }
        variant = number % load.VARIANTS
        source_id = await self.created(f"{FLOW_SERVICE}/sourceConnections", source)
        target_id = await self.created(f"{FLOW_SERVICE}/targetConnections", target)
        mapping_id = await self.once(("mapping", variant), lambda: self.mapping(spec["mapping"]))
        flow = {
            "name": f"Flow {number}",
            "flowSpec": {"id": flow_spec, "version": "1.0"},
            "sourceConnectionIds": [source_id],
            "targetConnectionIds": [target_id],
            "transformations": [
                {"name": "Copy", "params": {"deltaColumn": {"name": "Modified_Time"}}},
                {"name": "Mapping", "params": {"mappingId": mapping_id, "mappingVersion": 0}},
            ],
            "scheduleParams": {
                "startTime": int(time.time()) + 3600,
                "frequency": "hour",
                "interval": "1",
                "backfill": "true",
            },
        }
        return await self.created(f"{FLOW_SERVICE}/flows", flow)

    async def settle(self, flow_id: str) -> None:
        """Read one flow until it is enabled."""
        path = f"{FLOW_SERVICE}/flows/{flow_id}"
        while (await self.get(path))["items"][0]["state"] != "enabled":  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(_SETTLES_SECONDS)

    async def settle_all(self, flow_ids: list[str]) -> None:
        """Read flows many at a time until all are enabled."""
        while flow_ids:
            left = []
            for start in range(0, len(flow_ids), _IDS):
                some = flow_ids[start : start + _IDS]
                query = {"property": f"id=={','.join(some)}", "limit": "100"}
                found = (await self.get(f"{FLOW_SERVICE}/flows", **query))["items"]
                enabled = {flow["id"] for flow in found if flow["state"] == "enabled"}
                left += [flow_id for flow_id in some if flow_id not in enabled]
            flow_ids = left
            if left:
                await asyncio.sleep(_SETTLES_SECONDS)

    async def once(self, key: Any, ask: Callable[[], Awaitable[Any]]) -> Any:
        """The answer; where the script shares, it is asked for once."""
        if not self.share:
            return await ask()
        if key not in self._known:
            self._known[key] = asyncio.ensure_future(ask())
        return await self._known[key]

    async def explore(self, base_connection: str, table: str) -> Any:
        path = f"{FLOW_SERVICE}/connections/{base_connection}/explore"
        return (await self.get(path, objectType="table", object=table))["schema"]["columns"]

    async def schema(self) -> Any:
        quoted = ids.CONTACTS_SCHEMA.replace(":", "%3A").replace("/", "%2F")
        path = f"/data/foundation/schemaregistry/tenant/schemas/{quoted}"
        return await self.get(path, accept="application/vnd.adobe.xed+json; version=1")

    async def dataset(self) -> Any:
        return await self.get(f"/data/foundation/catalog/dataSets/{ids.CONTACTS_DATASET}")

    async def flow_spec(self) -> str:
        found = await self.get(f"{FLOW_SERVICE}/flowSpecs", property="name==CRMToAEP")
        spec_id: str = found["items"][0]["id"]
        return spec_id

    async def mapping(self, entries: list[dict[str, str]]) -> str:
        kinds = {"source": "ATTRIBUTE", "expression": "EXPRESSION", "value": "STATIC"}
        mappings = [
            {"sourceType": kinds[kind], "source": entry[kind], "destination": entry["target"]}
            for entry in entries
            for kind in kinds
            if kind in entry
        ]
        reference = {"id": ids.CONTACTS_SCHEMA, "contentType": _XED}
        body = {"outputSchema": {"schemaRef": reference}, "mappings": mappings}
        return await self.created("/data/foundation/conversion/mappingSets", body)

    async def created(self, path: str, body: Any) -> str:
        async with self.http.post(path, json=body) as answer:
            if answer.status >= 300:
                raise RuntimeError(await answer.text())
            made: str = (await answer.json(content_type=None))["id"]
            return made

    async def get(self, path: str, accept: str = "application/json", **query: str) -> Any:
        async with self.http.get(
            URL(path, encoded=True).with_query(query) if query else URL(path, encoded=True),
            headers={"Accept": accept},
        ) as answer:
            if answer.status >= 300:
                raise RuntimeError(await answer.text())
            return await answer.json(content_type=None)


async def run(info: dict[str, Any], flows: int, connections: int, way: str) -> dict[str, Any]:
    """Make base connections, then measure how long the dataflows take."""
    platform = info["platform"]
    async with aiohttp.ClientSession() as ims:
        form = {
            "grant_type": "client_credentials",
            "client_id": platform["clientId"],
            "client_secret": platform["clientSecret"],
            "scope": "openid,AdobeID",
        }
        async with ims.post(f"{info['imsUrl']}/ims/token/v3", data=form) as answer:
            token = (await answer.json())["access_token"]
    headers = {
        "Authorization": f"Bearer {token}",
        "x-api-key": platform["clientId"],
        "x-gw-ims-org-id": platform["orgId"],
        "x-sandbox-name": platform["sandbox"],
    }
    connector = aiohttp.TCPConnector(limit=AT_ONCE)
    async with aiohttp.ClientSession(info["platformUrl"], connector=connector, headers=headers) as http:
        script = Script(http, share=way == "sharing")
        bases = [
            await script.created(f"{FLOW_SERVICE}/connections", _base(info, n)) for n in range(connections)
        ]
        begun, cpu = time.monotonic(), cpu_seconds_of_self()
        waiting = iter(range(flows))

        async def work() -> None:
            for number in waiting:
                table = load.TABLES[number // connections % len(load.TABLES)]
                made = await script.make(number, bases[number % connections], table)
                if script.share:
                    ids_made.append(made)
                else:
                    await script.settle(made)

        ids_made: list[str] = []
        async with asyncio.TaskGroup() as group:
            for _ in range(1 if way == "one-by-one" else AT_ONCE):
                group.create_task(work())
        await script.settle_all(ids_made)
        return {"seconds": time.monotonic() - begun, "cpu": cpu_seconds_of_self() - cpu, "flows": flows}


def cpu_seconds_of_self() -> float:
    """User and system time of this process."""
    return cpu_seconds(os.getpid())


def _base(info: dict[str, Any], number: int) -> dict[str, Any]:
    zoho = info["zoho"]
    return {
        "name": f"Zoho {number}",
        "auth": {
            "specName": "Basic Authentication",
            "params": {
                "endpoint": "crm.zoho.eu/crm/private",
                "accountsUrl": "https://accounts.zoho.eu",
                "clientId": zoho["clientId"],
                "clientSecret": zoho["clientSecret"],
                "accessToken": "1000." + "0" * 32 + "." + "0" * 32,
                "refreshToken": zoho["refreshToken"],
            },
        },
        "connectionSpec": {"id": ids.ZOHO_SPEC, "version": "1.0"},
    }


if __name__ == "__main__":
    file, count, used, chosen = sys.argv[1:5]
    print(json.dumps(asyncio.run(run(json.loads(Path(file).read_text()), int(count), int(used), chosen))))
