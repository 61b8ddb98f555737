"""The landing zone through the operator's own client, by the fake of the unit tests and by the emulators
alike; and what only the emulators show: credentials that end, and switches (landing-zone.md E, K.1, K.3).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from azure.core.exceptions import HttpResponseError

from crmflow.aep.client import PlatformClient
from crmflow.aep.collection import OfFlow, WithIds
from crmflow.aep.data_prep import MAPPING_SETS
from crmflow.aep.flow_service import FLOWS, RUNS, SOURCE_CONNECTIONS, TARGET_CONNECTIONS
from crmflow.aep.gateway import ReadOnlyError
from crmflow.aep.models import (
    Column,
    LandingZoneEntry,
    LandingZoneProvider,
    MappingSetRef,
    Preview,
    RunState,
)
from crmflow.api.crmdataflow import CRMDataflowSpec
from crmflow.clock import Clock
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.reconcile.external import flow as flows
from crmflow.reconcile.external.remote_object import DESCRIPTION, NAME, body, differing
from crmflow.reconcile.external.source_connection import observed
from crmflow.reconcile.sources.connector import Origin
from crmflow.reconcile.sources.landing_zone import LandingZoneSource, header_difference, unfit
from crmflow.runtime.credentials.landing_zone import LandingZoneCredential
from tests.contract import landing_zone
from tests.contract import platform as under_test
from tests.contract.aep import Aep
from tests.contract.platform import PlatformUnderTest
from tests.emulators.core.clock import EmulatorClock
from tests.fakes.platform import FakePlatform

CONTAINER = "dlz-user-container"
FOLDER = f"{CONTAINER}/crmflow/eu/sales/contacts/0-d55ebbf0"
HEADER = ("id", "Email")
ROW = {"id": "1", "Email": "a@example.com"}
NAMED = {NAME: "Contacts [crmflow:eu:0123456789abcdef]", DESCRIPTION: "managed by crmflow"}
HOUR = 3600


@dataclass
class Site:
    """A sandbox with a landing zone."""

    under_test: PlatformUnderTest
    aep: Aep | None = None

    @property
    def platform(self) -> Any:
        """The sandbox."""
        return self.under_test.platform

    async def put(self, path: str) -> None:
        """A file with one row."""
        if self.aep is not None:
            text = f"{','.join(HEADER)}\n{','.join(ROW.values())}\n"
            await landing_zone.put(self.aep, path.removeprefix(f"{CONTAINER}/"), text)
            return
        assert isinstance(self.platform, FakePlatform)
        columns = tuple(Column(name, "string", False, {"name": name}) for name in HEADER)
        self.platform.files[path] = Preview(columns, (ROW,))


@pytest.fixture(params=["fake", "emulator"])
async def site(request: pytest.FixtureRequest, aep: Aep) -> AsyncIterator[Site]:
    """Either of them."""
    if request.param == "fake":
        yield Site(under_test.fake())
        return
    await landing_zone.credentials(aep)
    async with httpx.AsyncHTTPTransport() as http:
        yield Site(under_test.emulator(aep, http), aep)


@pytest.fixture
async def client(aep: Aep) -> AsyncIterator[PlatformClient]:
    """The operator's client of the emulators, once their blob service has started: that may take longer than
    the client waits.
    """
    await landing_zone.credentials(aep)
    async with httpx.AsyncHTTPTransport() as http:
        found = under_test.emulator(aep, http).platform
        assert isinstance(found, PlatformClient)
        yield found


def turn(aep: Aep, **positions: Any) -> None:
    """Set switches of AEP; the fixture's reset turns them back."""
    for name, position in positions.items():
        setattr(aep.emulators.aep.switches, name, position)


async def opens(uri: str) -> bool:
    """Whether the blob service takes a SAS."""
    async with landing_zone.opened(uri) as container:
        try:
            await landing_zone.names(container)
        except HttpResponseError as error:
            return error.status_code != 403
        return True


# The fake and the emulators


async def test_where_it_is_and_what_opens_it(site: Site) -> None:
    zone = await site.platform.landing_zone()
    assert (zone.provider, zone.container, zone.life_days) == (LandingZoneProvider.AZURE, CONTAINER, 7)
    first = await site.platform.landing_zone_credentials()
    assert first.container == CONTAINER
    assert first.storage_account
    assert await site.platform.read_only().landing_zone_credentials() == first, "the same until its end"


