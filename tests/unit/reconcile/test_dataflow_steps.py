"""The steps of a CRMDataflow: what they call, what they say when something is wrong, what they change."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from crmflow.aep.models import Schema, Table
from crmflow.api.zohosourceconnection import BaseConnectionStatus
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.reconcile.core.outcome import OutcomeClass
from crmflow.reconcile.dataflow.flow_state import WATCHED_SECONDS
from crmflow.reconcile.external.target_connection import DATA_LAKE_CONNECTION_SPEC_ID
from crmflow.reconcile.sources.connector import Reader
from crmflow.reconcile.sources.offer import (
    FLOW_SPEC_NAME,
    ZOHO_CONNECTION_SPEC_ID,
)
from crmflow.reconcile.sources.shared_reads import RECENT_SECONDS, Shared
from tests.fakes.failing import Failing, remote_error
from tests.fakes.platform import DATASET_ID, FLOW_SPEC_ID, SCHEMA_ID, new_column
from tests.unit.reconcile.harness import (
    CONNECTION_NAME,
    DATAFLOW,
    NAMESPACE,
    Harness,
    Resource,
    dataflow_spec,
)

CONTENT_TYPE = "application/vnd.adobe.xed-full+json;version=1"
FIRST_READS = {
    "connections.exploreRoot",
    "connections.exploreTable",
    "schemas.get",
    "dataSets.get",
    "mappingSets.validate",
    "connectionSpecs.get",
    "flowSpecs.list",
}
CREATION = [
    "checkpoint",
    "mappingSets.create",
    "sourceConnections.create",
    "targetConnections.create",
    "flows.create",
    "flows.get",
]
COMPARED = ["flows.get", "sourceConnections.get", "targetConnections.get"]
FULL_PASS = [*COMPARED, "dataSets.get"]
SHARED = ["connections.exploreRoot", "connections.exploreTable"]
"""Read at most once in ten minutes for all who read through the same base connection."""
WAITING, STALLED, TRANSIENT = OutcomeClass.WAITING, OutcomeClass.STALLED, OutcomeClass.TRANSIENT

Edit = Callable[[dict[str, Any]], Any]


async def test_a_new_dataflow_is_checked_and_created_in_one_pass() -> None:
    harness = Harness()
    resource = harness.dataflow(description="All contacts")
    result = await resource.visit()
    assert result.outcome.is_done
    begin = result.calls.index("checkpoint")
    assert Counter(result.calls[:begin]) == Counter(FIRST_READS)
    assert result.calls[begin:] == CREATION
    assert result.checked
    assert [event.reason for event in result.events] == ["Created"]
    for name in ("Ready", "SourceReady", "TargetReady", "MappingValid", "Synced"):
        assert resource.condition(name)[0] == "True", name
    assert resource.condition("RunsHealthy")[:2] == ("Unknown", "NoRunYet")
    assert resource.status["columns"] == ["Email", "First_Name", "Modified_Time"]
    assert resource.status["schema"] == {"id": SCHEMA_ID, "version": CONTENT_TYPE}
    assert resource.status["dataset"] == {"id": DATASET_ID, "profileEnabled": False}
    assert resource.status["flow"]["state"] == "enabled"
    assert resource.status["schedule"] == {
        "startTime": "2030-01-01T00:00:00Z",
        "backfill": True,
        "effectiveStartTime": "2030-01-01T00:00:00Z",
    }


async def test_a_new_flow_is_waited_for_by_listings_of_many() -> None:
    harness = Harness()
    harness.inventory.watches = True
    resource = harness.dataflow()
    result = await resource.visit()
    assert (result.outcome.reason, result.pause) == ("FlowSettling", WATCHED_SECONDS)
    assert "flows.get" not in result.calls
    flow_id = resource.status["flow"]["id"]
    assert harness.inventory.watched == {flow_id}
    harness.inventory.shown.add(flow_id)
    result = await resource.visit(full=False)
    assert result.outcome.is_done
    assert result.calls == []


async def test_what_listings_show_of_a_new_flow_is_read_again_before_anything_is_done_about_it() -> None:
    harness = Harness()
    harness.inventory.watches = True
    resource = harness.dataflow(ingestion={"enabled": False})
    await resource.visit()
    harness.inventory.shown.add(resource.status["flow"]["id"])
    assert (await resource.visit(full=False)).calls == ["flows.get", "flows.disable"]


async def test_a_new_flow_that_no_listing_shows_is_read_by_itself_after_a_while() -> None:
    harness = Harness()
    harness.inventory.watches = True
    resource = harness.dataflow()
    await resource.visit()
    result = await resource.visit(full=False)
    assert result.calls == ["flows.get"]
    assert result.outcome.is_done


async def another_is_made(harness: Harness, **changes: Any) -> tuple[Resource, list[str]]:
    """A second dataflow beside one that was made a moment ago; what was read for it before it was made."""
    harness.inventory.shared = Shared(harness.clock)
    await harness.dataflow().visit()
    harness.clock.time += 20
    another = harness.dataflow(**changes)
    another.name, another.uid = "leads", "1b2c3d4e"
    calls = (await another.visit()).calls
    return another, calls[: calls.index("checkpoint") if "checkpoint" in calls else None]


async def test_what_was_read_for_one_dataflow_a_moment_ago_is_not_read_for_the_next() -> None:
    """Of thousands that are applied together."""
    harness = Harness()
    another, reads = await another_is_made(harness)
    assert another.condition("Ready")[0] == "True"
    assert reads == []
    harness.clock.time += RECENT_SECONDS
    third = harness.dataflow()
    third.name, third.uid = "deals", "2c3d4e5f"
    reads = (await third.visit()).calls
    assert set(reads[: reads.index("checkpoint")]) == FIRST_READS - {
        "connections.exploreRoot",
        "connectionSpecs.get",
        "flowSpecs.list",
    }


@pytest.mark.parametrize(
    ("changes", "reads"),
    [
        pytest.param({"mapping": [{"target": "x", "value": "1"}]}, {"mappingSets.validate"}, id="mapping"),
        pytest.param(
            {"source": {"table": "Contacts", "columns": ["Email", "First_Name", "Phone"]}},
            {"connections.exploreTable"},
            id="a column that was not there",
        ),
        pytest.param(
            {"source": {"table": "Contacts", "columns": None}},
            {"connections.exploreTable"},
            id="all columns of now",
        ),
        pytest.param(
            {"target": {"schema": {"id": SCHEMA_ID}, "dataset": {"id": "another"}}},
            {"dataSets.get"},
            id="dataset that is not there",
        ),
    ],
)
async def test_only_good_news_about_the_same_are_shared(changes: dict[str, Any], reads: set[str]) -> None:
    _, asked = await another_is_made(Harness(), **changes)
    assert set(asked) - {"mappingSets.validate"} == reads - {"mappingSets.validate"}
    assert reads <= set(asked)


async def test_a_refused_mapping_is_shown_to_platform_again() -> None:
    """Somebody may have mended the schema meanwhile."""
    harness = Harness()
    harness.inventory.shared = Shared(harness.clock)
    harness.platform.mapping_verdicts = {"_acme.origin": "no such field"}
    resource = harness.dataflow()
    assert (await resource.visit()).outcome.reason == "MappingInvalid"
    harness.platform.mapping_verdicts = {}
    harness.clock.time += 1
    assert (await resource.visit()).outcome.is_done


async def test_what_is_sent_is_what_the_spec_says() -> None:
    harness = Harness()
    resource = harness.dataflow()
    await resource.visit()
    name, description = resource.identity.remote_name, resource.identity.description(None)
    sent = harness.platform.arguments
    [(source,)], [(target,)] = sent["sourceConnections.create"], sent["targetConnections.create"]
    [(mapping_set,)], [(flow,)] = sent["mappingSets.create"], sent["flows.create"]
    assert source == {
        "name": name("Contacts", "source"),
        "description": description,
        "baseConnectionId": "bc-0",
        "data": {"format": "tabular"},
        "params": {
            "tableName": "Contacts",
            "columns": [column.raw for column in harness.platform.column_list[:3]],
        },
        "connectionSpec": {"id": ZOHO_CONNECTION_SPEC_ID, "version": "1.0"},
    }
    assert target == {
        "name": name("Contacts", "target"),
        "description": description,
        "data": {"schema": {"id": SCHEMA_ID, "version": CONTENT_TYPE}},
        "params": {"dataSetId": DATASET_ID},
        "connectionSpec": {"id": DATA_LAKE_CONNECTION_SPEC_ID, "version": "1.0"},
    }
    assert mapping_set == {
        "name": f"crmflow:test:{resource.status['mappingSet']['contentHash']}",
        "outputSchema": {"schemaRef": {"id": SCHEMA_ID, "contentType": CONTENT_TYPE}},
        "mappings": [
            {"sourceType": "STATIC", "source": "zoho", "destination": "_acme.origin"},
            {
                "sourceType": "EXPRESSION",
                "source": 'concat(First_Name," ")',
                "destination": "person.name.fullName",
            },
            {"sourceType": "ATTRIBUTE", "source": "Email", "destination": "personalEmail.address"},
        ],
    }
    assert flow == {
        "name": name("Contacts", "flow"),
        "description": description,
        "flowSpec": {"id": FLOW_SPEC_ID, "version": "1.0"},
        "sourceConnectionIds": [resource.status["sourceConnectionId"]],
        "targetConnectionIds": [resource.status["targetConnectionId"]],
        "transformations": [
            {"name": "Copy", "params": {"deltaColumn": {"name": "Modified_Time"}}},
            {
                "name": "Mapping",
                "params": {"mappingId": resource.status["mappingSet"]["id"], "mappingVersion": 0},
            },
        ],
        "options": {"errorDiagnosticsEnabled": True, "partialIngestionPercent": 5.0},
        "scheduleParams": {
            "startTime": 1_893_456_000,
            "frequency": "hour",
            "interval": 1,
            "backfill": True,
        },
    }


async def test_a_once_flow_has_no_delta_column_and_only_a_start() -> None:
    harness = Harness()
    resource = harness.dataflow(schedule={"frequency": "Once"}, ingestion={})
    del resource.spec["deltaColumn"]
    assert (await resource.visit()).outcome.is_done
    [(flow,)] = harness.platform.arguments["flows.create"]
    assert [item["name"] for item in flow["transformations"]] == ["Mapping"]
    assert "options" not in flow
    assert flow["scheduleParams"] == {"startTime": int(harness.clock.time) + 60, "frequency": "once"}
    assert (await resource.visit()).outcome.is_done


async def test_mapping_set_and_connections_are_created_side_by_side() -> None:
    harness = Harness()
    await harness.dataflow().visit()
    assert harness.platform.most_in_flight == 3


async def test_columns_that_are_left_out_are_all_of_the_table_and_pinned() -> None:
    harness = Harness()
    resource = harness.dataflow(source={"table": "Contacts"})
    await resource.visit()
    names = [column.name for column in harness.platform.column_list]
    assert resource.status["columns"] == names
    flows = dict(harness.platform.flows)
    harness.platform.column_list = [*harness.platform.column_list, new_column("Fax", "string")]
    harness.clock.time += 700
    result = await resource.visit()
    assert result.outcome.is_done
    assert [event.reason for event in result.events] == ["ColumnsAppeared"]
    assert resource.condition("SourceReady")[:2] == ("True", "ColumnsAppeared")
    assert resource.condition("SourceReady")[2].endswith("does not read: Fax.")
    assert resource.condition("Ready")[0] == "True"
    assert (await resource.visit()).events == [], "told once"
    assert resource.status["columns"] == names
    assert harness.platform.flows == flows


async def test_columns_that_appear_are_no_news_where_the_spec_names_its_own() -> None:
    harness = Harness()
    resource = await ready(harness)
    harness.platform.column_list = [*harness.platform.column_list, new_column("Fax", "string")]
    harness.clock.time += 700
    assert (await resource.visit()).events == []
    assert resource.condition("SourceReady")[:2] == ("True", "Succeeded")


async def test_a_remark_about_columns_outlives_a_poll() -> None:
    harness = Harness()
    resource = harness.dataflow(source={"table": "Contacts"})
    await resource.visit()
    harness.platform.column_list = [*harness.platform.column_list, new_column("Fax", "string")]
    harness.clock.time += 700
    await resource.visit()
    said = resource.condition("SourceReady")
    resource.status["conditions"][0]["status"] = "False"  # it settles
    assert (await resource.visit(full=False)).step != "quiet"
    assert resource.condition("SourceReady") == said


@pytest.mark.parametrize("given", [True, False], ids=["named in the spec", "pinned"])
async def test_columns_that_vanish_are_named_and_everything_else_goes_on(given: bool) -> None:
    harness = Harness()
    columns = ["Email", "First_Name", "Modified_Time"]
    resource = harness.dataflow(source={"table": "Contacts", **({"columns": columns} if given else {})})
    await resource.visit()
    whole = harness.platform.column_list
    harness.platform.column_list = [column for column in whole if column.name != "First_Name"]
    harness.clock.time += 700
    resource.edit(lambda spec: (spec["schedule"].update(interval=2), spec["ingestion"].update(enabled=False)))
    await resource.visit()
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, "ColumnsVanished")
    assert 'columns First_Name of table "Contacts"' in result.outcome.message
    assert resource.condition("SourceReady")[:2] == ("False", "ColumnsVanished")
    assert resource.condition("Synced")[0] == "True"
    [flow] = harness.platform.flows.values()
    assert (flow.state, flow.schedule.interval) == ("disabled", 2)
    assert (await resource.visit(full=False)).outcome.reason == "ColumnsVanished"

    harness.platform.column_list = whole
    harness.clock.time += 700
    assert (await resource.visit()).outcome.is_done
    assert resource.condition("SourceReady")[:2] == ("True", "Succeeded")


async def test_a_delta_column_that_vanishes_is_named() -> None:
    harness = Harness()
    resource = harness.dataflow(source={"table": "Contacts", "columns": ["Email", "First_Name"]})
    await resource.visit()
    _unknown_delta_column(harness)
    harness.clock.time += 700
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, "ColumnsVanished")
    assert "columns Modified_Time of" in result.outcome.message


async def test_a_table_that_vanishes_is_named() -> None:
    harness = Harness()
    resource = await ready(harness)
    harness.platform.table_list = []
    harness.clock.time += 700
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, "ColumnsVanished")
    assert 'no longer sees the table "Contacts"' in result.outcome.message


async def test_a_flow_that_exists_is_not_judged_by_a_source_that_can_not_be_reached() -> None:
    """That is for the connection's resource to say."""
    harness = Harness()
    resource = await ready(harness)
    harness.clock.time += 700
    for call in ("connections.exploreRoot", "connections.exploreTable"):
        harness.platform.fail(call, remote_error(ErrorClass.TERMINAL, "SourceRefused"))
        assert (await resource.visit()).outcome.is_done
        assert resource.condition("SourceReady")[0] == "True"
        harness.platform.heal()


