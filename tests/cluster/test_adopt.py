"""What exists is adopted by its id, keeps its name, is put right or only observed, and is left in the end."""

from __future__ import annotations

import pytest

from tests.cluster.support import manifests
from tests.cluster.support.by_hand import ByHand
from tests.cluster.support.cluster import Object, condition
from tests.cluster.support.world import CONNECTION, DATAFLOW, NOTHING, ONE_OF_EACH, World

SECOND = "another"


def changes(world: World, mark: int) -> list[str]:
    """Method and path of what changed something at the Platform."""
    reads = ("/ims/token/v3", "/mappingSets/validate")
    return [
        f"{call['method']} {call['path']}"
        for call in world.calls_since(mark)
        if call["service"] == "platform" and call["method"] != "GET" and not call["path"].endswith(reads)
    ]


def connection(world: World, connection_id: str) -> Object:
    (held,) = [held for held in world.held("connections") if held["id"] == connection_id]
    return held


def refused(world: World, reason: str) -> str:
    """The message with which the connection is refused."""
    stalled = world.wait_reason(CONNECTION, "Stalled", reason, status="True")
    assert "baseConnection" not in stalled["status"]
    message: str = condition(stalled, "Ready")["message"]
    return message


def test_a_base_connection_is_adopted_and_left(world: World) -> None:
    made = ByHand(world.emulators).connection()
    before, mark = connection(world, made), world.mark()
    world.apply_secrets()
    world.apply_connection(connectionId=made)
    status = world.wait_ready(CONNECTION)["status"]
    assert (status["baseConnection"]["id"], status["adopted"], status["deletionPolicy"]) == (
        made,
        True,
        "Orphan",
    )
    assert changes(world, mark) == [f"PATCH /data/foundation/flowservice/connections/{made}"]
    adopted = connection(world, made)
    assert (adopted["name"], adopted["description"]) == (before["name"], before["description"])
    assert len(world.held("connections")) == 1

    mark = world.mark()
    world.edit(CONNECTION, displayName="Called otherwise", description="Told otherwise")
    world.wait_ready(CONNECTION)
    world.delete(CONNECTION)
    world.wait_gone(CONNECTION)
    assert changes(world, mark) == []
    assert connection(world, made)["name"] == before["name"]


def test_an_adopted_base_connection_is_deleted_if_the_spec_says_so(world: World) -> None:
    made = ByHand(world.emulators).connection()
    world.apply_secrets()
    world.apply_connection(connectionId=made, deletionPolicy="Delete")
    world.wait_ready(CONNECTION)
    world.delete(CONNECTION)
    world.wait_gone(CONNECTION)
    assert world.held("connections") == []


@pytest.mark.parametrize("secrets", ["masked", "omitted", "echoed"])
def test_other_parameters_of_an_adopted_base_connection_stay(world: World, secrets: str) -> None:
    world.control.switch("aep", secretsOnRead=secrets)
    made = ByHand(world.emulators).connection(usePeerVerification="true")
    world.apply_secrets()
    world.apply_connection(connectionId=made)
    world.wait_ready(CONNECTION)
    params = connection(world, made)["auth"]["params"]
    assert params["usePeerVerification"] == "true"
    assert "****" not in params.values()


def test_what_another_resource_has_is_refused_until_that_has_let_it_go(world: World) -> None:
    made = ByHand(world.emulators).connection()
    world.apply_secrets()
    world.cluster.apply(manifests.connection(world.namespace, SECOND, connectionId=made))
    world.cluster.wait_ready(CONNECTION, SECOND, world.namespace)
    world.apply_connection(connectionId=made)
    owner = f"ZohoSourceConnection/{world.namespace}/{SECOND}"
    assert f"belongs to {owner}" in refused(world, "AdoptionConflict")

    world.cluster.delete(CONNECTION, SECOND, world.namespace)
    world.wait_ready(CONNECTION)
    assert len(world.held("connections")) == 1


def test_of_many_that_name_it_at_once_exactly_one_has_it(world: World) -> None:
    made = ByHand(world.emulators).connection()
    names = [f"claim-{number}" for number in range(4)]
    world.operator.stop()
    world.apply_secrets()
    for name in names:
        world.cluster.apply(manifests.connection(world.namespace, name, connectionId=made))
    world.operator.start()
    for name in names:
        world.cluster.wait(
            CONNECTION,
            name,
            world.namespace,
            lambda obj: condition(obj, "Ready") is not None and condition(obj, "Reconciling") is None,
            what="result",
        )
    ready = [
        obj["metadata"]["name"]
        for obj in world.cluster.list(CONNECTION, world.namespace)
        if condition(obj, "Ready")["status"] == "True"
    ]
    assert len(ready) == 1


