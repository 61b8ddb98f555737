"""What this process created by name, shared by all passes."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

T = TypeVar("T")


class CreatedNames(Generic[T]):
    """What this process created by name: listings may not show it yet."""

    def __init__(self) -> None:
        self._known: dict[Hashable, T] = {}
        self._doubted: set[Hashable] = set()
        self._locks: WeakValueDictionary[Hashable, asyncio.Lock] = WeakValueDictionary()
        """For as long as somebody holds one or waits for it."""

    def lock(self, key: Hashable) -> asyncio.Lock:
        """To be held from the look-up to the end of the creation."""
        lock = self._locks.get(key)
        if lock is None:
            lock = self._locks[key] = asyncio.Lock()
        return lock

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