MISSING = remote_error(ErrorClass.NOT_FOUND, "NotFound", "Resource with given id does not exist")
REFUSED = remote_error(
    ErrorClass.TERMINAL, "SourceRefused", "NO_PERMISSION: permission denied", cure_is_silent=True
)
WORDS = {"NotFound": "Resource with given id does not exist", "SourceRefused": "NO_PERMISSION"}


@pytest.mark.parametrize("error", [MISSING, REFUSED], ids=["404", "refused"])
async def test_a_table_that_can_not_be_read_is_no_lost_base_connection(error: RemoteError) -> None:
    harness = Harness()
    harness.platform.fail("connections.exploreTable", error)
    resource = harness.dataflow()
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, "TableNotReadable")
    assert resource.condition("SourceReady")[:2] == ("False", "TableNotReadable")
    message = result.outcome.message
    assert 'lists table "Contacts"' in message
    assert WORDS[error.reason] in message
    assert "gone" not in message
    assert harness.platform.counts == (0, 0, 0, 0)
    assert result.pause is not None
    assert result.pause <= 300, "a cure in Zoho sends no event"
    harness.platform.heal()
    assert (await resource.visit()).outcome.is_done


async def test_tables_that_can_not_be_listed_are_no_lost_base_connection() -> None:
    harness = Harness()
    harness.platform.fail("connections.exploreRoot", MISSING)
    resource = harness.dataflow()
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, "TableNotReadable")
    assert "base connection bc-0, which exists" in result.outcome.message
    harness.platform.heal()
    assert (await resource.visit()).outcome.is_done


