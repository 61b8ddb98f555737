"""The create rule: an intent before the POST, and never a second POST while the first may have worked."""

from __future__ import annotations

from typing import Any

import pytest

from crmflow.reconcile.outcome import Outcome, OutcomeClass
from crmflow.reconcile.ports import PassInterruptedError
from crmflow.transport.errors import ErrorClass, RemoteError
from tests.unit.reconcile.fakes import remote_error
from tests.unit.reconcile.world import CREATE_GRACE, Resource, World

SLOTS = [
    pytest.param("connection", "connection", "create_connection", id="base connection"),
    pytest.param("dataflow", "source", "create_source_connection", id="source connection"),
    pytest.param("dataflow", "target", "create_target_connection", id="target connection"),
    pytest.param("dataflow", "flow", "create_flow", id="flow"),
]
LOST = remote_error(reason="Timeout", message="no answer", maybe_applied=True)


def slots_of(status: dict[str, Any]) -> list[str]:
    return [intent["slot"] for intent in status.get("intents", [])]


def time_of(status: dict[str, Any], slot: str) -> str:
    return str({intent["slot"]: intent["time"] for intent in status["intents"]}[slot])


@pytest.mark.parametrize(
    ("kind", "slots"), [("connection", ["connection"]), ("dataflow", ["flow", "source", "target"])]
)
async def test_intents_are_written_before_the_first_post(kind: str, slots: list[str]) -> None:
    world = World()
    resource = world.resource(kind)
    result = await resource.visit()
    creates = [call for call in result.calls if call.startswith("create_")]
    assert result.calls.count("checkpoint") == 1
    assert result.calls.index("checkpoint") < result.calls.index(creates[0])
    [checkpoint] = resource.checkpoints
    assert slots_of(checkpoint) == slots
    names = {intent["slot"]: intent["name"] for intent in checkpoint["intents"]}
    assert names == {
        slot: resource.identity.remote_name(resource.spec["displayName"], slot) for slot in slots
    }
    assert slots_of(resource.status) == []
    assert "look_up" not in result.calls


@pytest.mark.parametrize("kind", ["connection", "dataflow"])
async def test_nothing_is_created_when_the_intent_can_not_be_written(kind: str) -> None:
    world = World()
    resource = world.resource(kind)
    resource.interrupted = True
    with pytest.raises(PassInterruptedError):
        await resource.visit()
    assert world.platform.counts == (0, 0, 0, 0)
    assert [call for call in world.timeline if call.startswith("create_")] == []


@pytest.mark.parametrize(("kind", "slot", "call"), SLOTS)
async def test_a_lost_answer_is_looked_up_and_the_object_is_found(kind: str, slot: str, call: str) -> None:
    world = World()
    resource = world.resource(kind)
    world.platform.fail(call, LOST, after=True, times=1)
    result = await resource.visit()
    assert result.outcome.outcome_class is OutcomeClass.TRANSIENT
    assert slot in slots_of(resource.status)
    result = await resource.visit()
    assert result.outcome.is_done
    assert slots_of(resource.status) == []
    assert world.timeline.count(call) == 1
    assert world.timeline.count("look_up") >= 1
    assert sum(world.platform.counts) == (1 if kind == "connection" else 3)


@pytest.mark.parametrize(("kind", "slot", "call"), SLOTS)
async def test_within_the_grace_an_object_that_is_not_found_is_waited_for(
    kind: str, slot: str, call: str
) -> None:
    world = World()
    resource = world.resource(kind)
    world.platform.fail(call, LOST, times=1)
    await resource.visit()
    world.clock.time += CREATE_GRACE - 4
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (OutcomeClass.WAITING, "CreatePending")
    assert slot in result.outcome.message
    assert result.pause == pytest.approx(4.0)
    assert world.timeline.count(call) == 1


@pytest.mark.parametrize(("kind", "slot", "call"), SLOTS)
async def test_after_the_grace_it_is_created_again_with_a_new_intent_first(
    kind: str, slot: str, call: str
) -> None:
    world = World()
    resource = world.resource(kind)
    world.platform.fail(call, LOST, times=1)
    await resource.visit()
    first = time_of(resource.checkpoints[-1], slot)
    world.clock.time += CREATE_GRACE
    result = await resource.visit()
    assert result.outcome.is_done
    looked_up = result.calls.index("look_up")
    assert result.calls[looked_up:].index("checkpoint") < result.calls[looked_up:].index(call)
    assert time_of(resource.checkpoints[-1], slot) > first
    assert world.timeline.count(call) == 2
    assert sum(world.platform.counts) == (1 if kind == "connection" else 3)


