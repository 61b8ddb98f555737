"""What is done about a dataflow whose manifest, or whose remote side, changes while it is Ready."""

from __future__ import annotations

from typing import Any

import pytest

from tests.kit import manifests
from tests.kit.cluster import Object, condition
from tests.kit.tenant import CONNECTION, DATAFLOW, ONE_OF_EACH, Tenant

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
    tenant: Tenant, change: dict[str, Any], path: tuple[str, str], value: Any
) -> None:
    tenant.make_ready()
    flow = tenant.held("flows")[0]
    tenant.edit(DATAFLOW, **change)
    tenant.wait_ready(DATAFLOW)
    (changed,) = tenant.held("flows")
    assert (changed["id"], changed["state"]) == (flow["id"], "enabled")
    assert changed[path[0]][path[1]] == value
    assert tenant.counts() == ONE_OF_EACH
    assert_quiet(tenant)


def test_a_flow_that_has_not_begun_begins_otherwise(tenant: Tenant) -> None:
    tenant.make_ready(schedule={"startTime": "2099-01-01T00:00:00Z"})
    tenant.edit(DATAFLOW, schedule={"startTime": "2099-02-01T00:00:00Z", "backfill": False})
    ready = tenant.wait_ready(DATAFLOW)
    assert ready["status"]["schedule"]["effectiveStartTime"] == "2099-02-01T00:00:00Z"
    (flow,) = tenant.held("flows")
    assert (int(flow["scheduleParams"]["startTime"]), flow["scheduleParams"]["backfill"]) == (
        4073587200,
        False,
    )


def test_a_mapping_is_changed_and_changed_back(tenant: Tenant) -> None:
    tenant.make_ready()
    before, flow = tenant.get(DATAFLOW), tenant.held("flows")[0]
    mark = tenant.mark()
    mapping = [*before["spec"]["mapping"], {"target": "_crmflowdemo.zohoId", "source": "Email"}]
    tenant.edit(DATAFLOW, mapping=mapping)
    ready = tenant.wait_ready(DATAFLOW)
    assert len(tenant.held("mappingSets")) == 2
    assert ready["status"]["mappingSet"]["id"] != before["status"]["mappingSet"]["id"]
    assert mapping_of(tenant) == ready["status"]["mappingSet"]["id"]
    calls = [(call["method"], call["path"].rpartition("/")[2]) for call in tenant.calls_since(mark)]
    assert calls.index(("POST", "validate")) < calls.index(("POST", "mappingSets"))

    tenant.edit(DATAFLOW, mapping=before["spec"]["mapping"])
    ready = tenant.wait_ready(DATAFLOW)
    assert ready["status"]["mappingSet"] == before["status"]["mappingSet"]
    assert mapping_of(tenant) == before["status"]["mappingSet"]["id"]
    assert len(tenant.held("mappingSets")) == 2
    assert tenant.held("flows")[0]["id"] == flow["id"]


def test_a_mapping_that_platform_refuses_is_named_entry_by_entry(tenant: Tenant) -> None:
    tenant.make_ready()
    before = tenant.get(DATAFLOW)["spec"]["mapping"]
    flow = tenant.held("flows")[0]
    wrong = [{"target": "person.nme", "source": "Email"}, {"target": "_crmflowdemo.none", "value": "x"}]
    tenant.edit(DATAFLOW, mapping=[*before, *wrong])
    refused = tenant.wait_reason(DATAFLOW, "MappingValid", "MappingInvalid")
    message = condition(refused, "Ready")["message"]
    assert "refuses 2 of" in message
    for entry in wrong:
        assert f"{entry['target']}: The path {entry['target']} does not exist" in message
    assert tenant.held("flows")[0]["etag"] == flow["etag"]
    assert len(tenant.held("mappingSets")) == 1
    tenant.edit(DATAFLOW, mapping=before)
    tenant.wait_ready(DATAFLOW)
    assert tenant.held("flows")[0]["etag"] == flow["etag"]


