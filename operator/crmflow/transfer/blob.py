"""The file that a transfer writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol


class Blob(Protocol):
    """One blob of the landing zone, which appears as a whole or not at all. All raise RemoteError."""

    async def stage(self, block_id: str, data: bytes) -> None:
        """Upload a block, which nobody sees yet; once more with the same id replaces it."""

    async def commit(self, block_ids: Sequence[str], metadata: Mapping[str, str]) -> None:
        """Make the blob of these blocks, unless there is one: that is a Conflict."""

    async def metadata(self) -> Mapping[str, str] | None:
        """The metadata of the blob, names in lower case; None if there is no blob."""
