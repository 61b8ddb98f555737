"""What has to be true once everything has settled, worked out from the declarations alone."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from tests.emulators.aep.resource import Resource
from tests.property.bench import INSTANCE
from tests.property.lifecycle import NEW_TARGETS
from tests.property.tenant import CONNECTION, CONNECTION_NAME, DATAFLOW, NAMESPACE, Spec, Tenant

KEYED = re.compile(rf"\[crmflow:{INSTANCE}:[0-9a-f]{{16}}\]$")
COLLECTIONS = ("connections", "sourceConnections", "targetConnections", "flows")
FINAL = frozenset(
    {
        *("source", "target", "deltaColumn", "transport"),
        *("schedule.once", "schedule.backfill", "mapping of a one-time flow"),
    }
)
"""What only another flow can have (platform.md 6.3)."""
READS = ("GET",)
_ALMOST_TOO_LONG = 95
"""From this length on a name may have been cut."""


def condition(obj: dict[str, Any], name: str) -> dict[str, Any]:
    """A condition of an object, empty if it has none."""
    conditions = obj.get("status", {}).get("conditions", [])
    return next((entry for entry in conditions if entry["type"] == name), {})


def violations(tenant: Tenant) -> list[str]:
    """Everything that is not as it should be."""
    found = [*unsettled(tenant), *strays(tenant), *_twins(tenant), *_differences(tenant)]
    return [*found, *_differing_connection(tenant)]


def observed_writes(tenant: Tenant) -> list[str]:
    """What has changed of that which was only observed the last time, and still is."""
    specs = [
        spec
        for kind, obj in tenant.objects()
        if (spec := obj["spec"]).get("managementPolicy") == "Observe"
        and "deletionTimestamp" not in obj["metadata"]
    ]
    watched = {spec.get("flowId") or spec.get("connectionId") for spec in specs}
    now = {
        held.id: held.etag
        for collection in COLLECTIONS
        for held in tenant.held(collection)
        if held.id in watched and held.settled
    }
    before, tenant.observed = tenant.observed, now
    return [f"{key} was written to" for key, etag in now.items() if before.get(key, etag) != etag]


def unsettled(tenant: Tenant) -> Iterator[str]:
    """Every resource has a result for its generation, and those that were deleted are gone."""
    known = {(DATAFLOW, name): spec for name, spec in tenant.declared.items()}
    if tenant.connection is not None:
        known[CONNECTION, "zoho-eu"] = tenant.connection
    for kind, obj in tenant.objects():
        metadata = obj["metadata"]
        spec = known.pop((kind, metadata["name"]), None)
        if "deletionTimestamp" in metadata or spec is None:
            if not _may_stay(tenant, kind, spec):
                yield f"{kind} {metadata['name']} is still there: {obj.get('status', {}).get('conditions')}"
        elif not spec.get("paused") and not _has_result(tenant, kind, obj):
            yield f"{kind} {metadata['name']} has no result: {condition(obj, 'Ready')}"
    for kind, name in known:
        yield f"{kind} {name} is missing"


def _may_stay(tenant: Tenant, kind: str, spec: Spec | None) -> bool:
    """A connection stays as long as dataflows need it, or flows read through it; a dataflow can't take
    anything away without its connection.
    """
    if spec is not None:
        return False
    if kind == DATAFLOW:
        return not tenant.connection_lingers
    return bool(tenant.declared) or any(map(tenant.is_read_through, tenant.left_flows()))


def _has_result(tenant: Tenant, kind: str, obj: dict[str, Any]) -> bool:
    if obj.get("status", {}).get("observedGeneration") != obj["metadata"]["generation"]:
        return False
    ready = condition(obj, "Ready")
    if ready["status"] == "True" or condition(obj, "Stalled"):
        return True
    return kind == DATAFLOW and not serves(tenant) and ready["reason"].startswith("Connection")


def strays(tenant: Tenant) -> Iterator[str]:
    """Of what carries our key there is one of each, and a resource records it."""
    recorded, awaited = {tenant.left_base or ""}, set(_awaited(tenant))
    statuses = [obj.get("status", {}) for _, obj in tenant.objects()]
    statuses += [status.get("predecessor", {}) for status in statuses]
    for status in statuses:
        recorded |= {status.get(field, {}).get("id", "") for field in ("baseConnection", "flow")}
        recorded |= {status.get(field, "") for field in ("sourceConnectionId", "targetConnectionId")}
    for collection in COLLECTIONS:
        ours = [held for held in tenant.held(collection) if KEYED.search(held.body["name"])]
        keys = Counter(KEYED.search(held.body["name"])[0] for held in ours)  # type: ignore[index]
        yield from (f"{count} {collection} carry {key}" for key, count in keys.items() if count > 1)
        yield from (
            f"{collection} {held.id} is an orphan"
            for held in ours
            if held.id not in recorded and held.body["name"] not in awaited
        )


def _awaited(tenant: Tenant) -> Iterator[str]:
    """Names of what was created unanswered, by resources that can't look for it now: they are paused, have no
    connection to look through, or are held while they are deleted.
    """
    for kind, obj in tenant.objects():
        is_held = "deletionTimestamp" in obj["metadata"]
        if is_held or obj["spec"].get("paused") or (kind == DATAFLOW and not serves(tenant)):
            yield from (intent["name"] for intent in obj.get("status", {}).get("intents", ()))


def serves(tenant: Tenant) -> bool:
    return tenant.connection is not None and not tenant.connection.get("paused")


def _twins(tenant: Tenant) -> Iterator[str]:
    """Dataflows that name the same missing schema and dataset have made one of each."""
    datasets = [held["name"] for held in tenant.sandbox.datasets.values()]
    schemas = [held[max(held)]["title"] for held in tenant.sandbox.schemas.values()]
    for name in NEW_TARGETS:
        if datasets.count(name) > 1 or schemas.count(name) > 1:
            yield f"{schemas.count(name)} schemas and {datasets.count(name)} datasets are called {name}"


def _differences(tenant: Tenant) -> Iterator[str]:
    for name, spec in tenant.declared.items():
        obj = tenant.object(name)
        is_left_alone = spec.get("paused") or spec.get("managementPolicy") == "Observe"
        if obj is None or is_left_alone or tenant.connection is None:
            continue
        found = (
            set(_differing(tenant, name, spec, obj["status"])) if obj.get("status", {}).get("flow") else set()
        )
        if condition(obj, "Stalled"):
            reason = condition(obj, "Stalled")["reason"]
            if not (_is_refused(reason, spec) and found & FINAL):
                message = condition(obj, "Stalled")["message"]
                yield f"{name} is stalled with {reason} and differs in {found}: {message}"
        elif condition(obj, "Ready").get("status") == "True":
            yield from (f"{name} is Ready and differs in {field}" for field in sorted(found))


def _is_refused(reason: str, spec: Spec) -> bool:
    """Whether the edit is refused until it is approved or set back. A mapping set of somebody else was made
    for one schema: another target can't have it, so not even the new flow can be made.
    """
    return reason == "ReplacementRequired" or (reason == "SchemaMismatch" and "mappingSetRef" in spec)


def _differing_connection(tenant: Tenant) -> Iterator[str]:
    """The base connection is there, named after the spec, and what the dataflows read through."""
    obj = tenant.bench.server.objects.get(tenant.bench.key(CONNECTION, CONNECTION_NAME))
    spec = tenant.connection
    if obj is None or spec is None or spec.get("paused") or condition(obj, "Ready").get("status") != "True":
        return
    if "baseConnection" not in obj["status"]:
        return  # it went with the last dataflow that needed it: all others come through the landing zone
    base_id = obj["status"]["baseConnection"]["id"]
    base = next((held for held in tenant.held("connections") if held.id == base_id), None)
    if base is None:
        yield f"base connection {base_id} is not there"
    elif "connectionId" not in spec and not is_named(base, CONNECTION_NAME, spec):
        yield f"text of base connection {base_id}: {base.body['name']}"
    for name, dataflow in tenant.declared.items():
        status = (tenant.object(name) or {}).get("status", {})
        for source in tenant.held("sourceConnections"):
            is_kept = not dataflow.get("paused") and dataflow.get("managementPolicy") != "Observe"
            is_ours = source.id == status.get("sourceConnectionId") and is_kept
            if is_ours and source.body.get("baseConnectionId", base_id) != base_id:
                yield f"{name} reads through {source.body['baseConnectionId']}"


def _differing(tenant: Tenant, name: str, spec: Spec, status: dict[str, Any]) -> Iterator[str]:
    """The parts in which Platform's objects are not what the spec says."""
    remote = {
        slot: next((held for held in tenant.held(collection) if held.id == remote_id), None)
        for slot, collection, remote_id in (
            ("flow", "flows", status["flow"]["id"]),
            ("source", "sourceConnections", status.get("sourceConnectionId")),
            ("target", "targetConnections", status.get("targetConnectionId")),
        )
    }
    flow, source, target = remote["flow"], remote["source"], remote["target"]
    if flow is None or source is None or target is None:
        yield "existence"
        return
    if "flowId" not in spec:
        yield from (f"text of {slot}" for slot, held in remote.items() if not is_named(held, name, spec))  # type: ignore[arg-type]
    if (flow.body["sourceConnectionIds"], flow.body["targetConnectionIds"]) != ([source.id], [target.id]):
        yield "ends of the flow"
    if spec.get("transport") not in (None, status["transport"]):
        yield "transport"
    if not _is_read(source, spec["source"], status):
        yield "source"
    if not _is_meant(tenant, target, spec["target"]):
        yield "target"
    yield from _differing_flow(tenant, spec, status, flow)


