"""``python -m tests.bench.emulators INFO``: the emulators, which only count what they are asked.

What they record of an exchange for tests costs more CPU than the exchange; here it would measure that.
``GET /exchanges`` of the control API tells the counts.
"""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from tests.emulators.core.clock import write_atomically
from tests.emulators.core.recorder import Recorder
from tests.emulators.core.server import Emulators

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{16,}|https%3A[^/]+", re.IGNORECASE)


class _Counts(Recorder):
    """How often each kind of call came, and with which status."""

    def __init__(self) -> None:
        super().__init__()
        self._calls: Counter[tuple[str, str, str, int]] = Counter()

    def since(self, number: int = 0) -> list[dict[str, Any]]:
        names = ("service", "method", "path", "status", "count")
        return [dict(zip(names, (*call, count), strict=True)) for call, count in self._calls.items()]

    def middleware(self, service: str) -> Middleware:
        @web.middleware
        async def count(request: web.Request, handler: Handler) -> web.StreamResponse:
            response = await handler(request)
            path = _ID.sub("{id}", request.rel_url.raw_path)
            self._calls[service, request.method, path, response.status] += 1
            return response

        return count


async def _serve(info: Path) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    emulators = Emulators()
    emulators.recorder = _Counts()
    async with emulators:
        write_atomically(info, emulators.info_line() + "\n")
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
