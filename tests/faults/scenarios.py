"""What the operator, or a Job of it, is doing when it dies. A scenario is one declaration: how to get there,
what happens then, and when that is over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from tests.faults.bench import POLL_SECONDS, home_of
from tests.faults.outcome import Difference
from tests.kit.cluster import OUR_KINDS, Object, condition
from tests.kit.landing_zone import (
    COLUMNS,
    LAG,
    NOTHING_LEFT,
    SHOWS,
    Contacts,
    Transfers,
    Windows,
    grant_reads,
)
from tests.kit.runs import ONCE, RUN, RUN_NAME, DataflowRuns
from tests.kit.tenant import CONNECTION, DATAFLOW, ONE_OF_EACH, Tenant

TARGET = {
    "schema": {
        "id": None,
        "title": "Contacts of ours",
        "create": {
            "class": "https://ns.adobe.com/xdm/context/profile",
            "fieldGroups": ["https://ns.adobe.com/xdm/context/profile-personal-details"],
            "primaryIdentity": {"path": "personalEmail.address", "namespace": "Email"},
            "enableForProfileIrreversibly": True,
        },
    },
    "dataset": {"id": None, "name": "Contacts of ours", "create": {"profile": True}},
}
MAPPING = [{"target": "personalEmail.address", "source": "Email"}]

Act = Callable[[Tenant], None]

SPARE = frozenset({Difference.SPARE_MAPPING_SET})
LOST = frozenset({Difference.REQUEST_LOST})
DRIFT = frozenset({Difference.DRIFT_TOLD_OTHERWISE})
BY_HAND = "Edited by hand"
_PREPARED_SECONDS = 90.0
"""On a busy machine a pod takes long to start."""


@dataclass(frozen=True)
class Scenario:
    """``prepare`` runs undisturbed; ``act`` starts what the operator is killed in, and waits for nothing."""

    name: str
    act: Act
    finished: Callable[[Tenant], bool]
    """Of the run without a crash: whether the operator has done everything."""
    prepare: Act = Tenant.make_ready
    may_differ: frozenset[Difference] = frozenset()
    """What a crash may change; time and Events always may."""
    stride: float = 61.0
    """How far the clock moves, in seconds, while everybody waits: beyond a create's grace."""
    limit: float = 60.0
    """Seconds that a run may take to get where it leads."""


def _create(tenant: Tenant) -> None:
    tenant.apply_secrets()
    tenant.apply_connection()
    tenant.apply_dataflow()


def _leave(tenant: Tenant) -> None:
    """Both resources go, and what they stood for stays."""
    _to_be_left(tenant)
    for kind in OUR_KINDS:
        tenant.delete(kind)
        tenant.wait_gone(kind)


def _to_be_left(tenant: Tenant) -> None:
    tenant.make_ready()
    for kind in OUR_KINDS:
        tenant.edit(kind, deletionPolicy="Orphan")
        tenant.wait_ready(kind)


def _adopt(tenant: Tenant) -> None:
    tenant.apply_connection(connectionId=tenant.held("connections")[0]["id"])
    tenant.apply_dataflow(flowId=tenant.held("flows")[0]["id"], schedule={"interval": 6})


def _edit(tenant: Tenant) -> None:
    for kind in OUR_KINDS:
        tenant.edit(kind, displayName="Renamed", description="Told anew.")


def _create_target(tenant: Tenant) -> None:
    """Schema and dataset are missing, and created with all that belongs to them."""
    tenant.apply_secrets()
    tenant.apply_connection()
    tenant.apply_dataflow(target=TARGET, mapping=MAPPING)


def _edit_mapping(tenant: Tenant) -> None:
    tenant.edit(DATAFLOW, mapping=MAPPING)


def _edit_schedule(tenant: Tenant) -> None:
    tenant.edit(DATAFLOW, schedule={"interval": 3}, ingestion={"errorDiagnostics": True})


