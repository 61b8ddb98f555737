"""A client of AEP that knows its paths and headers, and builds the objects of a dataflow step by step."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.emulators.aep import seed_data as ids
from tests.emulators.core.server import Emulators

FLOW = "/data/foundation/flowservice"
CONVERSION = "/data/foundation/conversion"
CATALOG = "/data/foundation/catalog"
REGISTRY = "/data/foundation/schemaregistry"
SANDBOXES = "/data/foundation/sandbox-management"

XED_FULL = "application/vnd.adobe.xed-full+json;version=1"
MAPPINGS = [
    {"sourceType": "ATTRIBUTE", "source": "Email", "destination": "personalEmail.address"},
    {
        "sourceType": "EXPRESSION",
        "source": 'concat(First_Name," ",Last_Name)',
        "destination": "person.name.fullName",
    },
    {"sourceType": "STATIC", "source": "zoho", "destination": f"_{ids.TENANT}.origin"},
]


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: Any

    @property
    def code(self) -> str:
        """The code of an error, ``1404-412``, without its prefix."""
        assert self.status >= 400, self.body
        found = re.search(r"(\d{4}-\d{3})$", str(self.body.get("type", "")))
        return found[1] if found else str(self.body.get("error_code", ""))

    @property
    def item(self) -> dict[str, Any]:
        """The one item of a single GET."""
        assert self.status == 200, self.body
        assert len(self.body["items"]) == 1
        item: dict[str, Any] = self.body["items"][0]
        return item


@dataclass
class Aep:
    """Requests with a token; ``without`` leaves headers out, ``headers`` adds or replaces them."""

    emulators: Emulators
    http: aiohttp.ClientSession
    sandbox: str = "prod"
    token: str = ""
    made: dict[str, str] = field(default_factory=dict)

    async def log_in(self, **changes: str) -> Answer:
        """Get a token; ``changes`` replace parameters."""
        data = {
            "grant_type": "client_credentials",
            "client_id": ids.CLIENT_ID,
            "client_secret": ids.CLIENT_SECRET,
            "scope": "openid,AdobeID",
            **changes,
        }
        async with self.http.post(self.emulators.ims_url + "/ims/token/v3", data=data) as response:
            found = Answer(response.status, dict(response.headers), await response.json())
        if found.status == 200:
            self.token = found.body["access_token"]
        return found

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        without: tuple[str, ...] = (),
        params: list[tuple[str, str]] | None = None,
        raw: bytes | None = None,
    ) -> Answer:
        """One request; a relative path is Flow Service's."""
        url = self.emulators.platform_url + (path if path.startswith("/data/") else FLOW + path)
        sent = {
            "Authorization": f"Bearer {self.token}",
            "x-api-key": ids.CLIENT_ID,
            "x-gw-ims-org-id": ids.ORGANIZATION,
            "x-sandbox-name": self.sandbox,
            **(headers or {}),
        }
        if body is not None or raw is not None:
            sent.setdefault("Content-Type", "application/json")
        for name in without:
            sent.pop(name, None)
        json = body if raw is None else None
        async with self.http.request(
            method, url, json=json, data=raw, headers=sent, params=params
        ) as response:
            content = await response.read()
            parsed = await response.json(content_type=None) if content else None
            return Answer(response.status, dict(response.headers), parsed)

    async def get(self, path: str, *properties: str, **parameters: str) -> Answer:
        """GET with ``property`` filters and other parameters."""
        params = [("property", p) for p in properties] + list(parameters.items())
        return await self.call("GET", path, params=params)

    async def post(self, path: str, body: Any = None) -> Answer:
        """POST."""
        return await self.call("POST", path, body)

    async def patch(self, path: str, *operations: Any, etag: str | None = None) -> Answer:
        """PATCH with the current etag, or the given one."""
        etag = etag or (await self.get(path)).item["etag"]
        return await self.call("PATCH", path, list(operations), headers={"If-Match": etag})

    async def delete(self, path: str) -> Answer:
        """DELETE."""
        return await self.call("DELETE", path)

    # The objects of a dataflow

    def connection_body(self, **params: str) -> dict[str, Any]:
        """A base connection with the seeded Zoho credentials."""
        seeded = self.emulators.info()["zoho"]
        return {
            "name": "Zoho EU",
            "auth": {
                "specName": "Basic Authentication",
                "params": {
                    "endpoint": "crm.zoho.eu/crm/private",
                    "accountsUrl": "https://accounts.zoho.eu",
                    "clientId": seeded["clientId"],
                    "clientSecret": seeded["clientSecret"],
                    "accessToken": "1000.00000000000000000000000000000000.00000000000000000000000000000000",
                    "refreshToken": seeded["refreshToken"],
                    **params,
                },
            },
            "connectionSpec": {"id": ids.ZOHO_SPEC, "version": "1.0"},
        }

    async def connection(self, **params: str) -> str:
        """A base connection; returns its id."""
        return await self._made("connections", self.connection_body(**params))

    async def source_body(self, connection: str, table: str = "Contacts") -> dict[str, Any]:
        """A source connection with all columns that explore shows."""
        found = await self.get(f"/connections/{connection}/explore", objectType="table", object=table)
        assert found.status == 200, found.body
        return {
            "name": "Zoho Contacts",
            "baseConnectionId": connection,
            "data": {"format": "tabular"},
            "params": {"tableName": table, "columns": found.body["schema"]["columns"]},
            "connectionSpec": {"id": ids.ZOHO_SPEC, "version": "1.0"},
        }

    def target_body(
        self, dataset: str = ids.CONTACTS_DATASET, schema: str = ids.CONTACTS_SCHEMA, version: str = XED_FULL
    ) -> dict[str, Any]:
        """A target connection."""
        return {
            "name": "Contacts",
            "data": {"schema": {"id": schema, "version": version}},
            "params": {"dataSetId": dataset},
            "connectionSpec": {"id": ids.DATA_LAKE_SPEC, "version": "1.0"},
        }

    def mapping_body(
        self,
        mappings: list[Any] | None = None,
        content_type: str = XED_FULL,
        schema: str = ids.CONTACTS_SCHEMA,
    ) -> dict[str, Any]:
        """A mapping set."""
        reference = {"id": schema, "contentType": content_type}
        return {
            "outputSchema": {"schemaRef": reference},
            "mappings": MAPPINGS if mappings is None else mappings,
        }

    async def mapping_set(self, mappings: list[Any] | None = None) -> str:
        """A mapping set; returns its id."""
        found = await self.post(CONVERSION + "/mappingSets", self.mapping_body(mappings))
        assert found.status == 200, found.body
        id: str = found.body["id"]
        return id

    async def flow_body(self, schedule: dict[str, Any] | None = None, delta: bool = True) -> dict[str, Any]:
        """A flow, with everything that it needs made first."""
        source = await self._made("sourceConnections", await self.source_body(await self.connection()))
        target = await self._made("targetConnections", self.target_body())
        mapping = {
            "name": "Mapping",
            "params": {"mappingId": await self.mapping_set(), "mappingVersion": 0},
        }
        copy = {"name": "Copy", "params": {"deltaColumn": {"name": "Modified_Time"}}}
        return {
            "name": "Zoho Contacts",
            "flowSpec": {"id": ids.CRM_FLOW_SPEC, "version": "1.0"},
            "sourceConnectionIds": [source],
            "targetConnectionIds": [target],
            "transformations": [copy, mapping] if delta else [mapping],
            "options": {"errorDiagnosticsEnabled": True, "partialIngestionPercent": 5},
            "scheduleParams": schedule or self.hourly(),
        }

    def hourly(self) -> dict[str, Any]:
        """A schedule that begins in a minute."""
        start = int(self.emulators.clock.now()) + 60
        return {"startTime": start, "frequency": "hour", "interval": 1, "backfill": True}

    def once(self) -> dict[str, Any]:
        """A one-time schedule."""
        return {"startTime": int(self.emulators.clock.now()) + 60, "frequency": "once"}

    async def flow(self, schedule: dict[str, Any] | None = None, delta: bool = True) -> str:
        """A flow that is enabled; returns its id."""
        id = await self._made("flows", await self.flow_body(schedule, delta))
        self.pass_transition()
        return id

    def pass_transition(self) -> None:
        """Let a transitional state come to its end."""
        self.emulators.clock.advance(self.emulators.aep.switches.transitionSeconds)

    async def _made(self, kind: str, body: dict[str, Any]) -> str:
        found = await self.post(f"/{kind}", body)
        assert found.status == 201, found.body
        self.made[kind] = found.body["id"]
        return self.made[kind]
