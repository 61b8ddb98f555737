"""What exists is adopted by its id, keeps its name, is put right or only observed, and is left in the end."""

from __future__ import annotations

import pytest

from tests.kit import manifests
from tests.kit.by_hand import ByHand
from tests.kit.cluster import Object, condition
from tests.kit.tenant import CONNECTION, DATAFLOW, NOTHING, ONE_OF_EACH, Tenant

SECOND = "another"


def changes(tenant: Tenant, mark: int) -> list[str]:
    """Method and path of what changed something at the Platform."""
    reads = ("/ims/token/v3", "/mappingSets/validate")
    return [
        f"{call['method']} {call['path']}"
        for call in tenant.calls_since(mark)
        if call["service"] == "platform" and call["method"] != "GET" and not call["path"].endswith(reads)
    ]


def connection(tenant: Tenant, connection_id: str) -> Object:
    (held,) = [held for held in tenant.held("connections") if held["id"] == connection_id]
    return held


def refused(tenant: Tenant, reason: str) -> str:
    """The message with which the connection is refused."""
    stalled = tenant.wait_reason(CONNECTION, "Stalled", reason, status="True")
    assert "baseConnection" not in stalled["status"]
    message: str = condition(stalled, "Ready")["message"]
    return message


def test_a_base_connection_is_adopted_and_left(tenant: Tenant) -> None:
    made = ByHand(tenant.emulators).connection()
    before, mark = connection(tenant, made), tenant.mark()
    tenant.apply_secrets()
    tenant.apply_connection(connectionId=made)
    status = tenant.wait_ready(CONNECTION)["status"]
    assert (status["baseConnection"]["id"], status["adopted"], status["deletionPolicy"]) == (
        made,
        True,
        "Orphan",
    )
    assert changes(tenant, mark) == [f"PATCH /data/foundation/flowservice/connections/{made}"]
    adopted = connection(tenant, made)
    assert (adopted["name"], adopted["description"]) == (before["name"], before["description"])
    assert len(tenant.held("connections")) == 1

    mark = tenant.mark()
    tenant.edit(CONNECTION, displayName="Called otherwise", description="Told otherwise")
    tenant.wait_ready(CONNECTION)
    tenant.delete(CONNECTION)
    tenant.wait_gone(CONNECTION)
    assert changes(tenant, mark) == []
    assert connection(tenant, made)["name"] == before["name"]


def test_an_adopted_base_connection_is_deleted_if_the_spec_says_so(tenant: Tenant) -> None:
    made = ByHand(tenant.emulators).connection()
    tenant.apply_secrets()
    tenant.apply_connection(connectionId=made, deletionPolicy="Delete")
    tenant.wait_ready(CONNECTION)
    tenant.delete(CONNECTION)
    tenant.wait_gone(CONNECTION)
    assert tenant.held("connections") == []


@pytest.mark.parametrize("secrets", ["masked", "omitted", "echoed"])
def test_other_parameters_of_an_adopted_base_connection_stay(tenant: Tenant, secrets: str) -> None:
    tenant.control.switch("aep", secretsOnRead=secrets)
    made = ByHand(tenant.emulators).connection(usePeerVerification="true")
    tenant.apply_secrets()
    tenant.apply_connection(connectionId=made)
    tenant.wait_ready(CONNECTION)
    params = connection(tenant, made)["auth"]["params"]
    assert params["usePeerVerification"] == "true"
    assert "****" not in params.values()


def test_what_another_resource_has_is_refused_until_that_has_let_it_go(tenant: Tenant) -> None:
    made = ByHand(tenant.emulators).connection()
    tenant.apply_secrets()
    tenant.cluster.apply(manifests.connection(tenant.namespace, SECOND, connectionId=made))
    tenant.cluster.wait_ready(CONNECTION, SECOND, tenant.namespace)
    tenant.apply_connection(connectionId=made)
    owner = f"ZohoSourceConnection/{tenant.namespace}/{SECOND}"
    assert f"belongs to {owner}" in refused(tenant, "AdoptionConflict")

    tenant.cluster.delete(CONNECTION, SECOND, tenant.namespace)
    tenant.wait_ready(CONNECTION)
    assert len(tenant.held("connections")) == 1


