"""Reads that many resources need: asked once, used by all, and asked again when they are too old."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.reconcile.ports import TimeSource
from crmflow.single_flight import SingleFlight

MAX_AGE_SECONDS = 600.0
RECENT_SECONDS = 30.0
"""How old an answer may be that somebody else was given, for what is about to be made: thousands of
resources that are applied together need the same."""
UNUSED_SECONDS = 86400.0
"""An answer that nobody has used for so long is let go: its sandbox or connection may be gone."""

T = TypeVar("T")
V = TypeVar("V")


@dataclass
class _Answer(Generic[T]):
    value: T
    asked_at: float
    used_at: float


class Shared(Generic[T]):
    """The latest answer by key; what nobody has used for a day is forgotten."""

    def __init__(self, clock: TimeSource, max_age: float = MAX_AGE_SECONDS) -> None:
        self._clock = clock
        self._max_age = max_age
        self._answers: OrderedDict[Hashable, _Answer[T]] = OrderedDict()
        """Those that were used last stand last."""
        self._flight: SingleFlight[None] = SingleFlight()

    def known(self, key: Hashable) -> T | None:
        """The latest answer, however old. Costs no call."""
        answer = self._answers.get(key)
        return self._use(key, answer) if answer else None

    async def get(
        self,
        key: Hashable,
        ask: Callable[[], Awaitable[T]],
        *,
        fresh: bool = False,
        suffices: Callable[[T], bool] | None = None,
    ) -> T:
        """The answer to ``ask``. ``fresh`` asks anew, unless someone did so while we waited. So does
        ``suffices``, but for an answer of a moment ago that is good news. Raises what ``ask`` raises.

        Whoever waits shares an outage, too. A refusal is for the one who asked: another credential may be
        allowed what this one is not.
        """
        wanted_at = self._clock.now()
        oldest = wanted_at if fresh else wanted_at - (RECENT_SECONDS if suffices else self._max_age)
        while (
            (known := self._answers.get(key)) is None
            or known.asked_at < oldest
            or (suffices and known.asked_at < wanted_at and not suffices(known.value))
        ):
            waits = self._flight.is_running(key)
            try:
                await self._flight.run(key, partial(self._ask, key, ask))
            except RemoteError as error:
                if not waits or error.error_class is ErrorClass.TRANSIENT:
                    raise
        return self._use(key, known)

    async def _ask(self, key: Hashable, ask: Callable[[], Awaitable[T]]) -> None:
        asked_at = self._clock.now()
        value = await ask()
        now = self._clock.now()
        self._answers[key] = _Answer(value, asked_at, now)
        self._answers.move_to_end(key)
        while next(iter(self._answers.values())).used_at < now - UNUSED_SECONDS:
            self._answers.popitem(last=False)

    def _use(self, key: Hashable, answer: _Answer[T]) -> T:
        answer.used_at = self._clock.now()
        self._answers.move_to_end(key)
        return answer.value


def seen_as(view: Callable[[T], V], suffices: Callable[[V], bool] | None) -> Callable[[T], bool] | None:
    """Whether an answer suffices, for who judges it by its ``view``."""
    return None if suffices is None else lambda answer: suffices(view(answer))
