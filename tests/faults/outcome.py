"""What a run has led to, in a form in which two runs can be compared."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from tests.faults.bench import INSTANCE, home_of
from tests.kit.cluster import OUR_KINDS, Object
from tests.kit.landing_zone import Contacts, Row, Transfers, files
from tests.kit.runs import RUN, RUN_NAME
from tests.kit.tenant import COLLECTIONS, Tenant

MAPPING_SETS = "mappingSets"
TARGETS = {"schemas": "$id", "dataSets": "id", "descriptors": "@id"}
"""What dataflows may create by a name of the user's, and where its id stands."""

_WINDOW = re.compile(r"\d{8}T\d{6}Z-\d{8}T\d{6}Z")
_FOLDER = re.compile(r"(/<namespace>/[^/]+/\d+-)[0-9a-f]{8}\b")
_KEY = re.compile(r"\[crmflow:[a-z0-9-]+:[0-9a-f]{16}\]")
# Who wrote it, when, in which version; the access token, which is another one in every run; and what
# runs that find nothing add with time: even they move two bytes, and each is the last one for an hour.
_INCIDENTAL = frozenset(
    {
        "accessToken",
        "bytes",
        "completionTime",
        "createdAt",
        "createdBy",
        "createdClient",
        "created",
        "createdDate",
        "cursor",
        "cursorSetTime",
        "effectiveStartTime",
        "etag",
        "fullReadTime",
        "ingested",
        "knownRuns",
        "lastBatchId",
        "lastOperation",
        "lastRun",
        "meta:sandboxId",
        "lastTransitionTime",
        "lastWindow",
        "modifiedDate",
        "noticedTime",
        "recentRuns",
        "requestTime",
        "runsSucceeded",
        "since",
        "stateSince",
        "startTime",
        "time",
        "until",
        "updated",
        "updatedAt",
        "updatedBy",
        "updatedClient",
        "version",
        "viewId",
        "window",
    }
)


class Difference(StrEnum):
    """What may be otherwise than in the run without a crash."""

    READ_LESS_OFTEN = "not asked so often again"
    """How often a state that is waited for is read is a matter of time: there was no such crash."""

    SPARE_MAPPING_SET = "one spare mapping set"
    """Data Prep has no delete: one that is not found again by its name stays (platform.md 8)."""
    DRIFT_TOLD_OTHERWISE = "lastDrift names other fields"
    """What was put right before the crash is found right after it, and what it was about to delete is found
    gone: ``lastDrift`` is a record, as Events are.
    """
    REQUEST_LOST = "the run says that its request was lost"
    """Platform can't be asked whether a request for a run has come. None is sent for a second time, so that
    one that was not sent is told after a while (platform.md 7.2).
    """


@dataclass(frozen=True)
class Arrival:
    """What came through the landing zone, and what is left on that way."""

    ingested: int = 0
    missing: int = 0
    """Records of Zoho CRM that no run has ingested as they are now, by id and Modified_Time."""
    doubled: tuple[Row, ...] = ()
    """Ingested more than once."""
    files: tuple[str, ...] = ()
    """Of the landing zone, without the times in their names."""
    left: tuple[str, ...] = ()
    """Jobs, pods and Secrets in the operator's own namespace, which go with each window."""

    @classmethod
    def of(cls, tenant: Tenant) -> Arrival:
        """As it is now."""
        contacts = Contacts(tenant)
        rows = Counter(contacts.ingested)
        left = Transfers(tenant, home_of(tenant.namespace)).left
        return cls(
            ingested=rows.total(),
            missing=len(contacts.held - rows.keys()),
            doubled=tuple(sorted(row for row, count in rows.items() if count > 1)),
            files=tuple(sorted(_WINDOW.sub("<window>", name.rpartition("/")[2]) for name in files(tenant))),
            left=tuple(f"{kind} {name}" for kind, names in left.items() for name in names),
        )