def test_what_another_installation_has_is_refused(world: World) -> None:
    world.apply_secrets()
    world.apply_connection()
    made = world.wait_ready(CONNECTION)["status"]["baseConnection"]["id"]
    world.operator.stop()
    world.cluster.patch(
        CONNECTION, world.name_of(CONNECTION), world.namespace, {"metadata": {"finalizers": None}}
    )
    world.delete(CONNECTION)
    world.operator.start(CRMFLOW_INSTANCE="other")
    world.apply_connection(connectionId=made)
    owner = f"{world.namespace}/{manifests.CONNECTION} of crmflow test"
    assert f"belongs to {owner}" in refused(world, "AdoptionConflict")


def test_another_source_and_what_does_not_exist_are_refused(world: World) -> None:
    by_hand = ByHand(world.emulators)
    world.apply_secrets()
    world.apply_connection(connectionId=by_hand.other_source())
    assert "belongs to another source" in refused(world, "NotAdoptable")
    world.delete(CONNECTION)
    world.wait_gone(CONNECTION)

    world.apply_connection(connectionId="5f2e7a6c-0b1d-4c3e-8a9f-1b2c3d4e5f60")
    assert "does not exist in this sandbox" in refused(world, "AdoptedObjectMissing")


def test_an_adopted_base_connection_that_vanishes_is_not_made_anew(world: World) -> None:
    made = ByHand(world.emulators).connection()
    world.apply_secrets()
    world.apply_connection(connectionId=made)
    world.wait_ready(CONNECTION)
    world.control.delete(f"/aep/sandboxes/prod/connections/{made}")
    gone = world.wait_reason(CONNECTION, "Ready", "AdoptedObjectMissing")
    assert "was deleted from outside" in condition(gone, "Ready")["message"]
    assert world.held("connections") == []


def test_a_created_base_connection_can_be_named_and_then_only_observed(world: World) -> None:
    world.apply_secrets()
    world.apply_connection()
    made = world.wait_ready(CONNECTION)["status"]["baseConnection"]["id"]
    mark = world.mark()
    world.edit(CONNECTION, connectionId=made, managementPolicy="Observe")
    ready = world.wait_ready(CONNECTION)
    assert "only observed" in condition(ready, "Ready")["message"]
    world.delete(CONNECTION)
    world.wait_gone(CONNECTION)
    assert changes(world, mark) == []
    assert len(world.held("connections")) == 1


def made_by_hand(world: World) -> tuple[str, str]:
    """Ids of a base connection and of a flow that says what the demo's dataflow says."""
    by_hand = ByHand(world.emulators)
    made = by_hand.connection()
    return made, by_hand.dataflow(made, manifests.dataflow(world.namespace)["spec"])


def named(world: World) -> dict[str, list[str]]:
    """Ids and names of what Platform holds."""
    return {
        collection: [f"{held['id']} {held['name']}" for held in world.held(collection)]
        for collection in ONE_OF_EACH
    }


def test_a_dataflow_is_adopted_without_a_write_and_left(world: World) -> None:
    made, flow = made_by_hand(world)
    world.apply_secrets()
    world.apply_connection(connectionId=made)
    world.wait_ready(CONNECTION)
    before = named(world)
    mark = world.mark()

    world.apply_dataflow(flowId=flow)
    status = world.wait_ready(DATAFLOW)["status"]
    assert changes(world, mark) == []
    assert (status["flow"]["id"], status["adopted"], status["deletionPolicy"]) == (flow, True, "Orphan")
    assert status["schedule"]["effectiveStartTime"]
    world.request(DATAFLOW, "again")
    world.wait_answer(DATAFLOW, "again")
    world.wait_polls(2)
    world.operator.restart()
    world.wait_polls(2)
    world.delete(DATAFLOW)
    world.wait_gone(DATAFLOW)
    assert changes(world, mark) == []
    assert named(world) == before


def test_what_differs_of_an_adopted_dataflow_is_put_right_and_drift_is_repaired(world: World) -> None:
    made, flow = made_by_hand(world)
    world.apply_secrets()
    world.apply_connection(connectionId=made)
    world.apply_dataflow(flowId=flow, schedule={"interval": 6}, deletionPolicy="Delete")
    world.wait_ready(DATAFLOW)
    held = world.held("flows")[0]
    assert (str(held["scheduleParams"]["interval"]), held["name"]) == ("6", "Flow by hand")

    edited = {"scheduleParams": {**held["scheduleParams"], "interval": "12"}, "name": "Renamed by hand"}
    world.control.patch(f"/aep/sandboxes/prod/flows/{flow}", body=edited)
    world.cluster.wait(
        DATAFLOW,
        manifests.DATAFLOW,
        world.namespace,
        lambda obj: "flow.scheduleParams.interval" in obj["status"].get("lastDrift", {}).get("fields", []),
        what="repair",
    )
    world.wait_ready(DATAFLOW)
    held = world.held("flows")[0]
    assert (str(held["scheduleParams"]["interval"]), held["name"]) == ("6", "Renamed by hand")

    world.delete(DATAFLOW)
    world.wait_gone(DATAFLOW)
    assert world.counts() == {**NOTHING, "connections": 1}