def _enable(tenant: Tenant) -> None:
    tenant.edit(DATAFLOW, ingestion={"enabled": True})


def _disabled(tenant: Tenant) -> None:
    tenant.make_ready(ingestion={"enabled": False})


def _disable(tenant: Tenant) -> None:
    tenant.edit(DATAFLOW, ingestion={"enabled": False})


def _delete(tenant: Tenant) -> None:
    for kind in OUR_KINDS:
        tenant.delete(kind)


def _lose(collection: str) -> Act:
    """Somebody deletes what Platform holds of a kind."""

    def act(tenant: Tenant) -> None:
        (remote,) = tenant.held(collection)
        tenant.control.delete(f"/aep/sandboxes/prod/{collection}/{remote['id']}")

    return act


def _edit_by_hand(tenant: Tenant) -> None:
    """Somebody renames everything, but for the lookup key, and describes it anew."""
    for collection in ONE_OF_EACH:
        (remote,) = tenant.held(collection)
        name: str = remote["name"]
        edited = {"name": f"{BY_HAND} {name[name.index('[') :]}", "description": BY_HAND}
        tenant.control.patch(f"/aep/sandboxes/prod/{collection}/{remote['id']}", body=edited)


def _nothing(tenant: Tenant) -> None:
    """There is nothing to prepare."""


def _are_ready(tenant: Tenant) -> bool:
    return all(_is_ready(tenant.get(kind)) for kind in OUR_KINDS)


def _is_ready(obj: Object) -> bool:
    ready = condition(obj, "Ready")
    generation = obj["metadata"]["generation"]
    return ready is not None and ready["status"] == "True" and ready["observedGeneration"] == generation


def _are_gone(tenant: Tenant) -> bool:
    return all(
        tenant.cluster.find(kind, tenant.name_of(kind), tenant.namespace) is None for kind in OUR_KINDS
    )


def _is_whole(tenant: Tenant) -> bool:
    """Both are Ready, and what their status names is there."""
    if tenant.counts() != ONE_OF_EACH or not _are_ready(tenant):
        return False
    flow, connection = tenant.held("flows")[0], tenant.held("connections")[0]
    return bool(
        tenant.get(DATAFLOW)["status"]["flow"]["id"] == flow["id"]
        and tenant.get(CONNECTION)["status"]["baseConnection"]["id"] == connection["id"]
    )


def _is_as_declared(tenant: Tenant) -> bool:
    held = [remote for collection in ONE_OF_EACH for remote in tenant.held(collection)]
    edited = [remote for remote in held if BY_HAND in remote["name"] + remote["description"]]
    return not edited and _are_ready(tenant)


def _is_disabled(tenant: Tenant) -> bool:
    return tenant.held("flows")[0]["state"] == "disabled" and _are_ready(tenant)


# Through the landing zone


def _open_zone(tenant: Tenant) -> None:
    grant_reads(tenant)
    tenant.apply_connection(transport="LandingZone")


def _opened_zone(tenant: Tenant) -> None:
    _open_zone(tenant)
    tenant.wait_ready(CONNECTION, seconds=_PREPARED_SECONDS)


def _bulk_read_in_parts(tenant: Tenant) -> None:
    """The contacts are three files of Bulk Read, which are there at once."""
    _opened_zone(tenant)
    tenant.control.switch("zoho", bulkPageRows=60, bulkSeconds=0)


def _extract(tenant: Tenant) -> None:
    """All contacts there are."""
    tenant.apply_dataflow(source={"columns": COLUMNS})


def _follow_changes(tenant: Tenant) -> None:
    """What was there before is not wanted."""
    _opened_zone(tenant)
    tenant.apply_dataflow(source={"columns": COLUMNS}, schedule={"backfill": False})
    tenant.wait_ready(DATAFLOW, seconds=_PREPARED_SECONDS)