@pytest.mark.parametrize("listed", [False, True])
async def test_a_base_connection_that_is_gone_is_waited_for(listed: bool) -> None:
    harness = Harness()
    resource = harness.dataflow()
    if listed:
        await harness.services.sources.platform_source.tables(Reader("crm/zoho-eu", harness.platform, "bc-0"))
        harness.clock.time += 1
    del harness.platform.connections["bc-0"]
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (WAITING, "ConnectionNotReady")
    assert "Base connection bc-0 is gone" in result.outcome.message
    harness.hold_base_connection()
    assert (await resource.visit()).outcome.is_done


async def test_a_table_that_left_zoho_since_the_last_listing_is_not_found() -> None:
    harness = Harness()
    resource = harness.dataflow()
    await harness.services.sources.platform_source.tables(Reader("crm/zoho-eu", harness.platform, "bc-0"))
    harness.platform.table_list = [Table("Leads", "Leads")]
    harness.platform.fail("connections.exploreTable", MISSING)
    harness.clock.time += 1
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, "TableNotFound")
    assert "there are Leads." in result.outcome.message


async def test_when_the_whole_source_refuses_that_is_said_and_not_of_the_table() -> None:
    harness = Harness()
    resource = harness.dataflow()
    await harness.services.sources.platform_source.tables(Reader("crm/zoho-eu", harness.platform, "bc-0"))
    for call in ("connections.exploreRoot", "connections.exploreTable"):
        harness.platform.fail(call, REFUSED)
    harness.clock.time += 1
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, "SourceRefused")
    assert result.pause is not None
    assert result.pause <= 300
    harness.platform.heal()
    assert (await resource.visit()).outcome.is_done


async def test_of_a_flow_that_exists_a_table_that_is_no_longer_readable_is_told() -> None:
    harness = Harness()
    resource = await ready(harness)
    harness.clock.time += 700
    harness.platform.fail("connections.exploreTable", MISSING)
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, "TableNotReadable")
    assert resource.condition("SourceReady")[:2] == ("False", "TableNotReadable")
    await resource.visit(full=False)
    assert resource.condition("SourceReady")[:2] == ("False", "TableNotReadable"), "a poll does not look"
    harness.platform.heal()
    harness.clock.time += 700
    assert (await resource.visit()).outcome.is_done
    assert resource.condition("SourceReady")[:2] == ("True", "Succeeded")


async def test_a_schema_that_exists_in_another_version_is_not_said_to_be_missing() -> None:
    harness = Harness()
    other_version = remote_error(ErrorClass.NOT_FOUND, "VersionNotFound", "No version 1 of this schema.")
    harness.platform.fail("schemas.get", other_version)
    result = await harness.dataflow().visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, "VersionNotFound")
    assert "No version 1 of this schema." in result.outcome.message


async def test_a_full_check_reads_the_three_objects_and_what_is_shared() -> None:
    harness = Harness()
    resource = harness.dataflow()
    await resource.visit()
    before = resource.status
    assert (await resource.visit()).calls == FULL_PASS
    harness.clock.time += 700
    result = await resource.visit()
    assert sorted(result.calls) == sorted([*FULL_PASS, *SHARED])
    assert result.checked
    assert resource.status == before


def _missing_connection(harness: Harness) -> None:
    harness.lister.connections.clear()


def _connection_not_ready(harness: Harness) -> None:
    harness.lister.connections[NAMESPACE, CONNECTION_NAME].ready = False


def _adobe_secret_missing(harness: Harness) -> None:
    del harness.secrets.data[NAMESPACE, "adobe-platform"]


def _adobe_refuses(harness: Harness) -> None:
    harness.access.fail(
        "platform",
        remote_error(
            ErrorClass.TERMINAL, "PlatformCredentialsRejected", "refused", advice="Check clientSecret."
        ),
    )


