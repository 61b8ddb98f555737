"""The steps of a CRMDataflow: what they call, what they say when something is wrong, what they change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from crmflow.aep.models import Schema, SourceType, Table
from crmflow.api.zohosourceconnection import BaseConnection
from crmflow.reconcile.offer import FLOW_SPEC_NAME, ZOHO_CONNECTION_SPEC_ID
from crmflow.reconcile.outcome import OutcomeClass
from crmflow.transport.errors import ErrorClass
from tests.unit.reconcile.fakes import DATASET_ID, FLOW_SPEC_ID, SCHEMA_ID, Failing, remote_error
from tests.unit.reconcile.world import CONNECTION_NAME, NAMESPACE, World

CONTENT_TYPE = "application/vnd.adobe.xed-full+json;version=1"
FIRST_PASS = [
    "tables",
    "columns",
    "schema",
    "dataset",
    "validate_mapping",
    "connection_spec",
    "flow_spec",
    "checkpoint",
    "find_mapping_set",
    "create_source_connection",
    "create_target_connection",
    "create_mapping_set",
    "create_flow",
    "flow",
]
FULL_PASS = ["flow", "source_connection", "target_connection"]
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
    assert resource.status["dataset"] == {"id": DATASET_ID}
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
    world.platform.column_list = world.platform.column_list[:2]
    assert (await resource.visit()).outcome.is_done
    assert resource.status["columns"] == names


async def test_a_full_check_reads_the_three_objects_and_nothing_else() -> None:
    world = World()
    resource = world.dataflow()
    await resource.visit()
    before = resource.status
    result = await resource.visit()
    assert result.calls == FULL_PASS
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


EDITS = [
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
        lambda spec: spec["mapping"][0].update(source="First_Name"), "spec.mapping", id="mapping source"
    ),
    pytest.param(lambda spec: spec["mapping"].pop(), "spec.mapping", id="mapping entry removed"),
    pytest.param(lambda spec: spec["mapping"][1].update(value="x"), "spec.mapping", id="mapping value"),
    pytest.param(
        lambda spec: spec["deltaColumn"].update(name="Created_Time"), "spec.deltaColumn", id="deltaColumn"
    ),
    pytest.param(
        lambda spec: spec["schedule"].update(frequency="Day"), "spec.schedule.frequency", id="frequency"
    ),
    pytest.param(lambda spec: spec["schedule"].update(interval=2), "spec.schedule.interval", id="interval"),
    pytest.param(
        lambda spec: spec["schedule"].update(startTime="2031-01-01T00:00:00Z"),
        "spec.schedule.startTime",
        id="startTime",
    ),
    pytest.param(
        lambda spec: spec["schedule"].pop("startTime"), "spec.schedule.startTime", id="startTime removed"
    ),
    pytest.param(
        lambda spec: spec["schedule"].update(backfill=False), "spec.schedule.backfill", id="backfill"
    ),
    pytest.param(
        lambda spec: spec["ingestion"].update(errorDiagnostics=False),
        "spec.ingestion.errorDiagnostics",
        id="errorDiagnostics",
    ),
    pytest.param(
        lambda spec: spec["ingestion"].update(partialIngestionPercent=7),
        "spec.ingestion.partialIngestionPercent",
        id="partialIngestionPercent",
    ),
]


@pytest.mark.parametrize(("change", "named"), EDITS)
async def test_an_edit_that_can_not_be_carried_out_names_exactly_its_field(change: Edit, named: str) -> None:
    world = World()
    resource = world.dataflow()
    await resource.visit()
    world.hold_base_connection()
    view = world.peers.connections[NAMESPACE, CONNECTION_NAME]
    world.peers.connections[NAMESPACE, "other"] = replace(
        view, status=view.status.model_copy(update={"base_connection": BaseConnection(id="bc-other")})
    )
    before = dict(world.platform.flows)
    resource.edit(change)
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, "UpdateNotSupported")
    assert f" in {named}. This version" in result.outcome.message
    assert "Set it back, or delete the resource" in result.outcome.message
    assert resource.condition("Synced")[:2] == ("False", "UpdateNotSupported")
    assert result.calls == FULL_PASS
    assert not result.checked
    assert world.platform.flows == before


async def test_all_edited_fields_are_named_and_setting_them_back_heals() -> None:
    world = World()
    resource = world.dataflow()
    await resource.visit()
    resource.edit(lambda spec: (spec["source"].update(table="Leads"), spec["schedule"].update(interval=2)))
    result = await resource.visit()
    assert "in spec.source.table, spec.schedule.interval. This" in result.outcome.message
    resource.edit(lambda spec: (spec["source"].update(table="Contacts"), spec["schedule"].update(interval=1)))
    assert (await resource.visit()).outcome.is_done


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
    assert [event.reason for event in result.events] == ["Updated"]
    assert "lastDrift" not in resource.status
    for patch in patches:
        [(_, etag, operations)] = world.platform.arguments[patch]
        assert etag == "etag"
        assert [operation.path for operation in operations] == paths
    assert (await resource.visit()).calls == FULL_PASS


async def test_a_remote_edit_is_found_by_the_full_check() -> None:
    world = World()
    resource = world.dataflow()
    await resource.visit()
    [flow] = world.platform.flows.values()
    world.platform.flows[flow.id] = replace(flow, delta_column="Created_Time")
    result = await resource.visit()
    assert "in spec.deltaColumn. This" in result.outcome.message


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
    world.platform.flow_states = ["draft", "enabling", "enabling", "ENABLED"]
    pauses = [(await resource.visit(full=index == 0)).pause for index in range(3)]
    assert pauses == [0.5, 1.0, 2.0]
    assert resource.condition("Synced")[:2] == ("False", "FlowSettling")
    assert (await resource.visit(full=False)).outcome.is_done
    assert "set_flow_state" not in world.timeline
    assert world.timeline.count("create_flow") == 1


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
