"""One call at a time for what many want at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from functools import partial
from typing import Generic, TypeVar

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Whoever asks while a call is under way gets the end of that call, a failure included. So a service that
    does not answer costs one time-out, however many wait for it.
    """

    def __init__(self) -> None:
        self._calls: dict[Hashable, asyncio.Task[T]] = {}

    async def run(self, key: Hashable, call: Callable[[], Awaitable[T]]) -> T:
        """The result of ``call``, or of the one with the same ``key`` that is under way. A caller that is
        canceled leaves it to the others. Raises what the call raises.
        """
        task = self._calls.get(key)
        if (
            task is None or task.done()
        ):  # one that has just ended is nothing to wait for, nor a turn of the loop
            task = self._calls[key] = asyncio.create_task(_awaited(call))
            task.add_done_callback(partial(self._ended, key))
        return await asyncio.shield(task)

    def is_running(self, key: Hashable) -> bool:
        """True while a call with ``key`` is under way."""
        task = self._calls.get(key)
        return task is not None and not task.done()

    def _ended(self, key: Hashable, task: asyncio.Task[T]) -> None:
        if self._calls.get(key) is task:
            del self._calls[key]
        if not task.cancelled():
            task.exception()  # looked at, should all who waited be gone


async def _awaited(call: Callable[[], Awaitable[T]]) -> T:
    return await call()
