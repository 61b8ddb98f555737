"""A blob service that gives the answers a test wants, and keeps the requests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import httpx
from pydantic import SecretStr

from crmflow.blob.service import BlobService
from crmflow.clock import Clock
from crmflow.http.client import HttpClient

T = TypeVar("T")

SAS = (
    "https://acct.blob.core.windows.net/dlz-user-container?sv=2020-04-08&si=dlz&sr=c&sp=racwdlm&sig=a%2Fb%3D"
)


class Keeper:
    """Has one SAS."""

    async def with_sas(self, use: Callable[[SecretStr], Awaitable[T]]) -> T:
        return await use(SecretStr(SAS))


class FakeService:
    """Gives ``responses`` one after the other, the last one again and again."""

    def __init__(self, *responses: httpx.Response) -> None:
        self.requests: list[httpx.Request] = []
        self._responses = list(responses)
        self.service = BlobService(HttpClient(httpx.MockTransport(self._answer), Clock()), Keeper())

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self._responses.pop(0) if len(self._responses) > 1 else self._responses[0]


def error(status: int, code: str) -> httpx.Response:
    """An error as the service words it."""
    body = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>…</Message></Error>'
    return httpx.Response(status, content=body.encode())
