"""The keyed priority queue that everything goes through.

A key waits at most once, however many reasons there are to look at it, and is never in two workers: what is
added while a worker has it runs again afterwards. Each key has at most one later pass; a new one replaces
it.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace

from crmflow.clock import Clock
from crmflow.reconcile.core.decide import Priority
from crmflow.runtime.controller.keys import Key


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

    def __init__(
        self, clock: Clock, on_wait: Callable[[float], None] = lambda _: None, *, held: bool = False
    ) -> None:
        """``on_wait`` is told how many seconds a key was due before a worker took it. A queue that is
        ``held`` gathers keys, and hands them out once it is opened.
        """
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
        self._held = held
        self._closed = False
        self._moved_at = clock.now()

    def open(self) -> None:
        """Begin to hand out keys; what has gathered is due as of now."""
        self._held = False
        self._moved_at = now = self._clock.now()
        self._waiting = {key: replace(item, since=now) for key, item in self._waiting.items()}
        self._wake.set()

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
        """Have ``key`` looked at at the instant ``at``, instead of whenever its later pass was due."""
        self._later[key] = _Later(at, priority)
        heapq.heappush(self._timers, (at, next(self._tickets), key))
        self._wake.set()

    def bring_forward(self, key: Key, at: float, priority: Priority) -> None:
        """Have ``key`` looked at no later than at the instant ``at``."""
        later = self._later.get(key)
        if later is None or later.at > at:
            self.schedule(key, at, priority)

    def forget(self, key: Key) -> None:
        """Drop the later pass of ``key``."""
        self._later.pop(key, None)

    async def get(self) -> Key | None:
        """The next key, to be given back with :meth:`done`; None once the queue is closed."""
        while not self._closed:
            key = None if self._held else self._pop()
            if key is not None:
                return key
            self._wake.clear()
            timed = bool(self._timers) and not self._held
            await self._clock.wait(self._wake, self._timers[0][0] if timed else None)
        return None

    def done(self, key: Key) -> None:
        """``key`` has been reconciled."""
        self._moved_at = self._clock.now()
        self._working.discard(key)
        priority = self._again.pop(key, None)
        if priority is not None:
            self.add(key, priority)

    def close(self) -> None:
        """Hand out nothing more."""
        self._closed = True
        self._wake.set()

    @property
    def is_held(self) -> bool:
        """True until the queue is opened: this process does not lead yet."""
        return self._held

    @property
    def depth(self) -> int:
        """How many keys are due and wait; none as long as the queue is held."""
        return 0 if self._held else len(self._waiting)

    @property
    def oldest_wait(self) -> float:
        """Seconds for which the longest-waiting key has been due."""
        return self._clock.now() - self._oldest() if self.depth else 0.0

    @property
    def stuck_for(self) -> float:
        """Seconds for which a key has been due while no worker took one or gave one back: a long queue that
        moves is a lot of work, one that does not is a fault.
        """
        return self._clock.now() - max(self._oldest(), self._moved_at) if self.depth else 0.0

    def _oldest(self) -> float:
        return min(item.since for item in self._waiting.values())

    def _promote(self) -> None:
        now = self._clock.now()
        while self._timers and self._timers[0][0] <= now:
            at, _, key = heapq.heappop(self._timers)
            later = self._later.get(key)
            if later is not None and later.at == at:
                del self._later[key]
                self.add(key, later.priority)

    def _pop(self) -> Key | None:
        self._promote()
        while self._heap:
            _, ticket, key = heapq.heappop(self._heap)
            waiting = self._waiting.get(key)
            if waiting is not None and waiting.ticket == ticket:
                del self._waiting[key]
                self._working.add(key)
                self._moved_at = self._clock.now()
                self._on_wait(self._moved_at - waiting.since)
                return key
        return None