def _unknown_table(harness: Harness) -> None:
    harness.platform.table_list = [Table("Leads", "Leads")]


def _unknown_column(harness: Harness) -> None:
    harness.platform.column_list = [c for c in harness.platform.column_list if c.name != "First_Name"]


def _unknown_delta_column(harness: Harness) -> None:
    harness.platform.column_list = [
        replace(c, name="Changed") if c.name == "Modified_Time" else c for c in harness.platform.column_list
    ]


def _delta_column_without_time(harness: Harness) -> None:
    harness.platform.column_list = [
        replace(c, is_date=c.name == "Created_Time") for c in harness.platform.column_list
    ]


def _unknown_schema(harness: Harness) -> None:
    harness.platform.schemas.clear()


def _unknown_dataset(harness: Harness) -> None:
    harness.platform.datasets.clear()


def _other_schema(harness: Harness) -> None:
    dataset = harness.platform.datasets[DATASET_ID]
    harness.platform.datasets[DATASET_ID] = replace(dataset, schema_id="https://ns.adobe.com/acme/other")


def _other_version(harness: Harness) -> None:
    harness.platform.schemas[SCHEMA_ID] = Schema(SCHEMA_ID, "alt", "Contact", "2.0")


def _mapping_refused(harness: Harness) -> None:
    harness.platform.mapping_verdicts = {"person.name.fullName": "unknown function cncat"}


def _source_withdrawn(harness: Harness) -> None:
    harness.platform.flow_specs.clear()


def _create_refused(harness: Harness) -> None:
    harness.platform.fail(
        "flows.create", remote_error(ErrorClass.TERMINAL, "ScheduleInvalid", "no", advice="Correct schedule.")
    )


def _explore_down(harness: Harness) -> None:
    harness.platform.fail("connections.exploreTable", remote_error(message="explore timed out"))


BAD_INPUT = [
    (_missing_connection, WAITING, "ConnectionNotFound", "SourceReady", "correct spec.connectionRef"),
    (_connection_not_ready, WAITING, "ConnectionNotReady", "SourceReady", "its conditions say why"),
    (_adobe_secret_missing, WAITING, "SecretNotFound", "SourceReady", "Create it with the keys"),
    (_adobe_refuses, STALLED, "PlatformCredentialsRejected", "SourceReady", "Check clientSecret."),
    (_unknown_table, STALLED, "TableNotFound", "SourceReady", "there are Leads."),
    (_unknown_column, STALLED, "ColumnNotFound", "SourceReady", "no column First_Name. It has Email,"),
    (_unknown_delta_column, STALLED, "ColumnNotFound", "SourceReady", "no column Modified_Time"),
    (
        _delta_column_without_time,
        STALLED,
        "DeltaColumnNotDateTime",
        "SourceReady",
        "columns Created_Time. Name one",
    ),
    (_unknown_schema, STALLED, "SchemaNotFound", "TargetReady", "Check spec.target.schema.id"),
    (_unknown_dataset, STALLED, "DatasetNotFound", "TargetReady", "Check spec.target.dataset.id."),
    (_other_schema, STALLED, "SchemaMismatch", "TargetReady", "Use the dataset's schema"),
    (_other_version, STALLED, "SchemaMismatch", "TargetReady", "Use a dataset of the same version."),
    (_mapping_refused, STALLED, "MappingInvalid", "MappingValid", "person.name.fullName: unknown function"),
    (_source_withdrawn, STALLED, "FlowSpecMissing", "Synced", "So no dataflow is created."),
    (_create_refused, STALLED, "ScheduleInvalid", "Synced", "Correct schedule."),
    (_explore_down, TRANSIENT, "Unavailable", "SourceReady", "explore timed out"),
]


@pytest.mark.parametrize(
    ("break_it", "outcome_class", "reason", "condition", "message"),
    BAD_INPUT,
    ids=[row[0].__name__.strip("_") for row in BAD_INPUT],
)
async def test_bad_input_is_a_condition_that_heals(
    break_it: Callable[[Harness], None],
    outcome_class: OutcomeClass,
    reason: str,
    condition: str,
    message: str,
) -> None:
    broken, sound = Harness(), Harness()
    resource = broken.dataflow(transport="PlatformSource")
    sound.dataflow()
    break_it(broken)
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (outcome_class, reason)
    assert message in resource.condition("Ready")[2]
    status = "Unknown" if outcome_class is TRANSIENT else "False"
    assert resource.condition(condition) == (status, reason, resource.condition("Ready")[2])
    assert resource.condition("Stalled" if outcome_class is STALLED else "Reconciling")[0] == "True"
    assert not result.checked
    assert broken.platform.flows == {}
    if break_it is not _create_refused:
        assert [call for call in result.calls if call.endswith(".create")] == []
    assert "intents" not in resource.status

    _cure(broken, sound)
    broken.clock.time += 700
    assert (await resource.visit()).outcome.is_done
    assert resource.condition(condition)[0] == "True"
    assert broken.platform.counts == (0, 1, 1, 1)


async def test_an_unknown_delta_column_is_named_when_the_columns_do_not_name_it() -> None:
    harness = Harness()
    result = await harness.dataflow(source={"table": "Contacts"}, deltaColumn={"name": "Changed"}).visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, "DeltaColumnNotFound")
    assert "date-time columns Modified_Time, Created_Time." in result.outcome.message


async def test_where_no_column_is_shown_none_is_asked_for_in_zoho() -> None:
    harness = Harness()
    harness.platform.column_list = []
    message = (await harness.dataflow().visit()).outcome.message
    assert "Platform shows no column of it at all" in message
    assert "date-time" not in message


WAYS_OUT = ("schedule.frequency to Once", "deltaColumn", "add a date-time field", "field-level")


@pytest.mark.parametrize(
    ("columns", "source", "reason", "said"),
    [
        (["Email"], {"table": "Contacts"}, "DeltaColumnNotFound", 'no column "Modified_Time"'),
        (["Email"], {"table": "Contacts", "columns": ["Modified_Time"]}, "ColumnNotFound", "It has Email."),
        ([], {"table": "Contacts"}, "DeltaColumnNotFound", 'no column "Modified_Time"'),
        ([], {"table": "Contacts", "columns": ["Email"]}, "ColumnNotFound", "shows no column of it"),
        (
            ["Email", "Modified_Time"],
            {"table": "Contacts"},
            "DeltaColumnNotDateTime",
            "holds no date and time",
        ),
    ],
)
async def test_a_table_without_date_time_columns_has_other_ways_out(
    columns: list[str], source: dict[str, Any], reason: str, said: str
) -> None:
    harness = Harness()
    harness.platform.column_list = [new_column(name, "string") for name in columns]
    result = await harness.dataflow(source=source).visit()
    message = result.outcome.message
    assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, reason)
    assert said in message
    assert "none" not in message
    if "Email" not in source.get("columns", ()):
        assert [way for way in WAYS_OUT if way not in message] == []


