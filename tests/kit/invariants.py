"""What must hold of every object after a finished pass (the rules that kstatus and its users rely on)."""

from __future__ import annotations

from collections.abc import Iterator

from tests.kit.cluster import Object, condition

_NEGATIVE = ("Reconciling", "Stalled")


def check_invariants(obj: Object) -> None:
    """Fail with every invariant that the object breaks."""
    broken = list(_broken(obj))
    assert not broken, f"{obj['kind']} {obj['metadata']['name']}: {broken}; status: {obj.get('status')}"


def _broken(obj: Object) -> Iterator[str]:
    conditions = obj.get("status", {}).get("conditions", [])
    ready, reconciling, stalled = (condition(obj, name) for name in ("Ready", *_NEGATIVE))
    if ready is None:
        yield "Ready is present"
        return
    if reconciling and stalled:
        yield "Reconciling and Stalled are never both present"
    for negative in (reconciling, stalled):
        if negative is None:
            continue
        if negative["status"] != "True":
            yield f"{negative['type']} is removed, not set {negative['status']}"
        if ready["status"] != "False":
            yield f"Ready is False while {negative['type']} is True"
    if ready["status"] == "Unknown":
        yield "Ready is known after a pass"
    if ready["status"] == "False" and not (ready["reason"] and ready["message"]):
        yield "Ready=False has a reason and a message"
    highest = stalled or reconciling
    if highest and ready["message"] != highest["message"]:
        yield f"Ready carries the message of {highest['type']}"
    if len({entry["type"] for entry in conditions}) != len(conditions):
        yield "each condition type appears once"
    yield from _broken_generations(obj, conditions, ready)


def _broken_generations(obj: Object, conditions: list[Object], ready: Object) -> Iterator[str]:
    generation = obj["metadata"]["generation"]
    observed = obj["status"].get("observedGeneration", 0)
    is_ready = ready["status"] == "True"
    if observed > generation:
        yield "observedGeneration does not exceed generation"
    if is_ready and observed < generation:
        yield "Ready is not True while the generation is not observed"
    for entry in conditions:
        if entry.get("observedGeneration", 0) < 1:
            yield f"{entry['type']} has an observedGeneration"
        elif is_ready and entry["observedGeneration"] < generation:
            yield f"Ready is not True while {entry['type']} speaks of an older generation"
        elif is_ready and entry["observedGeneration"] != observed:
            yield f"{entry['type']} and the status speak of the same generation"
