"""The blob service in memory, by the rules of landing-zone.md L."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from crmflow.http.errors import ErrorClass, RemoteError


def failure(
    reason: str, error_class: ErrorClass = ErrorClass.TRANSIENT, *, maybe_applied: bool = False
) -> RemoteError:
    """An error as the blob client raises it."""
    return RemoteError("LandingZone", "call", error_class, reason, "…", maybe_applied=maybe_applied)


@dataclass
class FakeBlob:
    """One blob. ``before`` and ``after`` are called with each operation, and may raise."""

    staged: dict[str, bytes] = field(default_factory=dict)
    content: bytes | None = None
    found: dict[str, str] | None = None
    before: Callable[[str], None] = lambda _: None
    after: Callable[[str], None] = lambda _: None
    calls: list[str] = field(default_factory=list)

    async def stage(self, block_id: str, data: bytes) -> None:
        self._enter("stage")
        self.staged[block_id] = data
        self.after("stage")

    async def commit(self, block_ids: Sequence[str], metadata: Mapping[str, str]) -> None:
        self._enter("commit")
        if self.content is not None:
            raise failure("BlobExists", ErrorClass.CONFLICT)
        if not set(block_ids) <= set(self.staged):
            raise failure("BlocksLost", ErrorClass.CONFLICT)
        self.content = b"".join(self.staged[block_id] for block_id in block_ids)
        self.found = dict(metadata)
        self.staged.clear()
        self.after("commit")

    async def metadata(self) -> Mapping[str, str] | None:
        self._enter("metadata")
        return self.found

    def _enter(self, operation: str) -> None:
        self.calls.append(operation)
        self.before(operation)
