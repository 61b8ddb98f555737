"""A blob that is made of blocks, and is there as a whole or not at all (landing-zone.md E.5, L)."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from urllib.parse import quote
from xml.sax.saxutils import escape

from crmflow.blob.errors import NOT_FOUND
from crmflow.blob.service import METADATA, BlobService
from crmflow.http.errors import RemoteError

MOST_BLOCKS = 50_000
_TIMEOUT = 300.0
"""Seconds that a block may travel, and that a blob may take to be put together."""


class BlockBlob:
    """The blob at ``path`` of the container."""

    def __init__(self, service: BlobService, path: str) -> None:
        self._service = service
        self._path = path

    async def stage(self, block_id: str, data: bytes) -> None:
        """Put Block, which nobody sees yet; once more with the same id replaces it."""
        query = f"comp=block&blockid={quote(_base64(block_id), safe='')}"
        await self._service.send(
            "stageBlock", "PUT", self._path, query, expected=201, content=data, timeout=_TIMEOUT
        )

    async def commit(self, block_ids: Sequence[str], metadata: Mapping[str, str]) -> None:
        """Put Block List with ``If-None-Match: *``: the blob has these blocks, unless it is there already."""
        latest = "".join(f"<Latest>{escape(_base64(block_id))}</Latest>" for block_id in block_ids)
        body = f'<?xml version="1.0" encoding="utf-8"?><BlockList>{latest}</BlockList>'
        headers = {
            "If-None-Match": "*",
            "x-ms-blob-content-type": "text/csv; charset=utf-8",
            **{f"{METADATA}{name}": value for name, value in metadata.items()},
        }
        await self._service.send(
            "commitBlockList",
            "PUT",
            self._path,
            "comp=blocklist",
            expected=201,
            headers=headers,
            content=body.encode(),
            timeout=_TIMEOUT,
        )

    async def metadata(self) -> Mapping[str, str] | None:
        """Get Blob Properties: names in lower case; None if there is no blob."""
        try:
            answer = await self._service.send("blobProperties", "HEAD", self._path, expected=200)
        except RemoteError as error:
            if error.reason == NOT_FOUND:
                return None
            raise
        return {
            name.removeprefix(METADATA): value
            for name, value in answer.headers.items()
            if name.startswith(METADATA)
        }


def _base64(block_id: str) -> str:
    return base64.b64encode(block_id.encode()).decode()
