"""A preview before each edit, and what the operator does about the edit after it: both are the same."""

from __future__ import annotations

import copy
import random
from collections.abc import Mapping, Sequence
from typing import Any

from crmflow.api.crmdataflow import UNIT_SECONDS, Frequency
from crmflow.api.kinds import APPROVE_PLAN
from crmflow.http.client import HttpClient
from crmflow.preview.access import NO_ACCESS_LEFT, PlatformReader, ServiceUrls
from crmflow.preview.notes import FILE, JOB, NOUNS
from crmflow.preview.preview import NamespacePreview, ResourcePreview
from crmflow.runtime.controller.keys import Key
from crmflow.runtime.controller.secrets import SecretReader
from crmflow.zoho.datacenters import ZohoEndpoints
from tests.emulators.core.server import Emulators
from tests.property import edits, lifecycle
from tests.property.bench import INSTANCE, NAMESPACE, Bench, CountedTransport
from tests.property.landing_zone.bench import LandingZoneBench
from tests.property.oracle import violations
from tests.property.sequence import Outcome
from tests.property.tenant import Edit, Spec, Tenant, changed

LAG_SECONDS = 60.0
"""After which listings show what was created: the preview remembers nothing of what an operator has done."""
_VERBS = {"POST": "Create", "PATCH": "Update", "DELETE": "Delete"}
_OF_COLLECTIONS = {collection.name: noun for collection, noun in NOUNS.items()}
USES_A_MAPPING_SET = ("Use", "mapping set")
_EDITS_OF_LIFECYCLE = (
    "share a missing target",
    "dataflow mappingSetRef",
    "dataflow flowId",
    "adopt a flow",
    "connection connectionId",
    "dataflow managementPolicy",
    "connection managementPolicy",
    "connection deletionPolicy",
)
EDITS: dict[str, Edit] = {
    **{f"dataflow {name}": edits.of_field(change) for name, change in edits.FIELDS.items()},
    **{name: lifecycle.EDITS[name] for name in _EDITS_OF_LIFECYCLE},
    **{
        name: edits.EDITS[name]
        for name in (
            "create a dataflow",
            "delete a dataflow",
            "connection text",
            "connection paused",
            "connection away or back",
        )
    },
}
"""Those that are edits of manifests, and nothing else."""


TRANSPORTS: dict[str, Edit] = {
    "dataflow transport": edits.of_field(
        lambda tenant, _: {"transport": tenant.rng.choice(("PlatformSource", "LandingZone", None))}
    ),
    "dataflow extract": edits.of_field(
        lambda tenant, _: {"extract": tenant.rng.choice(({"fullReadEvery": "24h"}, None))}
    ),
}
"""With a landing zone only."""


async def run_foresight(
    emulators: Emulators, seed: int, length: int, *, with_zone: bool = False, names: Sequence[str] = ()
) -> Outcome:
    """Edit at random, or by these ``names``; plan each edit before, and compare after it. What waits for
    approval is approved.
    """
    rng, outcome = random.Random(seed), Outcome(seed)
    bench = LandingZoneBench(emulators, rng) if with_zone else Bench(emulators)
    tenant = _ReadsIds(bench, rng) if with_zone else Tenant(bench, rng)
    outcome.habits = bench.pick_habits(rng)
    if isinstance(bench, LandingZoneBench):
        await bench.grant()
    else:
        bench.add_secrets()
    await bench.start()
    try:
        await _step(tenant, outcome, "declare", _declare)
        table = [*EDITS.items(), *(3 * list(TRANSPORTS.items()) if with_zone else ())]
        tries = 0
        for name in names:
            await _step(tenant, outcome, name, dict(table)[name])
        while not names and len(outcome.steps) <= length and not outcome.problems and tries < 50 * length:
            name, edit = rng.choice(table)
            tries += 1
            await _step(tenant, outcome, name, edit)
    finally:
        await bench.stop()
        if isinstance(bench, LandingZoneBench):
            await bench.close()
    return outcome


class _ReadsIds(Tenant):
    """A tenant whose columns are there whichever way records take."""

    def first_dataflow(self, name: str) -> Spec:
        columns = ["Email", "First_Name", "Last_Name", "Modified_Time"]
        return changed(super().first_dataflow(name), {"source": {"columns": columns}})


async def _declare(tenant: Tenant) -> str:
    tenant.declare_connection()
    tenant.declare("contacts")
    return "a connection and a dataflow"