def _change_contacts(tenant: Tenant) -> None:
    """Some, and the window that they are in begins to be read."""
    Contacts(tenant).edit()
    Windows(tenant, tenant.get(DATAFLOW)).open_next()


def _write_window(tenant: Tenant) -> None:
    """There is a file that no run took yet."""
    _follow_changes(tenant)
    _change_contacts(tenant)
    tenant.until(lambda: _has_file(tenant), "the file of a window", seconds=_PREPARED_SECONDS)


def _has_file(tenant: Tenant) -> bool:
    """Without a move of the clock: the file has to be there well before its tick."""
    pending = tenant.get(DATAFLOW)["status"].get("pendingWindows", ())
    return any("file" in window for window in pending)


def _fail_run(tenant: Tenant) -> None:
    """The run that takes it fails; done again, it works."""
    tenant.control.switch("aep", fileRuns="fail")
    Windows(tenant, tenant.get(DATAFLOW)).ingest()
    tenant.control.switch("aep", fileRuns="ingest")


def _hold_transfer(tenant: Tenant) -> None:
    """There is a file that no run took yet, and a Job runs that can't write its own."""
    _write_window(tenant)
    windows = Windows(tenant, tenant.get(DATAFLOW))
    Contacts(tenant).edit()
    Transfers(tenant, home_of(tenant.namespace)).hold_back()
    mark = tenant.mark()
    windows.open_next()
    tenant.until(
        lambda: any(call["status"] == 503 for call in tenant.calls_since(mark)),
        "a Job that writes",
        seconds=_PREPARED_SECONDS,
    )


def _is_open(tenant: Tenant) -> bool:
    return _is_ready(tenant.get(CONNECTION))


def _are_ingested(tenant: Tenant) -> bool:
    """The contacts, the operator knows of it, and nothing of the transfers is left."""
    status = tenant.get(DATAFLOW).get("status", {})
    return (
        _are_ready(tenant)
        and "pendingWindows" not in status
        and bool(Contacts(tenant).ingested)
        and _none_left(tenant)
    )


def _are_gone_with_transfers(tenant: Tenant) -> bool:
    return _are_gone(tenant) and _none_left(tenant)


def _none_left(tenant: Tenant) -> bool:
    return Transfers(tenant, home_of(tenant.namespace)).left == NOTHING_LEFT


def _run_now(tenant: Tenant) -> None:
    """Some change, and are to be ingested beside the schedule."""
    Contacts(tenant).edit()
    tenant.control.advance(2 * LAG.total_seconds())
    DataflowRuns(tenant).create(RUN_NAME)


def _has_run_beside(tenant: Tenant) -> bool:
    """The run has ended, the dataflow knows of it, and nothing is left of it."""
    found = tenant.cluster.find(RUN, RUN_NAME, tenant.namespace) or {}
    complete = condition(found, "Complete") if found.get("status") else None
    history = tenant.get(DATAFLOW).get("status", {}).get("recentRuns", ())
    return (
        complete is not None
        and complete["status"] == "True"
        and condition(found, "Reconciling") is None
        and any(run.get("requestedBy") == RUN_NAME for run in history)
        and _are_ingested(tenant)
    )


def _failed_run(tenant: Tenant) -> None:
    """A run of Platform's own source has failed, and the dataflow knows of it."""
    _source_has_run(tenant)
    Contacts(tenant).edit()
    tenant.control.advance(2 * LAG.total_seconds())
    flow = tenant.get(DATAFLOW)["status"]["flow"]["id"]
    failed = tenant.control.post("/aep/runs", flowId=flow, state="failed")["id"]
    tenant.control.advance(2 * POLL_SECONDS)
    tenant.until(
        lambda: failed in [run["id"] for run in tenant.get(DATAFLOW)["status"].get("recentRuns", ())],
        "the failed run",
        seconds=_PREPARED_SECONDS,
    )


