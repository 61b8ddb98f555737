"""Objects in Platform, and the manifests that adopt them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from crmflow.aep.models import (
    BaseConnection,
    FieldMapping,
    Flow,
    FlowOptions,
    MappingSet,
    ScheduleParams,
    SourceConnection,
    SourceFiles,
    SourceType,
    TargetConnection,
)
from crmflow.api.zohosourceconnection import DataCenter
from crmflow.cli.importing.choices import Choices, Known
from crmflow.cli.importing.contents import Contents, FoundFlow
from crmflow.cli.importing.manifests import Import, manifests

BASE, FLOW, SOURCE = "base-1", "a32aa19f-3eb2-4405-bf84-f67141f565f0", "source-1"
SCHEMA, DATASET = "https://ns.adobe.com/tenant/schemas/1", "6889f4f89b982b2b90bc1207"
CHOICES = Choices("team", "7C51@AdobeOrg", "prod", "adobe", "zoho-oauth")
FOLDER = "dlz-user-container/crmflow/production/team/contacts-in-files/0-1a2b3c4d"
SECRET = "1000.0123456789abcdef0123456789abcdef.0123456789abcdef0123456789abcdef"
KEY = "[crmflow:production:0123456789abcdef]"


def connection(**changes: Any) -> BaseConnection:
    params = {"accountsUrl": "https://accounts.zoho.eu", "refreshToken": SECRET, "odd": SECRET}
    given = {"auth_params": params, **changes}
    values = {"id": BASE, "etag": "1", "name": "Zoho EU", "description": "", "state": "enabled"}
    return BaseConnection(connection_spec_id="zoho", auth_spec_name="Basic", **{**values, **given})


def flow(**changes: Any) -> Flow:
    values: dict[str, Any] = {
        "id": FLOW,
        "etag": "1",
        "name": "Contacts",
        "description": "",
        "state": "enabled",
        "flow_spec_id": "crm",
        "source_connection_ids": (SOURCE,),
        "target_connection_ids": ("target-1",),
        "schedule": ScheduleParams(1_780_000_000, "hour", 6, True),
        "delta_column": "Modified_Time",
        "mapping_set_id": "set-1",
        "mapping_version": 2,
        "options": FlowOptions(None, None),
        "last_run": None,
    }
    return Flow(**{**values, **changes})


def source(**changes: Any) -> SourceConnection:
    values = {
        "id": SOURCE,
        "base_connection_id": BASE,
        "table_name": "Contacts",
        "column_names": ("Email", "id"),
    }
    common = {"etag": "1", "name": "S", "description": "", "state": "enabled", "connection_spec_id": "zoho"}
    return SourceConnection(**{**common, **values, **changes})


def files(**changes: Any) -> SourceConnection:
    given = {"path": FOLDER, "type": "folder", "format": "delimited", "column_delimiter": ","}
    shown = SourceFiles(**{**given, "encoding": "UTF-8", "compression": "", **changes})
    return source(base_connection_id="", table_name="", column_names=(), files=shown)


TARGET = TargetConnection("target-1", "1", "T", "", "enabled", "lake", SCHEMA, "x;version=2", DATASET)


def mapping(*entries: tuple[SourceType, str, str]) -> MappingSet:
    return MappingSet(SCHEMA, "x;version=1", tuple(FieldMapping(*entry) for entry in entries))


ONE = mapping((SourceType.ATTRIBUTE, "Email", "personalEmail.address"))


def found(remote: Flow | None = None, **changes: Any) -> FoundFlow:
    values = {"source": source(), "target": TARGET, "mapping": ONE, **changes}
    return FoundFlow(remote or flow(), **values)


def made(
    *flows: FoundFlow,
    connections: tuple[BaseConnection, ...] = (connection(),),
    choices: Choices = CHOICES,
    known: Known = Known(),  # noqa: B008 - immutable
) -> Import:
    contents = Contents(connections, flows, {SCHEMA: "CRM\nContacts"}, {DATASET: "Contacts, all"})
    return manifests(contents, choices, known)


def spec(one: FoundFlow, **choices: Any) -> dict[str, Any]:
    """The spec of the only dataflow that is made."""
    result = made(one, choices=replace(CHOICES, **choices))
    assert [str(refusal) for refusal in result.refusals] == []
    given: dict[str, Any] = result.manifests[-1].plain["spec"]
    return given


def test_a_connection_is_observed_and_named_by_its_secrets() -> None:
    [one] = made().manifests
    assert one.file == "zohosourceconnection-zoho-eu.yaml"
    assert one.plain["spec"] == {
        "connectionId": BASE,
        "transport": "PlatformSource",
        "zoho": {
            "dataCenter": "EU",
            "environment": "Production",
            "credentialsSecretRef": {"name": "zoho-oauth"},
        },
        "platform": {
            "organization": "7C51@AdobeOrg",
            "sandbox": "prod",
            "credentialsSecretRef": {"name": "adobe"},
        },
        "managementPolicy": "Observe",
    }
    assert SECRET not in one.text


@pytest.mark.parametrize(
    ("params", "data_center", "environment", "kept"),
    [
        ({"endpoint": "crm.zoho.in/crm/private"}, "IN", "Production", None),
        ({"endpoint": "https://www.zohoapis.com"}, "US", "Production", "https://www.zohoapis.com"),
        ({"endpoint": "sandbox.zohoapis.eu/crm"}, "EU", "Sandbox", "sandbox.zohoapis.eu/crm"),
        ({"accountsUrl": "https://accounts.zoho.jp/", "endpoint": "evil.example"}, "JP", "Production", None),
        ({"accountsUrl": "****", "endpoint": "crm.zoho.uk/crm/private/"}, "UK", "Production", None),
    ],
)
def test_where_the_organization_lives(
    params: dict[str, str], data_center: str, environment: str, kept: str | None
) -> None:
    [one] = made(connections=(connection(auth_params=params),)).manifests
    given = one.plain["spec"]
    assert (given["zoho"]["dataCenter"], given["zoho"]["environment"]) == (data_center, environment)
    assert given["platform"].get("authParams") == (None if kept is None else {"endpoint": kept})


def test_a_data_center_that_nothing_tells_is_asked_for() -> None:
    unknown = (connection(auth_params={"accountsUrl": "https://example.com"}),)
    [refusal] = made(connections=unknown).refusals
    assert "--data-center" in refusal.way_out
    [one] = made(connections=unknown, choices=replace(CHOICES, data_center=DataCenter.CA)).manifests
    assert one.plain["spec"]["zoho"]["dataCenter"] == "CA"
    assert "Chosen with --data-center" in one.text


def test_a_dataflow_says_what_is_there() -> None:
    assert spec(found()) == {
        "flowId": FLOW,
        "connectionRef": {"name": "zoho-eu"},
        "source": {"table": "Contacts", "columns": ["Email", "id"]},
        "target": {"schema": {"id": SCHEMA}, "dataset": {"id": DATASET}},
        "mapping": [{"target": "personalEmail.address", "source": "Email"}],
        "deltaColumn": {"name": "Modified_Time"},
        "schedule": {
            "frequency": "Hour",
            "interval": 6,
            "startTime": "2026-05-28T20:26:40Z",
            "backfill": True,
        },
    }
    text = made(found()).manifests[-1].text
    assert "# CRM Contacts\n" in text
    assert '# Adopts the flow "Contacts" of sandbox prod.\n' in text


@pytest.mark.parametrize(
    ("state", "enabled"),
    [
        ("disabled", False),
        ("Disabling", False),
        ("enabled", None),
        ("enabled-finalizing", None),
        ("odd", None),
    ],
)
def test_a_flow_that_is_disabled_stays_so(state: str, enabled: bool | None) -> None:
    assert spec(found(flow(state=state))).get("ingestion", {}).get("enabled") is enabled


def test_a_one_time_flow_has_no_rhythm() -> None:
    given = spec(found(flow(schedule=ScheduleParams(1, "once", None, None), delta_column=None)))
    assert given["schedule"] == {"frequency": "Once", "startTime": "1970-01-01T00:00:01Z"}
    assert "deltaColumn" not in given


@pytest.mark.parametrize("start", [None, 0, -1, 10**18, 1_780_000_000_000])
def test_a_start_that_no_manifest_can_have_is_left_out(start: int | None) -> None:
    given = spec(found(flow(schedule=ScheduleParams(start, "day", 1, None))))
    assert given["schedule"] == {"frequency": "Day", "interval": 1}


@pytest.mark.parametrize(
    ("percent", "said"), [(5.0, 5), (12.5, 12.5), (100.0, 100), (0.0, None), (101.0, None), (None, None)]
)
def test_the_share_of_refused_records(percent: float | None, said: float | None) -> None:
    given = spec(found(flow(options=FlowOptions(True, percent))))
    assert given["ingestion"].get("partialIngestionPercent") == said
    assert given["ingestion"]["errorDiagnostics"] is True


A, E, S = SourceType.ATTRIBUTE, SourceType.EXPRESSION, SourceType.STATIC


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ((A, "Email", "a"), {"target": "a", "source": "Email"}),
        ((E, "Email", "a"), {"target": "a", "source": "Email"}),
        ((E, "upper(Email)", "a"), {"target": "a", "expression": "upper(Email)"}),
        ((E, '"zoho"', "a"), {"target": "a", "value": "zoho"}),
        ((S, "no", " a "), {"target": "a", "value": "no"}),
        ((A, "x" * 200, "a"), {"target": "a", "expression": "x" * 200}),
    ],
)
def test_entries_of_a_mapping(entry: tuple[SourceType, str, str], said: dict[str, str]) -> None:
    assert spec(found(mapping=mapping(entry)))["mapping"] == [said]


@pytest.mark.parametrize(
    "known",
    [
        None,
        mapping(),
        mapping((S, "", "a")),
        mapping((A, "Email", "a"), (A, "Phone", "a")),
        mapping((E, "x" * 5000, "a")),
        mapping(*((A, "Email", f"a{number}") for number in range(1001))),
    ],
    ids=["gone", "empty", "empty text", "twice", "too long", "too many"],
)
def test_a_mapping_that_a_manifest_cannot_say_is_named(known: MappingSet | None) -> None:
    given = spec(found(mapping=known))
    assert given["mappingSetRef"] == {"id": "set-1", "version": 2}
    assert "mapping" not in given


@pytest.mark.parametrize(
    ("one", "why", "way_out"),
    [
        (found(flow(state="draft")), "is a draft", "Publish it"),
        (found(flow(source_connection_ids=("a", "b"))), "exactly one source", "one flow for each table"),
        (found(source=None), "lost its source connection", "kubectl crmflow new dataflow"),
        (found(target=None), "lost its target connection", "kubectl crmflow new dataflow"),
        (found(flow(mapping_set_id=None)), "no mapping set", "Give it a mapping"),
        (found(flow(delta_column=None)), "without a delta column", "kubectl crmflow new dataflow"),
        (found(flow(schedule=ScheduleParams(1, "month", 1, None))), 'frequency "month"', "another schedule"),
        (found(flow(schedule=ScheduleParams(1, "minute", 5, None))), "every 5 minutes", "another schedule"),
        (found(flow(schedule=ScheduleParams(1, "day", None, None))), "every 0 days", "another schedule"),
        (found(source=source(base_connection_id="other")), "base connection other", "said above"),
        (found(source=source(table_name="x" * 200)), "spec.source.table", "Change it in Platform"),
        (found(source=files(format="parquet")), "its format is parquet", "Leave it"),
        (found(source=files()), "nothing in Platform names their table", f"--table {FLOW}=TABLE"),
    ],
)
def test_what_is_not_adopted(one: FoundFlow, why: str, way_out: str) -> None:
    result = made(one)
    assert [manifest.remote_id for manifest in result.manifests] == [BASE]
    [refusal] = result.refusals
    assert why in refusal.why
    assert way_out in refusal.way_out
    assert str(refusal).startswith(f'The flow "Contacts", {FLOW}, ')


def test_a_flow_of_files_is_observed_under_the_name_of_its_folder() -> None:
    one = found(source=files(), header=("id", "Email", "crmflow_deleted"))
    result = made(one, choices=replace(CHOICES, tables={FLOW: "Contacts"}))
    manifest = result.manifests[-1]
    assert manifest.name == "contacts-in-files"
    given = manifest.plain["spec"]
    assert given["source"] == {"table": "Contacts", "columns": ["id", "Email"]}
    assert (given["transport"], given["managementPolicy"]) == ("LandingZone", "Observe")
    assert given["connectionRef"] == {"name": "zoho-eu"}


def test_the_connection_of_files_is_asked_for_where_there_are_several() -> None:
    one, two = found(source=files()), (connection(), connection(id="base-2", name="Zoho US"))
    tables = {FLOW: "Contacts"}
    [refusal] = made(one, connections=two, choices=replace(CHOICES, tables=tables)).refusals
    assert "--connection: zoho-eu, zoho-us" in refusal.way_out
    result = made(one, connections=two, choices=replace(CHOICES, tables=tables, connection="zoho-us"))
    assert result.manifests[-1].plain["spec"]["connectionRef"] == {"name": "zoho-us"}


def test_flows_that_share_a_source_connection_say_so() -> None:
    result = made(found(), found(flow(id="b" * 8, name="Again\n")))
    first, second = result.manifests[1:]
    assert '#   "Again", bbbbbbbb' in first.text
    assert "Delete would take it away" in second.text
    assert (first.name, second.name) == ("contacts", "again")


def test_resources_that_are_there_keep_their_names_and_others_get_new_ones() -> None:
    known = Known({BASE: "europe"}, {FLOW: "people"}, {"CRMDataflow": frozenset({"people", "contacts"})})
    result = made(found(), found(flow(id="cccccccc-1")), known=known)
    assert [manifest.name for manifest in result.manifests] == ["europe", "people", "contacts-cccccccc"]


@pytest.mark.parametrize(
    ("line", "known", "refused"),
    [
        ("managed by crmflow production team/contacts 1", Known(dataflows={FLOW: "contacts"}), False),
        ("managed by crmflow production other/contacts 1", Known(), False),
        ("", Known(), False),
        ("managed by crmflow production team/contacts 1", Known(), True),
    ],
    ids=["here", "elsewhere", "unknown", "lost"],
)
def test_what_bears_a_key_is_left_to_its_resource(line: str, known: Known, refused: bool) -> None:
    result = made(found(flow(name=f"Contacts {KEY}", description=line)), known=known)
    assert [manifest.remote_id for manifest in result.manifests] == [BASE]
    assert (len(result.refusals), len(result.ours)) == ((1, 0) if refused else (0, 1))


def test_the_same_contents_give_the_same_bytes() -> None:
    texts = [[manifest.text for manifest in made(found()).manifests] for _ in range(2)]
    assert texts[0] == texts[1]
