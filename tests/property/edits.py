"""The table of valid edits: each returns what it did, None where it does not apply. A new field of the spec
is one more row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from crmflow.api.kinds import APPROVE_PLAN
from tests.emulators.aep import seed_data as ids
from tests.property import lifecycle
from tests.property.tenant import DATAFLOW, Edit, Tenant

FieldEdit = Callable[[Tenant, dict[str, Any]], dict[str, Any] | None]

TEXTS = ("Contacts", 'Kunden, "EU" [x]', "  many   spaces ", "管理" * 30, "a" * 100)
MAPPINGS: tuple[list[dict[str, str]], ...] = (
    [{"target": "personalEmail.address", "source": "Email"}],
    [
        {"target": "personalEmail.address", "source": "Email"},
        {"target": "person.name.firstName", "source": "First_Name"},
    ],
    [
        {"target": f"_{ids.TENANT}.origin", "value": "zoho"},
        {"target": "person.name.fullName", "expression": 'concat(First_Name," ",Last_Name)'},
    ],
    [{"target": f"_{ids.TENANT}.origin", "value": "crm"}],
)


def _schedule(tenant: Tenant, spec: dict[str, Any]) -> dict[str, Any]:
    frequency = tenant.rng.choice(("Minute", "Hour", "Day", "Week"))
    return {"schedule": {"frequency": frequency, "interval": tenant.rng.choice((15, 20, 30))}}


def _columns(tenant: Tenant, spec: dict[str, Any]) -> dict[str, Any]:
    columns = ["Email", "First_Name", "Last_Name", "Modified_Time", "Phone"]
    return {"source": {"columns": columns[: tenant.rng.choice((4, 5))]}}


def _target(tenant: Tenant) -> dict[str, Any]:
    dataset = tenant.rng.choice((ids.CONTACTS_DATASET, ids.PROFILE_DATASET))
    return {
        "schema": {"id": ids.CONTACTS_SCHEMA, "title": None, "create": None},
        "dataset": {"id": dataset, "name": None, "create": None},
    }


def _once(tenant: Tenant, spec: dict[str, Any]) -> dict[str, Any] | None:
    if spec["schedule"]["frequency"] == "Once":
        return {
            "schedule": {"frequency": "Hour", "interval": 2},
            "deltaColumn": {"name": "Modified_Time"},
        }
    return {"schedule": {"frequency": "Once", "interval": None, "backfill": None}, "deltaColumn": None}


def _recurring(change: FieldEdit) -> FieldEdit:
    return lambda tenant, spec: None if spec["schedule"]["frequency"] == "Once" else change(tenant, spec)


FIELDS: dict[str, FieldEdit] = {
    "displayName": lambda tenant, _: {"displayName": tenant.rng.choice((*TEXTS, None))},
    "description": lambda tenant, _: {"description": tenant.rng.choice((*TEXTS, None))},
    "ingestion.enabled": lambda _, spec: {
        "ingestion": {"enabled": not spec.get("ingestion", {}).get("enabled", True)}
    },
    "ingestion.errorDiagnostics": lambda tenant, _: {
        "ingestion": {"errorDiagnostics": tenant.rng.choice((True, False, None))}
    },
    "ingestion.partialIngestionPercent": lambda tenant, _: {
        "ingestion": {"partialIngestionPercent": tenant.rng.choice((1, 5, 12.5, None))}
    },
    "schedule": _recurring(_schedule),
    "mapping": lambda tenant, _: {"mapping": tenant.rng.choice(MAPPINGS), "mappingSetRef": None},
    "paused": lambda _, spec: {"paused": not spec.get("paused", False)},
    "resyncInterval": lambda tenant, _: {"resyncInterval": tenant.rng.choice(("10m", "90m", None))},
    "deletionPolicy": lambda tenant, _: {"deletionPolicy": tenant.rng.choice(("Delete", "Orphan", None))},
    "replacementPolicy": lambda tenant, _: {
        "replacementPolicy": tenant.rng.choice(("Automatic", "Manual", None))
    },
    # These only another flow can have
    "source.columns": _columns,
    "source.table": lambda tenant, _: {"source": {"table": tenant.rng.choice(("Contacts", "Leads"))}},
    "target": lambda tenant, _: {"target": _target(tenant)},
    "deltaColumn": _recurring(
        lambda tenant, _: {"deltaColumn": {"name": tenant.rng.choice(("Modified_Time", "Created_Time"))}}
    ),
    "schedule.backfill": _recurring(
        lambda tenant, _: {"schedule": {"backfill": tenant.rng.choice((True, False, None))}}
    ),
    "schedule.frequency once": _once,
}


def of_field(change: FieldEdit) -> Edit:
    """The edit of some dataflow's spec that ``change`` makes up."""

    async def edit(tenant: Tenant) -> str | None:
        dataflow = tenant.some()
        changes = change(tenant, tenant.declared[dataflow]) if dataflow else None
        if dataflow is None or changes is None:
            return None
        tenant.declare(dataflow, **changes)
        return f"{dataflow}: {changes}"

    return edit


async def _create(tenant: Tenant) -> str | None:
    if not tenant.missing:
        return None
    name = tenant.rng.choice(tenant.missing)
    tenant.declare(name)
    return f"create {name}"


async def _delete(tenant: Tenant) -> str | None:
    name = tenant.some()
    if name is None or not tenant.may_withdraw(name):
        return None
    tenant.withdraw(name)
    return f"delete {name}"


async def _connection_text(tenant: Tenant) -> str | None:
    if tenant.connection is None:
        return None
    changes = {tenant.rng.choice(("displayName", "description")): tenant.rng.choice((*TEXTS, None))}
    tenant.declare_connection(**changes)
    return f"connection: {changes}"


async def _connection_paused(tenant: Tenant) -> str | None:
    if tenant.connection is None:
        return None
    paused = not tenant.connection.get("paused", False)
    tenant.declare_connection(paused=paused)
    return f"connection: paused {paused}"


async def _connection_away(tenant: Tenant) -> str | None:
    if tenant.connection is None:
        if tenant.connection_lingers:
            return None
        tenant.declare_connection()
        return "create the connection"
    tenant.withdraw_connection()
    return "delete the connection"


async def _approve(tenant: Tenant) -> str | None:
    """A person approves a plan that they see, perhaps too late."""
    planned = [name for name in sorted(tenant.declared) if tenant.plan_of(name)]
    if not planned:
        return None
    name = tenant.rng.choice(planned)
    plan = tenant.plan_of(name)
    tenant.bench.server.annotate(tenant.bench.key(DATAFLOW, name), APPROVE_PLAN, plan)
    return f"{name}: {plan}"


async def _restart(tenant: Tenant) -> str | None:
    await tenant.bench.stop()
    await tenant.bench.start()
    return "kill the operator and start it"


async def _wait(tenant: Tenant) -> str | None:
    seconds = tenant.rng.choice((0.0, 1.0, 90.0, 4000.0))
    await tenant.bench.pass_time(seconds)
    return f"{seconds:.0f} s pass"


EDITS: dict[str, Edit] = {
    **{f"dataflow {name}": of_field(change) for name, change in FIELDS.items()},
    **lifecycle.EDITS,
    "create a dataflow": _create,
    "delete a dataflow": _delete,
    "connection text": _connection_text,
    "connection paused": _connection_paused,
    "connection away or back": _connection_away,
    "approve the plan": _approve,
    "restart": _restart,
    "time": _wait,
}
