"""A data engineer who makes base connections and dataflows in the Platform without the operator."""

from __future__ import annotations

from typing import Any

import httpx

from hack.emulators import Emulators
from tests.emulators.aep import seed_data as ids
from tests.kit import manifests
from tests.kit.cluster import Object, condition
from tests.kit.tenant import CONNECTION, DATAFLOW, Tenant

FLOW_SERVICE = "/data/foundation/flowservice"
MAPPING_SETS = "/data/foundation/conversion/mappingSets"
FULL = "application/vnd.adobe.xed-full-notext+json; version=1"
"""As Adobe's own tutorials write it: not the spelling that the operator uses (platform.md 16.1, 20)."""


class ByHand:
    """Calls Adobe's API with the seeded credential."""

    def __init__(self, emulators: Emulators, sandbox: str = "prod") -> None:
        self._info = info = emulators.info
        self._now = emulators.control.get("/clock")["now"]
        form = {
            "grant_type": "client_credentials",
            "client_id": info["platform"]["clientId"],
            "client_secret": info["platform"]["clientSecret"],
            "scope": "openid,AdobeID",
        }
        answer = httpx.post(f"{info['imsUrl']}/ims/token/v3", data=form, trust_env=False).raise_for_status()
        self._http = httpx.Client(
            base_url=info["platformUrl"],
            headers={
                "Authorization": f"Bearer {answer.json()['access_token']}",
                "x-api-key": info["platform"]["clientId"],
                "x-gw-ims-org-id": ids.ORGANIZATION,
                "x-sandbox-name": sandbox,
            },
            trust_env=False,
        )

    def connection(self, name: str = "Made by hand", spec: str = ids.ZOHO_SPEC, **params: str) -> str:
        """A base connection; its id."""
        body = {
            "name": name,
            "description": "Nobody's but mine",
            "auth": self.auth(**params),
            "connectionSpec": {"id": spec, "version": "1.0"},
        }
        return self._made("connections", body)

    def auth(self, **params: str) -> Object:
        """Authentication with the seeded grant and further parameters."""
        zoho = self._info["zoho"]
        given = {
            "endpoint": "crm.zoho.eu/crm/private",
            "accountsUrl": "https://accounts.zoho.eu",
            "clientId": zoho["clientId"],
            "clientSecret": zoho["clientSecret"],
            "accessToken": "1000.00000000000000000000000000000000.00000000000000000000000000000000",
            "refreshToken": zoho["refreshToken"],
            **params,
        }
        return {"specName": "Basic Authentication", "params": given}

    def other_source(self) -> str:
        """A base connection of Microsoft Dynamics; its id."""
        body = {
            "name": "Dynamics",
            "auth": {
                "specName": "Basic Authentication for Dynamics-Online",
                "params": {"serviceUri": "x", "username": "y", "password": "not a real one"},
            },
            "connectionSpec": {"id": ids.DYNAMICS_SPEC, "version": "1.0"},
        }
        return self._made("connections", body)

    def dataflow(self, connection_id: str, spec: Object) -> str:
        """What ``spec``, that of a CRMDataflow, says; the flow's id."""
        table = spec["source"]["table"]
        found = self._http.get(
            f"{FLOW_SERVICE}/connections/{connection_id}/explore",
            params={"objectType": "table", "object": table},
        ).raise_for_status()
        columns = [
            column
            for column in found.json()["schema"]["columns"]
            if column["name"] in spec["source"]["columns"]
        ]
        source = {
            "name": "Source by hand",
            "baseConnectionId": connection_id,
            "data": {"format": "tabular"},
            "params": {"tableName": table, "columns": columns},
            "connectionSpec": {"id": ids.ZOHO_SPEC, "version": "1.0"},
        }
        target = {
            "name": "Target by hand",
            "data": {"schema": {"id": spec["target"]["schema"]["id"], "version": FULL}},
            "params": {"dataSetId": spec["target"]["dataset"]["id"]},
            "connectionSpec": {"id": ids.DATA_LAKE_SPEC, "version": "1.0"},
        }
        schedule = {
            "startTime": int(self._now) + 3600,
            "frequency": spec["schedule"]["frequency"].lower(),
            "interval": str(spec["schedule"]["interval"]),
            "backfill": str(spec["schedule"]["backfill"]).lower(),
        }
        body = {
            "name": "Flow by hand",
            "description": "Nobody's but mine",
            "flowSpec": {"id": ids.CRM_FLOW_SPEC, "version": "1.0"},
            "sourceConnectionIds": [self._made("sourceConnections", source)],
            "targetConnectionIds": [self._made("targetConnections", target)],
            "transformations": [
                {"name": "Copy", "params": {"deltaColumn": {"name": spec["deltaColumn"]["name"]}}},
                {"name": "Mapping", "params": {"mappingId": self._mapping(spec), "mappingVersion": 0}},
            ],
            "scheduleParams": schedule,
        }
        return self._made("flows", body)

    def _mapping(self, spec: Object) -> str:
        kinds = {"source": "ATTRIBUTE", "expression": "EXPRESSION", "value": "STATIC"}
        mappings = [
            {"sourceType": kinds[kind], "source": entry[kind], "destination": entry["target"]}
            for entry in spec["mapping"]
            for kind in kinds
            if kind in entry
        ]
        reference = {"id": spec["target"]["schema"]["id"], "contentType": FULL}
        body = {"name": "By hand", "outputSchema": {"schemaRef": reference}, "mappings": mappings}
        made: str = self._answer(MAPPING_SETS, body)["id"]
        return made

    def _made(self, collection: str, body: Any) -> str:
        made: str = self._answer(f"{FLOW_SERVICE}/{collection}", body)["id"]
        return made

    def _answer(self, path: str, body: Any) -> Any:
        response = self._http.post(path, json=body)
        assert response.is_success, response.text
        return response.json()


def hold_namespace(tenant: Tenant) -> str:
    """Delete a namespace whose connection somebody else's flow reads through; the id of its base connection,
    once its condition names that flow.
    """
    tenant.make_ready()
    made = str(tenant.get(CONNECTION)["status"]["baseConnection"]["id"])
    flow = ByHand(tenant.emulators).dataflow(made, tenant.get(DATAFLOW)["spec"])
    tenant.cluster.delete("Namespace", tenant.namespace)
    tenant.wait_gone(DATAFLOW)
    tenant.cluster.wait(
        CONNECTION,
        manifests.CONNECTION,
        tenant.namespace,
        lambda obj: f"while flow {flow} uses it" in condition(obj, "Ready")["message"],
        what="name of the flow",
    )
    return made
