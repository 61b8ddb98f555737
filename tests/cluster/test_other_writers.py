"""Others who write to our objects at the same time, or in our place: garbage collectors, backup tools, and
people who delete a connection and apply it again.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.kit.cluster import Object, condition
from tests.kit.tenant import CONNECTION, DATAFLOW, NOTHING, ONE_OF_EACH, Tenant

FOREGROUND = "foregroundDeletion"
PARTS = ("sourceConnections", "targetConnections", "flows")


def writes(calls: list[Object]) -> list[tuple[str, str]]:
    """The requests to Flow Service that change something."""
    return [
        (call["method"], call["path"])
        for call in calls
        if "/flowservice/" in call["path"] and call["method"] not in ("GET", "HEAD")
    ]


@pytest.mark.parametrize("kind", [DATAFLOW, CONNECTION])
def test_a_foreground_deletion_deletes_once(tenant: Tenant, kind: str) -> None:
    """The garbage collector takes its own finalizer off while the operator deletes; if it is not fast enough
    for that, this test does.
    """
    tenant.make_ready()
    if kind == CONNECTION:
        tenant.delete(DATAFLOW)
        tenant.wait_gone(DATAFLOW)
    mark = tenant.mark()
    path = "/connections/" if kind == CONNECTION else "/targetConnections/"
    tenant.control.fault(service="platform", method="DELETE", path=path, delay=1)
    tenant.cluster.delete(kind, tenant.name_of(kind), tenant.namespace, propagation="Foreground")
    held = tenant.get(kind)
    tenant.until(lambda: bool(tenant.control.get("/faults")["faults"]) is False, "the deletion began")
    others = [name for name in held["metadata"]["finalizers"] if name != FOREGROUND]
    tenant.cluster.patch(kind, tenant.name_of(kind), tenant.namespace, {"metadata": {"finalizers": others}})
    tenant.wait_gone(kind)
    deletions = [call for call in writes(tenant.calls_since(mark)) if call[0] == "DELETE"]
    assert len(deletions) == len({path for _, path in deletions}) == (1 if kind == CONNECTION else 3)
    if kind == CONNECTION:
        assert tenant.counts() == NOTHING


def restored(obj: Object) -> dict[str, Any]:
    """A status as a backup has it, of a time when the resource was stalled in the middle of a creation."""
    status = copy.deepcopy(obj["status"])
    then = "2026-01-01T00:00:00Z"
    ready = dict(condition(obj, "Ready") or {})
    old = {**ready, "reason": "Old", "message": "of the backup", "lastTransitionTime": then}
    status["conditions"] += [
        {**old, "type": "Stalled", "status": "True"},
        {**old, "type": "Reconciling", "status": "True"},
        {**old, "type": "example.org/Audited", "status": "True"},
    ]
    slot = "connection" if obj["kind"] == CONNECTION else "flow"
    status["intents"] = [{"slot": slot, "name": "of the backup", "time": then}]
    if obj["kind"] == DATAFLOW:
        status["lastRun"] = {
            "id": "run-of-the-backup",
            "state": "failed",
            "startTime": then,
            "completionTime": "2026-01-01T00:10:00Z",
            "errors": [{"code": "OLD", "message": "of the backup"}],
        }
    return status


@pytest.mark.parametrize("how", ["apply", "replace"])
@pytest.mark.parametrize("kind", [DATAFLOW, CONNECTION])
def test_what_a_backup_wrote_into_our_status_goes(tenant: Tenant, kind: str, how: str) -> None:
    tenant.make_ready()
    name, status = tenant.name_of(kind), restored(tenant.get(kind))
    if how == "apply":
        tenant.cluster.apply_status(kind, name, tenant.namespace, status, manager="velero")
    else:
        tenant.cluster.replace_status(kind, name, tenant.namespace, status)
    flow_id = tenant.held("flows")[0]["id"]
    tenant.control.finish_run(flow_id)
    tenant.request(kind, "now")
    tenant.wait_answer(kind, "now")
    found = tenant.cluster.wait(
        kind, name, tenant.namespace, lambda obj: condition(obj, "Stalled") is None, what="end of Stalled"
    )
    assert condition(found, "Reconciling") is None
    assert condition(found, "example.org/Audited") is not None, "it is not ours"
    assert "intents" not in found["status"]
    if kind == DATAFLOW:
        found = tenant.cluster.wait(
            kind,
            name,
            tenant.namespace,
            lambda obj: (
                obj["status"]["lastRun"]["id"] != "run-of-the-backup"
                and "errors" not in obj["status"]["lastRun"]
            ),
            what="the run that was, and nothing of another",
        )
    tenant.wait_ready(kind)
    version = tenant.get(kind)["metadata"]["resourceVersion"]
    tenant.wait_polls(3)
    assert tenant.get(kind)["metadata"]["resourceVersion"] == version, "nobody writes any more"
    tenant.check()


@pytest.mark.parametrize("polls", [0, 3])
def test_a_connection_deleted_in_use_and_applied_again_is_taken_over(tenant: Tenant, polls: int) -> None:
    """As the message of its deletion advises: its dataflow goes on, and nothing of it is written to."""
    tenant.make_ready()
    before = {collection: tenant.held(collection) for collection in PARTS}
    base = tenant.held("connections")[0]["id"]
    tenant.delete(CONNECTION)
    held = tenant.wait_reason(CONNECTION, "Ready", "InUse")
    assert "deletionPolicy to Orphan" in (condition(held, "Ready") or {})["message"]
    mark = tenant.mark()
    tenant.edit(CONNECTION, deletionPolicy="Orphan")
    tenant.wait_gone(CONNECTION)
    assert writes(tenant.calls_since(mark)) == []
    tenant.wait_reason(DATAFLOW, "Ready", "ConnectionNotFound")
    if polls:
        tenant.control.advance(90.0)

    mark = tenant.mark()
    tenant.apply_connection()
    assert tenant.wait_ready(CONNECTION)["status"]["baseConnection"]["id"] == base
    ready = tenant.wait_ready(DATAFLOW)
    assert "gap" not in ready["status"]
    assert "lastDrift" not in ready["status"]
    assert {path for _, path in writes(tenant.calls_since(mark))} <= {
        f"/data/foundation/flowservice/connections/{base}",
        f"/data/foundation/flowservice/connections/{base}/test",
    }
    assert {collection: tenant.held(collection) for collection in PARTS} == before
    assert tenant.counts() == ONE_OF_EACH
    tenant.delete(DATAFLOW)
    tenant.wait_gone(DATAFLOW)
    tenant.delete(CONNECTION)
    tenant.wait_gone(CONNECTION)
    assert tenant.counts() == NOTHING
    tenant.check()
