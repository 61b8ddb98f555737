"""What is done about a dataflow whose manifest, or whose remote side, changes while it is Ready."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cluster.support import manifests
from tests.cluster.support.cluster import Object, condition
from tests.cluster.support.world import CONNECTION, DATAFLOW, ONE_OF_EACH, World

FIELDS = "/zoho/eu/production/modules/Contacts/fields"

PATCHED: list[tuple[str, dict[str, Any], tuple[str, str], Any]] = [
    ("interval", {"schedule": {"interval": 2}}, ("scheduleParams", "interval"), 2),
    ("frequency", {"schedule": {"frequency": "Day"}}, ("scheduleParams", "frequency"), "day"),
    (
        "errorDiagnostics",
        {"ingestion": {"errorDiagnostics": True}},
        ("options", "errorDiagnosticsEnabled"),
        True,
    ),
    ("percent", {"ingestion": {"partialIngestionPercent": 10}}, ("options", "partialIngestionPercent"), 10),
]


@pytest.mark.parametrize(
    ("change", "path", "value"), [row[1:] for row in PATCHED], ids=[row[0] for row in PATCHED]
)
def test_an_edit_is_carried_out_on_the_same_flow(
    world: World, change: dict[str, Any], path: tuple[str, str], value: Any
) -> None:
    world.make_ready()
    flow = world.held("flows")[0]
    world.edit(DATAFLOW, **change)
    world.wait_ready(DATAFLOW)
    (changed,) = world.held("flows")
    assert (changed["id"], changed["state"]) == (flow["id"], "enabled")
    assert changed[path[0]][path[1]] == value
    assert world.counts() == ONE_OF_EACH
    assert_quiet(world)


def test_a_flow_that_has_not_begun_begins_otherwise(world: World) -> None:
    world.make_ready(schedule={"startTime": "2099-01-01T00:00:00Z"})
    world.edit(DATAFLOW, schedule={"startTime": "2099-02-01T00:00:00Z", "backfill": False})
    ready = world.wait_ready(DATAFLOW)
    assert ready["status"]["schedule"]["effectiveStartTime"] == "2099-02-01T00:00:00Z"
    (flow,) = world.held("flows")
    assert (int(flow["scheduleParams"]["startTime"]), flow["scheduleParams"]["backfill"]) == (
        4073587200,
        False,
    )


def test_a_mapping_is_changed_and_changed_back(world: World) -> None:
    world.make_ready()
    before, flow = world.get(DATAFLOW), world.held("flows")[0]
    mark = world.mark()
    mapping = [*before["spec"]["mapping"], {"target": "_crmflowdemo.zohoId", "source": "Email"}]
    world.edit(DATAFLOW, mapping=mapping)
    ready = world.wait_ready(DATAFLOW)
    assert len(world.held("mappingSets")) == 2
    assert ready["status"]["mappingSet"]["id"] != before["status"]["mappingSet"]["id"]
    assert mapping_of(world) == ready["status"]["mappingSet"]["id"]
    calls = [(call["method"], call["path"].rpartition("/")[2]) for call in world.calls_since(mark)]
    assert calls.index(("POST", "validate")) < calls.index(("POST", "mappingSets"))

    world.edit(DATAFLOW, mapping=before["spec"]["mapping"])
    ready = world.wait_ready(DATAFLOW)
    assert ready["status"]["mappingSet"] == before["status"]["mappingSet"]
    assert mapping_of(world) == before["status"]["mappingSet"]["id"]
    assert len(world.held("mappingSets")) == 2
    assert world.held("flows")[0]["id"] == flow["id"]


def test_a_mapping_that_platform_refuses_is_named_entry_by_entry(world: World) -> None:
    world.make_ready()
    before = world.get(DATAFLOW)["spec"]["mapping"]
    flow = world.held("flows")[0]
    wrong = [{"target": "person.nme", "source": "Email"}, {"target": "_crmflowdemo.none", "value": "x"}]
    world.edit(DATAFLOW, mapping=[*before, *wrong])
    refused = world.wait_reason(DATAFLOW, "MappingValid", "MappingInvalid")
    message = condition(refused, "Ready")["message"]
    assert "refuses 2 of" in message
    for entry in wrong:
        assert f"{entry['target']}: The path {entry['target']} does not exist" in message
    assert world.held("flows")[0]["etag"] == flow["etag"]
    assert len(world.held("mappingSets")) == 1
    world.edit(DATAFLOW, mapping=before)
    world.wait_ready(DATAFLOW)
    assert world.held("flows")[0]["etag"] == flow["etag"]


NEEDS_ANOTHER_FLOW: list[tuple[str, dict[str, Any]]] = [
    ("spec.source.table", {"source": {"table": "Leads"}}),
    (
        "spec.source.columns",
        {"source": {"columns": ["Email", "First_Name", "Last_Name", "Modified_Time", "Phone"]}},
    ),
    ("spec.deltaColumn", {"deltaColumn": {"name": "Created_Time"}}),
    ("spec.target.dataset", {"target": {"dataset": {"id": "6889f4f89b982b2b90bc1208"}}}),
    ("spec.target.schema", {"target": {"schema": {"id": "https://ns.adobe.com/crmflowdemo/schemas/x"}}}),
    (
        "spec.schedule.frequency",
        {"schedule": {"frequency": "Once", "interval": None, "backfill": None}, "deltaColumn": None},
    ),
    ("spec.schedule.backfill", {"schedule": {"backfill": False}}),
    ("spec.schedule.startTime", {"schedule": {"startTime": "2099-01-01T00:00:00Z"}}),
]


@pytest.mark.parametrize(
    ("field", "change"), NEEDS_ANOTHER_FLOW, ids=[field for field, _ in NEEDS_ANOTHER_FLOW]
)
def test_an_edit_that_only_another_flow_can_have_is_said_and_heals(
    world: World, field: str, change: dict[str, Any]
) -> None:
    world.make_ready()
    world.control.advance(120)  # the flow has begun
    flow = world.held("flows")[0]
    before = world.get(DATAFLOW)["spec"]

    world.edit(DATAFLOW, **change)
    refused = world.wait_reason(DATAFLOW, "Ready", "ReplacementRequired")
    assert field in condition(refused, "Ready")["message"]
    assert condition(refused, "Stalled")["status"] == "True"
    assert world.held("flows")[0]["etag"] == flow["etag"]

    world.cluster.replace_spec(DATAFLOW, world.name_of(DATAFLOW), world.namespace, before)
    world.wait_ready(DATAFLOW)
    assert world.held("flows")[0]["etag"] == flow["etag"]


def test_another_connection_needs_another_flow(world: World) -> None:
    world.make_ready()
    world.cluster.apply(manifests.connection(world.namespace, "another"))
    world.cluster.wait_ready(CONNECTION, "another", world.namespace)
    flow = world.held("flows")[0]
    world.edit(DATAFLOW, connectionRef={"name": "another"})
    refused = world.wait_reason(DATAFLOW, "Ready", "ReplacementRequired")
    assert "spec.connectionRef" in condition(refused, "Ready")["message"]
    assert world.held("flows")[0]["etag"] == flow["etag"]
    world.edit(DATAFLOW, connectionRef={"name": manifests.CONNECTION})
    world.wait_ready(DATAFLOW)
    assert world.held("flows")[0]["etag"] == flow["etag"]


def test_the_mapping_of_a_one_time_flow_needs_another_flow(world: World) -> None:
    once = {"frequency": "Once", "interval": None, "backfill": None}
    world.make_ready(schedule=once, deltaColumn=None)
    flow, before = world.held("flows")[0], world.get(DATAFLOW)["spec"]["mapping"]
    world.edit(DATAFLOW, mapping=before[:-1])
    refused = world.wait_reason(DATAFLOW, "Ready", "ReplacementRequired")
    assert "spec.mapping" in condition(refused, "Ready")["message"]
    assert world.held("flows")[0]["etag"] == flow["etag"]
    assert len(world.held("mappingSets")) == 1
    world.edit(DATAFLOW, mapping=before)
    world.wait_ready(DATAFLOW)


DRIFT: list[tuple[str, str, dict[str, Any]]] = [
    ("flows", "flow.scheduleParams.interval", {"interval": 5}),
    ("flows", "flow.options.errorDiagnosticsEnabled", {"errorDiagnosticsEnabled": False}),
    ("sourceConnections", "source.params.columns", {"columns": [{"name": "Email", "type": "string"}]}),
    ("targetConnections", "target.params.dataSetId", {"dataSetId": "6889f4f89b982b2b90bc1208"}),
]
_PART = {"flow.scheduleParams.interval": "scheduleParams", "flow.options.errorDiagnosticsEnabled": "options"}


@pytest.mark.parametrize(("collection", "field", "change"), DRIFT, ids=[field for _, field, _ in DRIFT])
def test_what_somebody_changes_in_platform_is_put_right(
    world: World, collection: str, field: str, change: dict[str, Any]
) -> None:
    world.make_ready(ingestion={"errorDiagnostics": True})
    (remote,) = world.held(collection)
    part = _PART.get(field, "params")
    path = f"/aep/sandboxes/prod/{collection}/{remote['id']}"
    world.control.patch(path, body={part: {**remote[part], **change}})
    world.until(
        lambda: (
            world.held(collection)[0][part] == remote[part]
            and world.held(collection)[0]["state"] == "enabled"
        ),
        f"{field} is put right",
    )
    world.until(lambda: "lastDrift" in world.get(DATAFLOW)["status"], "the repair is told")
    assert world.wait_ready(DATAFLOW)["status"]["lastDrift"]["fields"] == [field]
    assert_quiet(world)


def test_a_transition_is_waited_for(world: World) -> None:
    """Somebody else's update is under way while the manifest changes."""
    world.make_ready()
    (flow,) = world.held("flows")
    world.control.patch(f"/aep/sandboxes/prod/flows/{flow['id']}", state="updating", seconds=2)
    mark = world.mark()
    world.edit(DATAFLOW, schedule={"interval": 2}, ingestion={"enabled": False})
    world.wait_reason(DATAFLOW, "Ready", "FlowSettling")
    assert changes_since(world, mark) == []
    world.control.advance(3)
    world.wait_ready(DATAFLOW)
    (flow,) = world.held("flows")
    assert (flow["state"], flow["scheduleParams"]["interval"]) == ("disabled", 2)
    assert {call["status"] for call in changes_since(world, mark)} == {200}