def _one_time_flow(tenant: Tenant) -> None:
    """It has run, also on demand: the first of these gives the flow its delta column. Some contacts are
    changed since.
    """
    tenant.apply_secrets()
    tenant.apply_connection()
    _has_run(tenant, **ONCE)
    runs = DataflowRuns(tenant)
    runs.create("before")
    runs.wait_requested("before", seconds=_PREPARED_SECONDS)
    tenant.control.advance(2 * POLL_SECONDS)
    runs.wait("before", "Complete", "Succeeded", seconds=_PREPARED_SECONDS)
    Contacts(tenant).edit()
    tenant.control.advance(2 * LAG.total_seconds())


def _run_by_platform(tenant: Tenant) -> None:
    DataflowRuns(tenant).create(RUN_NAME)


# A flow that is replaced by another one


def _has_run(tenant: Tenant, **spec: Any) -> None:
    """A flow of Platform's own source has read the contacts there are, and another one may replace it."""
    tenant.control.switch("aep", sourceRuns="ingest")
    tenant.apply_dataflow(source={"columns": COLUMNS}, replacementPolicy="Automatic", **spec)
    ready = tenant.wait_ready(DATAFLOW, seconds=_PREPARED_SECONDS)
    windows = Windows(tenant, ready)
    windows.pass_to_tick(SHOWS.total_seconds())
    tenant.until(
        lambda: Contacts(tenant).all_arrived and "lastRun" in tenant.get(DATAFLOW)["status"],
        "the first load",
        seconds=_PREPARED_SECONDS,
    )


def _source_has_run(tenant: Tenant) -> None:
    tenant.apply_secrets()
    tenant.apply_connection()
    _has_run(tenant)


def _either_way_has_run(tenant: Tenant) -> None:
    """The grant allows our own reads as well."""
    grant_reads(tenant)
    tenant.apply_connection()
    _has_run(tenant)


def _replace(tenant: Tenant) -> None:
    Contacts(tenant).create(3)
    tenant.edit(DATAFLOW, deltaColumn={"name": "Created_Time"})


def _begin_to_replace(tenant: Tenant) -> None:
    """Both flows are there, and there is a way back."""
    _source_has_run(tenant)
    _replace(tenant)
    tenant.wait_reason(DATAFLOW, "Synced", "Replacing", "True")


def _revert(tenant: Tenant) -> None:
    tenant.edit(DATAFLOW, deltaColumn={"name": "Modified_Time"})


def _replace_again(tenant: Tenant) -> None:
    """By a flow of fewer columns, which reads no record for the second time."""
    tenant.edit(DATAFLOW, source={"columns": COLUMNS[:-1]}, schedule={"backfill": False})


def _move(tenant: Tenant) -> None:
    """Platform's source is withdrawn, and the dataflow goes through the landing zone."""
    Contacts(tenant).create(3)
    tenant.control.switch("aep", zohoSource="withdrawn")
    tenant.edit(DATAFLOW, transport="LandingZone")


def _replaceable_files(tenant: Tenant) -> None:
    _opened_zone(tenant)
    schedule = {"backfill": False}
    tenant.apply_dataflow(source={"columns": COLUMNS}, schedule=schedule, replacementPolicy="Automatic")
    tenant.wait_ready(DATAFLOW, seconds=_PREPARED_SECONDS)


def _replace_files(tenant: Tenant) -> None:
    """By those of one column more."""
    Contacts(tenant).create(3)
    tenant.edit(DATAFLOW, source={"columns": [*COLUMNS, "Created_Time"]})


def _delete_predecessor(tenant: Tenant) -> None:
    old = tenant.get(DATAFLOW)["status"]["predecessor"]["flow"]["id"]
    tenant.control.delete(f"/aep/sandboxes/prod/flows/{old}")