def _is_read(held: Resource, wanted: Spec, status: dict[str, Any]) -> bool:
    """Whether the source connection has the table and the columns that the spec names. One of the landing
    zone has a folder: what its files are made of, status says.
    """
    params = held.body["params"]
    if status["transport"] == "LandingZone":
        if params["path"] != status["landingZone"]["path"]:
            return False
        table, columns = status["source"]["table"], set(status["columns"])
    else:
        table, columns = params["tableName"], {column["name"] for column in params["columns"]}
    return bool(table == wanted["table"] and columns == set(wanted.get("columns") or columns))


def _is_meant(tenant: Tenant, held: Resource, wanted: Spec) -> bool:
    """Whether the target connection leads to the schema and the dataset that the spec names."""
    schema_id, dataset_id = held.body["data"]["schema"]["id"], held.body["params"]["dataSetId"]
    schema, dataset = wanted["schema"], wanted["dataset"]
    return bool(
        schema_id == (schema.get("id") or schema_titled(tenant, schema["title"]))
        and dataset_id == (dataset.get("id") or dataset_named(tenant, dataset["name"]))
    )


def schema_titled(tenant: Tenant, title: str) -> str | None:
    """The only schema of that title."""
    titled = [key for key, held in tenant.sandbox.schemas.items() if held[max(held)]["title"] == title]
    return titled[0] if len(titled) == 1 else None


