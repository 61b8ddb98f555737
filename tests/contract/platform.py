"""A sandbox to hold to the contract through the operator's own client: the fake's, or the emulators'."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from crmflow.aep.client import PlatformClient
from crmflow.aep.data_prep import MAPPING_SETS
from crmflow.aep.flow_service import CONNECTIONS, FLOWS, SOURCE_CONNECTIONS, TARGET_CONNECTIONS
from crmflow.aep.gateway import Gateway
from crmflow.aep.models import Created
from crmflow.clock import Clock
from crmflow.http.client import HttpClient
from crmflow.reconcile.external.target_connection import DATA_LAKE_CONNECTION_SPEC_ID
from crmflow.reconcile.ports import Platform
from crmflow.reconcile.sources.offer import FLOW_SPEC_ID, ZOHO_CONNECTION_SPEC_ID
from tests.contract.aep import XED_FULL, Aep
from tests.emulators.aep import seed_data as ids
from tests.emulators.aep.state import Diagnostics
from tests.fakes.failing import Timeline
from tests.fakes.platform import DATASET_ID, SCHEMA_ID, FakePlatform

Body = dict[str, Any]


@dataclass
class PlatformUnderTest:
    """A sandbox with a schema and a dataset of it, and what the client does not do in it."""

    platform: Platform
    schema_id: str
    schema_title: str
    dataset_id: str
    dataset_name: str
    auth: Body
    now: Callable[[], float]
    settle: Callable[[], None]
    """Let transitions come to their end."""
    hold: Callable[[str], None]
    """Keep a flow in transition."""
    keep: Callable[[str, list[str]], None]
    """Have there be a batch that was made from files."""

    # Bodies that are accepted

    def connection_body(self, name: str = "Zoho EU") -> Body:
        """A base connection."""
        spec = {"id": ZOHO_CONNECTION_SPEC_ID, "version": "1.0"}
        return {"name": name, "description": "accounts", "auth": self.auth, "connectionSpec": spec}

    async def source_body(self, connection_id: str, name: str = "Contacts") -> Body:
        """A source connection that reads all columns of a table."""
        columns = await self.platform.columns(connection_id, "Contacts")
        return {
            "name": name,
            "description": "source",
            "baseConnectionId": connection_id,
            "data": {"format": "tabular"},
            "params": {"tableName": "Contacts", "columns": [column.raw for column in columns]},
            "connectionSpec": {"id": ZOHO_CONNECTION_SPEC_ID, "version": "1.0"},
        }

    def target_body(self, name: str = "Contacts", dataset_id: str | None = None) -> Body:
        """A target connection."""
        return {
            "name": name,
            "description": "target",
            "data": {"schema": {"id": self.schema_id, "version": XED_FULL}},
            "params": {"dataSetId": dataset_id or self.dataset_id},
            "connectionSpec": {"id": DATA_LAKE_CONNECTION_SPEC_ID, "version": "1.0"},
        }

    def mapping_set_body(self, name: str = "crmflow:test:0") -> Body:
        """A mapping set of one attribute."""
        mapping = {"sourceType": "ATTRIBUTE", "source": "Email", "destination": "personalEmail.address"}
        reference = {"id": self.schema_id, "contentType": XED_FULL}
        return {"name": name, "outputSchema": {"schemaRef": reference}, "mappings": [mapping]}

    async def flow_body(self, name: str = "Contacts") -> Body:
        """A flow, with everything that it needs made first."""
        connection = await self.platform.create(CONNECTIONS, self.connection_body())
        source = await self.platform.create(SOURCE_CONNECTIONS, await self.source_body(connection.id))
        target = await self.platform.create(TARGET_CONNECTIONS, self.target_body())
        mapping_set = await self.platform.create(MAPPING_SETS, self.mapping_set_body())
        return {
            "name": name,
            "description": "flow",
            "flowSpec": {"id": FLOW_SPEC_ID, "version": "1.0"},
            "sourceConnectionIds": [source.id],
            "targetConnectionIds": [target.id],
            "transformations": [
                {"name": "Copy", "params": {"deltaColumn": {"name": "Modified_Time"}}},
                mapping_transformation(mapping_set),
            ],
            "options": {"errorDiagnosticsEnabled": True, "partialIngestionPercent": 5},
            "scheduleParams": {
                "startTime": int(self.now()) + 600,
                "frequency": "hour",
                "interval": 1,
                "backfill": True,
            },
        }

    async def flow(self) -> tuple[Created, Body]:
        """A flow that is enabled, and the body that it was made from."""
        body = await self.flow_body()
        created = await self.platform.create(FLOWS, body)
        self.settle()
        return created, body


def mapping_transformation(mapping_set: Created) -> Body:
    """The transformation that has a flow map by a mapping set."""
    params = {"mappingId": mapping_set.id, "mappingVersion": mapping_set.version}
    return {"name": "Mapping", "params": params}


def fake() -> PlatformUnderTest:
    """The fake of the unit tests."""
    platform = FakePlatform(Timeline())

    def hold(_: str) -> None:
        platform.flow_states = ["updating"] * 100

    params = {
        "endpoint": "crm.zoho.eu/crm/private",
        "clientId": "1000.CLIENT",
        "refreshToken": SecretStr("x"),
    }
    return PlatformUnderTest(
        platform,
        SCHEMA_ID,
        platform.schemas[SCHEMA_ID].title,
        DATASET_ID,
        platform.datasets[DATASET_ID].name,
        {"specName": "Zoho OAuth", "params": params},
        lambda: 1_760_000_000.0,
        platform.flow_states.clear,
        hold,
        platform.batches.__setitem__,
    )


class _Token:
    def __init__(self, value: str) -> None:
        self._value = SecretStr(value)

    async def get(self) -> SecretStr:
        return self._value

    def reject(self, token: SecretStr) -> None:
        raise AssertionError("the token is valid")


def emulator(aep: Aep, http: Any) -> PlatformUnderTest:
    """The emulators, by the client that the operator uses."""
    emulators = aep.emulators
    client = HttpClient(http, Clock())
    gateway = Gateway(
        client, emulators.platform_url, ids.ORGANIZATION, "prod", ids.CLIENT_ID, _Token(aep.token)
    )

    def hold(flow_id: str) -> None:
        flow = emulators.aep.sandboxes["prod"].stores["flows"].get(flow_id, emulators.clock.now())
        assert flow is not None
        flow.begin("update", "updating", "enabled", emulators.clock.now(), 3600)

    def keep(batch_id: str, files: list[str]) -> None:
        found = Diagnostics(emulators.clock.now(), files, [], [])
        emulators.aep.sandboxes["prod"].diagnostics[batch_id] = found

    return PlatformUnderTest(
        PlatformClient(gateway),
        ids.CONTACTS_SCHEMA,
        "CRM Contacts",
        ids.CONTACTS_DATASET,
        "CRM Contacts",
        aep.connection_body()["auth"],
        emulators.clock.now,
        aep.pass_transition,
        hold,
        keep,
    )
