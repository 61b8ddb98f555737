"""A dataflow whose change only another flow can have: the plan, its approval, and what becomes of both."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

import pytest

from tests.kit.cluster import Object, condition
from tests.kit.landing_zone import COLUMNS, HOUR, STRIDE_SECONDS, Contacts, Windows
from tests.kit.person import Rule
from tests.kit.plugin import READ_CONNECTIONS, Plugin
from tests.kit.tenant import CONNECTION, DATAFLOW, ONE_OF_EACH, Tenant

APPROVE = "crmflow.io/approve-plan"
PATCH_DATAFLOWS: Rule = {"apiGroups": ["crmflow.io"], "resources": ["crmdataflows"], "verbs": ["patch"]}


def planned(tenant: Tenant, **change: Any) -> Object:
    """The plan in status, once the spec is edited."""
    tenant.edit(DATAFLOW, **change)
    refused = tenant.wait_reason(DATAFLOW, "Ready", "ReplacementRequired")
    plan: Object = refused["status"]["plan"]
    assert plan["hash"] in condition(refused, "Ready")["message"]
    assert plan["state"] == "WaitingForApproval"
    return plan


def approve(tenant: Tenant, plan: Object) -> None:
    metadata = {"metadata": {"annotations": {APPROVE: plan["hash"]}}}
    tenant.cluster.patch(DATAFLOW, tenant.name_of(DATAFLOW), tenant.namespace, metadata)


def ran(tenant: Tenant, flow: str, **outcome: Any) -> None:
    tenant.control.post("/aep/runs", flowId=flow, state="success", **outcome)


def until_replaced(tenant: Tenant, old: str, *, advance: bool = False) -> Object:
    """The dataflow, once the flow before is gone and its names are taken. ``advance`` lets time pass."""

    def is_over(obj: Object) -> bool:
        status = obj["status"]
        if advance:
            tenant.control.advance(STRIDE_SECONDS)
        return status.get("flow", {}).get("id") not in (None, old) and "predecessor" not in status

    name, namespace = tenant.name_of(DATAFLOW), tenant.namespace
    return tenant.cluster.wait(DATAFLOW, name, namespace, is_over, what="the successor alone", seconds=60)


def test_another_delta_column_is_handed_over_at_a_run(tenant: Tenant) -> None:
    tenant.make_ready()
    tenant.control.advance(120)  # the flow has begun
    old = tenant.held("flows")[0]["id"]
    keys = sorted(object_["name"] for object_ in tenant.held("flows"))
    ran(tenant, old)
    plan = planned(tenant, deltaColumn={"name": "Created_Time"})
    assert plan["reads"]["begin"] == "NextRun"
    assert len(tenant.held("flows")) == 1
    approve(tenant, plan)
    tenant.wait_reason(DATAFLOW, "Synced", "Replacing", "True")
    both = {flow["id"]: flow for flow in tenant.held("flows")}
    assert len(both) == 2
    new = tenant.get(DATAFLOW)["status"]["flow"]["id"]
    assert both[old]["state"] == both[new]["state"] == "enabled"
    handover = tenant.get(DATAFLOW)["status"]["schedule"]["effectiveStartTime"]
    start = both[old]["scheduleParams"]["startTime"]
    assert (datetime.fromisoformat(handover).timestamp() - int(start)) % 3600 == 0

    tenant.control.advance(3600)
    ran(tenant, old)
    ran(tenant, new)
    until_replaced(tenant, old)
    tenant.wait_ready(DATAFLOW)
    assert tenant.counts() == ONE_OF_EACH
    tenant.until(lambda: sorted(flow["name"] for flow in tenant.held("flows")) == keys, "the names")


def test_a_revert_takes_the_successor_back(tenant: Tenant) -> None:
    tenant.make_ready()
    tenant.control.advance(120)
    old = tenant.held("flows")[0]
    ran(tenant, old["id"])
    before = tenant.get(DATAFLOW)["spec"]
    approve(tenant, planned(tenant, deltaColumn={"name": "Created_Time"}))
    tenant.wait_reason(DATAFLOW, "Synced", "Replacing", "True")
    tenant.cluster.replace_spec(DATAFLOW, tenant.name_of(DATAFLOW), tenant.namespace, before)
    tenant.until(lambda: len(tenant.held("flows")) == 1, "one flow")
    ready = tenant.wait_ready(DATAFLOW)
    assert (ready["status"]["flow"]["id"], tenant.held("flows")[0]["etag"]) == (old["id"], old["etag"])
    assert tenant.counts() == ONE_OF_EACH


@pytest.mark.usefixtures("node")
def test_a_flow_of_a_withdrawn_source_moves_to_the_landing_zone(zone: Tenant) -> None:
    zone.apply_connection()
    zone.apply_dataflow(source={"columns": COLUMNS})
    zone.wait_ready(DATAFLOW)
    zone.control.advance(120)
    old = zone.held("flows")[0]["id"]
    ran(zone, old)
    zone.control.switch("aep", zohoSource="withdrawn")
    plan = planned(zone, transport="LandingZone")
    assert plan["reads"]["begin"] == "Predecessor"
    approve(zone, plan)
    moved = until_replaced(zone, old)
    assert moved["status"]["transport"] == "LandingZone"
    zone.wait_ready(DATAFLOW)
    assert [flow["id"] for flow in zone.held("flows")] == [moved["status"]["flow"]["id"]]
    connection = zone.get(CONNECTION)
    assert {entry["type"] for entry in connection["status"]["conditions"]} >= {"LandingZoneReady"}


# What Platform has ingested over it, compared with Zoho CRM


def ingesting(tenant: Tenant, **switches: Any) -> tuple[Contacts, str]:
    """A flow of Platform's own source that has read what there is; Zoho's contacts, and the flow's id."""
    tenant.control.switch("aep", sourceRuns="ingest", **switches)
    tenant.apply_connection()
    tenant.apply_dataflow(source={"columns": COLUMNS})
    ready = tenant.wait_ready(DATAFLOW, seconds=40)
    contacts = Contacts(tenant)
    until_run(tenant, ready["status"]["schedule"]["effectiveStartTime"])
    tenant.until(lambda: contacts.all_arrived, "the first load")
    return contacts, ready["status"]["flow"]["id"]


