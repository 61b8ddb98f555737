"""The table of what happens to dataflows through the landing zone; each returns what it did, None where it
does not apply.
"""

from __future__ import annotations

from typing import Any

from tests.emulators.core.faults import Fault
from tests.property import edits, lifecycle, remote_edits
from tests.property.edits import FieldEdit, of_field
from tests.property.landing_zone.bench import RECORDS
from tests.property.landing_zone.oracle import violations
from tests.property.landing_zone.tenant import COLUMNS, MARKING, ZoneTenant
from tests.property.tenant import Edit, Tenant

FAULTS: dict[str, dict[str, Any]] = {
    "a commit whose answer is lost": {"service": "blob", "query": "comp=blocklist", "reset": "after"},
    "a block that does not arrive": {"service": "blob", "query": "comp=block&", "reset": "before"},
    "a busy landing zone": {"service": "blob", "azure": "ServerBusy", "times": 4},
    "a landing zone that is not listed": {"service": "blob", "query": "comp=list", "azure": "InternalError"},
    "a count that fails": {"service": "zoho-api", "path": "/coql", "status": 500, "body": "oops"},
    "Zoho CRM that is away": {"service": "zoho-api", "path": "/coql", "reset": "before", "times": 5},
    "a lost create": {
        "service": "platform",
        "method": "POST",
        "path": "Connections$|/flows$",
        "reset": "after",
    },
    "runs that are not listed": {"service": "platform", "method": "GET", "path": "/runs$", "status": 503},
}

_SCHEDULES = (("Minute", 30), ("Hour", 1), ("Hour", 2))
_MAPPINGS = (edits.MAPPINGS[0], edits.MAPPINGS[1], edits.MAPPINGS[2])


def _schedule(tenant: Tenant, _: dict[str, Any]) -> dict[str, Any]:
    frequency, interval = tenant.rng.choice(_SCHEDULES)
    return {"schedule": {"frequency": frequency, "interval": interval}}


def _mapping(tenant: Tenant, spec: dict[str, Any]) -> dict[str, Any] | None:
    if "extract" in spec and "deletedRecords" in spec["extract"]:
        return None
    return {"mapping": tenant.rng.choice(_MAPPINGS)}


def _marks(_: Tenant, spec: dict[str, Any]) -> dict[str, Any]:
    """Deleted records are to be marked from now on, or no longer."""
    if spec.get("extract", {}).get("deletedRecords") == "Mark":
        return {"extract": {"deletedRecords": None}, "mapping": _MAPPINGS[0]}
    return {"extract": {"deletedRecords": "Mark"}, "mapping": MARKING}


FIELDS: dict[str, FieldEdit] = {
    **{
        name: edits.FIELDS[name]
        for name in (
            "displayName",
            "description",
            "ingestion.enabled",
            "ingestion.errorDiagnostics",
            "paused",
            "resyncInterval",
            "deletionPolicy",
            "replacementPolicy",
        )
    },
    "schedule": _schedule,
    "mapping": _mapping,
    "extract.deletedRecords": _marks,
    "extract.fullReadEvery": lambda tenant, _: {
        "extract": {"fullReadEvery": tenant.rng.choice(("24h", "24h", None))}
    },
    "source.columns": lambda tenant, _: {
        "source": {"columns": tenant.rng.choice((COLUMNS, [*COLUMNS, "Phone"]))}
    },
}

FIRST: tuple[dict[str, Any], ...] = (
    {},
    {},
    {"schedule": {"backfill": False}},
    {"schedule": {"frequency": "Minute", "interval": 30}},
    {"schedule": {"frequency": "Once", "interval": None, "backfill": None}, "deltaColumn": None},
    {"extract": {"deletedRecords": "Mark"}, "mapping": MARKING},
    {"extract": {"fullReadEvery": "24h"}},
)
"""What a dataflow may begin with."""


async def _create(tenant: ZoneTenant) -> str | None:
    if not tenant.missing:
        return None
    name, changes = tenant.rng.choice(tenant.missing), tenant.rng.choice(FIRST)
    tenant.declare(name, **changes)
    return f"{name}: {changes}"


async def _adopt(tenant: ZoneTenant) -> str | None:
    """A new resource stands for a flow that one has left behind."""
    left = [flow for flow in tenant.left_flows() if flow.settled]
    if not left or not tenant.missing:
        return None
    name, flow = tenant.rng.choice(tenant.missing), tenant.rng.choice(left)
    spec = tenant.left_specs.get(flow.id)
    if spec is None:
        return None
    tenant.replace(name, {**spec, "flowId": flow.id, "deletionPolicy": "Delete"})
    return f"{name}: {flow.id}"