async def _step(tenant: Tenant, outcome: Outcome, name: str, edit: Edit) -> None:
    """One edit, previewed while the operator does not hear of it."""
    bench = tenant.bench
    bench.clock.jump(LAG_SECONDS)
    await bench.idle()
    before = copy.deepcopy(bench.server.objects)
    watcher, bench.server.watcher = bench.server.watcher, None
    told: list[tuple[str, dict[str, Any]]] = []
    bench.server.watcher = lambda what, obj: told.append((what, obj))
    done = await edit(tenant)
    await bench.idle()
    if done is None:
        bench.server.watcher = watcher
        return
    found = await _preview(bench, before)
    mark = bench.emulators.recorder.count
    bench.server.watcher = watcher
    for what, obj in told:
        if watcher is not None:
            watcher(what, obj)
    await _settle(tenant, outcome)
    await _approve(tenant, outcome, found)
    outcome.steps.append(f"{name}: {done}")
    if any(NO_ACCESS_LEFT in one.assumptions for one in found):
        return  # only the operator knows whether it has
    planned = _planned(found)
    happened = _happened(bench.emulators.recorder.since(mark))
    if USES_A_MAPPING_SET in planned:  # only the operator knows whether it remembers that one
        planned, happened = planned - {USES_A_MAPPING_SET}, happened - {("Create", "mapping set")}
    if planned != happened:
        outcome.problems.append(f"planned {sorted(planned)}, happened {sorted(happened)}")
        outcome.problems += [f"  {one}" for one in found]
        outcome.problems.append(bench.state())


async def _settle(tenant: Tenant, outcome: Outcome) -> None:
    if not await tenant.bench.settle(lambda: not violations(tenant)):
        outcome.problems += violations(tenant)


async def _approve(tenant: Tenant, outcome: Outcome, found: list[ResourcePreview]) -> None:
    """Approve what was planned, and let time pass until it is done."""
    bench = tenant.bench
    for one in found:
        key = one.key
        obj = bench.server.objects.get(key)
        plan = ((obj or {}).get("status") or {}).get("plan")
        if obj is None or not plan:
            continue
        if one.plan is None or one.plan.hash != plan["hash"]:
            outcome.problems.append(f"planned {one.plan and one.plan.hash}, and it is {plan['hash']}")
            return
        if plan["state"] == "WaitingForApproval":
            bench.server.annotate(key, APPROVE_PLAN, plan["hash"])
        for _ in range(6):
            await _settle(tenant, outcome)
            if "predecessor" not in (bench.server.objects[key].get("status") or {}):
                break
            bench.clock.jump(_between_runs(obj["spec"]["schedule"]) + 3600.0)
            await bench.pass_time(900.0)
        await _settle(tenant, outcome)


def _between_runs(schedule: Mapping[str, Any]) -> float:
    """Seconds in which a flow of that schedule has run once more."""
    return UNIT_SECONDS.get(Frequency(schedule["frequency"]), 0) * float(schedule.get("interval") or 1)


async def _preview(bench: Bench, before: Mapping[Key, dict[str, Any]]) -> list[ResourcePreview]:
    """What is planned for what differs by now."""
    transport = CountedTransport()
    settings = bench.settings()
    hosts = ServiceUrls(
        ZohoEndpoints(settings.zoho_accounts_url, settings.zoho_api_url),
        settings.ims_url,
        settings.platform_url,
    )
    preview = NamespacePreview(
        PlatformReader(HttpClient(transport, bench.clock), hosts, bench.clock),
        SecretReader(bench.server),  # type: ignore[arg-type]
        INSTANCE,
        [copy.deepcopy(obj) for obj in before.values()],
    )
    mark = bench.emulators.recorder.count
    try:
        applied, deleted = [], []
        for key in {*before, *bench.server.objects}:
            obj, was = bench.server.objects.get(key), before.get(key)
            if obj is None or "deletionTimestamp" in obj["metadata"]:
                if was is not None and "deletionTimestamp" not in was["metadata"]:
                    deleted.append(was)
            elif was is None or obj["spec"] != was["spec"]:
                applied.append({"kind": key.kind, "metadata": {"name": key.name}, "spec": obj["spec"]})
        found = [*await preview.delete(deleted), *await preview.apply(applied, NAMESPACE)]
    finally:
        await transport.aclose()
    written = _happened(bench.emulators.recorder.since(mark))
    assert not written, f"the preview has written {written}"
    return found


def _planned(found: list[ResourcePreview]) -> set[tuple[str, str]]:
    return {
        (str(write.verb), write.object)
        for one in found
        for write in (*one.writes, *one.once_approved)
        if write.object not in (FILE, JOB)  # of which schedules make some as well
        and not (write.fields and all(field.startswith("/auth/") for field in write.fields))
    }


def _happened(exchanges: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {write for call in exchanges if (write := _write(call)) is not None}


def _write(call: dict[str, Any]) -> tuple[str, str] | None:
    """What an exchange with Platform has changed."""
    if call["service"] != "platform" or call["method"] == "GET":
        return None
    if not 200 <= call["status"] < 300 and (call["method"], call["status"]) != ("DELETE", 404):
        return None  # Platform may have deleted a part together with its flow
    parts = call["path"].strip("/").split("/")
    if parts[-1] == "validate" or "oauth" in call["path"] or "token" in parts[-1]:
        return None
    if parts[-1] == "action":
        return ({"enable": "Enable", "disable": "Disable"}[_op(call)], "flow")
    if call["method"] == "PATCH" and all(op["path"].startswith("/auth/") for op in call["body"]):
        return None
    name = parts[-1] if call["method"] == "POST" else parts[-2]
    return (_VERBS[call["method"]], _OF_COLLECTIONS[name])


def _op(call: dict[str, Any]) -> str:
    query = call["query"]
    value = query.get("op") if isinstance(query, dict) else dict(query)["op"]
    return value if isinstance(value, str) else value[0]