def test_an_unknown_state_counts_as_transitional_for_ten_minutes(world: World) -> None:
    world.make_ready()
    (flow,) = world.held("flows")
    path = f"/aep/sandboxes/prod/flows/{flow['id']}"
    world.control.patch(path, state="quarantined")
    world.wait_reason(DATAFLOW, "Ready", "FlowSettling")
    world.control.advance(601)
    stuck = world.wait_reason(DATAFLOW, "Ready", "FlowStateUnknown")
    assert '"quarantined"' in condition(stuck, "Ready")["message"]
    world.control.patch(path, state="enabled")
    world.wait_ready(DATAFLOW)


def test_columns_that_appear_are_told_and_not_taken(world: World) -> None:
    world.make_ready(source={"columns": None})
    pinned = world.get(DATAFLOW)["status"]["columns"]
    source = world.held("sourceConnections")[0]
    world.control.put(f"{FIELDS}/Shoe_Size", dataType="text")
    world.control.advance(601)  # what explore said is shared for ten minutes
    ask_for_a_look(world)
    told = world.wait_reason(DATAFLOW, "SourceReady", "ColumnsAppeared", "True")
    assert "Shoe_Size" in condition(told, "SourceReady")["message"]
    assert condition(told, "Ready")["status"] == "True"
    assert told["status"]["columns"] == pinned
    assert world.held("sourceConnections")[0]["etag"] == source["etag"]


