"""The steps of a CRMDataflow: what they call, what they say when something is wrong, what they change."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from crmflow.aep.models import Schema, SourceType, Table
from crmflow.api.zohosourceconnection import BaseConnection
from crmflow.reconcile.offer import FLOW_SPEC_NAME, ZOHO_CONNECTION_SPEC_ID
from crmflow.reconcile.outcome import OutcomeClass
from crmflow.transport.errors import ErrorClass
from tests.unit.reconcile.fakes import DATASET_ID, FLOW_SPEC_ID, SCHEMA_ID, Failing, new_column, remote_error
from tests.unit.reconcile.world import CONNECTION_NAME, NAMESPACE, Resource, World

CONTENT_TYPE = "application/vnd.adobe.xed-full+json;version=1"
FIRST_PASS = [
    "tables",
    "schema",
    "dataset",
    "columns",
    "validate_mapping",
    "connection_spec",
    "flow_spec",
    "checkpoint",
    "create_mapping_set",
    "create_source_connection",
    "create_target_connection",
    "create_flow",
    "flow",
]
COMPARED = ["flow", "source_connection", "target_connection"]
FULL_PASS = [*COMPARED, "dataset"]
SHARED = ["tables", "columns"]
"""Read at most once in ten minutes for all who read through the same base connection."""
WAITING, STALLED, TRANSIENT = OutcomeClass.WAITING, OutcomeClass.STALLED, OutcomeClass.TRANSIENT

Edit = Callable[[dict[str, Any]], Any]


async def test_a_new_dataflow_is_checked_and_created_in_one_pass() -> None:
    world = World()
    resource = world.dataflow(description="All contacts")
    result = await resource.visit()
    assert result.outcome.is_done
    assert result.calls == FIRST_PASS
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


async def test_what_is_sent_is_what_the_spec_says() -> None:
    world = World()
    resource = world.dataflow()
    await resource.visit()
    name, description = resource.identity.remote_name, resource.identity.description(None)
    sent = world.platform.arguments
    assert sent["create_source_connection"] == [
        (
            name("Contacts", "source"),
            description,
            "bc-0",
            "Contacts",
            [column.raw for column in world.platform.column_list[:3]],
            ZOHO_CONNECTION_SPEC_ID,
            "1.0",
        )
    ]
    assert sent["create_target_connection"] == [
        (name("Contacts", "target"), description, SCHEMA_ID, CONTENT_TYPE, DATASET_ID)
    ]
    [(set_name, schema_id, content_type, mappings)] = sent["create_mapping_set"]
    assert (schema_id, content_type) == (SCHEMA_ID, CONTENT_TYPE)
    assert set_name == f"crmflow:test:{resource.status['mappingSet']['contentHash']}"
    assert [(item.source_type, item.source, item.destination) for item in mappings] == [
        (SourceType.STATIC, "zoho", "_acme.origin"),
        (SourceType.EXPRESSION, 'concat(First_Name," ")', "person.name.fullName"),
        (SourceType.ATTRIBUTE, "Email", "personalEmail.address"),
    ]
    assert sent["create_flow"] == [
        (
            name("Contacts", "flow"),
            description,
            FLOW_SPEC_ID,
            "1.0",
            resource.status["sourceConnectionId"],
            resource.status["targetConnectionId"],
            [
                {"name": "Copy", "params": {"deltaColumn": {"name": "Modified_Time"}}},
                {
                    "name": "Mapping",
                    "params": {"mappingId": resource.status["mappingSet"]["id"], "mappingVersion": 0},
                },
            ],
            {"errorDiagnosticsEnabled": True, "partialIngestionPercent": 5.0},
            {"startTime": 1_893_456_000, "frequency": "hour", "interval": 1, "backfill": True},
        )
    ]


async def test_a_once_flow_has_no_delta_column_and_only_a_start() -> None:
    world = World()
    resource = world.dataflow(schedule={"frequency": "Once"}, ingestion={})
    del resource.spec["deltaColumn"]
    assert (await resource.visit()).outcome.is_done
    [arguments] = world.platform.arguments["create_flow"]
    assert [item["name"] for item in arguments[6]] == ["Mapping"]
    assert arguments[7] == {}
    assert arguments[8] == {"startTime": int(world.clock.time) + 60, "frequency": "once"}
    assert (await resource.visit()).outcome.is_done


async def test_mapping_set_and_connections_are_created_side_by_side() -> None:
    world = World()
    await world.dataflow().visit()
    assert world.platform.most_in_flight == 3


async def test_columns_that_are_left_out_are_all_of_the_table_and_pinned() -> None:
    world = World()
    resource = world.dataflow(source={"table": "Contacts"})
    await resource.visit()
    names = [column.name for column in world.platform.column_list]
    assert resource.status["columns"] == names
    flows = dict(world.platform.flows)
    world.platform.column_list = [*world.platform.column_list, new_column("Fax", "string")]
    world.clock.time += 700
    result = await resource.visit()
    assert result.outcome.is_done
    assert [event.reason for event in result.events] == ["ColumnsAppeared"]
    assert resource.condition("SourceReady")[:2] == ("True", "ColumnsAppeared")
    assert resource.condition("SourceReady")[2].endswith("does not read: Fax.")
    assert resource.condition("Ready")[0] == "True"
    assert (await resource.visit()).events == [], "told once"
    assert resource.status["columns"] == names
    assert world.platform.flows == flows


async def test_columns_that_appear_are_no_news_where_the_spec_names_its_own() -> None:
    world = World()
    resource = await ready(world)
    world.platform.column_list = [*world.platform.column_list, new_column("Fax", "string")]
    world.clock.time += 700
    assert (await resource.visit()).events == []
    assert resource.condition("SourceReady")[:2] == ("True", "Succeeded")


async def test_a_remark_about_columns_outlives_a_poll() -> None:
    world = World()
    resource = world.dataflow(source={"table": "Contacts"})
    await resource.visit()
    world.platform.column_list = [*world.platform.column_list, new_column("Fax", "string")]
    world.clock.time += 700
    await resource.visit()
    said = resource.condition("SourceReady")
    resource.status["conditions"][0]["status"] = "False"  # it settles
    assert (await resource.visit(full=False)).step != "quiet"
    assert resource.condition("SourceReady") == said


@pytest.mark.parametrize("given", [True, False], ids=["named in the spec", "pinned"])
async def test_columns_that_vanish_are_named_and_everything_else_goes_on(given: bool) -> None:
    world = World()
    columns = ["Email", "First_Name", "Modified_Time"]
    resource = world.dataflow(source={"table": "Contacts", **({"columns": columns} if given else {})})
    await resource.visit()
    whole = world.platform.column_list
    world.platform.column_list = [column for column in whole if column.name != "First_Name"]
    world.clock.time += 700
    resource.edit(lambda spec: (spec["schedule"].update(interval=2), spec["ingestion"].update(enabled=False)))
    await resource.visit()
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, "ColumnsVanished")
    assert 'columns First_Name of table "Contacts"' in result.outcome.message
    assert resource.condition("SourceReady")[:2] == ("False", "ColumnsVanished")
    assert resource.condition("Synced")[0] == "True"
    [flow] = world.platform.flows.values()
    assert (flow.state, flow.schedule.interval) == ("disabled", 2)
    assert (await resource.visit(full=False)).outcome.reason == "ColumnsVanished"

    world.platform.column_list = whole
    world.clock.time += 700
    assert (await resource.visit()).outcome.is_done
    assert resource.condition("SourceReady")[:2] == ("True", "Succeeded")


async def test_a_delta_column_that_vanishes_is_named() -> None:
    world = World()
    resource = world.dataflow(source={"table": "Contacts", "columns": ["Email", "First_Name"]})
    await resource.visit()
    _unknown_delta_column(world)
    world.clock.time += 700
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, "ColumnsVanished")
    assert "columns Modified_Time of" in result.outcome.message


async def test_a_table_that_vanishes_is_named() -> None:
    world = World()
    resource = await ready(world)
    world.platform.table_list = []
    world.clock.time += 700
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, "ColumnsVanished")
    assert 'no longer sees the table "Contacts"' in result.outcome.message


async def test_a_flow_that_exists_is_not_judged_by_a_source_that_can_not_be_reached() -> None:
    """That is for the connection's resource to say."""
    world = World()
    resource = await ready(world)
    world.clock.time += 700
    for call in ("tables", "columns"):
        world.platform.fail(call, remote_error(ErrorClass.TERMINAL, "SourceRefused"))
        assert (await resource.visit()).outcome.is_done
        assert resource.condition("SourceReady")[0] == "True"
        world.platform.heal()