NEEDS_ANOTHER_FLOW: list[tuple[str, dict[str, Any]]] = [
    ("spec.source.table", {"source": {"table": "Leads"}}),
    (
        "spec.source.columns",
        {"source": {"columns": ["Email", "First_Name", "Last_Name", "Modified_Time", "Phone"]}},
    ),
    ("spec.deltaColumn", {"deltaColumn": {"name": "Created_Time"}}),
    ("spec.target.dataset", {"target": {"dataset": {"id": "6889f4f89b982b2b90bc1208"}}}),
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
    tenant: Tenant, field: str, change: dict[str, Any]
) -> None:
    tenant.make_ready()
    tenant.control.advance(120)  # the flow has begun
    flow = tenant.held("flows")[0]
    before = tenant.get(DATAFLOW)["spec"]

    tenant.edit(DATAFLOW, **change)
    refused = tenant.wait_reason(DATAFLOW, "Ready", "ReplacementRequired")
    assert field in condition(refused, "Ready")["message"]
    assert condition(refused, "Stalled")["status"] == "True"
    assert tenant.held("flows")[0]["etag"] == flow["etag"]

    tenant.cluster.replace_spec(DATAFLOW, tenant.name_of(DATAFLOW), tenant.namespace, before)
    tenant.wait_ready(DATAFLOW)
    assert tenant.held("flows")[0]["etag"] == flow["etag"]


def test_an_edit_that_no_flow_can_have_leaves_the_one_that_exists(tenant: Tenant) -> None:
    tenant.make_ready()
    flow = tenant.held("flows")[0]
    before = tenant.get(DATAFLOW)["spec"]
    tenant.edit(DATAFLOW, target={"schema": {"id": "https://ns.adobe.com/crmflowdemo/schemas/x"}})
    refused = tenant.wait_reason(DATAFLOW, "Ready", "SchemaNotFound")
    assert "which goes on as it is" in condition(refused, "Ready")["message"]
    assert tenant.held("flows")[0]["etag"] == flow["etag"]
    tenant.cluster.replace_spec(DATAFLOW, tenant.name_of(DATAFLOW), tenant.namespace, before)
    tenant.wait_ready(DATAFLOW)


def test_another_connection_needs_another_flow(tenant: Tenant) -> None:
    tenant.make_ready()
    tenant.cluster.apply(manifests.connection(tenant.namespace, "another"))
    tenant.cluster.wait_ready(CONNECTION, "another", tenant.namespace)
    flow = tenant.held("flows")[0]
    tenant.edit(DATAFLOW, connectionRef={"name": "another"})
    refused = tenant.wait_reason(DATAFLOW, "Ready", "ReplacementRequired")
    assert "spec.connectionRef" in condition(refused, "Ready")["message"]
    assert tenant.held("flows")[0]["etag"] == flow["etag"]
    tenant.edit(DATAFLOW, connectionRef={"name": manifests.CONNECTION})
    tenant.wait_ready(DATAFLOW)
    assert tenant.held("flows")[0]["etag"] == flow["etag"]


def test_the_mapping_of_a_one_time_flow_needs_another_flow(tenant: Tenant) -> None:
    once = {"frequency": "Once", "interval": None, "backfill": None}
    tenant.make_ready(schedule=once, deltaColumn=None)
    flow, before = tenant.held("flows")[0], tenant.get(DATAFLOW)["spec"]["mapping"]
    tenant.edit(DATAFLOW, mapping=before[:-1])
    refused = tenant.wait_reason(DATAFLOW, "Ready", "ReplacementRequired")
    assert "spec.mapping" in condition(refused, "Ready")["message"]
    assert tenant.held("flows")[0]["etag"] == flow["etag"]
    assert len(tenant.held("mappingSets")) == 1
    tenant.edit(DATAFLOW, mapping=before)
    tenant.wait_ready(DATAFLOW)


DRIFT: list[tuple[str, str, dict[str, Any]]] = [
    ("flows", "flow.scheduleParams.interval", {"interval": 5}),
    ("flows", "flow.options.errorDiagnosticsEnabled", {"errorDiagnosticsEnabled": False}),
    ("sourceConnections", "source.params.columns", {"columns": [{"name": "Email", "type": "string"}]}),
    ("targetConnections", "target.params.dataSetId", {"dataSetId": "6889f4f89b982b2b90bc1208"}),
]
_PART = {"flow.scheduleParams.interval": "scheduleParams", "flow.options.errorDiagnosticsEnabled": "options"}


