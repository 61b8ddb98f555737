"""Lines into blocks: what is uploaded, what is in memory, what is taken back."""

from __future__ import annotations

import asyncio

import pytest

from crmflow.transfer.block_writer import IN_FLIGHT, BlockWriter
from crmflow.transfer.report import TransferError


class Uploads:
    """Keeps blocks; they arrive once ``gate`` is open."""

    def __init__(self) -> None:
        self.blocks: dict[str, bytes] = {}
        self.travelling = self.most = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.error: Exception | None = None

    async def stage(self, block_id: str, data: bytes) -> None:
        self.travelling += 1
        self.most = max(self.most, self.travelling)
        await self.gate.wait()
        self.travelling -= 1
        if self.error is not None:
            raise self.error
        self.blocks[block_id] = data


def writer(uploads: Uploads, **changes: int) -> BlockWriter:
    sizes = {"most_blocks": 100, "block_bytes": 10, **changes}
    return BlockWriter(uploads.stage, 7, b"id,Name", **sizes)


async def test_the_file_is_header_and_lines() -> None:
    uploads = Uploads()
    file = writer(uploads)
    await file.write(b"1,a\n2,b\n", 2)
    await file.write(b"", 0)
    await file.write(b"3,c\n", 1)
    ids = await file.finish()
    assert b"".join(uploads.blocks[one] for one in ids) == b"id,Name\n1,a\n2,b\n3,c\n"
    assert ids == ["000007-000000", "000007-000001"]
    assert (file.rows, file.bytes) == (3, 20)


async def test_without_a_line_there_is_no_block() -> None:
    uploads = Uploads()
    file = writer(uploads)
    await file.checkpoint()
    assert await file.finish() == []
    assert uploads.blocks == {}


async def test_few_blocks_travel_at_once() -> None:
    uploads = Uploads()
    file = writer(uploads)
    uploads.gate.clear()
    writing = asyncio.create_task(_write(file, 10))
    for _ in range(100):
        await asyncio.sleep(0)
    assert (writing.done(), uploads.travelling) == (False, IN_FLIGHT)
    uploads.gate.set()
    await writing
    assert len(await file.finish()) == 10
    assert uploads.most == IN_FLIGHT


async def _write(file: BlockWriter, count: int) -> None:
    for number in range(count):
        await file.write(b"%d,abcdefgh\n" % number, 1)


async def test_what_was_written_behind_a_checkpoint_is_taken_back() -> None:
    uploads = Uploads()
    file = writer(uploads)
    await file.write(b"1,a\n", 1)
    place = await file.checkpoint()
    await file.write(b"2,lost\n" * 5, 5)
    await file.rewind(place)
    await file.write(b"2,b\n", 1)
    ids = await file.finish()
    assert b"".join(uploads.blocks[one] for one in ids) == b"id,Name\n1,a\n2,b\n"
    assert (file.rows, file.bytes) == (2, 16)


async def test_taken_back_to_the_beginning_it_has_one_header() -> None:
    uploads = Uploads()
    file = writer(uploads)
    place = await file.checkpoint()
    await file.write(b"1,lost\n", 1)
    await file.rewind(place)
    await file.write(b"1,a\n", 1)
    assert [uploads.blocks[one] for one in await file.finish()] == [b"id,Name\n1,a\n"]


async def test_a_block_that_fails_ends_the_file() -> None:
    uploads = Uploads()
    file = writer(uploads)
    uploads.error = OSError("no")
    with pytest.raises(OSError, match="no"):
        await _write(file, 10)
    await file.abandon()
    assert uploads.travelling == 0


async def test_a_block_that_fails_before_a_checkpoint_is_not_forgotten() -> None:
    uploads = Uploads()
    file = writer(uploads)
    uploads.error = OSError("no")
    await file.write(b"1,abcdefgh\n", 1)
    with pytest.raises(OSError, match="no"):
        await file.checkpoint()


async def test_a_window_that_no_blob_can_hold() -> None:
    file = writer(Uploads(), most_blocks=2)
    with pytest.raises(TransferError) as raised:
        await _write(file, 3)
    assert raised.value.reason == "FileTooLarge"