async def test_a_full_check_reads_the_three_objects_and_what_is_shared() -> None:
    world = World()
    resource = world.dataflow()
    await resource.visit()
    before = resource.status
    assert (await resource.visit()).calls == FULL_PASS
    world.clock.time += 700
    result = await resource.visit()
    assert sorted(result.calls) == sorted([*FULL_PASS, *SHARED])
    assert result.checked
    assert resource.status == before


def _missing_connection(world: World) -> None:
    world.peers.connections.clear()


def _connection_not_ready(world: World) -> None:
    world.peers.connections[NAMESPACE, CONNECTION_NAME].ready = False


def _adobe_secret_missing(world: World) -> None:
    del world.secrets.data[NAMESPACE, "adobe-platform"]


def _adobe_refuses(world: World) -> None:
    world.access.fail(
        "platform",
        remote_error(
            ErrorClass.TERMINAL, "PlatformCredentialsRejected", "refused", advice="Check clientSecret."
        ),
    )


def _unknown_table(world: World) -> None:
    world.platform.table_list = [Table("Leads", "Leads")]


def _unknown_column(world: World) -> None:
    world.platform.column_list = [c for c in world.platform.column_list if c.name != "First_Name"]


def _unknown_delta_column(world: World) -> None:
    world.platform.column_list = [
        replace(c, name="Changed") if c.name == "Modified_Time" else c for c in world.platform.column_list
    ]


