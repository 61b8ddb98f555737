"""The calls of one phase in the life of a tenant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.faults.calls import Call

_LISTED = ("connections", "sourceConnections", "targetConnections", "flows", "runs")
_TOKENS = ("/ims/token/v3", "/oauth/v2/token")


@dataclass(frozen=True)
class Bill:
    """How often each kind of call was made; ``seconds`` is how long that took."""

    phase: str
    calls: Counter[Call]
    seconds: float
    jobs: Counter[Call] = field(default_factory=Counter)
    """What the Jobs of transfers asked; ``calls`` is what the operator did."""
    credits: int = 0
    """Of Zoho CRM, that the operator spent."""
    job_credits: int = 0

    @property
    def remote(self) -> int:
        """Calls to Zoho and Adobe."""
        return self._count(call for call in self.calls if not call.is_kubernetes)

    @property
    def pages(self) -> int:
        """Those of them that list a collection of Flow Service, page by page (platform.md 3)."""
        return self._count(call for call in self.calls if _is_page(call))

    @property
    def remote_writes(self) -> int:
        """Those of them that could change something there; asking for a token does not."""
        return self._count(
            call
            for call in self.calls
            if not call.is_kubernetes and not call.is_read and not call.path.endswith(_TOKENS)
        )

    @property
    def kubernetes_writes(self) -> int:
        """Writes to the API server, Events among them."""
        return self._count(call for call in self.calls if call.is_kubernetes and not call.is_read)

    @property
    def kubernetes_reads(self) -> int:
        """Reads of the API server, watches apart."""
        return self._count(call for call in self.calls if call.is_kubernetes and call.is_read)

    def _count(self, calls: Iterable[Call]) -> int:
        return sum(self.calls[call] for call in calls)


def _is_page(call: Call) -> bool:
    return call.service == "platform" and call.method == "GET" and call.path.rsplit("/", 1)[-1] in _LISTED


@dataclass(frozen=True)
class Bills:
    """What a tenant of this size cost, phase by phase."""

    connections: int
    dataflows: int
    phases: tuple[Bill, ...]
    way: str = "PlatformSource"
    """Of its records into Platform, as ``spec.transport`` names it."""

    @property
    def title(self) -> str:
        """Way and size in words."""
        return f"{self.way}: {many(self.connections, 'connection')}, {many(self.dataflows, 'dataflow')}"

    def phase(self, name: str) -> Bill:
        """The bill of that phase. Raises KeyError."""
        return {bill.phase: bill for bill in self.phases}[name]


def many(count: int, noun: str) -> str:
    """A number with its noun."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