async def test_that_there_are_no_tables_at_all_has_another_cause_than_a_wrong_name() -> None:
    harness = Harness()
    harness.platform.table_list = []
    result = await harness.dataflow(source={"table": "Contacts"}).visit()
    assert result.outcome.reason == "TableNotFound"
    assert "none" not in result.outcome.message
    assert "profile of the user who consented" in result.outcome.message


async def test_a_mapping_may_only_take_columns_that_are_read() -> None:
    harness = Harness()
    result = await harness.dataflow(source={"table": "Contacts", "columns": ["Modified_Time"]}).visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, "MappingInvalid")
    assert "takes Email, which the source does not read" in result.outcome.message
    assert "spec.source.columns" in result.outcome.message
    assert "mappingSets.validate" not in result.calls


async def test_where_all_columns_are_read_none_can_be_added() -> None:
    harness = Harness()
    mapping = [{"target": "personalEmail.address", "source": "Emial"}]
    result = await harness.dataflow(source={"table": "Contacts"}, mapping=mapping).visit()
    assert "takes Emial, which the source does not read. Correct the mapping" in result.outcome.message
    assert "spec.source.columns" not in result.outcome.message


async def test_many_names_are_cut_in_messages() -> None:
    harness = Harness()
    harness.platform.table_list = [Table(f"Module{number}", f"Module{number}") for number in range(40)]
    result = await harness.dataflow().visit()
    assert "Module7 and 32 more." in result.outcome.message
    assert "Module8" not in result.outcome.message


@pytest.mark.parametrize(
    ("paused", "was_ready_once", "usable"), [(True, True, True), (True, False, False), (False, True, False)]
)
async def test_a_paused_connection_that_was_ready_before_still_serves(
    paused: bool, was_ready_once: bool, usable: bool
) -> None:
    harness = Harness()
    resource = harness.dataflow()
    view = harness.lister.connections[NAMESPACE, CONNECTION_NAME]
    view.ready = False
    view.spec = view.spec.model_copy(update={"paused": paused})
    if not was_ready_once:
        view.status = view.status.model_copy(update={"tables": None})
    assert (await resource.visit()).outcome.is_done is usable


OTHER_SCHEMA = "https://ns.adobe.com/x"
NEEDS_ANOTHER_FLOW = [
    pytest.param(
        lambda spec: spec["connectionRef"].update(name="other"), "spec.connectionRef", id="connectionRef"
    ),
    pytest.param(lambda spec: spec["source"].update(table="Leads"), "spec.source.table", id="table"),
    pytest.param(lambda spec: spec["source"]["columns"].pop(), "spec.source.columns", id="columns"),
    pytest.param(
        lambda spec: spec.update(target={"schema": {"id": OTHER_SCHEMA}, "dataset": {"id": "other"}}),
        "spec.target.schema, spec.target.dataset",
        id="target",
    ),
    pytest.param(
        lambda spec: spec["target"]["dataset"].update(id="second"), "spec.target.dataset", id="dataset"
    ),
    pytest.param(
        lambda spec: spec["deltaColumn"].update(name="Created_Time"), "spec.deltaColumn", id="deltaColumn"
    ),
    pytest.param(
        lambda spec: (spec.update(schedule={"frequency": "Once"}), spec.pop("deltaColumn")),
        "spec.schedule.frequency",
        id="once",
    ),
]
AFTER_THE_START = [
    pytest.param(
        lambda spec: spec["schedule"].update(startTime="2031-01-01T00:00:00Z"),
        "spec.schedule.startTime",
        id="startTime",
    ),
    pytest.param(
        lambda spec: spec["schedule"].update(backfill=False), "spec.schedule.backfill", id="backfill"
    ),
]
STARTED = 1_893_456_000.0


async def ready(harness: Harness, *, started: bool = False, **changes: Any) -> Resource:
    """A dataflow that is Ready, before or after the start of its flow, and another connection."""
    resource = harness.dataflow(**changes)
    await resource.visit()
    view = harness.lister.connections[NAMESPACE, CONNECTION_NAME]
    harness.lister.connections[NAMESPACE, "other"] = replace(
        view, status=view.status.model_copy(update={"base_connection": BaseConnectionStatus(id="bc-other")})
    )
    harness.hold_base_connection("bc-other")
    platform = harness.platform
    platform.schemas[OTHER_SCHEMA] = replace(platform.schemas[SCHEMA_ID], id=OTHER_SCHEMA)
    dataset = platform.datasets[DATASET_ID]
    platform.datasets["second"] = replace(dataset, id="second")
    platform.datasets["other"] = replace(dataset, id="other", schema_id=OTHER_SCHEMA)
    if started:
        harness.clock.time = STARTED
    return resource


@pytest.mark.parametrize("started", [False, True], ids=["before the start", "after the start"])
@pytest.mark.parametrize(("change", "named"), NEEDS_ANOTHER_FLOW)
async def test_an_edit_that_needs_another_flow_names_exactly_its_field_and_heals(
    change: Edit, named: str, started: bool
) -> None:
    harness = Harness()
    calls = [*COMPARED, "connections.get"] if named == "spec.connectionRef" else COMPARED
    await _is_refused(harness, await ready(harness, started=started), change, named, calls)


@pytest.mark.parametrize(("change", "named"), AFTER_THE_START)
async def test_the_beginning_of_a_flow_that_has_begun_needs_another_flow(change: Edit, named: str) -> None:
    harness = Harness()
    await _is_refused(harness, await ready(harness, started=True), change, named)


async def test_the_mapping_of_a_one_time_flow_needs_another_flow() -> None:
    harness = Harness()
    resource = await ready(harness, schedule={"frequency": "Once"}, deltaColumn=None)
    calls = [*COMPARED, "mappingSets.list"]
    await _is_refused(harness, resource, lambda spec: spec["mapping"].pop(), "spec.mapping", calls)


async def test_a_one_time_flow_does_not_recur_later() -> None:
    harness = Harness()
    resource = await ready(harness, schedule={"frequency": "Once"}, deltaColumn=None)
    hourly = {"schedule": {"frequency": "Hour", "interval": 1}, "deltaColumn": {"name": "Modified_Time"}}
    await _is_refused(harness, resource, lambda spec: spec.update(hourly), "spec.schedule.frequency")