def test_columns_that_vanish_are_a_condition_until_they_are_back(world: World) -> None:
    world.make_ready()
    flow = world.held("flows")[0]
    world.control.delete(f"{FIELDS}/Last_Name")
    world.control.advance(601)
    ask_for_a_look(world)
    gone = world.wait_reason(DATAFLOW, "SourceReady", "ColumnsVanished")
    assert "Last_Name" in condition(gone, "Ready")["message"]
    world.edit(DATAFLOW, ingestion={"enabled": False})
    world.until(lambda: world.held("flows")[0]["state"] == "disabled", "the flow can still be disabled")
    assert world.held("flows")[0]["id"] == flow["id"]

    world.control.put(f"{FIELDS}/Last_Name")
    world.control.advance(601)
    ask_for_a_look(world)
    world.wait_ready(DATAFLOW)


def test_a_dataflow_waits_for_its_connection_and_starts_at_once(world: World) -> None:
    world.apply_dataflow()
    world.wait_reason(DATAFLOW, "SourceReady", "ConnectionNotFound")
    world.apply_connection()
    world.wait_reason(DATAFLOW, "SourceReady", "ConnectionNotReady")
    mark = world.mark()
    assert world.calls_since(mark) == []
    world.apply_secrets()
    world.wait_ready(CONNECTION)
    world.wait_ready(DATAFLOW, seconds=10)  # far below the net of five minutes