def test_of_many_that_name_it_at_once_exactly_one_has_it(tenant: Tenant) -> None:
    made = ByHand(tenant.emulators).connection()
    names = [f"claim-{number}" for number in range(4)]
    tenant.operator.stop()
    tenant.apply_secrets()
    for name in names:
        tenant.cluster.apply(manifests.connection(tenant.namespace, name, connectionId=made))
    tenant.operator.start()
    for name in names:
        tenant.cluster.wait(
            CONNECTION,
            name,
            tenant.namespace,
            lambda obj: condition(obj, "Ready") is not None and condition(obj, "Reconciling") is None,
            what="result",
        )
    ready = [
        obj["metadata"]["name"]
        for obj in tenant.cluster.list(CONNECTION, tenant.namespace)
        if condition(obj, "Ready")["status"] == "True"
    ]
    assert len(ready) == 1


def test_what_another_installation_has_is_refused(tenant: Tenant) -> None:
    tenant.apply_secrets()
    tenant.apply_connection()
    made = tenant.wait_ready(CONNECTION)["status"]["baseConnection"]["id"]
    tenant.operator.stop()
    tenant.cluster.patch(
        CONNECTION, tenant.name_of(CONNECTION), tenant.namespace, {"metadata": {"finalizers": None}}
    )
    tenant.delete(CONNECTION)
    tenant.operator.start(CRMFLOW_INSTANCE="other")
    tenant.apply_connection(connectionId=made)
    owner = f"{tenant.namespace}/{manifests.CONNECTION} of crmflow test"
    assert f"belongs to {owner}" in refused(tenant, "AdoptionConflict")


def test_another_source_and_what_does_not_exist_are_refused(tenant: Tenant) -> None:
    by_hand = ByHand(tenant.emulators)
    tenant.apply_secrets()
    tenant.apply_connection(connectionId=by_hand.other_source())
    assert "belongs to another source" in refused(tenant, "NotAdoptable")
    tenant.delete(CONNECTION)
    tenant.wait_gone(CONNECTION)

    tenant.apply_connection(connectionId="5f2e7a6c-0b1d-4c3e-8a9f-1b2c3d4e5f60")
    assert "does not exist in this sandbox" in refused(tenant, "AdoptedObjectMissing")


def test_an_adopted_base_connection_that_vanishes_is_not_made_anew(tenant: Tenant) -> None:
    made = ByHand(tenant.emulators).connection()
    tenant.apply_secrets()
    tenant.apply_connection(connectionId=made)
    tenant.wait_ready(CONNECTION)
    tenant.control.delete(f"/aep/sandboxes/prod/connections/{made}")
    gone = tenant.wait_reason(CONNECTION, "Ready", "AdoptedObjectMissing")
    assert "was deleted from outside" in condition(gone, "Ready")["message"]
    assert tenant.held("connections") == []


def test_a_created_base_connection_can_be_named_and_then_only_observed(tenant: Tenant) -> None:
    tenant.apply_secrets()
    tenant.apply_connection()
    made = tenant.wait_ready(CONNECTION)["status"]["baseConnection"]["id"]
    mark = tenant.mark()
    tenant.edit(CONNECTION, connectionId=made, managementPolicy="Observe")
    ready = tenant.wait_ready(CONNECTION)
    assert "only observed" in condition(ready, "Ready")["message"]
    tenant.delete(CONNECTION)
    tenant.wait_gone(CONNECTION)
    assert changes(tenant, mark) == []
    assert len(tenant.held("connections")) == 1


def made_by_hand(tenant: Tenant) -> tuple[str, str]:
    """Ids of a base connection and of a flow that says what the demo's dataflow says."""
    by_hand = ByHand(tenant.emulators)
    made = by_hand.connection()
    return made, by_hand.dataflow(made, manifests.dataflow(tenant.namespace)["spec"])


def named(tenant: Tenant) -> dict[str, list[str]]:
    """Ids and names of what Platform holds."""
    return {
        collection: [f"{held['id']} {held['name']}" for held in tenant.held(collection)]
        for collection in ONE_OF_EACH
    }


