"""A data engineer who makes base connections and dataflows in the Platform without the operator."""

from __future__ import annotations

from collections.abc import Sequence
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
        schema = spec["target"]["schema"]["id"]
        return self.flow(
            self.source(connection_id, spec["source"]["table"], spec["source"]["columns"]),
            self.target(schema, spec["target"]["dataset"]["id"]),
            self.mapping(schema, spec["mapping"]),
            spec["deltaColumn"]["name"],
            {
                "frequency": spec["schedule"]["frequency"].lower(),
                "interval": str(spec["schedule"]["interval"]),
                "backfill": str(spec["schedule"]["backfill"]).lower(),
            },
        )

    def source(
        self, connection_id: str, table: str, columns: Sequence[str], name: str = "Source by hand"
    ) -> str:
        """A source connection on columns of a table, as explore shows them; its id."""
        found = self._http.get(
            f"{FLOW_SERVICE}/connections/{connection_id}/explore",
            params={"objectType": "table", "object": table},
        ).raise_for_status()
        shown = [column for column in found.json()["schema"]["columns"] if column["name"] in columns]
        body = {
            "name": name,
            "baseConnectionId": connection_id,
            "data": {"format": "tabular"},
            "params": {"tableName": table, "columns": shown},
            "connectionSpec": {"id": ids.ZOHO_SPEC, "version": "1.0"},
        }
        return self._made("sourceConnections", body)

    def table_of(self, connection_id: str, spec: str) -> str:
        """A source connection of another source; its id."""
        column = {"name": "modifiedon", "type": "string", "xdm": {"type": "string", "format": "date-time"}}
        body = {
            "name": "Source of another kind",
            "baseConnectionId": connection_id,
            "data": {"format": "tabular"},
            "params": {"tableName": "account", "columns": [column]},
            "connectionSpec": {"id": spec, "version": "1.0"},
        }
        return self._made("sourceConnections", body)

    def folder(self, path: str) -> str:
        """A source connection on CSV files in a folder of the landing zone; its id."""
        body = {
            "name": "Folder by hand",
            "data": {"format": "delimited", "properties": {"columnDelimiter": ",", "encoding": "UTF-8"}},
            "params": {"path": path, "type": "folder", "recursive": True},
            "connectionSpec": {"id": ids.LANDING_ZONE_SPEC, "version": "1.0"},
        }
        return self._made("sourceConnections", body)

    def target(self, schema_id: str, dataset_id: str, version: str = FULL) -> str:
        """A target connection; its id."""
        body = {
            "name": "Target by hand",
            "data": {"schema": {"id": schema_id, "version": version}},
            "params": {"dataSetId": dataset_id},
            "connectionSpec": {"id": ids.DATA_LAKE_SPEC, "version": "1.0"},
        }
        return self._made("targetConnections", body)

    def mapping(self, schema_id: str, mapping: Sequence[Object], version: str = FULL) -> str:
        """A mapping set of the entries of a CRMDataflow; its id."""
        kinds = {"source": "ATTRIBUTE", "expression": "EXPRESSION", "value": "STATIC"}
        mappings = [
            {"sourceType": kinds[kind], "source": entry[kind], "destination": entry["target"]}
            for entry in mapping
            for kind in kinds
            if kind in entry
        ]
        reference = {"id": schema_id, "contentType": version}
        return self.mapping_set(
            {"name": "By hand", "outputSchema": {"schemaRef": reference}, "mappings": mappings}
        )

    def mapping_set(self, body: Object) -> str:
        """A mapping set in whatever body; its id."""
        made: str = self._answer(MAPPING_SETS, body)["id"]
        return made

    def flow(
        self,
        source: str,
        target: str,
        mapping: str | None,
        delta: str | None,
        schedule: Object,
        *,
        name: str = "Flow by hand",
        draft: bool = False,
        **more: Any,
    ) -> str:
        """A flow that begins in an hour unless ``schedule`` says otherwise; its id."""
        copy = [{"name": "Copy", "params": {"deltaColumn": {"name": delta}}}] if delta else []
        maps = [{"name": "Mapping", "params": {"mappingId": mapping, "mappingVersion": 0}}] if mapping else []
        body = {
            "name": name,
            "description": "Nobody's but mine",
            "flowSpec": {"id": ids.CRM_FLOW_SPEC, "version": "1.0"},
            "sourceConnectionIds": [source],
            "targetConnectionIds": [target],
            "transformations": [*copy, *maps],
            "scheduleParams": {"startTime": int(self._now) + 3600, **schedule},
            **more,
        }
        return self._made("flows?mode=draft" if draft else "flows", body)

    def disable(self, flow_id: str) -> None:
        """Disable a flow."""
        answer = self._http.post(f"{FLOW_SERVICE}/flows/{flow_id}/action", params={"op": "disable"})
        assert answer.is_success, answer.text

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