async def _name_its_flow(tenant: ZoneTenant) -> str | None:
    """A dataflow names the flow that it has, which is whole: what is adopted without a part is not made
    anew.
    """
    if violations(tenant) or not all(map(tenant.is_whole, tenant.declared)):
        return None
    return await lifecycle.EDITS["dataflow flowId"](tenant)


def _by_hand(name: str) -> Edit:
    """Somebody edits what nobody has adopted: what is deleted of that is not made anew."""

    async def edit(tenant: Tenant) -> str | None:
        if any("flowId" in spec for spec in tenant.declared.values()):
            return None
        return await remote_edits.EDITS[name](tenant)

    return edit


async def _delete(tenant: ZoneTenant) -> str | None:
    name = tenant.some()
    if name is None or not tenant.may_withdraw(name):
        return None
    flow = tenant.flow_of(name)
    if flow is not None:
        tenant.left_specs[flow] = tenant.declared[name]
    tenant.withdraw(name)
    return name


async def _write_records(tenant: ZoneTenant) -> str:
    """People at Zoho create, change and delete contacts."""
    rng, bench = tenant.rng, tenant.bench
    ids = [one["id"] for one in (await bench.control("GET", RECORDS))["records"]]
    changed = rng.sample(ids, min(len(ids), rng.randint(0, 2)))
    for id in changed:
        await bench.control("PATCH", f"{RECORDS}/{id}", {"Description": "Told anew."})
    gone = rng.sample(ids, 1) if len(ids) > 10 and rng.random() < 0.4 else []
    for id in gone:
        await bench.control("DELETE", f"{RECORDS}/{id}")
    created = rng.randint(0, 2)
    if created:
        await bench.control("POST", RECORDS, {"count": created, "now": True})
    return f"{len(changed)} changed, {len(gone)} deleted, {created} created"


async def _fault(tenant: ZoneTenant) -> str:
    name = tenant.rng.choice(sorted(FAULTS))
    tenant.bench.emulators.faults.add(Fault(**FAULTS[name]))
    return name


async def _kill_pods(tenant: ZoneTenant) -> str | None:
    """Time goes on until something is extracted, whose pod is killed."""
    for _ in range(12):
        if killed := tenant.bench.node.kill():
            return f"{killed}"
        await tenant.bench.pass_time(300.0)
    return None


async def _kill_in_the_middle(tenant: ZoneTenant) -> str | None:
    """The operator is killed after one of its next calls, and time goes on until it makes that."""
    bench, after = tenant.bench, tenant.rng.randint(1, 30)
    mark = bench.emulators.recorder.count
    for _ in range(15):
        bench.clock.jump(300.0)
        if await bench.until_calls(mark + after):
            await bench.stop()
            await bench.start()
            return f"at call {after}"
    return None


async def _new_signature(tenant: ZoneTenant) -> str:
    """Somebody refreshes the credentials of the landing zone, which all of its users share."""
    await tenant.bench.control("POST", "/aep/sandboxes/prod/landingzone/refresh")
    return "refreshed"


async def _end_tokens(tenant: ZoneTenant) -> str:
    await tenant.bench.control("POST", "/zoho/access-tokens/expire", {})
    return "ended"


async def _wait(tenant: ZoneTenant) -> str:
    seconds = tenant.rng.choice((0.0, 90.0, 600.0, 2700.0, 3600.0, 7500.0))
    await tenant.bench.pass_time(seconds)
    return f"{seconds:.0f} s"


EDITS: dict[str, Edit] = {
    **{f"dataflow {name}": of_field(change) for name, change in FIELDS.items()},
    **{name: lifecycle.EDITS[name] for name in ("dataflow managementPolicy", "connection deletionPolicy")},
    **{
        name: _by_hand(name)
        for name in ("rename flows", "toggle a flow", "delete flows", "delete sourceConnections")
    },
    **{
        name: edits.EDITS[name]
        for name in ("connection text", "connection paused", "approve the plan", "restart")
    },
    "dataflow flowId": _name_its_flow,
    "create a dataflow": _create,
    "adopt a flow": _adopt,
    "delete a dataflow": _delete,
    "records": _write_records,
    "a fault": _fault,
    "kill pods": _kill_pods,
    "a new signature": _new_signature,
    "tokens end": _end_tokens,
    "time": _wait,
    "a kill in the middle": _kill_in_the_middle,
}
OFTEN = ("records", "time", "a kill in the middle", "a fault")
"""What happens several times in a sequence: without it the rest would find nothing to do."""
