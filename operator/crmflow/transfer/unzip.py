"""A ZIP with one CSV file, unpacked while it comes."""

from __future__ import annotations

from collections.abc import AsyncIterator

from stream_unzip import NO_ENCRYPTION, UnzipError, async_stream_unzip

from crmflow.http.client import Download

_COMPRESSED, _INFLATED = 256 * 1024, 1024 * 1024
"""Bytes that go to the thread that inflates, and come back, at once."""


async def csv_of(download: Download) -> AsyncIterator[bytes]:
    """The content of the only file, in pieces of at most a megabyte; its checksum is checked at the end.

    Raises RemoteError (UnreadableAnswer) for anything else than a ZIP with one file.
    """
    files = 0
    try:
        async for _, _, content in async_stream_unzip(
            _larger(download.chunks), chunk_size=_INFLATED, allowed_encryption_mechanisms=(NO_ENCRYPTION,)
        ):
            files += 1
            async for piece in content:
                if files == 1:
                    yield piece
    except UnzipError as error:
        raise download.answer.unreadable(f"a ZIP that can't be unpacked ({type(error).__name__})") from error
    if files != 1:
        raise download.answer.unreadable(f"a ZIP of {files} files")


async def _larger(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in fewer pieces: each crosses two threads."""
    waiting: list[bytes] = []
    size = 0
    async for chunk in chunks:
        waiting.append(chunk)
        size += len(chunk)
        if size >= _COMPRESSED:
            yield b"".join(waiting)
            waiting, size = [], 0
    yield b"".join(waiting)
