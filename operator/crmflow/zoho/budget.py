"""How many tokens Zoho still issues for a refresh token (zoho.md 1.5)."""

from __future__ import annotations

from collections.abc import Iterable

LIMITS = ((10, 600.0), (15, 3600.0))
"""Tokens in how many seconds. Zoho refuses an eleventh within ten minutes; a sixteenth within the life of a
token would silently end the oldest, which may be the one that Adobe Experience Platform holds.
"""


class Budget:
    """The requests for tokens that were made with one refresh token, as instants in seconds."""

    def __init__(self, requests: Iterable[float] = ()) -> None:
        self._requests = sorted(requests)

    def wait(self, now: float) -> float:
        """Seconds until another token may be asked for; 0 if that may be done at once."""
        return max(_wait(self._requests, now, most, seconds) for most, seconds in LIMITS)

    def spend(self, now: float) -> tuple[float, ...]:
        """Count a request that is about to be made; all those that still matter."""
        longest = max(seconds for _, seconds in LIMITS)
        self._requests = [at for at in self._requests if at > now - longest] + [now]
        return tuple(self._requests)


def _wait(requests: list[float], now: float, most: int, seconds: float) -> float:
    within = [at for at in requests if now - seconds < at <= now]
    return within[-most] + seconds - now if len(within) >= most else 0.0