def _delta_column_without_time(world: World) -> None:
    world.platform.column_list = [
        replace(c, is_date=c.name == "Created_Time") for c in world.platform.column_list
    ]


def _unknown_schema(world: World) -> None:
    world.platform.schemas.clear()


def _unknown_dataset(world: World) -> None:
    world.platform.datasets.clear()


def _other_schema(world: World) -> None:
    dataset = world.platform.datasets[DATASET_ID]
    world.platform.datasets[DATASET_ID] = replace(dataset, schema_id="https://ns.adobe.com/acme/other")


def _other_version(world: World) -> None:
    world.platform.schemas[SCHEMA_ID] = Schema(SCHEMA_ID, "alt", "Contact", "2.0")


def _mapping_refused(world: World) -> None:
    world.platform.mapping_verdicts = {"person.name.fullName": "unknown function cncat"}


def _source_withdrawn(world: World) -> None:
    world.platform.flow_specs.clear()


def _create_refused(world: World) -> None:
    world.platform.fail(
        "create_flow", remote_error(ErrorClass.TERMINAL, "ScheduleInvalid", "no", advice="Correct schedule.")
    )


def _explore_down(world: World) -> None:
    world.platform.fail("columns", remote_error(message="explore timed out"))


BAD_INPUT = [
    (_missing_connection, WAITING, "ConnectionNotFound", "SourceReady", "correct spec.connectionRef"),
    (_connection_not_ready, WAITING, "ConnectionNotReady", "SourceReady", "its conditions say why"),
    (_adobe_secret_missing, WAITING, "SecretNotFound", "SourceReady", "Create it with the keys"),
    (_adobe_refuses, STALLED, "PlatformCredentialsRejected", "SourceReady", "Check clientSecret."),
    (_unknown_table, STALLED, "TableNotFound", "SourceReady", "there are Leads."),
    (_unknown_column, STALLED, "ColumnNotFound", "SourceReady", "no column First_Name. It has Email,"),
    (_unknown_delta_column, STALLED, "ColumnNotFound", "SourceReady", "no column Modified_Time"),
    (_delta_column_without_time, STALLED, "DeltaColumnNotDateTime", "SourceReady", "There are Created_Time."),
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
    break_it: Callable[[World], None],
    outcome_class: OutcomeClass,
    reason: str,
    condition: str,
    message: str,
) -> None:
    broken, sound = World(), World()
    resource = broken.dataflow()
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
        assert [call for call in result.calls if call.startswith("create_")] == []
    assert "intents" not in resource.status

    _cure(broken, sound)
    broken.clock.time += 700
    assert (await resource.visit()).outcome.is_done
    assert resource.condition(condition)[0] == "True"
    assert broken.platform.counts == (0, 1, 1, 1)


async def test_an_unknown_delta_column_is_named_when_the_columns_do_not_name_it() -> None:
    world = World()
    result = await world.dataflow(source={"table": "Contacts"}, deltaColumn={"name": "Changed"}).visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, "DeltaColumnNotFound")
    assert "date-time columns Modified_Time, Created_Time." in result.outcome.message


