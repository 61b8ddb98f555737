"""What deleting a resource does: in which order, what it leaves, what holds it up."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from crmflow.api.zohosourceconnection import BaseConnectionStatus
from crmflow.http.errors import ErrorClass
from crmflow.reconcile.connection.deletion import NAMESPACE_SECONDS
from crmflow.reconcile.core.outcome import Outcome, OutcomeClass
from crmflow.reconcile.ports import Referrer
from tests.fakes.failing import remote_error
from tests.unit.reconcile.harness import CONNECTION_NAME, NAMESPACE, Harness, Resource

DATAFLOW_ORDER = ["flows.delete", "sourceConnections.delete", "targetConnections.delete"]
KINDS = [
    pytest.param("connection", ["connections.delete"], id="connection"),
    pytest.param("dataflow", DATAFLOW_ORDER, id="dataflow"),
]
WAITING, STALLED, TRANSIENT = OutcomeClass.WAITING, OutcomeClass.STALLED, OutcomeClass.TRANSIENT


def dataflow(name: str, *, deleting: bool = False) -> Referrer:
    return Referrer("CRMDataflow", name, deleting)


async def created(harness: Harness, kind: str) -> Resource:
    resource = harness.resource(kind)
    await resource.until_done()
    return resource


def orphan(resource: Resource) -> None:
    resource.edit(lambda spec: spec.update(deletionPolicy="Orphan"))


@pytest.mark.parametrize(("kind", "calls"), KINDS)
async def test_everything_of_the_resource_goes_in_order(kind: str, calls: list[str]) -> None:
    harness = Harness()
    resource = await created(harness, kind)
    result = await resource.visit(deleting=True)
    assert result.outcome.is_done
    assert result.calls == calls
    assert harness.platform.counts == (0, 0, 0, 0)


async def test_mapping_set_schema_and_dataset_stay() -> None:
    harness = Harness()
    resource = await created(harness, "dataflow")
    await resource.visit(deleting=True)
    assert (len(harness.platform.mapping_sets), len(harness.platform.schemas)) == (1, 1)
    assert len(harness.platform.datasets) == 1


@pytest.mark.parametrize(("kind", "calls"), KINDS)
async def test_what_is_gone_already_is_no_obstacle(kind: str, calls: list[str]) -> None:
    harness = Harness()
    resource = await created(harness, kind)
    for collection in ("connections", "source_connections", "target_connections", "flows"):
        getattr(harness.platform, collection).clear()
    result = await resource.visit(deleting=True)
    assert result.outcome.is_done
    assert result.calls == calls


@pytest.mark.parametrize("kind", ["connection", "dataflow"])
async def test_a_resource_without_remote_objects_goes_without_a_remote_call(kind: str) -> None:
    harness = Harness()
    resource = harness.resource(kind)
    harness.secrets.data.clear()
    harness.lister.connections.clear()
    result = await resource.visit(deleting=True)
    assert result.outcome.is_done
    assert result.calls == []


@pytest.mark.parametrize(
    ("kind", "objects"),
    [("connection", ["connections"]), ("dataflow", ["flows", "source_connections", "target_connections"])],
)
async def test_orphans_stay_and_lose_our_key(kind: str, objects: list[str]) -> None:
    harness = Harness()
    resource = await created(harness, kind)
    orphan(resource)
    counts = harness.platform.counts
    result = await resource.visit(deleting=True)
    assert result.outcome.is_done
    assert harness.platform.counts == counts
    assert [call for call in result.calls if call.startswith("delete")] == []
    assert [event.reason for event in result.events] == ["Orphaned"] * len(objects)
    assert len(harness.inventory.let_gone) == len(objects), "older listings still show our key"
    for collection in objects:
        for remote in getattr(harness.platform, collection).values():
            assert remote.name == resource.spec["displayName"]
            assert remote.description == ""


@pytest.mark.parametrize(
    ("kind", "call", "collection"),
    [
        ("connection", "connections.create", "connections"),
        ("dataflow", "sourceConnections.create", "source_connections"),
        ("dataflow", "flows.create", "flows"),
    ],
)
async def test_an_orphan_whose_creation_was_not_answered_is_looked_for_and_loses_our_key(
    kind: str, call: str, collection: str
) -> None:
    harness = Harness()
    resource = harness.resource(kind, deletionPolicy="Orphan")
    harness.platform.fail(call, remote_error(maybe_applied=True), after=True, times=1)
    await resource.visit()
    [remote] = getattr(harness.platform, collection).values()
    harness.platform.hidden_names.add(remote.name)
    outcome = (await resource.visit(deleting=True)).outcome
    assert (outcome.outcome_class, outcome.reason) == (WAITING, "CreatePending")

    harness.platform.hidden_names.clear()
    assert (await resource.visit(deleting=True)).outcome.is_done
    assert [held.name for held in getattr(harness.platform, collection).values()] == [
        resource.spec["displayName"]
    ]


@pytest.mark.parametrize("kind", ["connection", "dataflow"])
async def test_an_orphan_that_never_came_to_be_holds_nothing_up(kind: str) -> None:
    harness = Harness()
    resource = harness.resource(kind, deletionPolicy="Orphan")
    for call in ("connections.create", "sourceConnections.create"):
        harness.platform.fail(call, remote_error(maybe_applied=True))
    await resource.visit()
    harness.clock.time += 100
    assert (await resource.visit(deleting=True)).outcome.is_done


@pytest.mark.parametrize("kind", ["connection", "dataflow"])
@pytest.mark.parametrize(
    "lose",
    [
        pytest.param(lambda harness: harness.secrets.data.clear(), id="Secrets gone"),
        pytest.param(
            lambda harness: harness.access.fail(
                "platform", remote_error(ErrorClass.TERMINAL, "PlatformCredentialsRejected")
            ),
            id="credential rejected",
        ),
        pytest.param(
            lambda harness: [
                harness.platform.fail(call, remote_error(ErrorClass.TERMINAL, "PermissionDenied"))
                for call in ("connections.get", "flows.get", "sourceConnections.get", "targetConnections.get")
            ],
            id="permission lost",
        ),
    ],
)
async def test_orphaning_never_needs_access(kind: str, lose: Callable[[Harness], None]) -> None:
    harness = Harness()
    resource = await created(harness, kind)
    orphan(resource)
    harness.access.held.clear()
    lose(harness)
    assert (await resource.visit(deleting=True)).outcome.is_done


@pytest.mark.parametrize("reached", [False, True])
async def test_orphaning_what_was_not_answered_never_needs_access(reached: bool) -> None:
    harness = Harness()
    resource = harness.dataflow(deletionPolicy="Orphan")
    harness.platform.fail("flows.create", remote_error(maybe_applied=True))
    await resource.visit()
    harness.inventory.fail("look_up", remote_error(ErrorClass.TERMINAL, "PermissionDenied"))
    if not reached:
        harness.access.held.clear()
        harness.secrets.data.clear()
    assert (await resource.visit(deleting=True)).outcome.is_done


async def test_a_connection_waits_for_its_dataflows_and_names_them() -> None:
    harness = Harness()
    resource = await created(harness, "connection")
    harness.lister.dataflows = [dataflow(f"flow-{number}") for number in range(7)]
    result = await resource.visit(deleting=True)
    assert (result.outcome.outcome_class, result.outcome.reason) == (WAITING, "InUse")
    assert "CRMDataflows flow-0, flow-1, flow-2, flow-3, flow-4 and 2 more." in result.outcome.message
    assert "set spec.deletionPolicy to Orphan" in result.outcome.message
    assert result.calls == []
    harness.lister.dataflows = [dataflow("contacts")]
    assert "Used by CRMDataflow contacts." in (await resource.visit(deleting=True)).outcome.message
    harness.lister.dataflows = []
    assert (await resource.visit(deleting=True)).outcome.is_done


async def test_a_connection_outlives_the_dataflows_that_are_being_deleted_whatever_becomes_of_it() -> None:
    """They reach Platform through it."""
    harness = Harness()
    resource = await created(harness, "connection")
    orphan(resource)
    harness.lister.dataflows = [dataflow("contacts", deleting=True), dataflow("leads")]
    result = await resource.visit(deleting=True)
    assert (result.outcome.outcome_class, result.outcome.reason) == (WAITING, "InUse")
    assert "CRMDataflow contacts, being deleted, still needs" in result.outcome.message
    harness.lister.dataflows = [dataflow("leads")]
    harness.clock.time += NAMESPACE_SECONDS
    assert (await resource.visit(deleting=True)).outcome.is_done


async def test_the_flows_that_hold_a_base_connection_are_named() -> None:
    harness = Harness()
    resource = await created(harness, "connection")
    connection_id = resource.status["baseConnection"]["id"]
    flow = harness.dataflow()
    view = harness.lister.connections[NAMESPACE, CONNECTION_NAME]
    view.status = view.status.model_copy(update={"base_connection": BaseConnectionStatus(id=connection_id)})
    await flow.until_done()
    harness.platform.fail("connections.delete", remote_error(ErrorClass.IN_USE, "InUse", "in use"))
    outcome = (await resource.visit(deleting=True)).outcome
    assert outcome.reason == "InUse"
    assert f"while flow {flow.status['flow']['id']} uses it. Delete that first, or" in outcome.message


async def test_an_orphaned_connection_waits_five_seconds_for_the_deletion_of_its_dataflows() -> None:
    """A namespace that is deleted deletes one kind after the other."""
    harness = Harness()
    resource = await created(harness, "connection")
    harness.lister.dataflows = [dataflow("contacts")]
    orphan(resource)
    result = await resource.visit(deleting=True)
    assert (result.outcome.outcome_class, result.outcome.reason) == (WAITING, "InUse")
    assert result.pause == NAMESPACE_SECONDS
    harness.clock.time += NAMESPACE_SECONDS - 1
    result = await resource.visit(deleting=True)  # woken by its Secrets, which are deleted, too
    assert (result.outcome.reason, result.pause) == ("InUse", 1.0)
    harness.clock.time += 1
    assert (await resource.visit(deleting=True)).outcome.is_done
    assert len(harness.platform.connections) == 1


@pytest.mark.parametrize(
    ("kind", "call", "left"),
    [
        ("connection", "connections.delete", (1, 0, 0, 0)),
        ("dataflow", "sourceConnections.delete", (0, 1, 1, 0)),
    ],
)
async def test_in_use_at_platform_is_waited_for(kind: str, call: str, left: tuple[int, ...]) -> None:
    harness = Harness()
    resource = await created(harness, kind)
    harness.platform.fail(call, remote_error(ErrorClass.IN_USE, "InUse", "flow f1 uses it"))
    result = await resource.visit(deleting=True)
    assert (result.outcome.outcome_class, result.outcome.reason) == (WAITING, "InUse")
    assert "flow f1 uses it" in result.outcome.message
    assert result.pause == 0.5
    assert harness.platform.counts == left
    harness.platform.heal()
    assert (await resource.visit(deleting=True)).outcome.is_done
    assert harness.platform.counts == (0, 0, 0, 0)


async def test_what_was_deleted_is_not_asked_for_again() -> None:
    harness = Harness()
    resource = await created(harness, "dataflow")
    harness.platform.fail("targetConnections.delete", remote_error(), times=1)
    assert (await resource.visit(deleting=True)).outcome.outcome_class is TRANSIENT
    assert "flow" not in resource.status
    assert (await resource.visit(deleting=True)).calls == ["targetConnections.delete"]


@pytest.mark.parametrize(("kind", "calls"), KINDS)
@pytest.mark.parametrize(
    "lose",
    [
        pytest.param(lambda harness: harness.secrets.data.clear(), id="Secrets gone"),
        pytest.param(
            lambda harness: harness.access.fail(
                "platform",
                remote_error(ErrorClass.TERMINAL, "PlatformCredentialsRejected", "the secret is wrong"),
            ),
            id="credential rejected",
        ),
    ],
)
async def test_a_held_token_serves_when_the_credential_is_gone(
    kind: str, calls: list[str], lose: Callable[[Harness], None]
) -> None:
    harness = Harness()
    resource = await created(harness, kind)
    lose(harness)
    result = await resource.visit(deleting=True)
    assert result.outcome.is_done
    assert result.calls == calls


@pytest.mark.parametrize("kind", ["connection", "dataflow"])
@pytest.mark.parametrize(
    ("lose", "text"),
    [
        pytest.param(
            lambda harness: harness.secrets.data.clear(), 'Secret "adobe-platform"', id="Secrets gone"
        ),
        pytest.param(
            lambda harness: harness.access.fail(
                "platform",
                remote_error(ErrorClass.TERMINAL, "PlatformCredentialsRejected", "the secret is wrong"),
            ),
            "the secret is wrong",
            id="credential rejected",
        ),
    ],
)
async def test_without_any_access_deletion_stalls_with_both_ways_out(
    kind: str, lose: Callable[[Harness], None], text: str
) -> None:
    harness = Harness()
    resource = await created(harness, kind)
    lose(harness)
    harness.access.held.clear()
    result = await resource.visit(deleting=True)
    assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, "CredentialsMissing")
    assert text in result.outcome.message
    assert "Restore it, or set spec.deletionPolicy to Orphan" in result.outcome.message
    assert result.calls == []
    orphan(resource)
    assert (await resource.visit(deleting=True)).outcome.is_done


async def test_an_outage_while_deleting_is_retried() -> None:
    harness = Harness()
    resource = await created(harness, "connection")
    harness.access.fail("platform", remote_error())
    assert (await resource.visit(deleting=True)).outcome.outcome_class is TRANSIENT
    assert len(harness.platform.connections) == 1


@pytest.mark.parametrize(("held", "outcome_class"), [(True, OutcomeClass.DONE), (False, STALLED)])
async def test_a_dataflow_outlives_its_connection(held: bool, outcome_class: OutcomeClass) -> None:
    harness = Harness()
    resource = await created(harness, "dataflow")
    del harness.lister.connections[NAMESPACE, CONNECTION_NAME]
    if not held:
        harness.access.held.clear()
    outcome: Outcome = (await resource.visit(deleting=True)).outcome
    assert outcome.outcome_class is outcome_class
    if not held:
        assert outcome.reason == "ConnectionMissing"
        assert "Create it again, or set spec.deletionPolicy to Orphan" in outcome.message


@pytest.mark.parametrize("kind", ["connection", "dataflow"])
async def test_a_paused_resource_can_be_deleted(kind: str) -> None:
    harness = Harness()
    resource = await created(harness, kind)
    resource.edit(lambda spec: spec.update(paused=True))
    assert (await resource.visit(deleting=True)).outcome.is_done
    assert harness.platform.counts == (0, 0, 0, 0)


async def test_a_base_connection_in_use_is_let_go_with_our_key_and_found_again_by_it() -> None:
    """Its dataflows go on through a connection of the same name, which takes it over."""
    harness = Harness()
    before = await created(harness, "connection")
    [base] = harness.platform.connections.values()
    harness.lister.dataflows = [dataflow("contacts")]
    orphan(before)
    await before.visit(deleting=True)
    harness.clock.time += NAMESPACE_SECONDS
    result = await before.visit(deleting=True)
    assert result.outcome.is_done
    assert harness.platform.connections == {base.id: base}
    assert "connections.patch" not in result.calls
    [event] = result.events
    assert event.note == (
        f"Left the connection {base.id} in place, with its lookup key, as CRMDataflow contacts goes on "
        "through it: deletionPolicy is Orphan."
    )

    after = harness.connection()
    after.uid = "another"
    result = await after.until_done()
    assert list(harness.platform.connections) == [base.id]
    assert after.status["baseConnection"]["id"] == base.id
    assert "TakenOver" in [event.reason for event in result.events]


async def test_an_orphan_that_keeps_our_key_because_it_may_not_be_patched_is_no_news_to_listings() -> None:
    """It still is what its key says, so a resource of the same name may take it over."""
    harness = Harness()
    resource = await created(harness, "dataflow")
    orphan(resource)
    for call in ("flows.patch", "sourceConnections.patch", "targetConnections.patch"):
        harness.platform.fail(call, remote_error(ErrorClass.TERMINAL, "PermissionDenied"))
    assert (await resource.visit(deleting=True)).outcome.is_done
    assert (harness.inventory.deletions, harness.inventory.let_gone) == ([], [])