async def _is_refused(
    harness: Harness, resource: Resource, change: Edit, named: str, calls: Sequence[str] = COMPARED
) -> None:
    before, spec = dict(harness.platform.flows), copy.deepcopy(resource.spec)
    resource.edit(lambda spec: (change(spec), spec.update(displayName="Not to be seen")))
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, "ReplacementRequired")
    assert result.outcome.message.startswith(f"{named} can't be changed")
    assert "Set the fields back, or approve the plan" in result.outcome.message
    assert resource.condition("Synced")[:2] == ("False", "ReplacementRequired")
    assert result.calls[: len(calls)] == calls
    assert not any(call.endswith((".create", ".patch", ".delete")) for call in result.calls)
    assert not result.checked
    assert harness.platform.flows == before, "the flow goes on as it is"

    resource.spec = spec
    resource.generation += 1
    result = await resource.visit()
    assert result.outcome.is_done
    assert [call for call in result.calls if call.startswith(("patch_", "create_"))] == []


async def test_all_edited_fields_are_named() -> None:
    harness = Harness()
    resource = await ready(harness, started=True)
    resource.edit(
        lambda spec: (spec["source"].update(table="Leads"), spec["schedule"].update(backfill=False))
    )
    result = await resource.visit()
    assert result.outcome.message.startswith("spec.source.table, spec.schedule.backfill can't")


PATCHED = [
    pytest.param(
        lambda spec: spec["schedule"].update(frequency="Day"),
        [("replace", "/scheduleParams/frequency", "day")],
        id="frequency",
    ),
    pytest.param(
        lambda spec: spec["schedule"].update(interval=2),
        [("replace", "/scheduleParams/interval", 2)],
        id="interval",
    ),
    pytest.param(
        lambda spec: spec["ingestion"].update(errorDiagnostics=False),
        [("add", "/options/errorDiagnosticsEnabled", False)],
        id="errorDiagnostics",
    ),
    pytest.param(
        lambda spec: spec["ingestion"].update(partialIngestionPercent=7),
        [("add", "/options/partialIngestionPercent", 7.0)],
        id="partialIngestionPercent",
    ),
]
BEFORE_THE_START = [
    pytest.param(
        lambda spec: spec["schedule"].update(startTime="2031-01-01T00:00:00Z"),
        [("replace", "/scheduleParams/startTime", 1_924_992_000)],
        id="startTime",
    ),
    pytest.param(
        lambda spec: spec["schedule"].update(backfill=False),
        [("replace", "/scheduleParams/backfill", False)],
        id="backfill",
    ),
]


@pytest.mark.parametrize("started", [False, True], ids=["before the start", "after the start"])
@pytest.mark.parametrize(("change", "operations"), PATCHED)
async def test_an_edit_is_patched(change: Edit, operations: list[Any], started: bool) -> None:
    harness = Harness()
    await _is_patched(harness, await ready(harness, started=started), change, operations)


@pytest.mark.parametrize(("change", "operations"), BEFORE_THE_START)
async def test_a_flow_that_has_not_begun_can_begin_otherwise(change: Edit, operations: list[Any]) -> None:
    harness = Harness()
    resource = await ready(harness)
    await _is_patched(harness, resource, change, operations)
    schedule = resource.spec["schedule"]
    assert resource.status["schedule"] == {
        "startTime": schedule["startTime"],
        "backfill": schedule["backfill"],
        "effectiveStartTime": schedule["startTime"],
    }


async def _is_patched(harness: Harness, resource: Resource, change: Edit, operations: list[Any]) -> None:
    """By one patch of the flow; then everything is compared once more and found right."""
    resource.edit(change)
    result = await resource.visit()
    assert result.outcome.is_done
    assert not result.checked
    [(flow_id, _, sent)] = harness.platform.arguments["flows.patch"]
    assert flow_id == resource.status["flow"]["id"]
    assert [(operation.op, operation.path, operation.value) for operation in sent] == operations
    fields = [f"flow{path.replace('/', '.')}" for _, path, _ in operations]
    assert [(event.reason, event.note) for event in result.events] == [
        ("Updated", f"Updated {', '.join(fields)}.")
    ]
    assert "lastDrift" not in resource.status
    again = await resource.visit()
    assert again.checked
    assert [call for call in again.calls if call not in SHARED] == FULL_PASS


async def test_options_are_added_as_a_whole_where_there_are_none() -> None:
    harness = Harness()
    resource = await ready(harness, ingestion={})
    resource.edit(
        lambda spec: spec.update(ingestion={"errorDiagnostics": True, "partialIngestionPercent": 5})
    )
    assert (await resource.visit()).outcome.is_done
    [(_, _, [operation])] = harness.platform.arguments["flows.patch"]
    assert (operation.op, operation.path) == ("add", "/options")
    assert operation.value == {"errorDiagnosticsEnabled": True, "partialIngestionPercent": 5.0}


async def test_the_start_of_a_flow_in_the_past_is_moved_to_the_next_tick() -> None:
    """Before the flow has begun, a wish that lies behind means as soon as possible."""
    harness = Harness()
    resource = await ready(harness)
    resource.edit(lambda spec: spec["schedule"].update(startTime="2020-01-01T00:30:00Z"))
    assert (await resource.visit()).outcome.is_done
    [flow] = harness.platform.flows.values()
    assert flow.schedule.start_time == 1_760_002_200  # the next half hour
    assert resource.status["schedule"]["effectiveStartTime"] == "2025-10-09T09:30:00Z"
    harness.clock.time += 600
    assert "flows.patch" not in (await resource.visit()).calls


MAPPINGS = [
    pytest.param(lambda spec: spec["mapping"][0].update(source="First_Name"), id="source"),
    pytest.param(lambda spec: spec["mapping"].pop(), id="entry removed"),
    pytest.param(lambda spec: spec["mapping"][1].update(value="x"), id="value"),
]


@pytest.mark.parametrize("change", MAPPINGS)
async def test_a_mapping_is_validated_posted_and_the_flow_moved_to_it(change: Edit) -> None:
    harness = Harness()
    resource = await ready(harness, started=True)
    first, spec = resource.status["mappingSet"], copy.deepcopy(resource.spec)
    resource.edit(change)
    result = await resource.visit()
    assert result.outcome.is_done
    changing = ("mappingSets.validate", "mappingSets.create", "flows.patch")
    assert [call for call in result.calls if call in changing] == list(changing)
    second = resource.status["mappingSet"]
    assert second["id"] != first["id"]
    [(_, _, [operation])] = harness.platform.arguments["flows.patch"]
    assert (operation.op, operation.path) == ("replace", "/transformations/1")
    assert operation.value == {
        "name": "Mapping",
        "params": {"mappingId": second["id"], "mappingVersion": second["version"]},
    }

    resource.spec = spec
    resource.generation += 1
    result = await resource.visit()
    assert result.outcome.is_done
    assert "mappingSets.create" not in result.calls, "an equal set is used again"
    assert resource.status["mappingSet"] == first


