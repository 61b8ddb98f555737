"""A CRM API that answers what a test wants, and notes what it was asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
from pydantic import SecretStr

from crmflow.clock import Clock
from crmflow.http.client import HttpClient
from crmflow.zoho.api import CrmApi

Answers = Callable[[httpx.Request], httpx.Response]


class FakeCrm:
    """``answers`` gives the answer to each request; ``api`` asks."""

    def __init__(self, answers: Answers) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        """Method, path with query below ``/crm``, and JSON body of each request."""
        self.headers: list[httpx.Headers] = []
        self.credits = 0
        self._answers = answers
        http = HttpClient(httpx.MockTransport(self._answer), Clock())
        self.api = CrmApi(http, "https://crm.test", SecretStr("1000.aa.bb"), spend=self._spend)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content) if request.content else None
        self.asked.append((request.method, request.url.raw_path.decode().removeprefix("/crm/"), body))
        self.headers.append(request.headers)
        return self._answers(request)

    def _spend(self, credits: int) -> None:
        self.credits += credits


def always(*responses: httpx.Response) -> FakeCrm:
    """Gives ``responses`` one after the other, the last one again and again."""
    left = list(responses)
    return FakeCrm(lambda _: left.pop(0) if len(left) > 1 else left[0])


def refusal(status: int, code: str, **details: Any) -> httpx.Response:
    """An error as Zoho words it."""
    return httpx.Response(status, json={"code": code, "details": details, "message": "…", "status": "error"})