@pytest.mark.parametrize(("kind", "slot", "call"), SLOTS)
async def test_a_late_object_is_found_although_its_index_lagged(kind: str, slot: str, call: str) -> None:
    world = World()
    resource = world.resource(kind)
    name = resource.identity.remote_name(resource.spec["displayName"], slot)
    world.platform.hidden_names.add(name)
    world.platform.fail(call, LOST, after=True, times=1)
    await resource.visit()
    assert (await resource.visit()).outcome.reason == "CreatePending"
    world.platform.hidden_names.clear()
    assert (await resource.visit()).outcome.is_done
    assert world.timeline.count(call) == 1


@pytest.mark.parametrize(("kind", "slot", "call"), SLOTS)
@pytest.mark.parametrize(
    "error",
    [
        pytest.param(remote_error(ErrorClass.TERMINAL, "SourceRefused"), id="refused"),
        pytest.param(remote_error(reason="Unreachable"), id="never sent"),
    ],
)
async def test_a_create_that_provably_did_nothing_leaves_no_intent(
    kind: str, slot: str, call: str, error: RemoteError
) -> None:
    world = World()
    resource = world.resource(kind)
    world.platform.fail(call, error, times=1)
    result = await resource.visit()
    assert result.outcome.outcome_class in (OutcomeClass.STALLED, OutcomeClass.TRANSIENT)
    assert slot not in slots_of(resource.status)
    result = await resource.visit()
    assert result.outcome.is_done
    assert "look_up" not in result.calls


async def test_the_name_in_an_intent_is_the_name_that_is_posted() -> None:
    """Renamed between two tries: a lost second answer must be looked up under the second name."""
    world = World()
    resource = world.connection()
    world.platform.fail("create_connection", LOST, times=1)
    await resource.visit()
    resource.edit(lambda spec: spec.update(displayName="Renamed"))
    world.clock.time += CREATE_GRACE
    world.platform.fail("create_connection", LOST, after=True, times=1)
    await resource.visit()
    [remote] = world.platform.connections.values()
    assert [intent["name"] for intent in resource.status["intents"]] == [remote.name]
    world.clock.time += CREATE_GRACE
    assert (await resource.visit()).outcome.is_done
    assert len(world.platform.connections) == 1


async def test_what_was_created_is_not_lost_when_its_sibling_fails() -> None:
    world = World()
    resource = world.dataflow()
    world.platform.fail("create_target_connection", remote_error(), times=1)
    await resource.visit()
    source_id, mapping_set = resource.status["sourceConnectionId"], resource.status["mappingSet"]
    assert slots_of(resource.status) == []
    assert (await resource.visit()).outcome.is_done
    assert resource.status["sourceConnectionId"] == source_id
    assert resource.status["mappingSet"] == mapping_set
    assert world.platform.counts == (0, 1, 1, 1)
    assert len(world.platform.mapping_sets) == 1


@pytest.mark.parametrize("slot", ["source", "flow"])
async def test_a_lost_create_is_cleaned_up_at_deletion(slot: str) -> None:
    world = World()
    resource = world.dataflow()
    call = {"source": "create_source_connection", "flow": "create_flow"}[slot]
    world.platform.fail(call, LOST, after=True, times=1)
    await resource.visit()
    assert (await _delete(resource)).is_done
    assert world.platform.counts == (0, 0, 0, 0)


@pytest.mark.parametrize("kind", ["connection", "dataflow"])
async def test_deletion_waits_for_a_lost_create_within_the_grace(kind: str) -> None:
    world = World()
    resource = world.resource(kind)
    call = {"connection": "create_connection", "dataflow": "create_source_connection"}[kind]
    world.platform.fail(call, LOST, times=1)
    await resource.visit()
    result = await resource.visit(deleting=True)
    assert (result.outcome.outcome_class, result.outcome.reason) == (OutcomeClass.WAITING, "CreatePending")
    world.clock.time += CREATE_GRACE
    assert (await resource.visit(deleting=True)).outcome.is_done


async def _delete(resource: Resource) -> Outcome:
    for _ in range(5):
        result = await resource.visit(deleting=True)
        if result.outcome.is_done:
            return result.outcome
        resource.world.clock.time += CREATE_GRACE
    return result.outcome
