"""Edits of how a resource comes to what it stands for, and how it parts with it: named or created targets,
mapping sets that exist, adoption, observation, and ends in the middle of a beginning.
"""

from __future__ import annotations

import copy
from typing import Any

from tests.emulators.aep import seed_data as ids
from tests.emulators.aep import xdm_parts
from tests.emulators.aep.resource import Author
from tests.emulators.core.faults import Fault
from tests.property.tenant import CONNECTED, Edit, Spec, Tenant

SOMEBODY = Author("3F2A1C0B66F0C1D20A495F77@AdobeID", "exc_app")
NEW_TARGETS = ("Ours", "Ours as well")
CREATES = (
    "/connections$",
    "/sourceConnections$",
    "/targetConnections$",
    "/flows$",
    "/mappingSets$",
    "/tenant/schemas$",
    "/tenant/descriptors$",
    "/dataSets$",
)
"""Paths of the calls whose lost answer leaves an object behind."""


def new_target(name: str) -> Spec:
    """A schema and a dataset that are created when they are missing."""
    groups = [xdm_parts.PERSON_DETAILS, xdm_parts.PERSONAL_DETAILS, xdm_parts.CONTACT_FIELDS]
    create = {"class": ids.PROFILE_CLASS, "fieldGroups": groups}
    identity = {"path": "personalEmail.address", "namespace": "Email"}
    return {
        "schema": {"id": None, "title": name, "create": {**create, "primaryIdentity": identity}},
        "dataset": {"id": None, "name": name, "create": {"errorDiagnostics": True}},
    }


def of_flow(tenant: Tenant, flow_id: str) -> Spec:
    """What a manifest says that adopts the flow as it is."""
    flow = tenant.living("flows", flow_id)
    source = tenant.living("sourceConnections", flow.body["sourceConnectionIds"][0])
    target = tenant.living("targetConnections", flow.body["targetConnectionIds"][0])
    steps = {step["name"]: step["params"] for step in flow.body["transformations"]}
    schedule, delta = flow.body["scheduleParams"], steps.get("Copy", {}).get("deltaColumn")
    recurs = {"interval": int(schedule["interval"])} if delta else {"interval": None}
    columns = [column["name"] for column in source.body["params"]["columns"]]
    return {
        "flowId": flow_id,
        "source": {"table": source.body["params"]["tableName"], "columns": columns},
        "target": {
            "schema": {"id": target.body["data"]["schema"]["id"]},
            "dataset": {"id": target.body["params"]["dataSetId"]},
        },
        "mapping": None,
        "mappingSetRef": {
            "id": steps["Mapping"]["mappingId"],
            "version": int(steps["Mapping"]["mappingVersion"]),
        },
        "deltaColumn": delta,
        "schedule": {"frequency": schedule["frequency"].capitalize(), "backfill": None, **recurs},
    }


async def _share_a_target(tenant: Tenant) -> str | None:
    """Several dataflows name the same missing schema and dataset."""
    missing, target = tenant.missing, tenant.rng.choice(NEW_TARGETS)
    for name in missing:
        tenant.declare(name, target=new_target(target))
    return f"{missing} into {target}" if missing else None


async def _use_a_mapping_set(tenant: Tenant) -> str | None:
    name = tenant.some()
    schema = tenant.status(name).get("schema", {}).get("id") if name else None
    fitting = [
        {"id": mapping_set_id, "version": int(version["version"])}
        for mapping_set_id, versions in sorted(tenant.sandbox.mapping_sets.items())
        for version in versions
        if version["outputSchema"]["schemaRef"]["id"] == schema
    ]
    if name is None or tenant.flow_of(name) is None or not fitting:
        return None
    ref = tenant.rng.choice(fitting)
    tenant.declare(name, mapping=None, mappingSetRef=ref)
    return f"{name}: {ref}"


async def _name_its_flow(tenant: Tenant) -> str | None:
    name = tenant.some()
    flow = tenant.flow_of(name) if name else None
    if name is None or flow is None or "flowId" in tenant.declared[name]:
        return None
    tenant.declare(name, flowId=flow)
    return f"{name}: {flow}"


async def _adopt_a_flow(tenant: Tenant) -> str | None:
    """A new resource, or one that has no flow yet, stands for a flow that nobody stands for."""
    left = [flow for flow in tenant.left_flows() if flow.settled and tenant.is_read_through(flow)]
    names = [*tenant.missing, *(name for name in tenant.declared if tenant.flow_of(name) is None)]
    if not left or not names:
        return None
    name, flow = tenant.rng.choice(names), tenant.rng.choice(left)
    if "flowId" in tenant.declared.get(name, {}):
        return None
    tenant.replace(name, tenant.spec_with(name, of_flow(tenant, flow.id)))
    return f"{name}: {flow.id}"