async def test_a_mapping_that_is_refused_changes_nothing() -> None:
    harness = Harness()
    resource = await ready(harness)
    flows, sets = dict(harness.platform.flows), dict(harness.platform.mapping_sets)
    harness.platform.mapping_verdicts = {"_acme.origin": "no such field"}
    resource.edit(lambda spec: spec["mapping"][1].update(value="x"))
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, "MappingInvalid")
    assert "_acme.origin: no such field" in result.outcome.message
    assert (harness.platform.flows, harness.platform.mapping_sets) == (flows, sets)
    resource.edit(lambda spec: spec["mapping"][1].update(value="zoho"))
    assert (await resource.visit()).outcome.is_done


async def test_every_refused_entry_is_named() -> None:
    harness = Harness()
    resource = harness.dataflow()
    resource.spec["mapping"] = [{"target": f"_acme.f{number:02}", "value": "x"} for number in range(30)]
    harness.platform.mapping_verdicts = {f"_acme.f{number:02}": "no such field" for number in range(30)}
    message = (await resource.visit()).outcome.message
    assert all(f"_acme.f{number:02}: no such field" in message for number in range(30))


async def test_a_patched_flow_whose_status_was_lost_is_recognized() -> None:
    """The operator died between the patch and the status."""
    harness = Harness()
    resource = await ready(harness)
    before = copy.deepcopy(resource.status)
    resource.edit(lambda spec: spec["mapping"].pop())
    await resource.visit()
    after, resource.status = resource.status["mappingSet"], before
    result = await resource.visit()
    assert result.outcome.is_done
    assert [call for call in result.calls if call.startswith(("patch_", "create_", "validate_"))] == []
    assert resource.status["mappingSet"] == after


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda spec: spec["schedule"].pop("startTime"), id="startTime removed"),
        pytest.param(lambda spec: spec["schedule"].pop("backfill"), id="backfill removed"),
        pytest.param(
            lambda spec: spec["schedule"].update(startTime="2030-01-01T01:00:00+01:00"),
            id="startTime elsewhere",
        ),
    ],
)
async def test_what_is_left_out_is_not_owned(change: Edit) -> None:
    harness = Harness()
    resource = await ready(harness, started=True)
    before = resource.status
    resource.edit(change)
    assert (await resource.visit()).outcome.is_done
    assert "flows.patch" not in harness.platform.arguments
    assert resource.status["schedule"] == before["schedule"]


async def test_a_backfill_that_was_left_out_is_true() -> None:
    harness = Harness()
    resource = await ready(harness, started=True, schedule={"frequency": "Hour", "interval": 1})
    resource.edit(lambda spec: spec["schedule"].update(backfill=True))
    assert (await resource.visit()).outcome.is_done
    assert "flows.patch" not in harness.platform.arguments


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda spec: spec["ingestion"].pop("errorDiagnostics"), id="errorDiagnostics removed"),
        pytest.param(lambda spec: spec["ingestion"].pop("partialIngestionPercent"), id="percent removed"),
        pytest.param(lambda spec: spec["source"].pop("columns"), id="columns removed"),
        pytest.param(lambda spec: spec["source"]["columns"].reverse(), id="columns in another order"),
        pytest.param(lambda spec: spec["mapping"].reverse(), id="mapping in another order"),
    ],
)
async def test_an_edit_that_asks_for_nothing_changes_nothing(change: Edit) -> None:
    harness = Harness()
    resource = harness.dataflow()
    await resource.visit()
    resource.edit(change)
    result = await resource.visit()
    assert result.outcome.is_done
    assert result.calls == FULL_PASS


async def test_a_start_time_with_a_fraction_of_a_second_is_not_an_edit() -> None:
    """Status holds whole seconds."""
    harness = Harness()
    schedule = {"frequency": "Hour", "interval": 1, "startTime": "2030-01-01T00:00:00.250Z"}
    resource = harness.dataflow(schedule=schedule)
    assert (await resource.visit()).outcome.is_done
    assert (await resource.visit()).outcome.is_done


@pytest.mark.parametrize(
    ("change", "paths"),
    [
        pytest.param(lambda spec: spec.update(displayName="New"), ["/name"], id="displayName"),
        pytest.param(lambda spec: spec.update(description="New"), ["/description"], id="description"),
    ],
)
async def test_names_and_descriptions_are_patched_on_all_three_objects(
    change: Edit, paths: list[str]
) -> None:
    harness = Harness()
    resource = harness.dataflow()
    await resource.visit()
    resource.edit(change)
    result = await resource.visit()
    assert result.outcome.is_done
    patches = ["sourceConnections.patch", "targetConnections.patch", "flows.patch"]
    assert result.calls == [*FULL_PASS, "flows.patch", *patches[:2], "flows.get"]
    assert not result.checked
    assert [event.reason for event in result.events] == ["Updated"]
    assert "lastDrift" not in resource.status
    for patch in patches:
        [(_, _, operations)] = harness.platform.arguments[patch]
        assert [operation.path for operation in operations] == paths
    assert (await resource.visit()).calls == FULL_PASS


async def test_before_there_is_a_flow_outdated_connections_are_made_again() -> None:
    harness = Harness()
    resource = harness.dataflow()
    harness.platform.fail("flows.create", remote_error(ErrorClass.TERMINAL, "ScheduleInvalid"), times=1)
    await resource.visit()
    resource.edit(lambda spec: spec["source"].update(columns=["Email", "Modified_Time"]))
    result = await resource.visit()
    assert result.outcome.is_done
    assert [call for call in result.calls if call.startswith("sourceConnections.")] == [
        "sourceConnections.get",
        "sourceConnections.delete",
        "sourceConnections.create",
    ]
    assert "targetConnections.create" not in result.calls
    assert harness.platform.counts == (0, 1, 1, 1)
    assert resource.status["columns"] == ["Email", "Modified_Time"]


async def test_a_flow_that_is_not_to_run_is_disabled_by_action_and_back() -> None:
    harness = Harness()
    resource = harness.dataflow(ingestion={"enabled": False})
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (WAITING, "FlowSettling")
    assert result.pause == 0.5
    assert result.calls[-1] == "flows.disable"
    assert (await resource.visit(full=False)).calls == ["flows.get"]
    assert resource.condition("Ready")[0] == "True"
    assert "is disabled, as spec.ingestion.enabled asks" in resource.condition("Ready")[2]
    assert resource.status["flow"]["state"] == "disabled"

    resource.edit(lambda spec: spec["ingestion"].update(enabled=True))
    result = await resource.visit()
    assert result.outcome.reason == "FlowSettling"
    assert result.calls[-1] == "flows.enable"
    assert (await resource.visit(full=False)).outcome.is_done


async def test_a_state_that_somebody_else_was_faster_to_set_is_planned_again() -> None:
    harness = Harness()
    resource = harness.dataflow()
    await resource.until_done()
    resource.edit(lambda spec: spec["ingestion"].update(enabled=False))
    conflict = remote_error(ErrorClass.CONFLICT, "VersionConflict")
    harness.platform.fail("flows.disable", conflict, after=True, times=1)
    result = await resource.visit()
    assert result.outcome.is_done
    assert result.calls.count("flows.disable") == 1
    assert [flow.state for flow in harness.platform.flows.values()] == ["disabled"]