@pytest.mark.parametrize(("collection", "field", "change"), DRIFT, ids=[field for _, field, _ in DRIFT])
def test_what_somebody_changes_in_platform_is_put_right(
    tenant: Tenant, collection: str, field: str, change: dict[str, Any]
) -> None:
    tenant.make_ready(ingestion={"errorDiagnostics": True})
    (remote,) = tenant.held(collection)
    part = _PART.get(field, "params")
    path = f"/aep/sandboxes/prod/{collection}/{remote['id']}"
    tenant.control.patch(path, body={part: {**remote[part], **change}})
    tenant.until(
        lambda: (
            tenant.held(collection)[0][part] == remote[part]
            and tenant.held(collection)[0]["state"] == "enabled"
        ),
        f"{field} is put right",
    )
    tenant.until(lambda: "lastDrift" in tenant.get(DATAFLOW)["status"], "the repair is told")
    assert tenant.wait_ready(DATAFLOW)["status"]["lastDrift"]["fields"] == [field]
    assert_quiet(tenant)


def test_a_transition_is_waited_for(tenant: Tenant) -> None:
    """Somebody else's update is under way while the manifest changes."""
    tenant.make_ready()
    (flow,) = tenant.held("flows")
    tenant.control.patch(f"/aep/sandboxes/prod/flows/{flow['id']}", state="updating", seconds=2)
    mark = tenant.mark()
    tenant.edit(DATAFLOW, schedule={"interval": 2}, ingestion={"enabled": False})
    tenant.wait_reason(DATAFLOW, "Ready", "FlowSettling")
    assert changes_since(tenant, mark) == []
    tenant.control.advance(3)
    tenant.wait_ready(DATAFLOW)
    (flow,) = tenant.held("flows")
    assert (flow["state"], flow["scheduleParams"]["interval"]) == ("disabled", 2)
    assert {call["status"] for call in changes_since(tenant, mark)} == {200}


def test_an_unknown_state_counts_as_transitional_for_ten_minutes(tenant: Tenant) -> None:
    tenant.make_ready()
    (flow,) = tenant.held("flows")
    path = f"/aep/sandboxes/prod/flows/{flow['id']}"
    tenant.control.patch(path, state="quarantined")
    tenant.wait_reason(DATAFLOW, "Ready", "FlowSettling")
    tenant.control.advance(601)
    stuck = tenant.wait_reason(DATAFLOW, "Ready", "FlowStateUnknown")
    assert '"quarantined"' in condition(stuck, "Ready")["message"]
    tenant.control.patch(path, state="enabled")
    tenant.wait_ready(DATAFLOW)


def test_columns_that_appear_are_told_and_not_taken(tenant: Tenant) -> None:
    tenant.make_ready(source={"columns": None})
    pinned = tenant.get(DATAFLOW)["status"]["columns"]
    source = tenant.held("sourceConnections")[0]
    tenant.control.put(f"{FIELDS}/Shoe_Size", dataType="text")
    tenant.control.advance(601)  # what explore said is shared for ten minutes
    ask_for_a_look(tenant)
    told = tenant.wait_reason(DATAFLOW, "SourceReady", "ColumnsAppeared", "True")
    assert "Shoe_Size" in condition(told, "SourceReady")["message"]
    assert condition(told, "Ready")["status"] == "True"
    assert told["status"]["columns"] == pinned
    assert tenant.held("sourceConnections")[0]["etag"] == source["etag"]