async def _make_a_flow_by_hand(tenant: Tenant) -> str | None:
    """Somebody copies a flow and what it is built on."""
    flows = [flow for flow in tenant.held("flows") if flow.settled and tenant.is_read_through(flow)]
    if not flows:
        return None
    flow, now = tenant.rng.choice(flows), tenant.bench.clock.now()
    body = copy.deepcopy(flow.body)
    for member, collection in CONNECTED.items():
        twin = copy.deepcopy(tenant.living(collection, body[member][0]).body)
        twin |= {"name": "By hand", "description": "mine"}
        body[member] = [tenant.sandbox.stores[collection].create(twin, "enabled", SOMEBODY, now).id]
    body |= {"name": "By hand", "description": "mine"}
    made = tenant.sandbox.stores["flows"].create(body, flow.state, SOMEBODY, now)
    made.extra = copy.deepcopy(flow.extra)
    return f"{made.id} like {flow.id}"


async def _name_its_connection(tenant: Tenant) -> str | None:
    base = tenant.base_connection
    if tenant.connection is None or base is None or "connectionId" in tenant.connection:
        return None
    tenant.declare_connection(connectionId=base)
    return base


async def _observe(tenant: Tenant) -> str | None:
    """Begin or end to observe what was adopted."""
    name = tenant.some()
    if name is None or "flowId" not in tenant.declared[name]:
        return None
    policy = tenant.rng.choice(("Observe", None))
    tenant.declare(name, managementPolicy=policy)
    return f"{name}: {policy}"


async def _observe_connection(tenant: Tenant) -> str | None:
    if tenant.connection is None or "connectionId" not in tenant.connection:
        return None
    policy = tenant.rng.choice(("Observe", None))
    tenant.declare_connection(managementPolicy=policy)
    return str(policy)


async def _connection_deletion_policy(tenant: Tenant) -> str | None:
    if tenant.connection is None:
        return None
    policy = tenant.rng.choice(("Delete", "Orphan", None))
    tenant.declare_connection(deletionPolicy=policy)
    return str(policy)


async def _lose_an_answer(tenant: Tenant) -> str:
    """The next create of a kind is carried out, and nobody hears of it."""
    path = tenant.rng.choice(CREATES)
    tenant.bench.emulators.faults.add(Fault(service="platform", method="POST", path=path, reset="after"))
    return path


async def _end_in_the_middle(tenant: Tenant) -> str | None:
    """A dataflow is deleted while it is made, after a lost answer or a kill."""
    if not tenant.missing:
        return None
    name, policy = tenant.rng.choice(tenant.missing), tenant.rng.choice(("Delete", "Orphan"))
    if tenant.rng.random() < 0.5:
        how = await _lose_an_answer(tenant)
        tenant.declare(name, deletionPolicy=policy)
        await tenant.bench.idle()
    else:
        how = "killed"
        tenant.declare(name, deletionPolicy=policy)
        await tenant.bench.until_something_is_created()
        await tenant.bench.stop()
        await tenant.bench.start()
    if not tenant.may_withdraw(name):
        return None
    tenant.withdraw(name)
    return f"{name}: {how}, {policy}"


EDITS: dict[str, Edit] = {
    "share a missing target": _share_a_target,
    "dataflow mappingSetRef": _use_a_mapping_set,
    "dataflow flowId": _name_its_flow,
    "adopt a flow": _adopt_a_flow,
    "a flow by hand": _make_a_flow_by_hand,
    "connection connectionId": _name_its_connection,
    "dataflow managementPolicy": _observe,
    "connection managementPolicy": _observe_connection,
    "connection deletionPolicy": _connection_deletion_policy,
    "lose an answer": _lose_an_answer,
    "delete a dataflow in the middle": _end_in_the_middle,
}
"""What leaves or takes things that no manifest alone describes."""


def declared_kinds() -> dict[str, dict[str, Any]]:
    """Changes of a dataflow's spec as these edits make them, for the API server to judge."""
    flow, ref = "5f2e7a6c-0b1d-4c3e-8a9f-1b2c3d4e5f60", {"id": "0" * 32, "version": 0}
    return {
        "share a missing target": {"target": new_target("Ours")},
        "dataflow mappingSetRef": {"mapping": None, "mappingSetRef": ref},
        "dataflow flowId": {"flowId": flow},
        "dataflow managementPolicy": {"flowId": flow, "managementPolicy": "Observe"},
        "dataflow deletionPolicy": {"deletionPolicy": "Orphan"},
    }
