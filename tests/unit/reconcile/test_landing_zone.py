"""The way through the landing zone: what is made in Platform, what fits, and what Zoho shows of a module."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from crmflow.aep.flow_service import FLOWS, SOURCE_CONNECTIONS, TARGET_CONNECTIONS
from crmflow.aep.models import LandingZone as Zone
from crmflow.aep.models import LandingZoneProvider, SourceConnection, SourceFiles
from crmflow.api.crmdataflow import CRMDataflowSpec
from crmflow.http.errors import RemoteError
from crmflow.reconcile.external import flow as flows
from crmflow.reconcile.external.remote_object import DESCRIPTION, NAME, body, differing
from crmflow.reconcile.external.source_connection import FORM, PLACE, observed
from crmflow.reconcile.sources.connector import Origin, Reader
from crmflow.reconcile.sources.landing_zone import LandingZoneSource, header_difference, unfit
from crmflow.reconcile.sources.landing_zone_offer import FLOW_SPEC_NAME
from crmflow.reconcile.sources.module_view import ModuleView
from tests.fakes.failing import Timeline, remote_error
from tests.fakes.platform import LANDING_ZONE_SPEC_ID, FakePlatform
from tests.fakes.zoho_crm import FakeCrm
from tests.unit.reconcile.fakes import FakeClock, FakeZoho

SPEC_ID = "26f526f2-58f4-4712-961d-e41bf1ccc0e8"
FLOW_SPEC_ID = "9753525b-82c7-4dce-8a9b-5ccfce2b9876"
PATH = "dlz-user-container/crmflow/eu/sales/contacts/0-d55ebbf0"
ORIGIN = Origin("eu", "Contacts", folder=PATH)
NAMED = {NAME: "Contacts [crmflow:eu:0]", DESCRIPTION: "managed by crmflow"}
FILES = SourceFiles(PATH, "folder", "delimited", ",", "UTF-8", "")


@pytest.fixture
def platform() -> FakePlatform:
    return FakePlatform(Timeline())


@pytest.fixture
def way() -> LandingZoneSource:
    return LandingZoneSource(FakeClock())


# What is made


async def test_the_body_of_a_source_connection(way: LandingZoneSource, platform: FakePlatform) -> None:
    offer = await way.offer(platform, "org", "prod")
    assert body(way.source_creation(way.source_connection(NAMED, ORIGIN, (), ()), offer)) == {
        "name": "Contacts [crmflow:eu:0]",
        "description": "managed by crmflow",
        "data": {"format": "delimited", "properties": {"columnDelimiter": ",", "encoding": "UTF-8"}},
        "params": {"path": PATH, "type": "folder", "recursive": True},
        "connectionSpec": {"id": SPEC_ID, "version": "1.0"},
    }


async def test_the_body_of_a_flow(way: LandingZoneSource, platform: FakePlatform) -> None:
    offer = await way.offer(platform, "org", "prod")
    spec = CRMDataflowSpec.model_construct()
    mapping = {"name": "Mapping", "params": {"mappingId": "ms", "mappingVersion": 0}}
    transformations = [*way.transformations(spec), mapping]
    schedule = {
        flows.FREQUENCY: "hour",
        flows.INTERVAL: 1,
        flows.START_TIME: 1760000400,
        flows.BACKFILL: True,
    }
    assert body(flows.creation(NAMED, offer.flow_spec_ref, "sc", "tc", transformations, schedule)) == {
        "name": "Contacts [crmflow:eu:0]",
        "description": "managed by crmflow",
        "flowSpec": {"id": FLOW_SPEC_ID, "version": "1.0"},
        "sourceConnectionIds": ["sc"],
        "targetConnectionIds": ["tc"],
        "transformations": [mapping],
        "scheduleParams": {"frequency": "hour", "interval": 1, "startTime": 1760000400, "backfill": True},
    }


# What differs


def connection(files: SourceFiles | None = FILES) -> SourceConnection:
    return SourceConnection("sc", "e", NAMED[NAME], NAMED[DESCRIPTION], "enabled", "", SPEC_ID, "", (), files)


@pytest.mark.parametrize(
    ("files", "paths"),
    [
        (FILES, []),
        (SourceFiles(f"{PATH}/", "", "delimited", "", "utf-8", ""), []),
        (replace(FILES, path="dlz-user-container/elsewhere"), [PLACE]),
        (replace(FILES, type="file"), [PLACE]),
        (replace(FILES, column_delimiter=";"), [FORM]),
        (replace(FILES, format="json", compression="gzip"), [FORM]),
    ],
)
def test_what_is_equal_gets_no_patch(way: LandingZoneSource, files: SourceFiles, paths: list[str]) -> None:
    assert differing(way.source_connection(NAMED, ORIGIN, (), ()), observed(connection(files))) == paths


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (FILES, ()),
        (None, ("it reads no files",)),
        (
            replace(FILES, format="parquet", compression="gzip"),
            ("its format is parquet, not delimited", "its compression is gzip, not none"),
        ),
        (replace(FILES, encoding="iso-8859-1"), ("its encoding is ISO-8859-1, not UTF-8",)),
        (replace(FILES, path=f"{PATH}/*.csv"), (f"it reads {PATH}/*.csv, which is not a folder",)),
    ],
)
def test_what_our_files_can_not_go_to(files: SourceFiles | None, expected: tuple[str, ...]) -> None:
    assert unfit(connection(files)) == expected


def test_files_with_other_columns() -> None:
    assert header_difference(["id", "Email"], ["id", "Email"]) is None
    assert header_difference(["Email", "id", "crmflow_deleted"], ["id", "Email"]) is None
    assert header_difference(["Email"], ["id", "Email"]) == "its files have the columns Email"


async def test_objects_of_other_ways(way: LandingZoneSource, platform: FakePlatform) -> None:
    offer = await way.offer(platform, "org", "prod")
    assert way.mismatch(SPEC_ID) is None
    assert way.mismatch("929e4450") == "another source, connection specification 929e4450."
    assert way.flow_mismatch(FLOW_SPEC_ID, offer) is None
    assert way.flow_mismatch("x", offer) == "its flow specification x is not CloudStorageToAEP."
    specs = {collection: found.id for collection, found in way.listed("org", "prod").items()}
    assert set(specs) == {SOURCE_CONNECTIONS, TARGET_CONNECTIONS, FLOWS}
    assert (specs[SOURCE_CONNECTIONS], specs[FLOWS]) == (SPEC_ID, FLOW_SPEC_ID)


# What Platform offers


def without_zone(platform: FakePlatform) -> None:
    platform.zone = None


def without_connection_spec(platform: FakePlatform) -> None:
    del platform.connection_specs[LANDING_ZONE_SPEC_ID]


def without_flow_spec(platform: FakePlatform) -> None:
    del platform.flow_specs[FLOW_SPEC_NAME]


def not_in_the_flow_spec(platform: FakePlatform) -> None:
    spec = platform.flow_specs[FLOW_SPEC_NAME]
    platform.flow_specs[FLOW_SPEC_NAME] = replace(spec, source_connection_spec_ids=("other",))


def on_aws(platform: FakePlatform) -> None:
    platform.zone = Zone(LandingZoneProvider.AWS, "bucket/folder", 7)


@pytest.mark.parametrize(
    ("change", "reason", "words"),
    [
        (without_zone, "LandingZoneNotOffered", "no Data Landing Zone"),
        (without_connection_spec, "LandingZoneNotOffered", SPEC_ID),
        (without_flow_spec, "LandingZoneNotOffered", "named CloudStorageToAEP"),
        (not_in_the_flow_spec, "LandingZoneNotOffered", "does not list"),
        (on_aws, "LandingZoneProviderUnsupported", "Use a sandbox whose landing zone is on Azure"),
    ],
)
async def test_obstacles(
    way: LandingZoneSource, platform: FakePlatform, change: Any, reason: str, words: str
) -> None:
    assert (await way.offer(platform, "org", "prod")).obstacle is None
    change(platform)
    obstacle = (await LandingZoneSource(FakeClock()).offer(platform, "org", "prod")).obstacle
    assert obstacle is not None
    assert obstacle[0] == reason
    assert words in obstacle[1]


async def test_a_failed_probe_decides_nothing(way: LandingZoneSource, platform: FakePlatform) -> None:
    platform.fail("landingZone.get", remote_error(), times=1)
    with pytest.raises(RemoteError):
        await way.offer(platform, "org", "prod")
    assert (await way.offer(platform, "org", "prod")).obstacle is None


# What Zoho shows


async def look(way: LandingZoneSource, crm: FakeCrm, name: str = "Contacts") -> ModuleView:
    return await way.look(reader(crm), name)


def reader(crm: FakeCrm) -> Reader:
    zoho = FakeZoho(crm.timeline)
    zoho.crm = crm
    return Reader("sales/eu", FakePlatform(crm.timeline), zoho=zoho)


@pytest.fixture
def crm() -> FakeCrm:
    return FakeCrm(Timeline())


async def test_columns_are_the_fields_that_are_delivered(way: LandingZoneSource, crm: FakeCrm) -> None:
    view = await look(way, crm)
    text, dates = ["id", "Email", "First_Name", "Owner"], ["Modified_Time", "Created_Time"]
    assert list(view.columns) == [*text, *dates, "Birthday", "Due"]
    assert view.not_delivered == ["Lines"]
    assert view.untracked(["Email", "Due"]) == ["Due"]
    assert [name for name in view.columns if view.is_date(name)] == dates
    assert view.columns["Email"].raw == {"name": "Email", "type": "string"}


async def test_modules_are_asked_for_once(way: LandingZoneSource, crm: FakeCrm) -> None:
    for _ in range(3):
        await look(way, crm)
    assert crm.timeline == ["modules", "fields"]


async def test_a_module_that_is_new_is_found(way: LandingZoneSource, crm: FakeCrm) -> None:
    missing = await look(way, crm, "Deals")
    assert missing.table is None
    assert missing.no_table == (
        'Zoho CRM shows no module "Deals" whose records its API delivers. There are Contacts, Leads.'
    )
    crm.modules.append("Deals")
    assert (await look(LandingZoneSource(FakeClock()), crm, "Deals")).table is not None


async def test_what_is_said_of_columns_that_are_none(way: LandingZoneSource, crm: FakeCrm) -> None:
    view = await look(way, crm)
    said = view.no_columns(["Owner.name", "Lines"], None)
    assert '"Owner.name": use Owner, which is the id' in said
    assert '"Lines": a field of the type subform is not delivered: leave it out' in said
    assert "It has the date-time columns Modified_Time, Created_Time." in view.no_delta("Due")


async def test_a_module_that_is_refused(way: LandingZoneSource, crm: FakeCrm) -> None:
    crm.hidden.add("Contacts")
    view = await look(way, crm)
    assert view.table is not None
    assert view.refusal is not None
    assert 'authorize ZohoSourceConnection "eu"' in view.not_readable(view.refusal, "eu", "")
