"""What fakes have in common: they say which calls were made, and fail those that a test wants to fail."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, TypeVar

from crmflow.http.errors import ErrorClass, RemoteError

P = ParamSpec("P")
R = TypeVar("R")


def remote_error(
    error_class: ErrorClass = ErrorClass.TRANSIENT,
    reason: str = "Unavailable",
    message: str = "not available",
    *,
    advice: str = "",
    retry_after: float | None = None,
    maybe_applied: bool = False,
    cure_is_silent: bool = False,
) -> RemoteError:
    """A failure as a client raises it."""
    return RemoteError(
        "Fake",
        "call",
        error_class,
        reason,
        message,
        advice=advice,
        retry_after=retry_after,
        maybe_applied=maybe_applied,
        cure_is_silent=cure_is_silent,
    )


class Timeline(list[str]):
    """The names of all remote calls and checkpoints, in their order."""


@dataclass
class _Failure:
    error: RemoteError
    after: bool
    times: int


class Failing:
    """Calls that a test can have fail, before or after they did what they were asked."""

    def __init__(self, timeline: Timeline) -> None:
        self.timeline = timeline
        self.arguments: dict[str, list[tuple[Any, ...]]] = {}
        self.in_flight = 0
        self.most_in_flight = 0
        self._failures: dict[str, _Failure] = {}

    def fail(self, call: str, error: RemoteError, *, after: bool = False, times: int = 1_000_000) -> None:
        """``after``: the call is carried out, and only its answer is lost."""
        self._failures[call] = _Failure(error, after, times)

    def heal(self) -> None:
        """Nothing fails any more."""
        self._failures.clear()

    async def run(self, call: str, arguments: tuple[Any, ...], perform: Callable[[], Awaitable[R]]) -> R:
        """Note the call, and fail it if the test asked for that."""
        self.timeline.append(call)
        self.arguments.setdefault(call, []).append(arguments)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(0)  # let whatever runs side by side come in
            failure = self._failure(call)
            if failure is not None and not failure.after:
                raise failure.error
            result = await perform()
            if failure is not None:
                raise failure.error
            return result
        finally:
            self.in_flight -= 1

    def _failure(self, call: str) -> _Failure | None:
        failure = self._failures.get(call)
        if failure is None or failure.times == 0:
            return None
        failure.times -= 1
        return failure


F = TypeVar("F", bound=Failing)


def remote(
    method: Callable[Concatenate[F, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate[F, P], Coroutine[Any, Any, R]]:
    """Note the call, and fail it if the test asked for that."""

    @functools.wraps(method)
    async def call(self: F, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await self.run(method.__name__, args, lambda: method(self, *args, **kwargs))

    return call