def test_a_connection_that_fails_and_heals_flaps_its_dataflows_once(world: World) -> None:
    world.make_ready()
    seen = [True]

    def watch() -> str:
        ready = condition(world.get(DATAFLOW), "Ready")
        assert ready
        if (ready["status"] == "True") is not seen[-1]:
            seen.append(ready["status"] == "True")
        return str(ready["reason"])

    world.cluster.delete("Secret", manifests.PLATFORM_SECRET, world.namespace)
    world.wait_reason(CONNECTION, "Ready", "SecretNotFound")
    world.until(lambda: watch() == "ConnectionNotReady", "the dataflow waits")
    for name in ("One", "Two"):  # the connection goes on failing, each time in another generation
        world.edit(CONNECTION, displayName=name)
        world.wait_reason(CONNECTION, "Ready", "SecretNotFound")
        assert watch() == "ConnectionNotReady"
    world.apply_secrets()
    world.until(lambda: watch() == "Succeeded", "the dataflow is Ready again")
    looks = world.metric("crmflow_reconcile_total", kind=DATAFLOW)
    ask_for_a_look(world)
    world.until(lambda: world.metric("crmflow_reconcile_total", kind=DATAFLOW) > looks, "another look")
    watch()
    assert seen == [True, False, True]


def ask_for_a_look(world: World) -> None:
    """Have everything compared now."""
    name = world.name_of(DATAFLOW)
    world.cluster.annotate(DATAFLOW, name, world.namespace, reconcile_requested_at=str(world.mark()))


def mapping_of(world: World) -> str:
    """The mapping set that the flow uses."""
    (flow,) = world.held("flows")
    entry = next(each for each in flow["transformations"] if each["name"] == "Mapping")
    mapping_id: str = entry["params"]["mappingId"]
    return mapping_id


def changes_since(world: World, mark: int) -> list[Object]:
    """The calls to Platform that change something."""
    return [
        call for call in world.calls_since(mark) if call["method"] != "GET" and call["service"] == "platform"
    ]


def assert_quiet(world: World) -> None:
    """Another complete comparison changes nothing."""
    before, mark = world.get(DATAFLOW), world.mark()
    looks = world.metric("crmflow_reconcile_total", kind=DATAFLOW)
    world.cluster.annotate(DATAFLOW, world.name_of(DATAFLOW), world.namespace, reconcile_requested_at="now")
    world.until(
        lambda: world.metric("crmflow_reconcile_total", kind=DATAFLOW) > looks, "it is looked at again"
    )
    after = world.wait_ready(DATAFLOW)
    assert changes_since(world, mark) == []
    for status in (before["status"], after["status"]):
        status.pop("lastHandledReconcileAt", None)
    assert after["status"] == before["status"]
