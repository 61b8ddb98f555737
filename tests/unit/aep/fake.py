"""AEP's gateway as a list of prepared answers, which remembers what it was asked."""

from __future__ import annotations

import json
from typing import Any

import httpx
from pydantic import SecretStr

from crmflow.aep.client import PlatformClient
from crmflow.aep.gateway import Gateway
from crmflow.clock import Clock
from crmflow.http.client import HttpClient

BASE = "https://platform.example"


class Tokens:
    """A token source that hands out numbered tokens."""

    def __init__(self) -> None:
        self.number = 1
        self.rejected: list[str] = []

    async def get(self) -> SecretStr:
        return SecretStr(f"token-{self.number}")

    def reject(self, token: SecretStr) -> None:
        self.rejected.append(token.get_secret_value())
        self.number += 1


class Fake:
    """Answers in the order in which they were prepared."""

    def __init__(self, *answers: Any) -> None:
        """An answer is a JSON body, a status with a body, or a whole response."""
        self.answers = [_response(answer) for answer in answers]
        self.requests: list[httpx.Request] = []
        self.tokens = Tokens()
        self.versions: list[tuple[str, str]] = []
        """Id and etag of each object whose version became known."""
        self.client = PlatformClient(
            Gateway(
                HttpClient(httpx.MockTransport(self._handle), Clock()),
                f"{BASE}/",
                "ORG@AdobeOrg",
                "prod",
                "client-id",
                self.tokens,
            ),
            lambda remote_id, etag: self.versions.append((remote_id, etag)),
        )

    def _handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self.answers.pop(0)

    @property
    def request(self) -> httpx.Request:
        """The only request."""
        (request,) = self.requests
        return request

    @property
    def line(self) -> tuple[str, str]:
        """Method and URL below the gateway of the only request."""
        return self.request.method, str(self.request.url).removeprefix(BASE)

    @property
    def body(self) -> Any:
        """The JSON body of the only request."""
        return json.loads(self.request.content)


def _response(answer: Any) -> httpx.Response:
    if isinstance(answer, httpx.Response):
        return answer
    status, body = answer if isinstance(answer, tuple) else (200, answer)
    if body is None:
        return httpx.Response(status)
    return httpx.Response(status, text=body) if isinstance(body, str) else httpx.Response(status, json=body)


def error(code: str, detail: str = "detail", title: str = "title") -> tuple[int, Any]:
    """A refusal in Flow Service's shape (platform.md 2.1)."""
    status = int(code.rsplit("-", 1)[1])
    return status, {
        "type": f"https://ns.adobe.com/aep/errors/{code}",
        "title": title,
        "status": status,
        "report": {"detailed-message": detail, "request-id": "request-1"},
    }
