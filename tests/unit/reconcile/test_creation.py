"""The create rule: an intent before the POST, and never a second POST while the first may have worked."""

from __future__ import annotations

from typing import Any

import pytest

from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.reconcile.core.outcome import Outcome, OutcomeClass
from crmflow.reconcile.ports import PassInterruptedError
from tests.fakes.failing import remote_error
from tests.unit.reconcile.harness import CREATE_GRACE, Harness, Resource

SLOTS = [
    pytest.param("connection", "connection", "connections.create", id="base connection"),
    pytest.param("dataflow", "source", "sourceConnections.create", id="source connection"),
    pytest.param("dataflow", "target", "targetConnections.create", id="target connection"),
    pytest.param("dataflow", "flow", "flows.create", id="flow"),
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
    harness = Harness()
    resource = harness.resource(kind)
    result = await resource.visit()
    creates = [call for call in result.calls if call.endswith(".create")]
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
    harness = Harness()
    resource = harness.resource(kind)
    resource.interrupted = True
    with pytest.raises(PassInterruptedError):
        await resource.visit()
    assert harness.platform.counts == (0, 0, 0, 0)
    assert [call for call in harness.timeline if call.endswith(".create")] == []


@pytest.mark.parametrize(("kind", "slot", "call"), SLOTS)
async def test_a_lost_answer_is_looked_up_and_the_object_is_found(kind: str, slot: str, call: str) -> None:
    harness = Harness()
    resource = harness.resource(kind)
    harness.platform.fail(call, LOST, after=True, times=1)
    result = await resource.visit()
    assert result.outcome.outcome_class is OutcomeClass.TRANSIENT
    assert slot in slots_of(resource.status)
    result = await resource.visit()
    assert result.outcome.is_done
    assert slots_of(resource.status) == []
    assert harness.timeline.count(call) == 1
    assert harness.timeline.count("look_up") >= 1
    assert sum(harness.platform.counts) == (1 if kind == "connection" else 3)


@pytest.mark.parametrize(("kind", "slot", "call"), SLOTS)
async def test_within_the_grace_an_object_that_is_not_found_is_waited_for(
    kind: str, slot: str, call: str
) -> None:
    harness = Harness()
    resource = harness.resource(kind)
    harness.platform.fail(call, LOST, times=1)
    await resource.visit()
    harness.clock.time += CREATE_GRACE - 4
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (OutcomeClass.WAITING, "CreatePending")
    assert slot in result.outcome.message
    assert result.pause == pytest.approx(4.0)
    assert harness.timeline.count(call) == 1


@pytest.mark.parametrize(("kind", "slot", "call"), SLOTS)
async def test_after_the_grace_it_is_created_again_with_a_new_intent_first(
    kind: str, slot: str, call: str
) -> None:
    harness = Harness()
    resource = harness.resource(kind)
    harness.platform.fail(call, LOST, times=1)
    await resource.visit()
    first = time_of(resource.checkpoints[-1], slot)
    harness.clock.time += CREATE_GRACE
    result = await resource.visit()
    assert result.outcome.is_done
    looked_up = result.calls.index("look_up")
    assert result.calls[looked_up:].index("checkpoint") < result.calls[looked_up:].index(call)
    assert time_of(resource.checkpoints[-1], slot) > first
    assert harness.timeline.count(call) == 2
    assert sum(harness.platform.counts) == (1 if kind == "connection" else 3)


@pytest.mark.parametrize(("kind", "slot", "call"), SLOTS)
async def test_a_late_object_is_found_although_its_index_lagged(kind: str, slot: str, call: str) -> None:
    harness = Harness()
    resource = harness.resource(kind)
    name = resource.identity.remote_name(resource.spec["displayName"], slot)
    harness.platform.hidden_names.add(name)
    harness.platform.fail(call, LOST, after=True, times=1)
    await resource.visit()
    assert (await resource.visit()).outcome.reason == "CreatePending"
    harness.platform.hidden_names.clear()
    assert (await resource.visit()).outcome.is_done
    assert harness.timeline.count(call) == 1


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
    harness = Harness()
    resource = harness.resource(kind)
    harness.platform.fail(call, error, times=1)
    result = await resource.visit()
    assert result.outcome.outcome_class in (OutcomeClass.STALLED, OutcomeClass.TRANSIENT)
    assert slot not in slots_of(resource.status)
    result = await resource.visit()
    assert result.outcome.is_done
    assert "look_up" not in result.calls


async def test_the_name_in_an_intent_is_the_name_that_is_posted() -> None:
    """Renamed between two tries: a lost second answer must be looked up under the second name."""
    harness = Harness()
    resource = harness.connection()
    harness.platform.fail("connections.create", LOST, times=1)
    await resource.visit()
    resource.edit(lambda spec: spec.update(displayName="Renamed"))
    harness.clock.time += CREATE_GRACE
    harness.platform.fail("connections.create", LOST, after=True, times=1)
    await resource.visit()
    [remote] = harness.platform.connections.values()
    assert [intent["name"] for intent in resource.status["intents"]] == [remote.name]
    harness.clock.time += CREATE_GRACE
    assert (await resource.visit()).outcome.is_done
    assert len(harness.platform.connections) == 1


async def test_what_was_created_is_not_lost_when_its_sibling_fails() -> None:
    harness = Harness()
    resource = harness.dataflow()
    harness.platform.fail("targetConnections.create", remote_error(), times=1)
    await resource.visit()
    source_id, mapping_set = resource.status["sourceConnectionId"], resource.status["mappingSet"]
    assert slots_of(resource.status) == []
    assert (await resource.visit()).outcome.is_done
    assert resource.status["sourceConnectionId"] == source_id
    assert resource.status["mappingSet"] == mapping_set
    assert harness.platform.counts == (0, 1, 1, 1)
    assert len(harness.platform.mapping_sets) == 1


@pytest.mark.parametrize("slot", ["source", "flow"])
async def test_a_lost_create_is_cleaned_up_at_deletion(slot: str) -> None:
    harness = Harness()
    resource = harness.dataflow()
    call = {"source": "sourceConnections.create", "flow": "flows.create"}[slot]
    harness.platform.fail(call, LOST, after=True, times=1)
    await resource.visit()
    assert (await _delete(resource)).is_done
    assert harness.platform.counts == (0, 0, 0, 0)


@pytest.mark.parametrize("kind", ["connection", "dataflow"])
async def test_deletion_waits_for_a_lost_create_within_the_grace(kind: str) -> None:
    harness = Harness()
    resource = harness.resource(kind)
    call = {"connection": "connections.create", "dataflow": "sourceConnections.create"}[kind]
    harness.platform.fail(call, LOST, times=1)
    await resource.visit()
    result = await resource.visit(deleting=True)
    assert (result.outcome.outcome_class, result.outcome.reason) == (OutcomeClass.WAITING, "CreatePending")
    harness.clock.time += CREATE_GRACE
    assert (await resource.visit(deleting=True)).outcome.is_done


async def _delete(resource: Resource) -> Outcome:
    for _ in range(5):
        result = await resource.visit(deleting=True)
        if result.outcome.is_done:
            return result.outcome
        resource.harness.clock.time += CREATE_GRACE
    return result.outcome
