"""Calls that are made side by side before the steps that judge their answers."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

from crmflow.http.errors import RemoteError

T = TypeVar("T")


@dataclass(frozen=True)
class Prefetched(Generic[T]):
    """What came of a call: a value, or the failure that the step which needs the value shall meet."""

    value: T | None = None
    error: RemoteError | None = None

    def get(self) -> T:
        """The value. Raises RemoteError."""
        if self.error is not None:
            raise self.error
        return cast(T, self.value)


async def ask(call: Awaitable[T]) -> Prefetched[T]:
    """Make the call and keep what came of it."""
    try:
        return Prefetched(await call)
    except RemoteError as error:
        return Prefetched(error=error)
