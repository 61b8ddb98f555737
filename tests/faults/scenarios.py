"""What the operator is doing when it dies. A scenario is one declaration: how to get there, what happens
then, and when that is over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.faults.outcome import Difference
from tests.kit.cluster import OUR_KINDS, Object, condition
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
DRIFT = frozenset({Difference.DRIFT_TOLD_OTHERWISE})
BY_HAND = "Edited by hand"


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
