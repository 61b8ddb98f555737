"""The keyed priority queue that everything goes through.

A key waits at most once, however many reasons there are to look at it, and is never in two workers: what is
added while a worker has it runs again afterwards. Each key has at most one later visit; a new one replaces
it.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass

from crmflow.clock import Clock
from crmflow.reconcile.decide import Priority
from crmflow.runtime.keys import Key


@dataclass(frozen=True)
class _Waiting:
    priority: Priority
    since: float
    ticket: int


@dataclass(frozen=True)
class _Later:
    at: float
    priority: Priority


class WorkQueue:
    """Keys to work on, most urgent first, first come first served within a priority."""

    def __init__(self, clock: Clock, on_wait: Callable[[float], None] = lambda _: None) -> None:
        """``on_wait`` is told how many seconds a key was due before a worker took it."""
        self._clock = clock
        self._on_wait = on_wait
        self._tickets = itertools.count()
        self._waiting: dict[Key, _Waiting] = {}
        self._heap: list[tuple[Priority, int, Key]] = []
        self._later: dict[Key, _Later] = {}
        self._timers: list[tuple[float, int, Key]] = []
        self._working: set[Key] = set()
        self._again: dict[Key, Priority] = {}
        self._wake = asyncio.Event()
        self._closed = False

    def add(self, key: Key, priority: Priority) -> None:
        """Have ``key`` looked at as soon as a worker is free."""
        if key in self._working:
            self._again[key] = min(priority, self._again.get(key, priority))
            return
        before = self._waiting.get(key)
        if before is not None and before.priority <= priority:
            return
        ticket = next(self._tickets)
        since = before.since if before else self._clock.now()
        self._waiting[key] = _Waiting(priority, since, ticket)
        heapq.heappush(self._heap, (priority, ticket, key))
        self._wake.set()

    def schedule(self, key: Key, at: float, priority: Priority) -> None:
        """Have ``key`` looked at at the instant ``at``, instead of whenever it was to be visited later."""
        self._later[key] = _Later(at, priority)
        heapq.heappush(self._timers, (at, next(self._tickets), key))
        self._wake.set()

    def forget(self, key: Key) -> None:
        """Drop the later visit of ``key``."""
        self._later.pop(key, None)

    async def get(self) -> Key | None:
        """The next key, to be given back with :meth:`done`; None once the queue is closed."""
        while not self._closed:
            self._promote()
            key = self._pop()
            if key is not None:
                return key
            self._wake.clear()
            await self._clock.wait(self._wake, self._timers[0][0] if self._timers else None)
        return None

    def done(self, key: Key) -> None:
        """``key`` has been worked on."""
        self._working.discard(key)
        priority = self._again.pop(key, None)
        if priority is not None:
            self.add(key, priority)

    def close(self) -> None:
        """Hand out nothing more."""
        self._closed = True
        self._wake.set()

    @property
    def depth(self) -> int:
        """How many keys are due and wait."""
        return len(self._waiting)

    @property
    def oldest_wait(self) -> float:
        """Seconds for which the longest-waiting key has been due."""
        return (
            self._clock.now() - min(item.since for item in self._waiting.values()) if self._waiting else 0.0
        )

    def _promote(self) -> None:
        now = self._clock.now()
        while self._timers and self._timers[0][0] <= now:
            at, _, key = heapq.heappop(self._timers)
            later = self._later.get(key)
            if later is not None and later.at == at:
                del self._later[key]
                self.add(key, later.priority)

    def _pop(self) -> Key | None:
        while self._heap:
            _, ticket, key = heapq.heappop(self._heap)
            waiting = self._waiting.get(key)
            if waiting is not None and waiting.ticket == ticket:
                del self._waiting[key]
                self._working.add(key)
                self._on_wait(self._clock.now() - waiting.since)
                return key
        return None