async def test_a_transition_is_waited_for_and_never_fought() -> None:
    harness = Harness()
    resource = harness.dataflow()
    harness.platform.flow_states = ["enabled-finalizing", "enabling", "Pending", "ENABLED"]
    pauses = [(await resource.visit(full=index == 0)).pause for index in range(3)]
    assert pauses == [0.5, 1.0, 2.0]
    assert resource.condition("Synced")[:2] == ("False", "FlowSettling")
    assert (await resource.visit(full=False)).outcome.is_done
    assert not {"flows.enable", "flows.disable"} & set(harness.timeline)
    assert harness.timeline.count("flows.create") == 1


async def test_a_new_flow_that_has_not_settled_changes_no_status_when_it_is_looked_at_again() -> None:
    harness = Harness()
    resource = harness.dataflow()
    harness.platform.flow_states = ["initializing"] * 3
    assert (await resource.visit()).outcome.reason == "FlowSettling"
    status = resource.status
    assert (await resource.visit()).outcome.reason == "FlowSettling"
    assert resource.status == status


async def test_nothing_is_patched_while_a_flow_is_in_transition() -> None:
    harness = Harness()
    resource = await ready(harness)
    resource.edit(lambda spec: spec["schedule"].update(interval=2))
    harness.platform.flow_states = ["updating", "updating"]
    for _ in range(2):
        assert (await resource.visit()).outcome.reason == "FlowSettling"
        assert "flows.patch" not in harness.platform.arguments
    assert (await resource.visit()).outcome.is_done
    assert len(harness.platform.arguments["flows.patch"]) == 1


async def test_an_unknown_state_passes_for_ten_minutes_and_then_needs_a_person() -> None:
    harness = Harness()
    resource = await ready(harness)
    [flow] = harness.platform.flows.values()
    harness.platform.flows[flow.id] = replace(flow, state="suspended")
    assert (await resource.visit()).outcome.reason == "FlowSettling"
    assert resource.status["flow"]["stateSince"] == "2025-10-09T08:53:20Z"
    harness.clock.time += 599
    assert (await resource.visit(full=False)).outcome.reason == "FlowSettling"
    harness.clock.time += 1
    result = await resource.visit(full=False)
    assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, "FlowStateUnknown")
    assert '"suspended"' in result.outcome.message
    harness.platform.flows[flow.id] = flow
    assert (await resource.visit()).outcome.is_done


async def test_a_draft_needs_a_person() -> None:
    harness = Harness()
    resource = await ready(harness)
    [flow] = harness.platform.flows.values()
    harness.platform.flows[flow.id] = replace(flow, state="draft")
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, "FlowIsDraft")
    assert not {"flows.enable", "flows.disable"} & set(harness.timeline)


async def test_a_flow_that_goes_while_it_settles_is_looked_into() -> None:
    harness = Harness()
    resource = harness.dataflow()
    harness.platform.flow_states = ["enabled-finalizing"]
    await resource.visit()
    harness.platform.flows.clear()
    result = await resource.visit(full=False)
    assert (result.outcome.outcome_class, result.outcome.transition, result.pause) == (WAITING, False, 1.0)
    assert (await resource.visit()).outcome.is_done
    assert len(harness.platform.flows) == 1


@pytest.mark.parametrize("full", [True, False], ids=["full check", "quiet visit"])
async def test_a_ready_dataflow_stays_ready_through_a_short_outage(full: bool) -> None:
    harness = Harness()
    resource = harness.dataflow()
    await resource.visit()
    before = resource.status
    failing: Failing = harness.platform if full else harness.inventory
    failing.fail("flows.get" if full else "ensure", remote_error())
    for _ in range(3):
        assert (await resource.visit(full=full)).outcome.outcome_class is TRANSIENT
        assert resource.status == before
    harness.clock.time += 300
    await resource.visit(full=full)
    assert resource.condition("Ready")[:2] == ("False", "ProgressingWithRetry")
    failing.heal()
    assert (await resource.visit(full=full)).outcome.is_done
    assert resource.condition("Ready")[0] == "True"


async def test_a_withdrawn_source_leaves_an_existing_flow_alone() -> None:
    harness = Harness()
    resource = harness.dataflow()
    await resource.visit()
    harness.clock.time += 700
    harness.platform.flow_specs.clear()
    assert (await resource.visit()).outcome.is_done
    assert FLOW_SPEC_NAME not in str(resource.status)


def _cure(broken: Harness, sound: Harness) -> None:
    """Make everything outside as it is in ``sound``, except for what AEP holds of ours."""
    for failing in (broken.platform, broken.access, broken.secrets):
        failing.heal()
    broken.secrets.data = sound.secrets.data
    broken.lister.connections = sound.lister.connections
    for name in ("table_list", "column_list", "schemas", "datasets", "mapping_verdicts", "flow_specs"):
        setattr(broken.platform, name, getattr(sound.platform, name))


def _to_another_sandbox(harness: Harness) -> None:
    view = harness.lister.connections[NAMESPACE, "other"]
    platform = view.spec.platform.model_copy(update={"sandbox": "dev"})
    spec = view.spec.model_copy(update={"platform": platform})
    harness.lister.connections[NAMESPACE, "other"] = replace(view, spec=spec)


async def test_a_flow_is_not_looked_for_in_another_sandbox() -> None:
    harness = Harness()
    resource = await ready(harness, replacementPolicy="Automatic")
    _to_another_sandbox(harness)
    before = dict(harness.platform.flows)
    resource.edit(lambda spec: spec["connectionRef"].update(name="other"))
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, "ReplacementRequired")
    assert 'is in "prod"' in result.outcome.message
    assert resource.condition("Synced")[:2] == ("False", "ReplacementRequired")
    assert not result.calls
    deleted = await resource.visit(deleting=True)
    assert (deleted.outcome.outcome_class, deleted.outcome.reason) == (STALLED, "ConnectionMissing")
    assert harness.platform.flows == before
    resource.edit(lambda spec: spec["connectionRef"].update(name=CONNECTION_NAME))
    assert (await resource.visit()).outcome.is_done
    assert resource.status["platform"]["sandbox"] == "prod"


async def test_a_dataflow_that_has_nothing_yet_takes_another_sandbox() -> None:
    harness = Harness()
    await ready(harness)
    _to_another_sandbox(harness)
    resource = Resource(harness, DATAFLOW, "fresh", dataflow_spec(source={"table": "Nowhere"}))
    await resource.visit()
    assert resource.status["platform"]["sandbox"] == "prod"
    resource.edit(lambda spec: spec["connectionRef"].update(name="other"))
    await resource.visit()
    assert resource.status["platform"]["sandbox"] == "dev"