def test_a_dataflow_is_adopted_without_a_write_and_left(tenant: Tenant) -> None:
    made, flow = made_by_hand(tenant)
    tenant.apply_secrets()
    tenant.apply_connection(connectionId=made)
    tenant.wait_ready(CONNECTION)
    before = named(tenant)
    mark = tenant.mark()

    tenant.apply_dataflow(flowId=flow)
    status = tenant.wait_ready(DATAFLOW)["status"]
    assert changes(tenant, mark) == []
    assert (status["flow"]["id"], status["adopted"], status["deletionPolicy"]) == (flow, True, "Orphan")
    assert status["schedule"]["effectiveStartTime"]
    tenant.request(DATAFLOW, "again")
    tenant.wait_answer(DATAFLOW, "again")
    tenant.wait_polls(2)
    tenant.operator.restart()
    tenant.wait_polls(2)
    tenant.delete(DATAFLOW)
    tenant.wait_gone(DATAFLOW)
    assert changes(tenant, mark) == []
    assert named(tenant) == before


def test_what_differs_of_an_adopted_dataflow_is_put_right_and_drift_is_repaired(tenant: Tenant) -> None:
    made, flow = made_by_hand(tenant)
    tenant.apply_secrets()
    tenant.apply_connection(connectionId=made)
    tenant.apply_dataflow(flowId=flow, schedule={"interval": 6}, deletionPolicy="Delete")
    tenant.wait_ready(DATAFLOW)
    held = tenant.held("flows")[0]
    assert (str(held["scheduleParams"]["interval"]), held["name"]) == ("6", "Flow by hand")

    edited = {"scheduleParams": {**held["scheduleParams"], "interval": "12"}, "name": "Renamed by hand"}
    tenant.control.patch(f"/aep/sandboxes/prod/flows/{flow}", body=edited)
    tenant.cluster.wait(
        DATAFLOW,
        manifests.DATAFLOW,
        tenant.namespace,
        lambda obj: "flow.scheduleParams.interval" in obj["status"].get("lastDrift", {}).get("fields", []),
        what="repair",
    )
    tenant.wait_ready(DATAFLOW)
    held = tenant.held("flows")[0]
    assert (str(held["scheduleParams"]["interval"]), held["name"]) == ("6", "Renamed by hand")

    tenant.delete(DATAFLOW)
    tenant.wait_gone(DATAFLOW)
    assert tenant.counts() == {**NOTHING, "connections": 1}


def test_a_flow_that_another_resource_has_is_refused(tenant: Tenant) -> None:
    tenant.make_ready()
    flow = tenant.get(DATAFLOW)["status"]["flow"]["id"]
    tenant.cluster.apply(manifests.dataflow(tenant.namespace, SECOND, flowId=flow))
    stalled = tenant.cluster.wait_condition(
        DATAFLOW, SECOND, tenant.namespace, "Stalled", reason="AdoptionConflict"
    )
    assert f"CRMDataflow/{tenant.namespace}/{manifests.DATAFLOW}" in condition(stalled, "Ready")["message"]

    tenant.edit(DATAFLOW, deletionPolicy="Orphan")
    tenant.delete(DATAFLOW)
    tenant.cluster.wait_ready(DATAFLOW, SECOND, tenant.namespace)
    assert len(tenant.held("flows")) == 1


