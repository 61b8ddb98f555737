"""Reads that many resources need: asked once, used by all, and asked again when they are too old."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from crmflow.reconcile.ports import Clock

MAX_AGE_SECONDS = 600.0

T = TypeVar("T")


@dataclass(frozen=True)
class _Answer(Generic[T]):
    value: T
    asked_at: float


class Shared(Generic[T]):
    """The latest answer by key."""

    def __init__(self, clock: Clock, max_age: float = MAX_AGE_SECONDS) -> None:
        self._clock = clock
        self._max_age = max_age
        self._answers: dict[Hashable, _Answer[T]] = {}
        self._locks: dict[Hashable, asyncio.Lock] = {}

    def known(self, key: Hashable) -> T | None:
        """The latest answer, however old. Costs no call."""
        answer = self._answers.get(key)
        return answer.value if answer else None

    async def get(self, key: Hashable, ask: Callable[[], Awaitable[T]], *, fresh: bool = False) -> T:
        """The answer to ``ask``. ``fresh`` asks anew, unless someone did so while we waited. Raises what
        ``ask`` raises.
        """
        wanted_at = self._clock.now()
        async with self._locks.setdefault(key, asyncio.Lock()):
            known = self._answers.get(key)
            oldest = wanted_at if fresh else wanted_at - self._max_age
            if known is not None and known.asked_at >= oldest:
                return known.value
            asked_at = self._clock.now()
            answer = self._answers[key] = _Answer(await ask(), asked_at)
            return answer.value


class CreatedNames(Generic[T]):
    """What this process created by name: listings may not show it yet."""

    def __init__(self) -> None:
        self._known: dict[Hashable, T] = {}
        self._doubted: set[Hashable] = set()
        self._locks: dict[Hashable, asyncio.Lock] = {}

    def lock(self, key: Hashable) -> asyncio.Lock:
        """To be held from the look-up to the end of the creation."""
        return self._locks.setdefault(key, asyncio.Lock())

    def known(self, key: Hashable) -> T | None:
        """What was created under ``key``."""
        return self._known.get(key)

    def created(self, key: Hashable, what: T) -> None:
        """Remember an own create, or what was found."""
        self._known[key] = what
        self._doubted.discard(key)

    def seen(self, key: Hashable, what: T) -> None:
        """Remember what a status records, unless something is known already."""
        if key not in self._doubted:
            self._known.setdefault(key, what)

    def forget(self, key: Hashable) -> None:
        """It is gone, as after a reset of the sandbox, or the answer to its creation was lost."""
        self._known.pop(key, None)
        self._doubted.add(key)

    def is_doubted(self, key: Hashable) -> bool:
        """True if only a look-up can tell whether there is one."""
        return key in self._doubted
