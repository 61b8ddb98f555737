"""What the operator is doing when it dies. A scenario is one declaration: how to get there, what happens
then, and when that is over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.cluster.support.cluster import OUR_KINDS, Object, condition
from tests.cluster.support.world import CONNECTION, DATAFLOW, ONE_OF_EACH, World
from tests.faults.outcome import Difference

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

Act = Callable[[World], None]

SPARE = frozenset({Difference.SPARE_MAPPING_SET})
DRIFT = frozenset({Difference.DRIFT_TOLD_OTHERWISE})
BY_HAND = "Edited by hand"


@dataclass(frozen=True)
class Scenario:
    """``prepare`` runs undisturbed; ``act`` starts what the operator is killed in, and waits for nothing."""

    name: str
    act: Act
    finished: Callable[[World], bool]
    """Of the run without a crash: whether the operator has done everything."""
    prepare: Act = World.make_ready
    may_differ: frozenset[Difference] = frozenset()
    """What a crash may change; time and Events always may."""


def _create(world: World) -> None:
    world.apply_secrets()
    world.apply_connection()
    world.apply_dataflow()


def _leave(world: World) -> None:
    """Both resources go, and what they stood for stays."""
    _to_be_left(world)
    for kind in OUR_KINDS:
        world.delete(kind)
        world.wait_gone(kind)


def _to_be_left(world: World) -> None:
    world.make_ready()
    for kind in OUR_KINDS:
        world.edit(kind, deletionPolicy="Orphan")
        world.wait_ready(kind)


def _adopt(world: World) -> None:
    world.apply_connection(connectionId=world.held("connections")[0]["id"])
    world.apply_dataflow(flowId=world.held("flows")[0]["id"], schedule={"interval": 6})


def _edit(world: World) -> None:
    for kind in OUR_KINDS:
        world.edit(kind, displayName="Renamed", description="Told anew.")


def _create_target(world: World) -> None:
    """Schema and dataset are missing, and created with all that belongs to them."""
    world.apply_secrets()
    world.apply_connection()
    world.apply_dataflow(target=TARGET, mapping=MAPPING)


def _edit_mapping(world: World) -> None:
    world.edit(DATAFLOW, mapping=MAPPING)


def _edit_schedule(world: World) -> None:
    world.edit(DATAFLOW, schedule={"interval": 3}, ingestion={"errorDiagnostics": True})


def _enable(world: World) -> None:
    world.edit(DATAFLOW, ingestion={"enabled": True})


def _disabled(world: World) -> None:
    world.make_ready(ingestion={"enabled": False})


def _disable(world: World) -> None:
    world.edit(DATAFLOW, ingestion={"enabled": False})


def _delete(world: World) -> None:
    for kind in OUR_KINDS:
        world.delete(kind)


def _lose(collection: str) -> Act:
    """Somebody deletes what Platform holds of a kind."""

    def act(world: World) -> None:
        (remote,) = world.held(collection)
        world.control.delete(f"/aep/sandboxes/prod/{collection}/{remote['id']}")

    return act


def _edit_by_hand(world: World) -> None:
    """Somebody renames everything, but for the lookup key, and describes it anew."""
    for collection in ONE_OF_EACH:
        (remote,) = world.held(collection)
        name: str = remote["name"]
        edited = {"name": f"{BY_HAND} {name[name.index('[') :]}", "description": BY_HAND}
        world.control.patch(f"/aep/sandboxes/prod/{collection}/{remote['id']}", body=edited)


def _nothing(world: World) -> None:
    """There is nothing to prepare."""


def _are_ready(world: World) -> bool:
    return all(_is_ready(world.get(kind)) for kind in OUR_KINDS)


def _is_ready(obj: Object) -> bool:
    ready = condition(obj, "Ready")
    generation = obj["metadata"]["generation"]
    return ready is not None and ready["status"] == "True" and ready["observedGeneration"] == generation


def _are_gone(world: World) -> bool:
    return all(world.cluster.find(kind, world.name_of(kind), world.namespace) is None for kind in OUR_KINDS)


def _is_whole(world: World) -> bool:
    """Both are Ready, and what their status names is there."""
    if world.counts() != ONE_OF_EACH or not _are_ready(world):
        return False
    flow, connection = world.held("flows")[0], world.held("connections")[0]
    return bool(
        world.get(DATAFLOW)["status"]["flow"]["id"] == flow["id"]
        and world.get(CONNECTION)["status"]["baseConnection"]["id"] == connection["id"]
    )


def _is_as_declared(world: World) -> bool:
    held = [remote for collection in ONE_OF_EACH for remote in world.held(collection)]
    edited = [remote for remote in held if BY_HAND in remote["name"] + remote["description"]]
    return not edited and _are_ready(world)


def _is_disabled(world: World) -> bool:
    return world.held("flows")[0]["state"] == "disabled" and _are_ready(world)


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
)


def scenario_named(name: str) -> Scenario:
    """The scenario of that name. Raises KeyError."""
    return {scenario.name: scenario for scenario in SCENARIOS}[name]
