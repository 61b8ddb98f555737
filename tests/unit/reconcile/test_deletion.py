"""What deleting a resource does: in which order, what it leaves, what holds it up."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from crmflow.api.zohosourceconnection import BaseConnection
from crmflow.reconcile.outcome import Outcome, OutcomeClass
from crmflow.reconcile.ports import Dataflow
from crmflow.transport.errors import ErrorClass
from tests.unit.reconcile.fakes import remote_error
from tests.unit.reconcile.world import CONNECTION_NAME, NAMESPACE, Resource, World

DATAFLOW_ORDER = ["delete_flow", "delete_source_connection", "delete_target_connection"]
KINDS = [
    pytest.param("connection", ["delete_connection"], id="connection"),
    pytest.param("dataflow", DATAFLOW_ORDER, id="dataflow"),
]
WAITING, STALLED, TRANSIENT = OutcomeClass.WAITING, OutcomeClass.STALLED, OutcomeClass.TRANSIENT


async def created(world: World, kind: str) -> Resource:
    resource = world.resource(kind)
    await resource.until_done()
    return resource


def orphan(resource: Resource) -> None:
    resource.edit(lambda spec: spec.update(deletionPolicy="Orphan"))


@pytest.mark.parametrize(("kind", "calls"), KINDS)
async def test_everything_of_the_resource_goes_in_order(kind: str, calls: list[str]) -> None:
    world = World()
    resource = await created(world, kind)
    result = await resource.visit(deleting=True)
    assert result.outcome.is_done
    assert result.calls == calls
    assert world.platform.counts == (0, 0, 0, 0)


async def test_mapping_set_schema_and_dataset_stay() -> None:
    world = World()
    resource = await created(world, "dataflow")
    await resource.visit(deleting=True)
    assert (len(world.platform.mapping_sets), len(world.platform.schemas)) == (1, 1)
    assert len(world.platform.datasets) == 1


@pytest.mark.parametrize(("kind", "calls"), KINDS)
async def test_what_is_gone_already_is_no_obstacle(kind: str, calls: list[str]) -> None:
    world = World()
    resource = await created(world, kind)
    for collection in ("connections", "source_connections", "target_connections", "flows"):
        getattr(world.platform, collection).clear()
    result = await resource.visit(deleting=True)
    assert result.outcome.is_done
    assert result.calls == calls


@pytest.mark.parametrize("kind", ["connection", "dataflow"])
async def test_a_resource_without_remote_objects_goes_without_a_remote_call(kind: str) -> None:
    world = World()
    resource = world.resource(kind)
    world.secrets.data.clear()
    world.peers.connections.clear()
    result = await resource.visit(deleting=True)
    assert result.outcome.is_done
    assert result.calls == []


@pytest.mark.parametrize(
    ("kind", "objects"),
    [("connection", ["connections"]), ("dataflow", ["flows", "source_connections", "target_connections"])],
)
async def test_orphans_stay_and_lose_our_key(kind: str, objects: list[str]) -> None:
    world = World()
    resource = await created(world, kind)
    orphan(resource)
    counts = world.platform.counts
    result = await resource.visit(deleting=True)
    assert result.outcome.is_done
    assert world.platform.counts == counts
    assert [call for call in result.calls if call.startswith("delete")] == []
    assert [event.reason for event in result.events] == ["Orphaned"] * len(objects)
    assert len(world.inventory.deletions) == len(objects), "older listings still show our key"
    for collection in objects:
        for remote in getattr(world.platform, collection).values():
            assert remote.name == resource.spec["displayName"]
            assert remote.description == ""


@pytest.mark.parametrize(
    ("kind", "call", "collection"),
    [
        ("connection", "create_connection", "connections"),
        ("dataflow", "create_source_connection", "source_connections"),
        ("dataflow", "create_flow", "flows"),
    ],
)
async def test_an_orphan_whose_creation_was_not_answered_is_looked_for_and_loses_our_key(
    kind: str, call: str, collection: str
) -> None:
    world = World()
    resource = world.resource(kind, deletionPolicy="Orphan")
    world.platform.fail(call, remote_error(maybe_applied=True), after=True, times=1)
    await resource.visit()
    [remote] = getattr(world.platform, collection).values()
    world.platform.hidden_names.add(remote.name)
    outcome = (await resource.visit(deleting=True)).outcome
    assert (outcome.outcome_class, outcome.reason) == (WAITING, "CreatePending")

    world.platform.hidden_names.clear()
    assert (await resource.visit(deleting=True)).outcome.is_done
    assert [held.name for held in getattr(world.platform, collection).values()] == [
        resource.spec["displayName"]
    ]


@pytest.mark.parametrize("kind", ["connection", "dataflow"])
async def test_an_orphan_that_never_came_to_be_holds_nothing_up(kind: str) -> None:
    world = World()
    resource = world.resource(kind, deletionPolicy="Orphan")
    for call in ("create_connection", "create_source_connection"):
        world.platform.fail(call, remote_error(maybe_applied=True))
    await resource.visit()
    world.clock.time += 100
    assert (await resource.visit(deleting=True)).outcome.is_done


@pytest.mark.parametrize("kind", ["connection", "dataflow"])
@pytest.mark.parametrize(
    "lose",
    [
        pytest.param(lambda world: world.secrets.data.clear(), id="Secrets gone"),
        pytest.param(
            lambda world: world.access.fail(
                "platform", remote_error(ErrorClass.TERMINAL, "PlatformCredentialsRejected")
            ),
            id="credential rejected",
        ),
        pytest.param(
            lambda world: [
                world.platform.fail(call, remote_error(ErrorClass.TERMINAL, "PermissionDenied"))
                for call in ("connection", "flow", "source_connection", "target_connection")
            ],
            id="permission lost",
        ),
    ],
)
async def test_orphaning_never_needs_access(kind: str, lose: Callable[[World], None]) -> None:
    world = World()
    resource = await created(world, kind)
    orphan(resource)
    world.access.held.clear()
    lose(world)
    assert (await resource.visit(deleting=True)).outcome.is_done


@pytest.mark.parametrize("reached", [False, True])
async def test_orphaning_what_was_not_answered_never_needs_access(reached: bool) -> None:
    world = World()
    resource = world.dataflow(deletionPolicy="Orphan")
    world.platform.fail("create_flow", remote_error(maybe_applied=True))
    await resource.visit()
    world.inventory.fail("look_up", remote_error(ErrorClass.TERMINAL, "PermissionDenied"))
    if not reached:
        world.access.held.clear()
        world.secrets.data.clear()
    assert (await resource.visit(deleting=True)).outcome.is_done


async def test_a_connection_waits_for_its_dataflows_and_names_them() -> None:
    world = World()
    resource = await created(world, "connection")
    world.peers.dataflows = [Dataflow(f"flow-{number}", deleting=False) for number in range(7)]
    result = await resource.visit(deleting=True)
    assert (result.outcome.outcome_class, result.outcome.reason) == (WAITING, "InUse")
    assert "CRMDataflows flow-0, flow-1, flow-2, flow-3, flow-4 and 2 more." in result.outcome.message
    assert "set spec.deletionPolicy to Orphan" in result.outcome.message
    assert result.calls == []
    world.peers.dataflows = [Dataflow("contacts", deleting=False)]
    assert "Used by CRMDataflow contacts." in (await resource.visit(deleting=True)).outcome.message
    world.peers.dataflows = []
    assert (await resource.visit(deleting=True)).outcome.is_done


async def test_a_connection_outlives_the_dataflows_that_are_being_deleted_whatever_becomes_of_it() -> None:
    """They reach Platform through it."""
    world = World()
    resource = await created(world, "connection")
    orphan(resource)
    world.peers.dataflows = [Dataflow("contacts", deleting=True), Dataflow("leads", deleting=False)]
    result = await resource.visit(deleting=True)
    assert (result.outcome.outcome_class, result.outcome.reason) == (WAITING, "InUse")
    assert "CRMDataflow contacts, being deleted, still needs" in result.outcome.message
    world.peers.dataflows = [Dataflow("leads", deleting=False)]
    assert (await resource.visit(deleting=True)).outcome.is_done


async def test_the_flows_that_hold_a_base_connection_are_named() -> None:
    world = World()
    resource = await created(world, "connection")
    connection_id = resource.status["baseConnection"]["id"]
    flow = world.dataflow()
    view = world.peers.connections[NAMESPACE, CONNECTION_NAME]
    view.status = view.status.model_copy(update={"base_connection": BaseConnection(id=connection_id)})
    await flow.until_done()
    world.platform.fail("delete_connection", remote_error(ErrorClass.IN_USE, "InUse", "in use"))
    outcome = (await resource.visit(deleting=True)).outcome
    assert outcome.reason == "InUse"
    assert f"while flow {flow.status['flow']['id']} uses it. Delete that first, or" in outcome.message


async def test_an_orphaned_connection_does_not_wait_for_its_dataflows() -> None:
    world = World()
    resource = await created(world, "connection")
    world.peers.dataflows = [Dataflow("contacts", deleting=False)]
    orphan(resource)
    assert (await resource.visit(deleting=True)).outcome.is_done
    assert len(world.platform.connections) == 1


@pytest.mark.parametrize(
    ("kind", "call", "left"),
    [
        ("connection", "delete_connection", (1, 0, 0, 0)),
        ("dataflow", "delete_source_connection", (0, 1, 1, 0)),
    ],
)
async def test_in_use_at_platform_is_waited_for(kind: str, call: str, left: tuple[int, ...]) -> None:
    world = World()
    resource = await created(world, kind)
    world.platform.fail(call, remote_error(ErrorClass.IN_USE, "InUse", "flow f1 uses it"))
    result = await resource.visit(deleting=True)
    assert (result.outcome.outcome_class, result.outcome.reason) == (WAITING, "InUse")
    assert "flow f1 uses it" in result.outcome.message
    assert result.pause == 0.5
    assert world.platform.counts == left
    world.platform.heal()
    assert (await resource.visit(deleting=True)).outcome.is_done
    assert world.platform.counts == (0, 0, 0, 0)


async def test_what_was_deleted_is_not_asked_for_again() -> None:
    world = World()
    resource = await created(world, "dataflow")
    world.platform.fail("delete_target_connection", remote_error(), times=1)
    assert (await resource.visit(deleting=True)).outcome.outcome_class is TRANSIENT
    assert "flow" not in resource.status
    assert (await resource.visit(deleting=True)).calls == ["delete_target_connection"]


@pytest.mark.parametrize(("kind", "calls"), KINDS)
@pytest.mark.parametrize(
    "lose",
    [
        pytest.param(lambda world: world.secrets.data.clear(), id="Secrets gone"),
        pytest.param(
            lambda world: world.access.fail(
                "platform",
                remote_error(ErrorClass.TERMINAL, "PlatformCredentialsRejected", "the secret is wrong"),
            ),
            id="credential rejected",
        ),
    ],
)
async def test_a_held_token_serves_when_the_credential_is_gone(
    kind: str, calls: list[str], lose: Callable[[World], None]
) -> None:
    world = World()
    resource = await created(world, kind)
    lose(world)
    result = await resource.visit(deleting=True)
    assert result.outcome.is_done
    assert result.calls == calls


@pytest.mark.parametrize("kind", ["connection", "dataflow"])
@pytest.mark.parametrize(
    ("lose", "text"),
    [
        pytest.param(lambda world: world.secrets.data.clear(), 'Secret "adobe-platform"', id="Secrets gone"),
        pytest.param(
            lambda world: world.access.fail(
                "platform",
                remote_error(ErrorClass.TERMINAL, "PlatformCredentialsRejected", "the secret is wrong"),
            ),
            "the secret is wrong",
            id="credential rejected",
        ),
    ],
)
async def test_without_any_access_deletion_stalls_with_both_ways_out(
    kind: str, lose: Callable[[World], None], text: str
) -> None:
    world = World()
    resource = await created(world, kind)
    lose(world)
    world.access.held.clear()
    result = await resource.visit(deleting=True)
    assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, "CredentialsMissing")
    assert text in result.outcome.message
    assert "Restore it, or set spec.deletionPolicy to Orphan" in result.outcome.message
    assert result.calls == []
    orphan(resource)
    assert (await resource.visit(deleting=True)).outcome.is_done


async def test_an_outage_while_deleting_is_retried() -> None:
    world = World()
    resource = await created(world, "connection")
    world.access.fail("platform", remote_error())
    assert (await resource.visit(deleting=True)).outcome.outcome_class is TRANSIENT
    assert len(world.platform.connections) == 1


@pytest.mark.parametrize(("held", "outcome_class"), [(True, OutcomeClass.DONE), (False, STALLED)])
async def test_a_dataflow_outlives_its_connection(held: bool, outcome_class: OutcomeClass) -> None:
    world = World()
    resource = await created(world, "dataflow")
    del world.peers.connections[NAMESPACE, CONNECTION_NAME]
    if not held:
        world.access.held.clear()
    outcome: Outcome = (await resource.visit(deleting=True)).outcome
    assert outcome.outcome_class is outcome_class
    if not held:
        assert outcome.reason == "ConnectionMissing"
        assert "Create it again, or set spec.deletionPolicy to Orphan" in outcome.message


@pytest.mark.parametrize("kind", ["connection", "dataflow"])
async def test_a_paused_resource_can_be_deleted(kind: str) -> None:
    world = World()
    resource = await created(world, kind)
    resource.edit(lambda spec: spec.update(paused=True))
    assert (await resource.visit(deleting=True)).outcome.is_done
    assert world.platform.counts == (0, 0, 0, 0)
