"""What has to be true of dataflows through the landing zone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

from crmflow.reconcile.extraction.names import folders_until
from tests.property.landing_zone.tenant import Ends, Row, ZoneTenant, row
from tests.property.oracle import condition, is_named, maps_as_wanted, strays, unsettled
from tests.property.tenant import Spec

REFUSED = "ReplacementRequired"
"""What a dataflow is stalled with whose flow would have to be another one."""
FOLDER_EMPTY = "'FolderEmpty'"
"""A new flow waits for a first file, where Platform makes none without (landing-zone.md K.3)."""
READ = ("Succeeded", "NothingNew", "Late")
INGESTED = ("RowsMatch", "Waiting")


def violations(tenant: ZoneTenant) -> list[str]:
    """What is not as it should be, whenever all has settled."""
    tenant.note_flows()
    found = [*unsettled(tenant), *strays(tenant), *_differences(tenant)]
    return [problem for problem in found if FOLDER_EMPTY not in problem]


async def losses(tenant: ZoneTenant) -> list[str]:
    """What is not as it should be once all that is there was ingested."""
    ends = await tenant.ends()
    found = [f"{name} is left" for name in tenant.bench.node.left]
    folders = [one for _, obj in tenant.objects() for one in folders_until(_folder(obj["status"]))]
    folders += [one for folder in tenant.left_folders for one in folders_until(folder)]
    found += [
        f"{file} is left" for file in await tenant.files() if not any(file.startswith(one) for one in folders)
    ]
    for name, spec in tenant.declared.items():
        found += [f"{name}: {problem}" for problem in _losses(tenant, ends, name, spec)]
    return found


def _losses(tenant: ZoneTenant, ends: Ends, name: str, spec: Spec) -> Iterator[str]:
    obj = tenant.object(name) or {}
    status, uid = obj["status"], obj["metadata"]["uid"]
    flows = tenant.flows[uid]
    ingested = sum((ends.rows.get(flow, Counter()) for flow in flows), Counter[Row]())
    since, until = tenant.reads_since(name), _until(spec, status)
    expected = {row(id, at) for id, at in ends.held.items() if since <= at < until}
    if missing := expected - ingested.keys():
        yield f"{len(missing)} of {len(expected)} records are missing, such as {sorted(missing)[:2]}"
    twice = [one for one, count in ingested.items() if count > 1]
    if twice and not tenant.told_twice(uid) and uid not in tenant.read_whole:
        yield f"{len(twice)} records were ingested twice, such as {twice[:2]}"
    if pending := status.get("pendingWindows"):
        yield f"windows are pending: {pending}"
    said = condition(obj, "Extracted")
    if said["reason"] not in READ:
        yield f"it says {said}"
    compared = condition(obj, "IngestionComplete")
    if compared["reason"] not in INGESTED:
        yield f"it says {compared}"


def _until(spec: Spec, status: dict[str, object]) -> datetime:
    """Until when records had to be modified to be among those that were read."""
    if spec["schedule"]["frequency"] != "Once":
        return datetime.max.replace(tzinfo=UTC)
    return datetime.fromisoformat(status["extraction"]["cursor"])  # type: ignore[index]


def _differences(tenant: ZoneTenant) -> Iterator[str]:
    for name, spec in tenant.declared.items():
        obj = tenant.object(name)
        is_left_alone = spec.get("paused") or spec.get("managementPolicy") == "Observe"
        if obj is None or is_left_alone:
            continue
        if (stalled := condition(obj, "Stalled")) and stalled["reason"] != REFUSED:
            yield f"{name} is stalled with {stalled['reason']}: {stalled['message']}"
        elif not stalled and condition(obj, "Ready").get("status") == "True":
            yield from (f"{name} is Ready and differs in {what}" for what in _differing(tenant, name, spec))


def _differing(tenant: ZoneTenant, name: str, spec: Spec) -> Iterator[str]:
    status = tenant.status(name)
    flow = next((held for held in tenant.held("flows") if held.id == status["flow"]["id"]), None)
    if flow is None:
        yield "existence"
        return
    schedule, wanted = flow.body["scheduleParams"], spec["schedule"]
    if "flowId" not in spec and not is_named(flow, name, spec):
        yield "text"
    if flow.state != ("enabled" if spec.get("ingestion", {}).get("enabled", True) else "disabled"):
        yield "state"
    if str(schedule["frequency"]).lower() != wanted["frequency"].lower():
        yield "frequency"
    elif wanted["frequency"] != "Once" and int(schedule["interval"]) != wanted["interval"]:
        yield "interval"
    (mapping,) = [step["params"] for step in flow.body["transformations"]]
    if not maps_as_wanted(tenant, mapping, spec):
        yield "mapping"


def _folder(status: dict[str, dict[str, str]]) -> str:
    """Where its files are, within the container."""
    return status.get("landingZone", {}).get("path", "/none").partition("/")[2]
