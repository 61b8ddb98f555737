"""Watch over the batches per day that a sandbox's dataflows make for Profile."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from crmflow.clock import Clock
from crmflow.observability.events import Event, EventType
from crmflow.observability.metrics import Metrics
from crmflow.reconcile.dataflow.schedule import PROFILE_BATCHES_PER_DAY
from crmflow.runtime.controller.cache import ObjectCache
from crmflow.runtime.controller.keys import Key
from crmflow.runtime.kubernetes.events import EventRecorder

log = logging.getLogger("crmflow.guardrail")

Sandbox = tuple[str, str]
"""Organization and sandbox, whatever credential it is reached with."""
Loads = Mapping[Key, float]
K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class _Facts:
    """What one version of a resource says: the sandbox that it names, or what it takes of one."""

    version: tuple[str, int] | None
    created: str
    sandbox: Sandbox | None
    load: float


@dataclass(eq=False)
class ProfileGuardrail:
    """Sums schedules up, over all dataflows of a sandbox. Calls nobody but the API server, for the event."""

    _cache: ObjectCache
    _events: EventRecorder
    _metrics: Metrics
    _clock: Clock
    _interval: float
    _before: Mapping[Sandbox, Loads] = field(default_factory=dict, init=False)
    _facts: Mapping[Key, _Facts] = field(default_factory=dict, init=False)

    async def run(self) -> None:
        """Look for ever, as often as sandboxes are polled."""
        while True:
            await self._clock.sleep(self._interval)
            try:
                await self.look()
            except Exception:  # nothing else may end with it
                log.exception("the load of Profile was not summed up")

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
        resource = self._cache.get(key)
        if resource is None:
            return
        note = (
            f"With this dataflow the schedules make {total:.0f} runs a day into Profile-enabled datasets of "
            f'sandbox "{sandbox}". Adobe advises at most {PROFILE_BATCHES_PER_DAY} batches a day in one, and '
            "each run makes at least one batch. Have dataflows run less often, or do without Profile."
        )
        self._events.record(resource.raw, Event(EventType.WARNING, "ProfileBatchesExceeded", "Poll", note))

    def _loads(self) -> dict[Sandbox, dict[Key, float]]:
        """What each resource takes of its sandbox, the oldest first."""
        keys = self._cache.keys()
        self._facts = {key: self._read(key) for key in keys}
        found: dict[Sandbox, list[tuple[str, Key, float]]] = {}
        for named, facts in self._facts.items():
            if facts.sandbox is None:
                continue
            here = found.setdefault(facts.sandbox, [])
            for key in self._cache.referrers(*named):
                here.append((self._facts[key].created, key, self._facts[key].load))
        return {
            sandbox: {key: load for _, key, load in sorted(flows) if load} for sandbox, flows in found.items()
        }

    def _read(self, key: Key) -> _Facts:
        """What a resource says of it; only what has changed since the last look is decoded."""
        version, before = self._cache.version(key), self._facts.get(key)
        if before is not None and before.version == version:
            return before
        resource = self._cache.get(key)
        if resource is None:
            return _Facts(version, "", None, 0.0)
        return _Facts(
            version,
            created=resource.metadata.get("creationTimestamp", ""),
            sandbox=resource.kind.sandbox(resource.spec),
            load=resource.kind.profile_runs_per_day(resource.spec, resource.status),
        )


def crossing(before: Mapping[K, float], now: Mapping[K, float]) -> tuple[K, float] | None:
    """The one that takes a sandbox over the limit, and the runs per day up to it; None if nobody newly does.
    ``now`` is in order of age.

    What was there before comes first, so that it is the newcomer, or the one that runs more often, who is
    named. With nothing known of before, as after a restart, the answer is that of the first time.
    """
    if sum(before.values()) > PROFILE_BATCHES_PER_DAY:
        return None
    total = sum(min(load, before.get(key, 0.0)) for key, load in now.items())
    for key, load in now.items():
        total += max(0.0, load - before.get(key, 0.0))
        if total > PROFILE_BATCHES_PER_DAY:
            return key, total
    return None