def _is_replaced(tenant: Tenant) -> bool:
    """One flow is left, which bears the names, has run and has whatever is read of the contacts."""
    status = tenant.get(DATAFLOW).get("status", {})
    (flow, *others) = tenant.held("flows") or [{}]
    return (
        not others
        and _are_ready(tenant)
        and flow.get("id") == status.get("flow", {}).get("id")
        and not {"predecessor", "slotRevision", "plan", "pendingWindows"} & status.keys()
        and "lastRun" in status
    )


def _is_moved(tenant: Tenant) -> bool:
    """The base connection, which nobody needs any more, is gone as well."""
    return _is_replaced(tenant) and not tenant.held("connections") and _none_left(tenant)


_through_files = partial(Scenario, stride=300.0, limit=180.0)
"""A window lasts an hour, and its Job some seconds."""
_through_runs = partial(Scenario, stride=300.0, limit=240.0, may_differ=SPARE)
"""So does the time between two runs; a flow hands over at one and shows itself at another."""

SCENARIOS = (
    Scenario("create", _create, _are_ready, prepare=_nothing, may_differ=SPARE),
    Scenario("adopt", _adopt, _are_ready, prepare=_leave),
    Scenario("edit", _edit, _are_ready),
    Scenario("create-target", _create_target, _are_ready, prepare=_nothing, may_differ=SPARE),
    Scenario("edit-mapping", _edit_mapping, _are_ready, may_differ=SPARE),
    Scenario("edit-schedule", _edit_schedule, _are_ready),
    Scenario("disable", _disable, _is_disabled),
    Scenario("enable", _enable, _are_ready, prepare=_disabled),
    Scenario("delete", _delete, _are_gone),
    Scenario("orphan", _delete, _are_gone, prepare=_to_be_left),
    Scenario("repair-edited", _edit_by_hand, _is_as_declared, may_differ=DRIFT),
    Scenario("repair-flow", _lose("flows"), _is_whole, may_differ=SPARE | DRIFT),
    Scenario("repair-source", _lose("sourceConnections"), _is_whole, may_differ=SPARE | DRIFT),
    Scenario("repair-target", _lose("targetConnections"), _is_whole, may_differ=SPARE | DRIFT),
    Scenario("repair-connection", _lose("connections"), _is_whole, may_differ=SPARE | DRIFT),
    Scenario("landing-zone", _open_zone, _is_open, prepare=_nothing),
    _through_files("transfer-first", _extract, _are_ingested, prepare=_bulk_read_in_parts, may_differ=SPARE),
    _through_files("transfer-window", _change_contacts, _are_ingested, prepare=_follow_changes),
    _through_files("transfer-retry", _fail_run, _are_ingested, prepare=_write_window),
    _through_files("transfer-delete", _delete, _are_gone_with_transfers, prepare=_hold_transfer),
    _through_files("run-now", _run_now, _has_run_beside, prepare=_follow_changes, may_differ=SPARE),
    _through_runs("run-again", _run_by_platform, _has_run_beside, prepare=_failed_run, may_differ=LOST),
    _through_runs(
        "run-on-demand", _run_by_platform, _has_run_beside, prepare=_one_time_flow, may_differ=LOST
    ),
    _through_runs("replace", _replace, _is_replaced, prepare=_source_has_run),
    _through_runs("replace-revert", _revert, _is_replaced, prepare=_begin_to_replace),
    _through_runs("replace-again", _replace_again, _is_replaced, prepare=_begin_to_replace),
    _through_runs("replace-delete", _delete, _are_gone, prepare=_begin_to_replace),
    _through_runs("replace-lost", _delete_predecessor, _is_replaced, prepare=_begin_to_replace),
    _through_runs("replace-move", _move, _is_moved, prepare=_either_way_has_run),
    _through_runs("replace-files", _replace_files, _are_ingested, prepare=_replaceable_files),
)


def scenario_named(name: str) -> Scenario:
    """The scenario of that name. Raises KeyError."""
    return {scenario.name: scenario for scenario in SCENARIOS}[name]