def dataset_named(tenant: Tenant, name: str) -> str | None:
    """The only dataset of that name."""
    named = [key for key, held in tenant.sandbox.datasets.items() if held["name"] == name]
    return named[0] if len(named) == 1 else None


def is_named(held: Resource, name: str, spec: Spec) -> bool:
    shown = KEYED.sub("", held.body["name"]).strip()
    display = " ".join(re.sub(r'[,"\[\]]', " ", spec.get("displayName") or f"{NAMESPACE}.{name}").split())
    is_cut = len(held.body["name"]) >= _ALMOST_TOO_LONG
    text = held.body.get("description") or ""
    own = f"managed by crmflow {INSTANCE} {NAMESPACE}/{name} "
    wanted = spec.get("description")
    lines = text.split("\n")
    return (
        bool(KEYED.search(held.body["name"]))
        and (display == shown or (is_cut and display.startswith(shown)))
        and lines[-1].startswith(own)
        and (lines[:-1] == [wanted.strip()] if wanted else len(lines) == 1)
    )


def _differing_flow(tenant: Tenant, spec: Spec, status: dict[str, Any], flow: Resource) -> Iterator[str]:
    schedule, wanted = flow.body["scheduleParams"], spec["schedule"]
    if flow.state != ("enabled" if spec.get("ingestion", {}).get("enabled", True) else "disabled"):
        yield "state"
    is_once = str(schedule["frequency"]).lower() == "once"
    if is_once != (wanted["frequency"] == "Once"):
        yield "schedule.once"
    elif not is_once:
        if str(schedule["frequency"]).lower() != wanted["frequency"].lower():
            yield "frequency"
        if int(schedule["interval"]) != wanted["interval"]:
            yield "interval"
        remote_backfill = str(schedule.get("backfill", True)).lower() == "true"
        follows_a_gap = "gap" in status and not remote_backfill  # the successor of a flow that was lost
        if wanted.get("backfill") not in (None, remote_backfill) and not follows_a_gap:
            yield "schedule.backfill"
    options, ingestion = flow.body.get("options") or {}, spec.get("ingestion", {})
    if ingestion.get("errorDiagnostics") not in (None, options.get("errorDiagnosticsEnabled", False)):
        yield "errorDiagnostics"
    percent = ingestion.get("partialIngestionPercent")
    if percent is not None and float(options.get("partialIngestionPercent", -1)) != percent:
        yield "partialIngestionPercent"
    steps = {step["name"]: step["params"] for step in flow.body["transformations"]}
    delta = steps.get("Copy", {}).get("deltaColumn", {}).get("name")
    if status["transport"] != "LandingZone" and delta != spec.get("deltaColumn", {}).get("name"):
        yield "deltaColumn"
    if not maps_as_wanted(tenant, steps["Mapping"], spec):
        yield "mapping of a one-time flow" if is_once else "mapping"