def test_columns_that_vanish_are_a_condition_until_they_are_back(tenant: Tenant) -> None:
    tenant.make_ready()
    flow = tenant.held("flows")[0]
    tenant.control.delete(f"{FIELDS}/Last_Name")
    tenant.control.advance(601)
    ask_for_a_look(tenant)
    gone = tenant.wait_reason(DATAFLOW, "SourceReady", "ColumnsVanished")
    assert "Last_Name" in condition(gone, "Ready")["message"]
    tenant.edit(DATAFLOW, ingestion={"enabled": False})
    tenant.until(lambda: tenant.held("flows")[0]["state"] == "disabled", "the flow can still be disabled")
    assert tenant.held("flows")[0]["id"] == flow["id"]

    tenant.control.put(f"{FIELDS}/Last_Name")
    tenant.control.advance(601)
    ask_for_a_look(tenant)
    tenant.wait_ready(DATAFLOW)


def test_a_dataflow_waits_for_its_connection_and_starts_at_once(tenant: Tenant) -> None:
    tenant.apply_dataflow()
    tenant.wait_reason(DATAFLOW, "SourceReady", "ConnectionNotFound")
    tenant.apply_connection()
    tenant.wait_reason(DATAFLOW, "SourceReady", "ConnectionNotReady")
    mark = tenant.mark()
    assert tenant.calls_since(mark) == []
    tenant.apply_secrets()
    tenant.wait_ready(CONNECTION)
    tenant.wait_ready(DATAFLOW, seconds=10)  # far below the net of five minutes


def test_a_connection_that_fails_and_heals_flaps_its_dataflows_once(tenant: Tenant) -> None:
    tenant.make_ready()
    seen = [True]

    def watch() -> str:
        ready = condition(tenant.get(DATAFLOW), "Ready")
        assert ready
        if (ready["status"] == "True") is not seen[-1]:
            seen.append(ready["status"] == "True")
        return str(ready["reason"])

    tenant.cluster.delete("Secret", manifests.PLATFORM_SECRET, tenant.namespace)
    tenant.wait_reason(CONNECTION, "Ready", "SecretNotFound")
    tenant.until(lambda: watch() == "ConnectionNotReady", "the dataflow waits")
    for name in ("One", "Two"):  # the connection goes on failing, each time in another generation
        tenant.edit(CONNECTION, displayName=name)
        tenant.wait_reason(CONNECTION, "Ready", "SecretNotFound")
        assert watch() == "ConnectionNotReady"
    tenant.apply_secrets()
    tenant.until(lambda: watch() == "Succeeded", "the dataflow is Ready again")
    looks = tenant.metric("crmflow_reconcile_total", kind=DATAFLOW)
    ask_for_a_look(tenant)
    tenant.until(lambda: tenant.metric("crmflow_reconcile_total", kind=DATAFLOW) > looks, "another look")
    watch()
    assert seen == [True, False, True]


def ask_for_a_look(tenant: Tenant) -> None:
    """Have everything compared now."""
    name = tenant.name_of(DATAFLOW)
    tenant.cluster.annotate(DATAFLOW, name, tenant.namespace, reconcile_requested_at=str(tenant.mark()))


def mapping_of(tenant: Tenant) -> str:
    """The mapping set that the flow uses."""
    (flow,) = tenant.held("flows")
    entry = next(each for each in flow["transformations"] if each["name"] == "Mapping")
    mapping_id: str = entry["params"]["mappingId"]
    return mapping_id


def changes_since(tenant: Tenant, mark: int) -> list[Object]:
    """The calls to Platform that change something."""
    return [
        call for call in tenant.calls_since(mark) if call["method"] != "GET" and call["service"] == "platform"
    ]


def assert_quiet(tenant: Tenant) -> None:
    """Another complete comparison changes nothing."""
    before, mark = tenant.get(DATAFLOW), tenant.mark()
    looks = tenant.metric("crmflow_reconcile_total", kind=DATAFLOW)
    tenant.cluster.annotate(
        DATAFLOW, tenant.name_of(DATAFLOW), tenant.namespace, reconcile_requested_at="now"
    )
    tenant.until(
        lambda: tenant.metric("crmflow_reconcile_total", kind=DATAFLOW) > looks, "it is looked at again"
    )
    after = tenant.wait_ready(DATAFLOW)
    assert changes_since(tenant, mark) == []
    for status in (before["status"], after["status"]):
        status.pop("lastHandledReconcileAt", None)
    assert after["status"] == before["status"]