async def test_folders_and_files(site: Site) -> None:
    assert list(await site.platform.landing_zone_entries()) == []
    await site.put(f"{FOLDER}/1.csv")
    [top] = await site.platform.landing_zone_entries()
    assert top == LandingZoneEntry("crmflow", f"{CONTAINER}/crmflow", is_folder=True)
    [file] = await site.platform.landing_zone_entries(FOLDER)
    assert file == LandingZoneEntry("1.csv", f"{FOLDER}/1.csv", is_folder=False)
    shown = await site.platform.landing_zone_file(file.path)
    assert header_difference([column.name for column in shown.columns], HEADER) is None
    assert shown.rows == (ROW,)
    with pytest.raises(RemoteError) as raised:
        await site.platform.landing_zone_file(f"{FOLDER}/2.csv")
    assert (raised.value.error_class, raised.value.reason) == (ErrorClass.TERMINAL, "SourceRefused")


async def test_a_flow_of_files_is_made_and_read_back_equal(site: Site) -> None:
    way, platform = LandingZoneSource(Clock()), site.platform
    offer = await way.offer(platform, "org", "prod")
    assert offer.obstacle is None
    desired = way.source_connection(NAMED, Origin("eu", "Contacts", folder=FOLDER), (), ())
    source = await platform.create(SOURCE_CONNECTIONS, body(way.source_creation(desired, offer)))
    target = await platform.create(TARGET_CONNECTIONS, site.under_test.target_body())
    mapping_set = await platform.create(MAPPING_SETS, site.under_test.mapping_set_body())
    mapping = flows.mapping_transformation(MappingSetRef(mapping_set.id, mapping_set.version))
    transformations = [*way.transformations(CRMDataflowSpec.model_construct()), mapping]
    values = {
        flows.FREQUENCY: "hour",
        flows.INTERVAL: 1,
        flows.START_TIME: int(site.under_test.now()) + 600,
        flows.BACKFILL: True,
    }
    wanted = flows.creation(NAMED, offer.flow_spec_ref, source.id, target.id, transformations, values)
    made = await platform.create(FLOWS, body(wanted))
    site.under_test.settle()

    remote = await platform.get(SOURCE_CONNECTIONS, source.id)
    assert differing(desired, observed(remote)) == []
    assert unfit(remote) == ()
    assert (remote.base_connection_id, way.mismatch(remote.connection_spec_id)) == ("", None)
    flow = await platform.get(FLOWS, made.id)
    assert way.flow_mismatch(flow.flow_spec_id, offer) is None
    shown = flows.observed(flow)
    assert {path: shown[path] for path in values} == values
    assert (flow.delta_column, [found["name"] for found in flow.transformations]) == (None, ["Mapping"])
    for collection, selection in way.listed("org", "prod").items():
        assert len(await platform.list(collection, selection)) == 1


# The emulators alone


async def test_a_delta_column_is_refused(aep: Aep, client: PlatformClient) -> None:
    flow = await landing_zone.flow_body(aep)
    copy = {"name": "Copy", "params": {"deltaColumn": {"name": "Modified_Time"}}}
    with pytest.raises(RemoteError):
        await client.create(FLOWS, {**flow, "transformations": [copy, *flow["transformations"]]})
    await client.create(FLOWS, flow)


async def test_a_failed_run_is_run_again_with_its_window(
    aep: Aep, client: PlatformClient, control: Any
) -> None:
    turn(aep, fileRuns="fail")
    created = aep.emulators.clock.now()
    await landing_zone.put(aep, "crmflow/a/b/1.csv", "Email\na@example.com\n")
    flow_id = await landing_zone.flow(aep)
    await control("POST", "/clock", {"advance": 300})
    [failed] = await client.list(RUNS, OfFlow(flow_id, created))
    assert (failed.state, failed.is_final) == (RunState.FAILED, True)
    assert failed.window is not None
    assert failed.window[0] == 0.0

    turn(aep, fileRuns="ingest")
    made = await client.retry_run(failed.id)
    await control("POST", "/clock", {"advance": 300})
    again = {run.id: run for run in await client.list(RUNS, OfFlow(flow_id, created))}[made.id]
    assert (again.state, again.window) == (RunState.SUCCESS, failed.window)
    assert again.metrics is not None
    assert again.metrics.records_read == 1
    with pytest.raises(RemoteError) as raised:
        await client.retry_run(made.id)
    assert (raised.value.error_class, raised.value.reason) == (ErrorClass.CONFLICT, "RunNotRetryable")