@dataclass(frozen=True)
class Outcome:
    """What Platform holds for a tenant, and what its resources say, without what always differs."""

    remote: Mapping[str, tuple[str, ...]]
    """By collection, each object as JSON."""
    resources: Mapping[str, str]
    """By kind, as JSON; ``null`` for one that is gone."""
    doubled: tuple[str, ...] = ()
    """Lookup keys that more than one object bears."""
    orphaned: tuple[str, ...] = ()
    """Objects with a key of ours that no resource names."""
    arrival: Arrival = Arrival()


@dataclass(frozen=True)
class Verdict:
    """A crashed run against the one without a crash."""

    differences: tuple[str, ...] = ()
    allowed: frozenset[Difference] = frozenset()
    """Those that were expected and did occur."""
    doubled: tuple[str, ...] = ()
    orphaned: tuple[str, ...] = ()

    @property
    def converged(self) -> bool:
        """True if nothing differs but what may."""
        return not (self.differences or self.doubled or self.orphaned)


def outcome_of(tenant: Tenant) -> Outcome:
    """What ``tenant`` is like now."""
    sandbox = tenant.control.get("/aep")["sandboxes"]["prod"]
    resources = {
        kind: tenant.cluster.find(kind, tenant.name_of(kind), tenant.namespace) for kind in OUR_KINDS
    }
    resources[RUN] = tenant.cluster.find(RUN, RUN_NAME, tenant.namespace)
    return replace(build(sandbox, resources, tenant.namespace), arrival=Arrival.of(tenant))


def build(sandbox: Mapping[str, Any], resources: Mapping[str, Object | None], namespace: str) -> Outcome:
    """The same from AEP's dump of the sandbox and the resources by kind, None for one that is gone."""
    held = {name: list(sandbox[name]) for name in COLLECTIONS}
    held[MAPPING_SETS] = [each for each in sandbox[MAPPING_SETS] if _is_ours(each)]
    names = {each["id"]: f"<{collection}>" for collection, objects in held.items() for each in objects}
    for collection, field in TARGETS.items():
        held[collection] = list(sandbox[collection])
        names |= {each[field]: f"<{collection}>" for each in held[collection]}
    uids = {obj["metadata"]["uid"]: "<uid>" for obj in resources.values() if obj}
    entries = [entry for each in held[MAPPING_SETS] for entry in each["mappings"]]
    # A mapping set is named by its content, of which the id of a schema that was created is a part.
    for each in (each for each in held[MAPPING_SETS] if "outputSchema" in each):
        names[each["name"].rpartition(":")[2]] = "<content>"
    names |= {run["id"]: "<run>" for run in sandbox.get("runs", ())}
    names |= {**uids, **{entry["id"]: "<mapping>" for entry in entries}, namespace: "<namespace>"}
    statuses = json.dumps([obj.get("status") for obj in resources.values() if obj])
    ours = [(name, each) for name in COLLECTIONS for each in held[name] if _is_ours(each)]
    return Outcome(
        remote={name: tuple(sorted(_comparable(each, names) for each in held[name])) for name in held},
        resources={kind: _comparable(obj and _told(obj), names) for kind, obj in resources.items()},
        doubled=tuple(_more_than_once(f"{name} {_key(each)}" for name, each in ours)),
        orphaned=tuple(f"{name} {each['id']}" for name, each in ours if each["id"] not in statuses),
    )


