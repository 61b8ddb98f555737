"""Every exchange on a service listener as one JSON line, secrets replaced."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from tests.emulators.core.mask import SecretMask, form
from tests.emulators.core.web import answer

FAULT = web.RequestKey("fault", str)
"""What an injected fault did to the exchange, for the record."""

NO_ANSWER = 0
"""Recorded as the status when the connection was closed without an answer."""

_KEPT_BYTES = 64 * 1024 * 1024


class Recorder:
    """Keeps the last exchanges in memory and, with ``file``, appends all of them there as JSON lines."""

    def __init__(self, file: Path | None = None) -> None:
        self.file = file
        self.mask = SecretMask()
        self._last: deque[str] = deque()
        self._size = 0
        self._count = 0
        self._stream: TextIO | None = None
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._stream = file.open("a", encoding="utf-8", buffering=1)

    def close(self) -> None:
        """Flush and close the file."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    @property
    def count(self) -> int:
        """How many exchanges were seen so far; the ``since`` of the next look."""
        return self._count

    def since(self, number: int = 0) -> list[dict[str, Any]]:
        """The kept exchanges after the first ``number``."""
        return list(self._iterate(number))

    def _iterate(self, number: int) -> Iterator[dict[str, Any]]:
        skip = number - (self._count - len(self._last))
        for index, exchange in enumerate(self._last):  # serialized: a whole day of them fits into memory
            if index >= skip:
                yield json.loads(exchange)

    def middleware(self, service: str) -> Middleware:
        """The middleware that records ``service``."""

        @web.middleware
        async def record(request: web.Request, handler: Handler) -> web.StreamResponse:
            try:
                raw = await request.read()
            except web.HTTPRequestEntityTooLarge:
                return answer({"error_code": "413", "message": "Request body too large"}, 413)
            response = await handler(request)
            self._add(service, request, raw, response)
            return response

        return record

    def without_bodies(self, service: str) -> Middleware:
        """The middleware that records ``service`` and lets bodies pass, however large."""

        @web.middleware
        async def record(request: web.Request, handler: Handler) -> web.StreamResponse:
            response = await handler(request)
            self._add(service, request, b"", response)
            return response

        return record

    def _add(self, service: str, request: web.Request, raw: bytes, response: web.StreamResponse) -> None:
        mask = self.mask
        fault = request.get(FAULT)
        unanswered = fault is not None and fault.startswith("reset")
        exchange = {
            "service": service,
            "method": request.method,
            "path": request.rel_url.raw_path,
            "query": mask.parameters({k: request.query.getall(k) for k in dict.fromkeys(request.query)}),
            "headers": mask.headers(request.headers),
            "body": _request_body(mask, request.content_type, raw),
            "status": NO_ANSWER if unanswered else response.status,
            "responseHeaders": {} if unanswered else mask.headers(response.headers),
            "responseBody": None if unanswered else _response_body(mask, response),
        }
        if fault is not None:
            exchange["fault"] = fault
        line = mask.text(json.dumps(exchange))
        self._count += 1
        self._last.append(line)
        self._size += len(line)
        while self._size > _KEPT_BYTES:
            self._size -= len(self._last.popleft())
        if self._stream is not None:
            self._stream.write(line + "\n")


def _request_body(mask: SecretMask, content_type: str, raw: bytes) -> Any:
    if not raw:
        return None
    if content_type == "application/x-www-form-urlencoded":
        fields = mask.parameters(form(raw))
        return {name: values[0] if len(values) == 1 else values for name, values in fields.items()}
    return mask.body(_parsed(raw))


def _response_body(mask: SecretMask, response: web.StreamResponse) -> Any:
    body = response.body if isinstance(response, web.Response) else None
    return mask.body(_parsed(body)) if isinstance(body, bytes | bytearray) else None


def _parsed(raw: bytes | bytearray) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None
