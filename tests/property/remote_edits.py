"""What somebody else may do to the operator's objects in Platform, as a table like that of the edits."""

from __future__ import annotations

import copy
from typing import Any

from tests.emulators.aep.resource import Resource
from tests.property.lifecycle import SOMEBODY
from tests.property.tenant import Edit, Tenant

COLLECTIONS = ("connections", "sourceConnections", "targetConnections", "flows")


def pick(tenant: Tenant, collection: str) -> Resource | None:
    """An object of the collection."""
    held = tenant.held(collection)
    return tenant.rng.choice(held) if held else None


def _change(collection: str, **body: Any) -> Edit:
    async def edit(tenant: Tenant) -> str | None:
        held = pick(tenant, collection)
        if held is None:
            return None
        for field, value in body.items():
            held.body[field] = {**held.body.get(field, {}), **value} if isinstance(value, dict) else value
        held.touch(tenant.bench.clock.now(), SOMEBODY)
        return f"{held.id} {body}"

    return edit


def _delete(collection: str) -> Edit:
    async def edit(tenant: Tenant) -> str | None:
        held = pick(tenant, collection)
        if held is None:
            return None
        tenant.sandbox.stores[collection].delete(held, tenant.bench.clock.now())
        return held.id

    return edit


def _double(collection: str) -> Edit:
    """A second object of the same name and description, as a lost answer leaves one behind."""

    async def edit(tenant: Tenant) -> str | None:
        held = pick(tenant, collection)
        if held is None:
            return None
        store, now = tenant.sandbox.stores[collection], tenant.bench.clock.now()
        twin = store.create(copy.deepcopy(held.body), held.state, SOMEBODY, now)
        twin.extra = copy.deepcopy(held.extra)
        return f"{held.id} as {twin.id}"

    return edit


async def _toggle(tenant: Tenant) -> str | None:
    flow = pick(tenant, "flows")
    if flow is None:
        return None
    flow.state = "disabled" if flow.state == "enabled" else "enabled"
    flow.touch(tenant.bench.clock.now(), SOMEBODY)
    return f"{flow.id} {flow.state}"


async def _other_mapping(tenant: Tenant) -> str | None:
    """The flow is given another mapping set."""
    flow = pick(tenant, "flows")
    if flow is None:
        return None
    [params] = [step["params"] for step in flow.body["transformations"] if step["name"] == "Mapping"]
    versions = copy.deepcopy(tenant.sandbox.mapping_sets[params["mappingId"]])
    for version in versions:
        version["mappings"] = version["mappings"][:1]
        version["name"] = "by hand"
    tenant.sandbox.mapping_sets["by-hand"] = versions
    params["mappingId"] = "by-hand"
    flow.touch(tenant.bench.clock.now(), SOMEBODY)
    return flow.id


async def _double_mapping_set(tenant: Tenant) -> str | None:
    """A second mapping set of the same name: names are not unique (platform.md 4.7)."""
    sets = tenant.sandbox.mapping_sets
    if not sets:
        return None
    first = tenant.rng.choice(sorted(sets))
    sets[f"{first}-twin"] = copy.deepcopy(sets[first])
    return first


EDITS: dict[str, Edit] = {
    **{f"rename {collection}": _change(collection, name="By hand") for collection in COLLECTIONS},
    **{f"describe {collection}": _change(collection, description="by hand") for collection in COLLECTIONS},
    **{f"delete {collection}": _delete(collection) for collection in COLLECTIONS},
    **{f"double {collection}": _double(collection) for collection in COLLECTIONS if collection != "flows"},
    "toggle a flow": _toggle,
    "another interval": _change("flows", scheduleParams={"interval": "7"}),
    "another frequency": _change("flows", scheduleParams={"frequency": "day"}),
    "other options": _change(
        "flows", options={"errorDiagnosticsEnabled": True, "partialIngestionPercent": 50}
    ),
    "another mapping": _other_mapping,
    "a second mapping set of a name": _double_mapping_set,
}
"""Each is put right. Twins of flows are left out: Platform lets no two flows share a connection."""
