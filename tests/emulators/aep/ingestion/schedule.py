"""When a flow runs, its window, and the files that this holds (landing-zone.md E.3, K.4; platform.md 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.emulators.aep.flowservice.schedule import boolean, frequency, integer
from tests.emulators.aep.resource import Resource
from tests.emulators.aep.seed_data import CLOUD_STORAGE_FLOW_SPEC
from tests.emulators.aep.switches import AepSwitches

if TYPE_CHECKING:
    from tests.emulators.blob.container import Blob

NEVER = float("inf")
BEGINNING = 0.0
LISTED_AFTER = 1.0
"""A run looks when the second of its tick is over: times of files and of rows are in whole seconds."""
_SECONDS = {"minute": 60, "hour": 3600, "day": 86400, "week": 7 * 86400}


def next_tick(flow: Resource) -> float:
    """The first tick that the flow has not had; NEVER after the one of a flow that runs once."""
    params = flow.body.get("scheduleParams", {})
    start, last = float(integer(params.get("startTime")) or 0), flow.extra.get("ticked")
    if last is None or start > last:
        return start
    if frequency(params) == "once":
        return NEVER
    period = _period(params)
    return float(start + (int((last - start) // period) + 1) * period)


def window(flow: Resource, switches: AepSwitches, tick: float) -> tuple[float, float]:
    """From the end of the last run; the first takes all there is with backfill, else what came later."""
    since = flow.extra.get("windowEnd")
    if since is None:
        since = _first(flow, switches)
    if switches.windowAfterPause == "skip":
        since = max(since, float(int(flow.extra.get("enabledAt", since))))
    return since, tick


def _first(flow: Resource, switches: AepSwitches) -> float:
    """Where the first window begins. Without backfill, where that of a table does is unknown."""
    params = flow.body.get("scheduleParams", {})
    if frequency(params) == "once" or boolean(params.get("backfill", True)):
        return BEGINNING
    if flow.body["flowSpec"]["id"] == CLOUD_STORAGE_FLOW_SPEC:
        return float(int(flow.created_at))
    start = float(integer(params.get("startTime")) or 0)
    return start if switches.firstWindow == "start" else start - _period(params)


def _period(params: dict[str, Any]) -> int:
    return _SECONDS[frequency(params)] * (integer(params.get("interval")) or 1)


def inside(blob: Blob, bounds: tuple[float, float], switches: AepSwitches) -> bool:
    """Whether the blob was changed in the window; which bounds belong to it is unknown."""
    start, end = bounds
    match switches.windowBounds:
        case "[)":
            return start <= blob.changed < end
        case "[]":
            return start <= blob.changed <= end
        case _:
            return start < blob.changed <= end