def compare(expected: Outcome, found: Outcome, may_differ: frozenset[Difference]) -> Verdict:
    """What the crash has changed, leaving out what it may."""
    differences: list[str] = []
    doubled, seen = list(found.doubled), set()
    if _was_never_sent(expected, found):
        seen.add(Difference.REQUEST_LOST)
        expected = replace(expected, resources={}, arrival=found.arrival)
    for kind, text in expected.resources.items():
        wanted, got = json.loads(text), json.loads(found.resources[kind])
        if wanted and got and _drift(wanted) != _drift(got):
            seen.add(Difference.DRIFT_TOLD_OTHERWISE)
            for side in (wanted, got):
                side["status"].pop("lastDrift", None)
        differences += differing(wanted, got, kind)
    for collection, wanted in expected.remote.items():
        held = found.remote[collection]
        spare = len(held) - len(wanted)
        if collection == MAPPING_SETS and spare > 0 and set(held) == set(wanted):
            seen.add(Difference.SPARE_MAPPING_SET)
            doubled += [collection] * (spare - 1)
        elif spare:
            differences.append(f"{collection}: {len(held)} instead of {len(wanted)}")
        else:
            differences += differing(_parsed(wanted), _parsed(held), collection)
    differences += [f"{difference} is not expected here" for difference in seen - may_differ]
    wanted, got = expected.arrival, found.arrival
    for name in ("ingested", "missing", "files"):
        differences += differing(getattr(wanted, name), getattr(got, name), name)
    doubled += [f"row {id} of {time}" for id, time in got.doubled]
    orphaned = (*found.orphaned, *got.left)
    return Verdict(tuple(differences), frozenset(seen & may_differ), tuple(doubled), orphaned)


def _was_never_sent(expected: Outcome, found: Outcome) -> bool:
    """Whether a run has failed since nothing shows of its request, and Platform has run less indeed."""
    run = json.loads(found.resources.get(RUN, "null"))
    result = ((run or {}).get("status") or {}).get("result", {})
    return result.get("reason") == "RequestLost" and found.arrival.ingested < expected.arrival.ingested


def _drift(told: Object) -> Any:
    return (told["status"] or {}).get("lastDrift")


def differing(expected: Any, found: Any, where: str) -> Iterator[str]:
    """Each place at which two JSON values differ, as a line for a person."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in sorted({*expected, *found}):
            yield from differing(expected.get(key), found.get(key), f"{where}.{key}")
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for index, (wanted, got) in enumerate(zip(expected, found, strict=True)):
            yield from differing(wanted, got, f"{where}[{index}]")
    elif expected != found:
        yield f"{where}: {json.dumps(found)} instead of {json.dumps(expected)}"


def _told(obj: Object) -> Object:
    """The part of a resource that the operator writes, and whether it is on its way out."""
    metadata = obj["metadata"]
    return {
        "deleting": "deletionTimestamp" in metadata,
        "finalizers": metadata.get("finalizers", []),
        "status": _without_passing(obj.get("status")),
    }


def _without_passing(status: Any) -> Any:
    """Whether a run is overdue, and whether there was something new in the last hour, is a matter of the time
    that a crash takes.
    """
    if not status:
        return status
    conditions = [each for each in status.get("conditions", []) if each["type"] != "RunsHealthy"]
    told = [_without_words(each) if each["type"] == "Extracted" else each for each in conditions]
    return {**status, "conditions": told}


def _without_words(condition: Object) -> Object:
    return {**condition, "reason": None, "message": None}


def _comparable(value: Any, names: Mapping[str, str]) -> str:
    text = json.dumps(_essential(value), sort_keys=True)
    for name, replacement in names.items():
        text = text.replace(name, replacement)
    return _FOLDER.sub(r"\1<hash>", _KEY.sub("<key>", text))


def _essential(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _essential(item) for key, item in value.items() if key not in _INCIDENTAL}
    if isinstance(value, list):
        return [_essential(item) for item in value]
    return value


def _parsed(texts: Iterable[str]) -> list[Any]:
    return [json.loads(text) for text in texts]


def _is_ours(remote: Object) -> bool:
    return f"crmflow:{INSTANCE}:" in (remote.get("name") or "")


def _key(remote: Object) -> str:
    match = _KEY.search(remote["name"])
    return match[0] if match else remote["name"]


def _more_than_once(texts: Iterable[str]) -> list[str]:
    return sorted(text for text, count in Counter(texts).items() if count > 1)