def maps_as_wanted(tenant: Tenant, params: dict[str, Any], spec: Spec) -> bool:
    ref = spec.get("mappingSetRef")
    if ref is not None:
        return (params["mappingId"], int(params["mappingVersion"])) == (ref["id"], ref["version"])
    return _mapping(tenant, params) == _wanted_mapping(spec)


def _mapping(tenant: Tenant, params: dict[str, Any]) -> set[tuple[str, str]]:
    versions = tenant.sandbox.mapping_sets.get(params["mappingId"], [])
    version = next((v for v in versions if int(v["version"]) == int(params["mappingVersion"])), None)
    return {(m["source"], m["destination"]) for m in version["mappings"]} if version else set()


def _wanted_mapping(spec: Spec) -> set[tuple[str, str]]:
    return {
        (entry.get("source") or entry.get("expression") or entry["value"], entry["target"])
        for entry in spec["mapping"]
    }


def writes(exchanges: list[dict[str, Any]]) -> list[str]:
    """The exchanges with Platform that change something. Validating a mapping does not, and a fresh
    token has to be handed to the base connection whatever else is quiet.
    """
    return [
        f"{call['method']} {call['path']}"
        for call in exchanges
        if call["service"] == "platform"
        and call["method"] not in READS
        and "validate" not in call["path"]
        and not _hands_over_a_token(call)
    ]


def _hands_over_a_token(call: dict[str, Any]) -> bool:
    operations = call["body"]
    return (
        call["method"] == "PATCH"
        and isinstance(operations, list)
        and all(operation["path"].startswith("/auth/") for operation in operations)
    )
