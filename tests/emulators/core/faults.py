"""Faults in front of the services: they answer wrongly, late or not at all, and know nothing of it."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import socket
import struct
from typing import Any, Literal

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from pydantic import BaseModel, ConfigDict, Field, field_validator

from tests.emulators.blob.errors import MESSAGES, refusal
from tests.emulators.core.recorder import FAULT

Service = Literal["platform", "ims", "zoho-accounts", "zoho-api", "blob"]


class Fault(BaseModel):
    """One rule: the next ``times`` requests that match are spoiled."""

    model_config = ConfigDict(extra="forbid")

    service: Service | None = Field(None, description="listener; none: all")
    method: str | None = Field(None, description="HTTP method; none: all")
    path: str = Field("", description="regular expression, searched in the path")
    query: str = Field("", description="regular expression, searched in the query")
    times: int | None = Field(1, ge=1, description="how many matching requests; null: until deleted")
    skip: int = Field(0, ge=0, description="how many matching requests pass first")
    status: int | None = Field(None, ge=200, le=599, description="answer this instead of the service")
    azure: str | None = Field(None, description="answer in Azure's words: one of its error codes")
    body: Any = Field(None, description="body of that answer: a string is sent as it is, all else as JSON")
    headers: dict[str, str] = Field(default_factory=dict, description="headers of that answer")
    delay: float = Field(0, ge=0, le=600, description="real seconds to wait before anything happens")
    reset: Literal["before", "after"] | None = Field(
        None,
        description="close the connection without an answer, before the service acts or after it has acted",
    )

    @field_validator("azure")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        if value is not None and value not in MESSAGES:
            raise ValueError(f"one of {', '.join(MESSAGES)} is expected")
        return value

    @field_validator("path", "query")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(str(error)) from None
        return value

    def matches(self, service: str, request: web.Request) -> bool:
        """Whether this rule is about that request."""
        return (
            self.service in (None, service)
            and self.method in (None, request.method)
            and re.search(self.path, request.path) is not None
            and re.search(self.query, request.query_string) is not None
        )


class Faults:
    """The rules in force, oldest first; the first that matches a request is used."""

    def __init__(self) -> None:
        self._rules: dict[int, Fault] = {}
        self._ids = itertools.count(1)

    def add(self, fault: Fault) -> int:
        """Put a rule in force; returns its number."""
        number = next(self._ids)
        self._rules[number] = fault.model_copy()
        return number

    def clear(self) -> None:
        """Forget all rules."""
        self._rules.clear()

    def listing(self) -> list[dict[str, Any]]:
        """The rules in force with what is left of them."""
        return [{"id": number, **rule.model_dump()} for number, rule in self._rules.items()]

    def middleware(self, service: str) -> Middleware:
        """The middleware that spoils requests to ``service``."""

        @web.middleware
        async def spoil(request: web.Request, handler: Handler) -> web.StreamResponse:
            fault = self._take(service, request)
            return await (handler(request) if fault is None else _apply(fault, request, handler))

        return spoil

    def _take(self, service: str, request: web.Request) -> Fault | None:
        for number, rule in self._rules.items():
            if not rule.matches(service, request):
                continue
            if rule.skip:
                rule.skip -= 1
                continue
            if rule.times is not None:
                rule.times -= 1
                if rule.times == 0:
                    del self._rules[number]
            return rule
        return None


async def _apply(fault: Fault, request: web.Request, handler: Handler) -> web.StreamResponse:
    if fault.delay:
        await asyncio.sleep(fault.delay)
    if fault.reset is not None:
        request[FAULT] = f"reset: {fault.reset}"
        if fault.reset == "after":
            await handler(request)
        _close(request)
        return web.Response()
    if fault.azure is not None:
        request[FAULT] = f"azure: {fault.azure}"
        return refusal(fault.azure, request.headers.get("x-ms-version"))
    if fault.status is None:
        request[FAULT] = "delay"
        return await handler(request)
    request[FAULT] = f"status: {fault.status}"
    raw = isinstance(fault.body, str)
    response = web.Response(
        status=fault.status,
        text=fault.body if raw else json.dumps(fault.body) if fault.body is not None else None,
        content_type="text/html" if raw else "application/json",
    )
    response.headers.update(fault.headers)
    return response


def _close(request: web.Request) -> None:
    """Reset the connection, so that the client sees neither an answer nor an orderly end."""
    if (transport := request.transport) is None:
        return
    if (sock := transport.get_extra_info("socket")) is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
