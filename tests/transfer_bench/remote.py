"""Zoho and a blob service as a process: hands out one file again and again, reads blocks and drops them.

    python -m tests.transfer_bench.remote FILE ROWS_OF_THE_FILE PARTS

Prints its URL, and serves until its standard input ends.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

from aiohttp import web


class Remote:
    """``parts`` jobs, one after the other, each with the same file."""

    def __init__(self, file: Path, rows: int, parts: int) -> None:
        self._file = file
        self._rows = rows
        self._parts = parts

    def app(self) -> web.Application:
        """Everything that a transfer asks."""
        app = web.Application(client_max_size=2**40)
        app.add_routes(
            [
                web.post("/crm/v8/coql", self._count),
                web.post("/crm/bulk/v8/read", self._create),
                web.get("/crm/bulk/v8/read/{job}", self._job),
                web.get("/crm/bulk/v8/read/{job}/result", self._result),
                web.head("/container/{path:.*}", self._absent),
                web.put("/container/{path:.*}", self._drop),
            ]
        )
        return app

    async def _count(self, _: web.Request) -> web.Response:
        return web.json_response({"data": [{"COUNT(id)": self._rows * self._parts}]})

    async def _create(self, request: web.Request) -> web.Response:
        query: dict[str, Any] = (await request.json())["query"]
        return web.json_response({"data": [{"details": {"id": query.get("page_token", "1")}}]}, status=201)

    async def _job(self, request: web.Request) -> web.Response:
        job = int(request.match_info["job"])
        more = job < self._parts
        result = {
            "count": self._rows,
            "more_records": more,
            "next_page_token": str(job + 1) if more else None,
        }
        return web.json_response({"data": [{"state": "COMPLETED", "result": result}]})

    async def _result(self, _: web.Request) -> web.FileResponse:
        return web.FileResponse(self._file, headers={"Content-Type": "application/zip"})

    async def _absent(self, _: web.Request) -> web.Response:
        return web.Response(status=404)

    async def _drop(self, request: web.Request) -> web.Response:
        async for _ in request.content.iter_any():
            pass
        return web.Response(status=201)


async def main() -> None:
    """Serve until nobody wants it any more."""
    file, rows, parts = sys.argv[1:]
    runner = web.AppRunner(Remote(Path(file), int(rows), int(parts)).app(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert runner.addresses
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