async def test_a_mapping_may_only_take_columns_that_are_read() -> None:
    world = World()
    result = await world.dataflow(source={"table": "Contacts", "columns": ["Modified_Time"]}).visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, "MappingInvalid")
    assert "takes Email, which the source does not read" in result.outcome.message
    assert "validate_mapping" not in result.calls


async def test_many_names_are_cut_in_messages() -> None:
    world = World()
    world.platform.table_list = [Table(f"Module{number}", f"Module{number}") for number in range(40)]
    result = await world.dataflow().visit()
    assert "Module7 and 32 more." in result.outcome.message
    assert "Module8" not in result.outcome.message


@pytest.mark.parametrize(
    ("paused", "was_ready_once", "usable"), [(True, True, True), (True, False, False), (False, True, False)]
)
async def test_a_paused_connection_that_was_ready_before_still_serves(
    paused: bool, was_ready_once: bool, usable: bool
) -> None:
    world = World()
    resource = world.dataflow()
    view = world.peers.connections[NAMESPACE, CONNECTION_NAME]
    view.ready = False
    view.spec = view.spec.model_copy(update={"paused": paused})
    if not was_ready_once:
        view.status = view.status.model_copy(update={"tables": None})
    assert (await resource.visit()).outcome.is_done is usable


NEEDS_ANOTHER_FLOW = [
    pytest.param(
        lambda spec: spec["connectionRef"].update(name="other"), "spec.connectionRef", id="connectionRef"
    ),
    pytest.param(lambda spec: spec["source"].update(table="Leads"), "spec.source.table", id="table"),
    pytest.param(lambda spec: spec["source"]["columns"].pop(), "spec.source.columns", id="columns"),
    pytest.param(
        lambda spec: spec["target"]["schema"].update(id="https://ns.adobe.com/x"),
        "spec.target.schema",
        id="schema",
    ),
    pytest.param(
        lambda spec: spec["target"]["dataset"].update(id="other"), "spec.target.dataset", id="dataset"
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


async def ready(world: World, *, started: bool = False, **changes: Any) -> Resource:
    """A dataflow that is Ready, before or after the start of its flow, and another connection."""
    resource = world.dataflow(**changes)
    await resource.visit()
    world.hold_base_connection()
    view = world.peers.connections[NAMESPACE, CONNECTION_NAME]
    world.peers.connections[NAMESPACE, "other"] = replace(
        view, status=view.status.model_copy(update={"base_connection": BaseConnection(id="bc-other")})
    )
    if started:
        world.clock.time = STARTED
    return resource


@pytest.mark.parametrize("started", [False, True], ids=["before the start", "after the start"])
@pytest.mark.parametrize(("change", "named"), NEEDS_ANOTHER_FLOW)
async def test_an_edit_that_needs_another_flow_names_exactly_its_field_and_heals(
    change: Edit, named: str, started: bool
) -> None:
    world = World()
    await _is_refused(world, await ready(world, started=started), change, named)


@pytest.mark.parametrize(("change", "named"), AFTER_THE_START)
async def test_the_beginning_of_a_flow_that_has_begun_needs_another_flow(change: Edit, named: str) -> None:
    world = World()
    await _is_refused(world, await ready(world, started=True), change, named)


async def test_the_mapping_of_a_one_time_flow_needs_another_flow() -> None:
    world = World()
    resource = await ready(world, schedule={"frequency": "Once"}, deltaColumn=None)
    calls = [*COMPARED, "find_mapping_set"]
    await _is_refused(world, resource, lambda spec: spec["mapping"].pop(), "spec.mapping", calls)


async def test_a_one_time_flow_does_not_recur_later() -> None:
    world = World()
    resource = await ready(world, schedule={"frequency": "Once"}, deltaColumn=None)
    hourly = {"schedule": {"frequency": "Hour", "interval": 1}, "deltaColumn": {"name": "Modified_Time"}}
    await _is_refused(world, resource, lambda spec: spec.update(hourly), "spec.schedule.frequency")


async def _is_refused(
    world: World, resource: Resource, change: Edit, named: str, calls: Sequence[str] = COMPARED
) -> None:
    before, spec = dict(world.platform.flows), copy.deepcopy(resource.spec)
    resource.edit(lambda spec: (change(spec), spec.update(displayName="Not to be seen")))
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, "ReplacementRequired")
    assert result.outcome.message.startswith(f"{named} can't be changed")
    assert "Set it back, or delete the resource" in result.outcome.message
    assert resource.condition("Synced")[:2] == ("False", "ReplacementRequired")
    assert result.calls == calls
    assert not result.checked
    assert world.platform.flows == before, "the flow goes on as it is"

    resource.spec = spec
    resource.generation += 1
    result = await resource.visit()
    assert result.outcome.is_done
    assert [call for call in result.calls if call.startswith(("patch_", "create_"))] == []


async def test_all_edited_fields_are_named() -> None:
    world = World()
    resource = await ready(world, started=True)
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
    world = World()
    await _is_patched(world, await ready(world, started=started), change, operations)


@pytest.mark.parametrize(("change", "operations"), BEFORE_THE_START)
async def test_a_flow_that_has_not_begun_can_begin_otherwise(change: Edit, operations: list[Any]) -> None:
    world = World()
    resource = await ready(world)
    await _is_patched(world, resource, change, operations)
    schedule = resource.spec["schedule"]
    assert resource.status["schedule"] == {
        "startTime": schedule["startTime"],
        "backfill": schedule["backfill"],
        "effectiveStartTime": schedule["startTime"],
    }


async def _is_patched(world: World, resource: Resource, change: Edit, operations: list[Any]) -> None:
    """By one patch of the flow; then everything is compared once more and found right."""
    resource.edit(change)
    result = await resource.visit()
    assert result.outcome.is_done
    assert not result.checked
    [(flow_id, etag, sent)] = world.platform.arguments["patch_flow"]
    assert (flow_id, etag) == (resource.status["flow"]["id"], "etag")
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
    world = World()
    resource = await ready(world, ingestion={})
    resource.edit(
        lambda spec: spec.update(ingestion={"errorDiagnostics": True, "partialIngestionPercent": 5})
    )
    assert (await resource.visit()).outcome.is_done
    [(_, _, [operation])] = world.platform.arguments["patch_flow"]
    assert (operation.op, operation.path) == ("add", "/options")
    assert operation.value == {"errorDiagnosticsEnabled": True, "partialIngestionPercent": 5.0}


async def test_the_start_of_a_flow_in_the_past_is_moved_to_the_next_tick() -> None:
    """Before the flow has begun, a wish that lies behind means as soon as possible."""
    world = World()
    resource = await ready(world)
    resource.edit(lambda spec: spec["schedule"].update(startTime="2020-01-01T00:30:00Z"))
    assert (await resource.visit()).outcome.is_done
    [flow] = world.platform.flows.values()
    assert flow.schedule.start_time == 1_760_002_200  # the next half hour
    assert resource.status["schedule"]["effectiveStartTime"] == "2025-10-09T09:30:00Z"
    world.clock.time += 600
    assert "patch_flow" not in (await resource.visit()).calls


MAPPINGS = [
    pytest.param(lambda spec: spec["mapping"][0].update(source="First_Name"), id="source"),
    pytest.param(lambda spec: spec["mapping"].pop(), id="entry removed"),
    pytest.param(lambda spec: spec["mapping"][1].update(value="x"), id="value"),
]


@pytest.mark.parametrize("change", MAPPINGS)
async def test_a_mapping_is_validated_posted_and_the_flow_moved_to_it(change: Edit) -> None:
    world = World()
    resource = await ready(world, started=True)
    first, spec = resource.status["mappingSet"], copy.deepcopy(resource.spec)
    resource.edit(change)
    result = await resource.visit()
    assert result.outcome.is_done
    changing = ("validate_mapping", "create_mapping_set", "patch_flow")
    assert [call for call in result.calls if call in changing] == list(changing)
    second = resource.status["mappingSet"]
    assert second["id"] != first["id"]
    [(_, _, [operation])] = world.platform.arguments["patch_flow"]
    assert (operation.op, operation.path) == ("replace", "/transformations/1")
    assert operation.value == {
        "name": "Mapping",
        "params": {"mappingId": second["id"], "mappingVersion": second["version"]},
    }

    resource.spec = spec
    resource.generation += 1
    result = await resource.visit()
    assert result.outcome.is_done
    assert "create_mapping_set" not in result.calls, "an equal set is used again"
    assert resource.status["mappingSet"] == first


async def test_a_mapping_that_is_refused_changes_nothing() -> None:
    world = World()
    resource = await ready(world)
    flows, sets = dict(world.platform.flows), dict(world.platform.mapping_sets)
    world.platform.mapping_verdicts = {"_acme.origin": "no such field"}
    resource.edit(lambda spec: spec["mapping"][1].update(value="x"))
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, "MappingInvalid")
    assert "_acme.origin: no such field" in result.outcome.message
    assert (world.platform.flows, world.platform.mapping_sets) == (flows, sets)
    resource.edit(lambda spec: spec["mapping"][1].update(value="zoho"))
    assert (await resource.visit()).outcome.is_done


