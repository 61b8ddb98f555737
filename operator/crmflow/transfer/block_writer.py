"""Lines into blocks of one blob: few bytes in memory, and the next block made while others travel."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from crmflow.transfer.report import ExitCode, TransferError

BLOCK_BYTES = 4 * 1024 * 1024
IN_FLIGHT = 2
"""Blocks that may travel at once: together with the one being made they bound the memory."""

Stage = Callable[[str, bytes], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A place to which the file can be taken back: everything before it is in blocks that have arrived."""

    blocks: int
    rows: int
    bytes: int


class BlockWriter:
    """Writes one file, from ``header`` (without its end) on.

    The ids of its blocks begin with the attempt, so that no other attempt's are taken for them, and have one
    length, as the blob service demands (landing-zone.md L).
    """

    def __init__(
        self,
        stage: Stage,
        attempt: int,
        header: bytes,
        most_blocks: int,
        block_bytes: int = BLOCK_BYTES,
    ) -> None:
        self._stage = stage
        self._attempt = attempt
        self._header = header
        self._most_blocks = most_blocks
        self._block_bytes = block_bytes
        self._waiting: list[bytes] = []
        self._size = 0
        self._blocks = 0
        self._travelling: set[asyncio.Task[None]] = set()
        self.rows = 0
        self.bytes = 0
        self.held_up = 0.0
        """Seconds in which a block was ready, and none on its way."""

    async def write(self, lines: bytes, rows: int) -> None:
        """Add ``rows`` lines with their ends. Raises what became of an earlier block."""
        if not rows:
            return
        if not self.rows:
            self._add(self._header + b"\n")
        self._add(lines)
        self.rows += rows
        if self._size >= self._block_bytes:
            await self._send()

    async def checkpoint(self) -> Checkpoint:
        """Wait until all that was written has arrived, and name this place. Raises as :meth:`write` does."""
        await self._send()
        await self._arrived(keep=0)
        return Checkpoint(self._blocks, self.rows, self.bytes)

    async def rewind(self, to: Checkpoint) -> None:
        """Forget all that was written after ``to``."""
        await self._arrived(keep=0, raising=False)
        self._waiting, self._size = [], 0
        self._blocks, self.rows, self.bytes = to.blocks, to.rows, to.bytes

    async def finish(self) -> list[str]:
        """Send what is left; the ids of all blocks, which have arrived."""
        await self._send()
        await self._arrived(keep=0)
        return [self._id(number) for number in range(self._blocks)]

    async def abandon(self) -> None:
        """Stop what is on its way. What has arrived is never seen, and goes by itself."""
        for task in self._travelling:
            task.cancel()
        await self._arrived(keep=0, raising=False)

    def _add(self, lines: bytes) -> None:
        self._waiting.append(lines)
        self._size += len(lines)

    async def _send(self) -> None:
        if not self._waiting:
            return
        if self._blocks >= self._most_blocks:
            raise TransferError(
                ExitCode.DECLARATION, "FileTooLarge", "the window is larger than a file of the landing zone"
            )
        data = b"".join(self._waiting)
        self._waiting, self._size = [], 0
        await self._arrived(keep=IN_FLIGHT - 1)
        ready = None if self._travelling else time.monotonic()
        self._travelling.add(asyncio.create_task(self._travel(self._id(self._blocks), data, ready)))
        self._blocks += 1
        self.bytes += len(data)
        await asyncio.sleep(0)  # lets it go before the next rows are looked at

    async def _travel(self, block_id: str, data: bytes, ready: float | None) -> None:
        if ready is not None:
            self.held_up += time.monotonic() - ready
        await self._stage(block_id, data)

    async def _arrived(self, keep: int, *, raising: bool = True) -> None:
        """Wait until no more than ``keep`` blocks travel. Raises what became of one of them."""
        while len(self._travelling) > keep:
            done, self._travelling = await asyncio.wait(self._travelling, return_when=asyncio.FIRST_COMPLETED)
            errors = [error for task in done if not task.cancelled() and (error := task.exception())]
            if errors and raising:
                raise errors[0]

    def _id(self, number: int) -> str:
        return f"{self._attempt:06d}-{number:06d}"
