"""Watch over the batches per day that a sandbox's dataflows make for Profile."""

from __future__ import annotations

from collections.abc import Mapping

from crmflow.api.kinds import CRM_DATAFLOW, ZOHO_SOURCE_CONNECTION
from crmflow.clock import Clock
from crmflow.observability.events import Event, EventType
from crmflow.observability.metrics import Metrics
from crmflow.reconcile.dataflow.guardrail import PROFILE_BATCHES_PER_DAY, crossing, profile_runs_per_day
from crmflow.runtime.cache import ObjectCache
from crmflow.runtime.events import EventWriter
from crmflow.runtime.keys import Key

Sandbox = tuple[str, str]
"""Organization and sandbox, whatever credential it is reached with."""
Loads = Mapping[Key, float]


class ProfileGuardrail:
    """Sums schedules up, over all dataflows of a sandbox. Calls nobody but the API server, for the event."""

    def __init__(
        self, cache: ObjectCache, events: EventWriter, metrics: Metrics, clock: Clock, interval: float
    ) -> None:
        self._cache = cache
        self._events = events
        self._metrics = metrics
        self._clock = clock
        self._interval = interval
        self._before: Mapping[Sandbox, Loads] = {}

    async def run(self) -> None:
        """Look for ever, as often as sandboxes are polled."""
        while True:
            await self._clock.sleep(self._interval)
            await self.look()

    async def look(self) -> None:
        """Bring the metric up to date; an event on whoever takes a sandbox over the limit."""
        loads = self._loads()
        for sandbox in self._before.keys() - loads.keys():
            self._metrics.profile_runs.remove(*sandbox)
        for sandbox, now in loads.items():
            self._metrics.profile_runs.labels(*sandbox).set(sum(now.values()))
            crossed = crossing(self._before.get(sandbox, {}), now)
            if crossed is not None:
                culprit, total = crossed
                await self._tell(culprit, sandbox[1], total)
        self._before = loads

    async def _tell(self, key: Key, sandbox: str, total: float) -> None:
        obj = self._cache.get(key)
        if obj is None:
            return
        note = (
            f"With this dataflow the schedules make {total:.0f} runs a day into Profile-enabled datasets of "
            f'sandbox "{sandbox}". Adobe advises at most {PROFILE_BATCHES_PER_DAY} batches a day in one, and '
            "each run makes at least one batch. Have dataflows run less often, or do without Profile."
        )
        await self._events.write(obj, Event(EventType.WARNING, "ProfileBatchesExceeded", "Poll", note))

    def _loads(self) -> dict[Sandbox, dict[Key, float]]:
        """What each dataflow takes of its sandbox, the oldest first."""
        found: dict[Sandbox, list[tuple[str, Key, float]]] = {}
        keys = self._cache.keys()
        for connection in [key for key in keys if key.kind == ZOHO_SOURCE_CONNECTION.kind]:
            obj = self._cache.get(connection)
            if obj is None:
                continue
            platform = obj["spec"]["platform"]
            here = found.setdefault((platform["organization"], platform["sandbox"]), [])
            for key in self._cache.referrers(connection.kind, connection.namespace, connection.name):
                dataflow = self._cache.get(key)
                if dataflow is not None and key.kind == CRM_DATAFLOW.kind:
                    load = profile_runs_per_day(dataflow["spec"], dataflow.get("status") or {})
                    here.append((dataflow["metadata"].get("creationTimestamp", ""), key, load))
        return {
            sandbox: {key: load for _, key, load in sorted(flows) if load} for sandbox, flows in found.items()
        }
