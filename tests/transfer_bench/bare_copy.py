"""The least that must be done: inflate the same files and upload the bytes with the same clients, in blocks
of the same size, without looking inside.

    python -m tests.transfer_bench.bare_copy DECLARATION CREDENTIALS
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from pydantic import SecretStr

from crmflow.blob.block_blob import BlockBlob
from crmflow.blob.service import BlobService
from crmflow.clock import Clock
from crmflow.http.client import HttpClient
from crmflow.http.pool import SpreadTransport
from crmflow.transfer.block_writer import BLOCK_BYTES
from crmflow.transfer.credentials import Credentials
from crmflow.transfer.declaration import Declaration
from crmflow.transfer.unzip import csv_of
from crmflow.zoho import bulk_read
from crmflow.zoho.api import CrmApi


async def copy(declaration: Declaration, directory: Path) -> None:
    """All parts into one blob."""
    clock = Clock()
    async with SpreadTransport(pools=2) as transport:
        http = HttpClient(transport, clock)
        blob = BlockBlob(BlobService(http, Credentials(directory, clock)), declaration.file)
        api = CrmApi(http, declaration.zoho_api_url, SecretStr("any"))
        job_id: str | None = await bulk_read.create(api, declaration.module, declaration.columns, ())
        blocks: list[str] = []
        waiting, size = list[bytes](), 0
        while job_id is not None:
            job = await bulk_read.job(api, job_id)
            async with bulk_read.result(api, job_id) as download:
                async for piece in csv_of(download):
                    waiting.append(piece)
                    size += len(piece)
                    if size >= BLOCK_BYTES:
                        await _stage(blob, blocks, waiting)
                        waiting, size = [], 0
            job_id = await bulk_read.create_next(api, job.next_page_token) if job.next_page_token else None
        await _stage(blob, blocks, waiting)
        await blob.commit(blocks, {})


async def _stage(blob: BlockBlob, blocks: list[str], pieces: list[bytes]) -> None:
    blocks.append(f"{len(blocks):06d}")
    await blob.stage(blocks[-1], b"".join(pieces))


if __name__ == "__main__":
    asyncio.run(copy(Declaration.model_validate_json(sys.argv[1]), Path(sys.argv[2])))