@pytest.mark.parametrize("position", ["generic", "flow"])
async def test_a_missing_permission(aep: Aep, client: PlatformClient, position: str) -> None:
    turn(aep, landingZoneErrors=position, sourcesPermission="none")
    for call in (client.landing_zone, client.landing_zone_credentials):
        with pytest.raises(RemoteError) as raised:
            await call()
        assert (raised.value.error_class, raised.value.reason) == (ErrorClass.TERMINAL, "PermissionDenied")


@pytest.mark.parametrize(
    ("position", "words"),
    [
        ("notInFlowSpec", "does not list"),
        ("noConnectionSpec", "no connection specification"),
        ("withdrawn", "no connection specification"),
    ],
)
async def test_a_landing_zone_that_is_not_offered(
    aep: Aep, client: PlatformClient, position: str, words: str
) -> None:
    turn(aep, landingZoneSource=position)
    obstacle = (await LandingZoneSource(Clock()).offer(client, "org", "prod")).obstacle
    assert obstacle is not None
    assert obstacle[0] == "LandingZoneNotOffered"
    assert words in obstacle[1]


async def test_a_landing_zone_on_aws(aep: Aep, client: PlatformClient) -> None:
    turn(aep, landingZoneProvider="aws")
    obstacle = (await LandingZoneSource(Clock()).offer(client, "org", "prod")).obstacle
    assert obstacle is not None
    assert obstacle[0] == "LandingZoneProviderUnsupported"
    with pytest.raises(RemoteError) as raised:
        await client.landing_zone_credentials()
    assert raised.value.reason == "LandingZoneProviderUnsupported"


class _OnTheEmulatorsClock(Clock):
    def __init__(self, clock: EmulatorClock) -> None:
        super().__init__()
        self._emulated = clock

    def now(self) -> float:
        return self._emulated.now()


async def test_a_sas_is_renewed_by_reading(aep: Aep, client: PlatformClient) -> None:
    turn(aep, sasSeconds=20 * HOUR)
    await client.refresh_landing_zone_credentials()
    credential = LandingZoneCredential(client.read_only(), _OnTheEmulatorsClock(aep.emulators.clock))
    first = await credential.get()
    assert await opens(first.sas_uri.get_secret_value())
    aep.emulators.clock.advance(20 * HOUR)
    second = await credential.get()
    assert not await opens(first.sas_uri.get_secret_value())
    assert await opens(second.sas_uri.get_secret_value())


@pytest.mark.parametrize("shown", ["shown", "absent"])
async def test_a_sas_that_somebody_ended_is_replaced(aep: Aep, client: PlatformClient, shown: str) -> None:
    turn(aep, sasExpiryDate=shown)
    credential = LandingZoneCredential(client.read_only(), _OnTheEmulatorsClock(aep.emulators.clock))
    first = await credential.get()
    with pytest.raises(ReadOnlyError):
        await client.read_only().refresh_landing_zone_credentials()
    assert await opens(first.sas_uri.get_secret_value())

    new = await client.refresh_landing_zone_credentials()
    assert not await opens(first.sas_uri.get_secret_value())
    assert await credential.get() is first, "nobody has told it"
    credential.reject(first.sas_uri)
    assert await credential.get() == new
    assert await opens(new.sas_uri.get_secret_value())


ROWS = [
    {"Email": "nobody", "_errors": [{"code": "1555", "message": "A required field is missing."}]},
    {
        "Email": "x" * 3000,
        "_errors": [{"code": "1401", "message": "Row is corrupted."}],
        "_filename": "a.json",
    },
]


@pytest.mark.parametrize("position", ["kept", "absent"])
async def test_the_rows_that_a_run_has_refused(
    aep: Aep, client: PlatformClient, control: Any, position: str
) -> None:
    """platform.md 7.1: a sample beside the lists of rows, or these alone."""
    turn(aep, rowErrorSamples=position)
    flow = await aep.flow()
    made = await control("POST", "/aep/runs", {"flowId": flow, "state": "partial", "refusedRows": ROWS})
    [run] = await client.list(RUNS, WithIds((made["id"],)))
    [batch] = run.batches
    rows = await client.refused_rows(batch, 10)
    assert [row.values for row in rows] == [{"Email": "nobody"}, {"Email": "x" * 3000}]
    assert [error.code for row in rows for error in row.errors] == ["1555", "1401"]
    assert len(await client.refused_rows(batch, 1)) == 1
    with pytest.raises(RemoteError) as raised:
        await client.refused_rows("none", 10)
    assert raised.value.error_class is ErrorClass.NOT_FOUND
