"""Objects of a newer version, under definitions that let them in: told, held to what they record, deletable,
and no burden to any other.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from hack.kubectl import Kubectl
from tests.kit.cluster import ApiError, condition
from tests.kit.definitions import apply_definitions, definitions
from tests.kit.invariants import check_invariants
from tests.kit.tenant import CONNECTION, DATAFLOW, NOTHING, ONE_OF_EACH, Tenant

REASON = "SpecNotUnderstood"


def newer(crd: dict[str, Any]) -> dict[str, Any]:
    """A definition as a newer version may have it: with further values, and other shapes in a status."""
    if crd["spec"]["names"]["kind"] not in (CONNECTION, DATAFLOW):
        return crd
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    spec, status = schema["spec"]["properties"], schema["status"]["properties"]
    for policy in (spec["deletionPolicy"], status["deletionPolicy"]):
        policy["enum"].append("Retain")
    status["newer"] = {"type": "string"}
    if crd["spec"]["names"]["kind"] == CONNECTION:
        spec["tokenPush"]["enum"].append("Sometimes")
    else:
        spec["schedule"]["properties"]["frequency"]["enum"].append("Month")
        status["flow"] = {"x-kubernetes-preserve-unknown-fields": True}
    return crd


@pytest.fixture
def loosened(kubectl: Kubectl, tenant: Tenant) -> Iterator[None]:
    """The API server serves newer definitions; those of this version are put back."""

    def apply(crds: list[dict[str, Any]], *, serves: bool) -> None:
        apply_definitions(kubectl, *crds)
        tenant.until(lambda: _is_served(kubectl, tenant, serves), "the definitions are served")

    apply([newer(crd) for crd in definitions().values()], serves=True)
    yield
    apply(list(definitions().values()), serves=False)


def _is_served(kubectl: Kubectl, tenant: Tenant, loosened: bool) -> bool:
    """True once the API server has these definitions, and the storage that belongs to them."""
    schemas = kubectl("get", "--raw", "/openapi/v3/apis/crmflow.io/v1alpha1")
    if [word in schemas for word in ("Month", "Sometimes")] != [loosened, loosened]:
        return False
    try:
        for kind in (CONNECTION, DATAFLOW):
            tenant.cluster.list(kind, tenant.namespace)
    except ApiError:  # 429: storage is (re)initializing
        return False
    return True


MONTHLY = {"frequency": "Month", "interval": 1}


def test_a_new_object_is_told_and_gets_nothing_until_it_is_corrected(tenant: Tenant, loosened: None) -> None:
    tenant.apply_secrets()
    tenant.apply_connection()
    tenant.wait_ready(CONNECTION)
    tenant.apply_dataflow(schedule=MONTHLY)
    obj = tenant.wait_reason(DATAFLOW, "Ready", REASON)
    stalled = condition(obj, "Stalled")
    assert stalled is not None
    assert "spec.schedule.frequency" in stalled["message"]
    assert obj["status"]["observedGeneration"] == obj["metadata"]["generation"], "Failed to kstatus"
    assert not obj["metadata"].get("finalizers")
    check_invariants(obj)
    assert tenant.counts() == {**NOTHING, "connections": 1}

    tenant.edit(DATAFLOW, schedule={"frequency": "Hour", "interval": 1})
    tenant.wait_ready(DATAFLOW)
    assert tenant.counts() == ONE_OF_EACH


def test_an_object_that_is_there_is_held_to_what_it_records_and_can_go(
    tenant: Tenant, loosened: None
) -> None:
    tenant.make_ready()
    recorded = tenant.get(DATAFLOW)["status"]["flow"]["id"]
    tenant.apply_dataflow(name="second", displayName="Second")
    tenant.cluster.wait_ready(DATAFLOW, "second", tenant.namespace)
    tenant.edit(DATAFLOW, schedule=MONTHLY)
    tenant.wait_reason(DATAFLOW, "Ready", REASON)
    mark = tenant.mark()
    tenant.operator.restart()
    tenant.wait_polls(2)
    assert tenant.get(DATAFLOW)["status"]["flow"]["id"] == recorded
    assert not [call for call in tenant.calls_since(mark) if call["method"] in ("PATCH", "PUT", "DELETE")]
    ready = condition(tenant.cluster.get(DATAFLOW, "second", tenant.namespace), "Ready")
    assert ready is not None
    assert ready["status"] == "True", "one that can't be read breaks no other"

    tenant.delete(DATAFLOW)
    tenant.wait_gone(DATAFLOW)
    assert recorded not in {held["id"] for held in tenant.held("flows")}
    assert len(tenant.held("flows")) == 1


def test_a_policy_that_is_not_known_deletes_nothing_until_it_is_set(tenant: Tenant, loosened: None) -> None:
    tenant.make_ready()
    tenant.edit(DATAFLOW, deletionPolicy="Retain")
    tenant.wait_reason(DATAFLOW, "Ready", REASON)
    tenant.delete(DATAFLOW)
    tenant.wait_reason(DATAFLOW, "Stalled", REASON, status="True")
    assert tenant.counts() == ONE_OF_EACH
    tenant.edit(DATAFLOW, deletionPolicy="Orphan")
    tenant.wait_gone(DATAFLOW)
    assert tenant.counts() == ONE_OF_EACH


def test_a_connection_that_is_not_understood_still_gives_access_for_deletions(
    tenant: Tenant, loosened: None
) -> None:
    tenant.make_ready()
    tenant.edit(CONNECTION, tokenPush="Sometimes")
    tenant.wait_reason(CONNECTION, "Ready", REASON)
    tenant.wait_reason(DATAFLOW, "Ready", "ConnectionNotReady")
    tenant.delete(DATAFLOW)
    tenant.wait_gone(DATAFLOW)
    tenant.delete(CONNECTION)
    tenant.wait_gone(CONNECTION)
    assert tenant.counts() == NOTHING


def test_a_status_of_a_newer_version_is_kept_and_nothing_is_made_anew(tenant: Tenant, loosened: None) -> None:
    tenant.make_ready()
    tenant.operator.stop()
    status = tenant.get(DATAFLOW)["status"]
    flows = [{"id": status["flow"]["id"]}]
    name = tenant.name_of(DATAFLOW)
    tenant.cluster.replace_status(
        DATAFLOW, name, tenant.namespace, {**status, "flow": flows, "newer": "x", "deletionPolicy": "Retain"}
    )
    tenant.operator.start()
    obj = tenant.wait_reason(DATAFLOW, "Ready", REASON)
    assert obj["status"]["flow"] == flows
    assert tenant.counts() == ONE_OF_EACH

    tenant.cluster.replace_status(DATAFLOW, name, tenant.namespace, {**obj["status"], "flow": flows[0]})
    tenant.control.advance(301)
    tenant.wait_ready(DATAFLOW)
    assert tenant.get(DATAFLOW)["status"]["flow"]["id"] == flows[0]["id"]
    assert tenant.get(DATAFLOW)["status"]["deletionPolicy"] == "Delete"
    assert tenant.counts() == ONE_OF_EACH
