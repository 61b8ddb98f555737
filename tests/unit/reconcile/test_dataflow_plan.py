"""What the remote objects of a dataflow need, worked out from spec, status and what was read: without any
remote side.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crmflow.aep.models import (
    Column,
    ConnectionSpec,
    Flow,
    FlowOptions,
    FlowSpec,
    ScheduleParams,
    SourceConnection,
    TargetConnection,
)
from crmflow.api.base import Transport
from crmflow.api.crmdataflow import (
    CRMDataflowSpec,
    CRMDataflowStatus,
    DatasetStatus,
    Gap,
    MappingSetStatus,
    ScheduleStatus,
    SchemaStatus,
    SourceStatus,
)
from crmflow.reconcile.core.plan import Effect, Plan
from crmflow.reconcile.dataflow.creation_plan import Begun, flow_creation, plan_creation, plan_removal
from crmflow.reconcile.dataflow.plan import Declared, Existing, plan_changes, plan_state
from crmflow.reconcile.external import flow as flows
from crmflow.reconcile.external.flow import FLOW
from crmflow.reconcile.external.identity import Identity, mapping_set_name
from crmflow.reconcile.external.mapping_set import MAPPING_SET, wanted_mapping
from crmflow.reconcile.external.remote_object import DESCRIPTION, NAME, body
from crmflow.reconcile.external.source_connection import SOURCE_CONNECTION
from crmflow.reconcile.external.target_connection import TARGET_CONNECTION
from crmflow.reconcile.sources.connector import Origin
from crmflow.reconcile.sources.offer import ZOHO_CONNECTION_SPEC_ID, PlatformSourceOffer
from crmflow.reconcile.sources.platform_source import PlatformSource
from tests.fakes.platform import DATASET_ID, SCHEMA_ID
from tests.unit.reconcile.fakes import NOW, FakeClock
from tests.unit.reconcile.harness import dataflow_spec

CONTENT_TYPE = "application/vnd.adobe.xed-full+json;version=1"
IDENTITY = Identity("test", "CRMDataflow", "crm", "contacts", "uid")
SCHEMA = SchemaStatus(id=SCHEMA_ID, version=CONTENT_TYPE)
DATASET = DatasetStatus(id=DATASET_ID)
SPEC = CRMDataflowSpec.model_validate(dataflow_spec())
COLUMNS = tuple(
    Column(name, "string", is_date=False, raw={"name": name})
    for name in ("Email", "First_Name", "Modified_Time")
)
START = datetime(2030, 1, 1, tzinfo=UTC)
BEGUN_AT = ScheduleStatus(start_time=START, backfill=True, effective_start_time=START)
STATUS = CRMDataflowStatus(
    source=SourceStatus(base_connection_id="bc-0", table="Contacts"),
    columns=("Email", "First_Name", "Modified_Time"),
    schema_=SCHEMA,
    dataset=DATASET,
    mapping_set=MappingSetStatus(id="ms-1", version=0, content_hash=wanted_mapping(SPEC, SCHEMA)),
    schedule=BEGUN_AT,
)
DECLARED = Declared(
    SPEC,
    PlatformSource(FakeClock()),
    IDENTITY,
    Transport.PLATFORM_SOURCE,
    Origin("zoho-eu", "Contacts", "bc-0"),
    ("org", "sandbox"),
    NOW,
    schema_id=SCHEMA_ID,
    dataset_id=DATASET_ID,
    columns=COLUMNS,
)
OFFER = PlatformSourceOffer(
    ConnectionSpec("spec", "zoho", "2.0", ()), FlowSpec("flow-spec", "CRMToAEP", "1.1", (), ())
)
NAMES = {kind: DECLARED.named(kind) for kind in (FLOW, SOURCE_CONNECTION, TARGET_CONNECTION)}


def named(kind: Any) -> tuple[str, str]:
    return NAMES[kind][NAME], NAMES[kind][DESCRIPTION]


SOURCE = SourceConnection(
    "sc-1", "e", *named(SOURCE_CONNECTION), "enabled", "bc-0", "spec", "Contacts", STATUS.columns
)
TARGET = TargetConnection(
    "tc-1", "e", *named(TARGET_CONNECTION), "enabled", "lake", SCHEMA_ID, CONTENT_TYPE, DATASET_ID
)
FLOW_READ = Flow(
    "f-1",
    "e",
    *named(FLOW),
    "enabled",
    "flow-spec",
    ("sc-1",),
    ("tc-1",),
    ScheduleParams(int(START.timestamp()), "hour", 1, True),
    "Modified_Time",
    "ms-1",
    0,
    FlowOptions(True, 5.0),
    None,
    transformations=({"name": "Copy"}, {"name": "Mapping"}),
)
EXISTING = Existing(SOURCE, TARGET, FLOW_READ)


def declared(change: dict[str, Any], **facts: Any) -> Declared:
    spec = dataflow_spec()
    for field, value in change.items():
        spec[field] = {**spec.get(field, {}), **value} if isinstance(value, dict) else value
    return replace(DECLARED, spec=CRMDataflowSpec.model_validate(spec), **facts)


def patched(plan: Plan) -> set[str]:
    return {action.kind.differs_in(path) for action in plan.of(Effect.PATCH) for path in action.fields}


def test_what_is_as_declared_needs_nothing() -> None:
    assert plan_changes(DECLARED, STATUS, EXISTING) == Plan()


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"displayName": "Other"}, {"flow.name", "source.name", "target.name"}),
        ({"schedule": {"interval": 2}}, {"flow.scheduleParams.interval"}),
        ({"ingestion": {"partialIngestionPercent": 7}}, {"flow.options.partialIngestionPercent"}),
        ({"ingestion": {"errorDiagnostics": None}}, set()),
    ],
)
def test_an_edit_is_patched(change: dict[str, Any], fields: set[str]) -> None:
    plan = plan_changes(declared(change), STATUS, EXISTING)
    assert (patched(plan), plan.needs_replacement, plan.others) == (fields, (), ())


@pytest.mark.parametrize(
    ("existing", "fields"),
    [
        (replace(EXISTING, source=replace(SOURCE, column_names=("Email",))), {"source.params.columns"}),
        (replace(EXISTING, target=replace(TARGET, dataset_id="other")), {"target.params.dataSetId"}),
        (replace(EXISTING, flow=replace(FLOW_READ, mapping_set_id="ms-2")), {"flow.transformations.Mapping"}),
    ],
)
def test_what_somebody_changed_is_put_right(existing: Existing, fields: set[str]) -> None:
    assert patched(plan_changes(DECLARED, STATUS, existing)) == fields


def test_of_what_was_adopted_no_name_is_ours() -> None:
    existing = replace(EXISTING, flow=replace(FLOW_READ, name="Any", description="any"))
    assert plan_changes(replace(DECLARED, adopts=True), STATUS, existing) == Plan()


@pytest.mark.parametrize(
    ("change", "facts", "field"),
    [
        ({}, {"origin": Origin("zoho-eu", "Contacts", "bc-9")}, "spec.connectionRef"),
        ({}, {"schema_id": "other"}, "spec.target.schema"),
        ({}, {"dataset_id": None}, "spec.target.dataset"),
        ({"source": {"table": "Leads"}}, {}, "spec.source.table"),
        ({"source": {"columns": ["Email", "Modified_Time"]}}, {}, "spec.source.columns"),
        ({"deltaColumn": {"name": "Created_Time"}}, {}, "spec.deltaColumn"),
    ],
)
def test_what_only_another_flow_can_have_is_named(
    change: dict[str, Any], facts: dict[str, Any], field: str
) -> None:
    assert plan_changes(declared(change, **facts), STATUS, EXISTING).needs_replacement == (field,)


def test_a_flow_that_has_begun_can_not_begin_otherwise() -> None:
    later = replace(DECLARED, now=START.timestamp() + 1)
    edited = declared({"schedule": {"startTime": "2031-01-01T00:00:00Z", "backfill": False}}, now=later.now)
    assert plan_changes(later, STATUS, EXISTING) == Plan()
    assert plan_changes(edited, STATUS, EXISTING).needs_replacement == (
        "spec.schedule.startTime",
        "spec.schedule.backfill",
    )


def test_one_that_has_not_begun_can_and_that_is_recorded() -> None:
    edited = declared({"schedule": {"startTime": "2031-01-01T00:00:00Z"}})
    plan = plan_changes(edited, STATUS, EXISTING)
    [record] = plan.of(Effect.RECORD)
    start = datetime(2031, 1, 1, tzinfo=UTC)
    assert record.facts["schedule"].effective_start_time == start
    [action] = plan.of(Effect.PATCH)
    assert [(op.path, op.value) for op in action.operations] == [(flows.START_TIME, int(start.timestamp()))]
    observed = plan_changes(replace(edited, observes=True), STATUS, EXISTING)
    assert (observed.of(Effect.RECORD), patched(observed)) == ((), {"flow.scheduleParams.startTime"})


DISABLED = replace(FLOW_READ, state="disabled")
OTHER_MAPPING = STATUS.model_copy(
    update={"mapping_set": MappingSetStatus(id="ms-1", version=0, content_hash="x")}
)
BY_NAME = {"mapping": None, "mappingSetRef": {"id": "ms-7", "version": 2}}


@pytest.mark.parametrize(
    ("flow", "enabled", "wanted"),
    [
        pytest.param(FLOW_READ, True, None, id="as it should be"),
        pytest.param(DISABLED, True, "enabled", id="disabled from outside"),
        pytest.param(FLOW_READ, False, "disabled", id="to be disabled"),
        pytest.param(DISABLED, False, None, id="disabled, as it should be"),
        pytest.param(replace(FLOW_READ, state="enabling"), False, None, id="on its way"),
        pytest.param(replace(FLOW_READ, state="draft"), True, None, id="not for a plan to change"),
    ],
)
def test_the_state_of_a_flow_is_planned(flow: Flow, enabled: bool, wanted: str | None) -> None:
    facts = declared({"ingestion": {"enabled": enabled}})
    plan = plan_changes(facts, STATUS, replace(EXISTING, flow=flow))
    states = [(action.remote_id, action.etag, action.values) for action in plan.of(Effect.SET_STATE)]
    assert states == ([("f-1", "e", {flows.STATE: wanted})] if wanted else [])
    assert plan.differences == (("spec.ingestion.enabled",) if wanted else ())
    assert plan_state(facts.spec, flow).actions == plan.actions


def test_what_was_patched_is_enabled_by_another_plan() -> None:
    plan = plan_changes(declared({"schedule": {"interval": 2}}), STATUS, replace(EXISTING, flow=DISABLED))
    assert plan.differences == ("flow.scheduleParams.interval", "spec.ingestion.enabled")
    assert [action.effect for wave in plan.waves() for action in wave] == [Effect.PATCH]


@pytest.mark.parametrize("observes", [False, True])
def test_another_mapping_is_a_set_that_all_share_who_map_alike(observes: bool) -> None:
    plan = plan_changes(replace(DECLARED, observes=observes), OTHER_MAPPING, EXISTING)
    [action] = plan.actions
    name = mapping_set_name("test", wanted_mapping(SPEC, SCHEMA))
    assert (action.effect, action.key) == (Effect.SHARE, ("org", "sandbox", name))
    assert plan.differences == ("spec.mapping",)
    made = body(action.values)
    assert (made["name"], made["outputSchema"]) == (
        name,
        {"schemaRef": {"id": SCHEMA_ID, "contentType": CONTENT_TYPE}},
    )
    assert [mapping["destination"] for mapping in made["mappings"]] == sorted(
        entry.target for entry in SPEC.mapping or ()
    )


@pytest.mark.parametrize(
    ("observes", "fields"), [(False, {"flow.transformations.Mapping"}), (True, set[str]())]
)
def test_a_mapping_set_that_the_spec_names_is_recorded_and_patched_by_one_plan(
    observes: bool, fields: set[str]
) -> None:
    plan = plan_changes(declared(BY_NAME, observes=observes), STATUS, EXISTING)
    [record] = plan.of(Effect.RECORD)
    assert record.facts == {"mapping_set": MappingSetStatus(id="ms-7", version=2)}
    assert (patched(plan), plan.of(Effect.SHARE)) == (fields, ())
    assert "spec.mapping" in plan.differences


# Creation


EMPTY = CRMDataflowStatus(schema_=SCHEMA, dataset=DATASET)
NOTHING = Begun(None, None)


def create(begun: Begun, status: CRMDataflowStatus = EMPTY, facts: Declared = DECLARED) -> Plan:
    return plan_creation(facts, status, OFFER, begun)


@pytest.mark.parametrize(
    ("begun", "deleted", "created"),
    [
        pytest.param(NOTHING, set(), {"source", "target", "flow"}, id="nothing"),
        pytest.param(Begun(SOURCE, None), set(), {"target", "flow"}, id="a source connection"),
        pytest.param(Begun(SOURCE, TARGET), set(), {"flow"}, id="both"),
        pytest.param(
            Begun(replace(SOURCE, table_name="Leads"), TARGET),
            {"source"},
            {"source", "flow"},
            id="another table",
        ),
        pytest.param(
            Begun(SOURCE, replace(TARGET, dataset_id="other")),
            {"target"},
            {"target", "flow"},
            id="another dataset",
        ),
        pytest.param(Begun(replace(SOURCE, name="Any"), TARGET), set(), {"flow"}, id="another name"),
    ],
)
def test_what_is_missing_is_created_and_what_does_not_fit_goes(
    begun: Begun, deleted: set[str], created: set[str]
) -> None:
    plan = create(begun)
    assert {action.kind.slot for action in plan.of(Effect.DELETE)} == deleted
    assert {action.kind.slot for action in plan.of(Effect.CREATE)} == created


@pytest.mark.parametrize(
    ("status", "facts", "effects"),
    [
        pytest.param(EMPTY, DECLARED, [Effect.SHARE], id="none"),
        pytest.param(OTHER_MAPPING, DECLARED, [Effect.SHARE], id="another"),
        pytest.param(STATUS, DECLARED, [], id="the one that is wanted"),
        pytest.param(EMPTY, declared(BY_NAME), [Effect.RECORD], id="one that the spec names"),
    ],
)
def test_the_mapping_set_comes_before_the_flow(
    status: CRMDataflowStatus, facts: Declared, effects: list[Effect]
) -> None:
    done = [action for wave in create(NOTHING, status, facts).waves() for action in wave]
    assert [action.effect for action in done if action.kind is MAPPING_SET] == effects
    assert done[-1].kind is FLOW


def test_what_a_flow_is_built_on_does_not_go() -> None:
    other = replace(SOURCE, table_name="Leads")
    plan = create(Begun(other, TARGET, frozenset({"sc-1"})))
    assert (plan.actions, plan.needs_replacement) == ((), ("spec.source.table",))


def test_the_bodies_of_creates() -> None:
    bodies = {action.kind.slot: body(action.values) for action in create(NOTHING).of(Effect.CREATE)}
    assert bodies["source"] == {
        "name": named(SOURCE_CONNECTION)[0],
        "description": named(SOURCE_CONNECTION)[1],
        "baseConnectionId": "bc-0",
        "data": {"format": "tabular"},
        "params": {"tableName": "Contacts", "columns": [column.raw for column in COLUMNS]},
        "connectionSpec": {"id": ZOHO_CONNECTION_SPEC_ID, "version": "2.0"},
    }
    assert bodies["target"]["data"] == {"schema": {"id": SCHEMA_ID, "version": CONTENT_TYPE}}
    assert bodies["target"]["params"] == {"dataSetId": DATASET_ID}
    known = {
        "source_connection_id": "sc-1",
        "target_connection_id": "tc-1",
        "mapping_set": MappingSetStatus(id="ms-1", version=3),
    }
    flow = body(flow_creation(DECLARED, EMPTY.model_copy(update=known), OFFER).values)
    assert flow == {
        "name": named(FLOW)[0],
        "description": named(FLOW)[1],
        "flowSpec": {"id": "flow-spec", "version": "1.1"},
        "sourceConnectionIds": ["sc-1"],
        "targetConnectionIds": ["tc-1"],
        "transformations": [
            {"name": "Copy", "params": {"deltaColumn": {"name": "Modified_Time"}}},
            {"name": "Mapping", "params": {"mappingId": "ms-1", "mappingVersion": 3}},
        ],
        "options": {"errorDiagnosticsEnabled": True, "partialIngestionPercent": 5.0},
        "scheduleParams": {
            "startTime": int(START.timestamp()),
            "frequency": "hour",
            "interval": 1,
            "backfill": True,
        },
    }


def test_the_successor_of_a_lost_flow_reads_nothing_again_and_ends_the_gap() -> None:
    status = EMPTY.model_copy(update={"gap": Gap(noticed_time=START - timedelta(days=1))})
    action = flow_creation(DECLARED, status, OFFER)
    assert action.values["/scheduleParams"]["backfill"] is False
    assert action.facts["gap"].until == START


def test_what_is_left_of_a_lost_flow_goes() -> None:
    plan = plan_removal({FLOW: FLOW_READ, TARGET_CONNECTION: TARGET})
    assert [(action.kind.slot, action.remote_id) for wave in plan.waves() for action in wave] == [
        ("flow", "f-1"),
        ("target", "tc-1"),
    ]