async def test_every_refused_entry_is_named() -> None:
    world = World()
    resource = world.dataflow()
    resource.spec["mapping"] = [{"target": f"_acme.f{number:02}", "value": "x"} for number in range(30)]
    world.platform.mapping_verdicts = {f"_acme.f{number:02}": "no such field" for number in range(30)}
    message = (await resource.visit()).outcome.message
    assert all(f"_acme.f{number:02}: no such field" in message for number in range(30))


async def test_a_patched_flow_whose_status_was_lost_is_recognised() -> None:
    """The operator died between the patch and the status."""
    world = World()
    resource = await ready(world)
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
    world = World()
    resource = await ready(world, started=True)
    before = resource.status
    resource.edit(change)
    assert (await resource.visit()).outcome.is_done
    assert "patch_flow" not in world.platform.arguments
    assert resource.status["schedule"] == before["schedule"]


async def test_a_backfill_that_was_left_out_is_true() -> None:
    world = World()
    resource = await ready(world, started=True, schedule={"frequency": "Hour", "interval": 1})
    resource.edit(lambda spec: spec["schedule"].update(backfill=True))
    assert (await resource.visit()).outcome.is_done
    assert "patch_flow" not in world.platform.arguments


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
    world = World()
    resource = world.dataflow()
    await resource.visit()
    resource.edit(change)
    result = await resource.visit()
    assert result.outcome.is_done
    assert result.calls == FULL_PASS


