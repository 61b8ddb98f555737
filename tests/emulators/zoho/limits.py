"""What an organization may use of the CRM API (zoho.md 5)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from .model import Organization

DAY_SECONDS = 24 * 3600
SUB_CONCURRENCY = 10


@dataclass(frozen=True)
class Edition:
    """Credits per rolling 24 hours are ``base`` + ``per_user`` × users up to ``cap``."""

    base: int
    per_user: int
    cap: int | None
    concurrency: int


EDITIONS = {
    "free": Edition(5_000, 0, 5_000, 5),
    "standard": Edition(50_000, 250, 100_000, 10),
    "professional": Edition(50_000, 500, 3_000_000, 15),
    "enterprise": Edition(50_000, 1_000, 5_000_000, 20),
    "zohoone": Edition(50_000, 1_000, 5_000_000, 20),
    "ultimate": Edition(50_000, 2_000, None, 25),
    "crmplus": Edition(50_000, 2_000, None, 25),
}


def credit_limit(organization: Organization) -> int:
    """Credits per rolling 24 hours."""
    edition = EDITIONS[organization.edition]
    credits = edition.base + edition.per_user * organization.users_purchased
    return credits if edition.cap is None else min(credits, edition.cap)


class Credits:
    """Credits used per organization, in a sliding window of 24 hours."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._spent: defaultdict[str, Counter[float]] = defaultdict(Counter)

    def used(self, zgid: str) -> int:
        """Credits of the last 24 hours."""
        since = self._now() - DAY_SECONDS
        spent = self._spent[zgid]
        for time in [time for time in spent if time <= since]:
            del spent[time]
        return spent.total()

    def spend(self, zgid: str, credits: int) -> None:
        """Use some credits now; counted by the second, so that a busy day stays small."""
        self._spent[zgid][float(int(self._now()))] += credits


class Concurrency:
    """Calls in flight, per organization and client."""

    def __init__(self) -> None:
        self._running: Counter[tuple[str, ...]] = Counter()

    @contextmanager
    def slot(self, key: tuple[str, ...], limit: int) -> Iterator[bool]:
        """Hold a place for one call; yields whether there was one."""
        free = self._running[key] < limit
        if free:
            self._running[key] += 1
        try:
            yield free
        finally:
            if free:
                self._running[key] -= 1