def test_nothing_is_written_while_observing_whatever_happens(tenant: Tenant) -> None:
    made, flow = made_by_hand(tenant)
    tenant.apply_secrets()
    mark = tenant.mark()
    wanted = {"authParams": {"usePeerVerification": "true"}}
    tenant.apply_connection(connectionId=made, managementPolicy="Observe", platform=wanted)
    tenant.apply_dataflow(flowId=flow, managementPolicy="Observe")
    tenant.wait_ready(CONNECTION)
    tenant.wait_ready(DATAFLOW)

    # a new access token is due
    tenant.control.advance(3600)
    for kind in (CONNECTION, DATAFLOW):
        tenant.request(kind, "an hour later")
        tenant.wait_answer(kind, "an hour later")
        tenant.wait_ready(kind)

    # somebody changes all that can be changed
    held = tenant.held("flows")[0]
    edited = {"scheduleParams": {**held["scheduleParams"], "interval": "12"}, "name": "Renamed"}
    tenant.control.patch(f"/aep/sandboxes/prod/flows/{flow}", body=edited)
    auth = ByHand(tenant.emulators).auth(usePeerVerification="false")
    tenant.control.patch(f"/aep/sandboxes/prod/connections/{made}", body={"auth": auth})
    told = tenant.wait_reason(DATAFLOW, "Synced", "Drifted")
    assert condition(told, "Ready")["status"] == "True"
    assert told["status"]["lastDrift"]["fields"] == ["flow.scheduleParams.interval"]
    told = tenant.wait_reason(CONNECTION, "Synced", "Drifted")
    assert told["status"]["lastDrift"]["fields"] == ["spec.platform.authParams.usePeerVerification"]

    # the specs change
    tenant.edit(DATAFLOW, displayName="Other", ingestion={"enabled": False})
    told = tenant.cluster.wait(
        DATAFLOW,
        manifests.DATAFLOW,
        tenant.namespace,
        lambda obj: "spec.ingestion.enabled" in obj["status"]["lastDrift"]["fields"],
        what="drift",
    )

    # and what is observed goes
    source = tenant.held("sourceConnections")[0]["id"]
    tenant.control.delete(f"/aep/sandboxes/prod/sourceConnections/{source}")
    tenant.wait_reason(DATAFLOW, "Ready", "AdoptedObjectMissing")
    for kind in (DATAFLOW, CONNECTION):
        tenant.delete(kind)
        tenant.wait_gone(kind)
    assert changes(tenant, mark) == []
    assert tenant.counts() == {**ONE_OF_EACH, "sourceConnections": 0}


def test_of_an_observed_mapping_no_more_is_said_than_was_asked(tenant: Tenant) -> None:
    made, flow = made_by_hand(tenant)
    tenant.apply_secrets()
    tenant.apply_connection(connectionId=made)
    tenant.wait_ready(CONNECTION)
    mark = tenant.mark()
    tenant.apply_dataflow(flowId=flow, managementPolicy="Observe")
    same = tenant.wait_reason(DATAFLOW, "MappingValid", "Succeeded", "True")
    assert condition(same, "MappingValid")["message"] == "The flow uses this mapping."

    mapping = same["spec"]["mapping"]
    tenant.edit(DATAFLOW, mapping=[*mapping, {"target": "person.nme", "source": "Email"}])
    refused = tenant.wait_reason(DATAFLOW, "MappingValid", "MappingInvalid")
    assert "person.nme" in condition(refused, "MappingValid")["message"]
    assert condition(refused, "Ready")["status"] == "True"

    tenant.edit(DATAFLOW, mapping=mapping[:-1])
    accepted = tenant.wait_reason(DATAFLOW, "MappingValid", "Succeeded", "True")
    assert condition(accepted, "MappingValid")["message"] == "Platform accepts the mapping."
    tenant.edit(DATAFLOW, source={"table": "Leads"})
    tenant.wait_reason(DATAFLOW, "MappingValid", "NotValidated", "Unknown")
    assert changes(tenant, mark) == []


def test_drift_that_was_observed_is_put_right_once_the_resource_is_managed(tenant: Tenant) -> None:
    made, flow = made_by_hand(tenant)
    tenant.apply_secrets()
    tenant.apply_connection(connectionId=made)
    tenant.apply_dataflow(flowId=flow, managementPolicy="Observe", schedule={"interval": 6})
    tenant.wait_reason(DATAFLOW, "Synced", "Drifted")
    tenant.edit(DATAFLOW, managementPolicy="Manage")
    tenant.wait_reason(DATAFLOW, "Synced", "Succeeded", status="True")
    tenant.wait_ready(DATAFLOW)
    assert str(tenant.held("flows")[0]["scheduleParams"]["interval"]) == "6"