async def test_a_start_time_with_a_fraction_of_a_second_is_not_an_edit() -> None:
    """Status holds whole seconds."""
    world = World()
    schedule = {"frequency": "Hour", "interval": 1, "startTime": "2030-01-01T00:00:00.250Z"}
    resource = world.dataflow(schedule=schedule)
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
    world = World()
    resource = world.dataflow()
    await resource.visit()
    resource.edit(change)
    result = await resource.visit()
    assert result.outcome.is_done
    patches = ["patch_source_connection", "patch_target_connection", "patch_flow"]
    assert result.calls == [*FULL_PASS, "patch_flow", *patches[:2], "flow"]
    assert not result.checked
    assert [event.reason for event in result.events] == ["Updated"]
    assert "lastDrift" not in resource.status
    for patch in patches:
        [(_, etag, operations)] = world.platform.arguments[patch]
        assert etag == "etag"
        assert [operation.path for operation in operations] == paths
    assert (await resource.visit()).calls == FULL_PASS


async def test_before_there_is_a_flow_outdated_connections_are_made_again() -> None:
    world = World()
    resource = world.dataflow()
    world.platform.fail("create_flow", remote_error(ErrorClass.TERMINAL, "ScheduleInvalid"), times=1)
    await resource.visit()
    resource.edit(lambda spec: spec["source"].update(columns=["Email", "Modified_Time"]))
    result = await resource.visit()
    assert result.outcome.is_done
    assert [call for call in result.calls if "source_connection" in call] == [
        "source_connection",
        "delete_source_connection",
        "create_source_connection",
    ]
    assert "create_target_connection" not in result.calls
    assert world.platform.counts == (0, 1, 1, 1)
    assert resource.status["columns"] == ["Email", "Modified_Time"]


async def test_a_flow_that_is_not_to_run_is_disabled_by_action_and_back() -> None:
    world = World()
    resource = world.dataflow(ingestion={"enabled": False})
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (WAITING, "FlowSettling")
    assert result.pause == 0.5
    assert world.platform.arguments["set_flow_state"][-1][1] is False
    assert (await resource.visit(full=False)).calls == ["flow"]
    assert resource.condition("Ready")[0] == "True"
    assert "is disabled, as spec.ingestion.enabled asks" in resource.condition("Ready")[2]
    assert resource.status["flow"]["state"] == "disabled"

    resource.edit(lambda spec: spec["ingestion"].update(enabled=True))
    assert (await resource.visit()).outcome.reason == "FlowSettling"
    assert world.platform.arguments["set_flow_state"][-1][1] is True
    assert (await resource.visit(full=False)).outcome.is_done