def until_run(tenant: Tenant, time: str) -> None:
    """Let time pass until the run of that time has ended, and can be seen."""
    now = tenant.control.get("/clock")["now"]
    tenant.control.advance(max(0.0, datetime.fromisoformat(time).timestamp() + 600 - now))


def doubled(contacts: Contacts) -> list[tuple[str, datetime]]:
    """What Platform has ingested more than once: id and Modified_Time."""
    counts = Counter(contacts.ingested)
    return [(id, datetime.fromisoformat(time)) for (id, time), count in counts.items() if count > 1]


def next_run(tenant: Tenant) -> None:
    tenant.control.advance(3600)


@pytest.mark.usefixtures("node")
@pytest.mark.parametrize("windows", ["shown", "absent"])
def test_a_move_to_the_landing_zone_misses_nothing_and_doubles_what_the_plan_says(
    zone: Tenant, windows: str
) -> None:
    contacts, old = ingesting(zone, runWindows=windows)
    contacts.create(3)
    next_run(zone)
    zone.until(lambda: contacts.all_arrived, "the hour before the move")
    contacts.check()
    contacts.create(4)
    zone.control.switch("aep", zohoSource="withdrawn")
    plan = planned(zone, transport="LandingZone")
    assert plan["reads"]["begin"] == "Predecessor"
    assert ("twice" in plan["reads"]) is (windows == "absent")
    approve(zone, plan)
    moved = until_replaced(zone, old, advance=True)
    contacts.create(2)
    flow = Windows(zone, moved)
    for _ in range(2):
        flow.open_next()
        flow.wait_file()
        flow.ingest()
    zone.until(lambda: contacts.all_arrived, "what came before and after the move")
    since = datetime.fromisoformat(plan["reads"]["since"])
    assert [row for row in doubled(contacts) if row[1] < since or windows == "shown"] == []
    assert [held["id"] for held in zone.held("flows")] == [moved["status"]["flow"]["id"]]
    zone.until(lambda: not zone.held("connections"), "the base connection, which nobody needs, to go")


@pytest.mark.parametrize("first", ["start", "period"])
def test_a_run_that_hands_over_misses_nothing_and_doubles_what_the_plan_says(
    tenant: Tenant, first: str
) -> None:
    tenant.apply_secrets()
    contacts, old = ingesting(tenant, firstWindow=first)
    contacts.create(3)
    next_run(tenant)
    contacts.create(4)
    plan = planned(tenant, deltaColumn={"name": "Created_Time"})
    assert "twice" in plan["reads"]
    approve(tenant, plan)
    beside = tenant.wait_reason(DATAFLOW, "Synced", "Replacing", "True")
    handover = beside["status"]["schedule"]["effectiveStartTime"]
    contacts.create(2)
    next_run(tenant)
    contacts.create(5)
    until_replaced(tenant, old, advance=True)
    next_run(tenant)
    tenant.until(lambda: contacts.all_arrived, "what came before and after")
    end = datetime.fromisoformat(handover)
    said = [row for row in doubled(contacts) if end - HOUR <= row[1] <= end]
    assert doubled(contacts) == (said if first == "period" else [])
    assert tenant.counts() == ONE_OF_EACH


def test_the_plugin_approves_what_it_shows(tenant: Tenant, plugin: Plugin) -> None:
    tenant.make_ready()
    name = tenant.name_of(DATAFLOW)
    none = plugin("approve", name)
    assert (none.status, none.stdout, "no plan to approve" in none.stderr) == (1, "", True)
    tenant.control.advance(120)
    old = tenant.held("flows")[0]["id"]
    ran(tenant, old)
    plan = planned(tenant, deltaColumn={"name": "Created_Time"})

    unasked = plugin("approve", name)
    assert (unasked.status, "--yes" in unasked.stderr) == (1, True)
    assert ["delete", "flow", old] in unasked.lines
    plugin.give_rights(READ_CONNECTIONS)
    refused = plugin("approve", name, "--yes")
    assert (refused.status, "403" in refused.stderr) == (1, True)
    assert "annotations" not in tenant.get(DATAFLOW)["metadata"]

    plugin.give_rights(READ_CONNECTIONS, PATCH_DATAFLOWS)
    other = plugin("approve", name, "--plan", "0123456789ab")
    assert (other.status, plan["hash"] in other.stderr) == (1, True)
    assert "annotations" not in tenant.get(DATAFLOW)["metadata"]
    approved = plugin("approve", name, "--plan", plan["hash"])
    assert (approved.status, plan["hash"] in approved.stdout) == (0, True)
    assert tenant.get(DATAFLOW)["metadata"]["annotations"] == {APPROVE: plan["hash"]}
    tenant.wait_reason(DATAFLOW, "Synced", "Replacing", "True")
    again = plugin("approve", name)
    assert (again.status, "is in progress" in again.stderr) == (0, True)