def test_a_flow_that_another_resource_has_is_refused(world: World) -> None:
    world.make_ready()
    flow = world.get(DATAFLOW)["status"]["flow"]["id"]
    world.cluster.apply(manifests.dataflow(world.namespace, SECOND, flowId=flow))
    stalled = world.cluster.wait_condition(
        DATAFLOW, SECOND, world.namespace, "Stalled", reason="AdoptionConflict"
    )
    assert f"CRMDataflow/{world.namespace}/{manifests.DATAFLOW}" in condition(stalled, "Ready")["message"]

    world.edit(DATAFLOW, deletionPolicy="Orphan")
    world.delete(DATAFLOW)
    world.cluster.wait_ready(DATAFLOW, SECOND, world.namespace)
    assert len(world.held("flows")) == 1


def test_nothing_is_written_while_observing_whatever_happens(world: World) -> None:
    made, flow = made_by_hand(world)
    world.apply_secrets()
    mark = world.mark()
    wanted = {"authParams": {"usePeerVerification": "true"}}
    world.apply_connection(connectionId=made, managementPolicy="Observe", platform=wanted)
    world.apply_dataflow(flowId=flow, managementPolicy="Observe")
    world.wait_ready(CONNECTION)
    world.wait_ready(DATAFLOW)

    # a new access token is due
    world.control.advance(3600)
    for kind in (CONNECTION, DATAFLOW):
        world.request(kind, "an hour later")
        world.wait_answer(kind, "an hour later")
        world.wait_ready(kind)

    # somebody changes all that can be changed
    held = world.held("flows")[0]
    edited = {"scheduleParams": {**held["scheduleParams"], "interval": "12"}, "name": "Renamed"}
    world.control.patch(f"/aep/sandboxes/prod/flows/{flow}", body=edited)
    auth = ByHand(world.emulators).auth(usePeerVerification="false")
    world.control.patch(f"/aep/sandboxes/prod/connections/{made}", body={"auth": auth})
    told = world.wait_reason(DATAFLOW, "Synced", "Drifted")
    assert condition(told, "Ready")["status"] == "True"
    assert told["status"]["lastDrift"]["fields"] == ["flow.scheduleParams.interval"]
    told = world.wait_reason(CONNECTION, "Synced", "Drifted")
    assert told["status"]["lastDrift"]["fields"] == ["spec.platform.authParams.usePeerVerification"]

    # the specs change
    world.edit(DATAFLOW, displayName="Other", ingestion={"enabled": False})
    told = world.cluster.wait(
        DATAFLOW,
        manifests.DATAFLOW,
        world.namespace,
        lambda obj: "spec.ingestion.enabled" in obj["status"]["lastDrift"]["fields"],
        what="drift",
    )

    # and what is observed goes
    source = world.held("sourceConnections")[0]["id"]
    world.control.delete(f"/aep/sandboxes/prod/sourceConnections/{source}")
    world.wait_reason(DATAFLOW, "Ready", "AdoptedObjectMissing")
    for kind in (DATAFLOW, CONNECTION):
        world.delete(kind)
        world.wait_gone(kind)
    assert changes(world, mark) == []
    assert world.counts() == {**ONE_OF_EACH, "sourceConnections": 0}


def test_of_an_observed_mapping_no_more_is_said_than_was_asked(world: World) -> None:
    made, flow = made_by_hand(world)
    world.apply_secrets()
    world.apply_connection(connectionId=made)
    world.wait_ready(CONNECTION)
    mark = world.mark()
    world.apply_dataflow(flowId=flow, managementPolicy="Observe")
    same = world.wait_reason(DATAFLOW, "MappingValid", "Succeeded", "True")
    assert condition(same, "MappingValid")["message"] == "The flow uses this mapping."

    mapping = same["spec"]["mapping"]
    world.edit(DATAFLOW, mapping=[*mapping, {"target": "person.nme", "source": "Email"}])
    refused = world.wait_reason(DATAFLOW, "MappingValid", "MappingInvalid")
    assert "person.nme" in condition(refused, "MappingValid")["message"]
    assert condition(refused, "Ready")["status"] == "True"

    world.edit(DATAFLOW, mapping=mapping[:-1])
    accepted = world.wait_reason(DATAFLOW, "MappingValid", "Succeeded", "True")
    assert condition(accepted, "MappingValid")["message"] == "Platform accepts the mapping."
    world.edit(DATAFLOW, source={"table": "Leads"})
    world.wait_reason(DATAFLOW, "MappingValid", "NotValidated", "Unknown")
    assert changes(world, mark) == []


def test_drift_that_was_observed_is_put_right_once_the_resource_is_managed(world: World) -> None:
    made, flow = made_by_hand(world)
    world.apply_secrets()
    world.apply_connection(connectionId=made)
    world.apply_dataflow(flowId=flow, managementPolicy="Observe", schedule={"interval": 6})
    world.wait_reason(DATAFLOW, "Synced", "Drifted")
    world.edit(DATAFLOW, managementPolicy="Manage")
    world.wait_reason(DATAFLOW, "Synced", "Succeeded", status="True")
    world.wait_ready(DATAFLOW)
    assert str(world.held("flows")[0]["scheduleParams"]["interval"]) == "6"