async def test_a_transition_is_waited_for_and_never_fought() -> None:
    world = World()
    resource = world.dataflow()
    world.platform.flow_states = ["enabled-finalizing", "enabling", "Pending", "ENABLED"]
    pauses = [(await resource.visit(full=index == 0)).pause for index in range(3)]
    assert pauses == [0.5, 1.0, 2.0]
    assert resource.condition("Synced")[:2] == ("False", "FlowSettling")
    assert (await resource.visit(full=False)).outcome.is_done
    assert "set_flow_state" not in world.timeline
    assert world.timeline.count("create_flow") == 1


async def test_nothing_is_patched_while_a_flow_is_in_transition() -> None:
    world = World()
    resource = await ready(world)
    resource.edit(lambda spec: spec["schedule"].update(interval=2))
    world.platform.flow_states = ["updating", "updating"]
    for _ in range(2):
        assert (await resource.visit()).outcome.reason == "FlowSettling"
        assert "patch_flow" not in world.platform.arguments
    assert (await resource.visit()).outcome.is_done
    assert len(world.platform.arguments["patch_flow"]) == 1


async def test_an_unknown_state_passes_for_ten_minutes_and_then_needs_a_person() -> None:
    world = World()
    resource = await ready(world)
    [flow] = world.platform.flows.values()
    world.platform.flows[flow.id] = replace(flow, state="suspended")
    assert (await resource.visit()).outcome.reason == "FlowSettling"
    assert resource.status["flow"]["stateSince"] == "2025-10-09T08:53:20Z"
    world.clock.time += 599
    assert (await resource.visit(full=False)).outcome.reason == "FlowSettling"
    world.clock.time += 1
    result = await resource.visit(full=False)
    assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, "FlowStateUnknown")
    assert '"suspended"' in result.outcome.message
    world.platform.flows[flow.id] = flow
    assert (await resource.visit()).outcome.is_done


async def test_a_draft_needs_a_person() -> None:
    world = World()
    resource = await ready(world)
    [flow] = world.platform.flows.values()
    world.platform.flows[flow.id] = replace(flow, state="draft")
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, "FlowIsDraft")
    assert "set_flow_state" not in world.timeline


async def test_a_flow_that_goes_while_it_settles_is_looked_into() -> None:
    world = World()
    resource = world.dataflow()
    world.platform.flow_states = ["enabled-finalizing"]
    await resource.visit()
    world.platform.flows.clear()
    result = await resource.visit(full=False)
    assert (result.outcome.outcome_class, result.outcome.transition, result.pause) == (WAITING, False, 1.0)
    assert (await resource.visit()).outcome.is_done
    assert len(world.platform.flows) == 1


@pytest.mark.parametrize("full", [True, False], ids=["full check", "quiet visit"])
async def test_a_ready_dataflow_stays_ready_through_a_short_outage(full: bool) -> None:
    world = World()
    resource = world.dataflow()
    await resource.visit()
    before = resource.status
    failing: Failing = world.platform if full else world.inventory
    failing.fail("flow" if full else "ensure", remote_error())
    for _ in range(3):
        assert (await resource.visit(full=full)).outcome.outcome_class is TRANSIENT
        assert resource.status == before
    world.clock.time += 300
    await resource.visit(full=full)
    assert resource.condition("Ready")[:2] == ("False", "ProgressingWithRetry")
    failing.heal()
    assert (await resource.visit(full=full)).outcome.is_done
    assert resource.condition("Ready")[0] == "True"


async def test_a_withdrawn_source_leaves_an_existing_flow_alone() -> None:
    world = World()
    resource = world.dataflow()
    await resource.visit()
    world.clock.time += 700
    world.platform.flow_specs.clear()
    assert (await resource.visit()).outcome.is_done
    assert FLOW_SPEC_NAME not in str(resource.status)


def _cure(broken: World, sound: World) -> None:
    """Make everything outside as it is in ``sound``, except for what AEP holds of ours."""
    for failing in (broken.platform, broken.access, broken.secrets):
        failing.heal()
    broken.secrets.data = sound.secrets.data
    broken.peers.connections = sound.peers.connections
    for name in ("table_list", "column_list", "schemas", "datasets", "mapping_verdicts", "flow_specs"):
        setattr(broken.platform, name, getattr(sound.platform, name))
