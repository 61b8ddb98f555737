"""Requests to the CRM API of one organization, with the token that is good at the moment."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from crmflow.http.client import Answer, Download, HttpClient
from crmflow.http.limiter import Turn, unlimited
from crmflow.zoho.errors import crm_error

SERVICE = "ZohoCRM"
_SLOW = 120.0
"""Seconds that a query over many rows may take."""

Spend = Callable[[int], None]
"""Told the credits that each answered call costs (zoho.md 3.1)."""


def uncounted(_credits: int) -> None:
    """Where nobody counts credits."""


class CrmApi:
    """Errors are those of ``zoho/errors.py``: whatever is not a success is raised."""

    def __init__(
        self,
        http: HttpClient,
        url: str,
        token: SecretStr,
        host: str = "",
        spend: Spend = uncounted,
        turn: Turn = unlimited,
    ) -> None:
        """``url`` is the base of the API, without a slash at its end; messages name it as ``host``. Each
        request waits for its ``turn``.
        """
        self._http = http
        self._url = url
        self._token = token
        self.host = host or urlsplit(url).netloc
        self._spend = spend
        self._turn = turn

    async def send(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        params: Sequence[tuple[str, str]] | None = None,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        credits: int = 1,
    ) -> Answer:
        """The answer to a request below ``/crm``: a success, 204 (nothing found) or 304 (not modified)."""
        async with self._turn(SERVICE, operation):
            answer = await self._http.send(
                SERVICE,
                operation,
                method,
                f"{self._url}/crm/{path}",
                headers={**self._authorization(), **(headers or {})},
                params=params,
                json=json,
                timeout=_SLOW,
            )
            self._check(answer)
        self._spend(credits)
        return answer

    @asynccontextmanager
    async def download(self, operation: str, path: str) -> AsyncIterator[Download]:
        """A file below ``/crm``; costs one credit."""
        url = f"{self._url}/crm/{path}"
        async with self._http.download(SERVICE, operation, url, headers=self._authorization()) as download:
            self._check(download.answer)
            self._spend(1)
            yield download

    def _authorization(self) -> dict[str, str]:
        return {"Authorization": f"Zoho-oauthtoken {self._token.get_secret_value()}"}

    def _check(self, answer: Answer) -> None:
        if answer.status != 304 and not 200 <= answer.status < 300:
            raise crm_error(answer, self.host)
        if answer.body.startswith(b"{") and b'"error"' in answer.body:  # an error with a 200
            body = answer.json_or_none()
            if isinstance(body, dict) and body.get("status") == "error":
                raise crm_error(answer, self.host)


def items(answer: Answer, key: str) -> list[Mapping[str, Any]]:
    """The objects under ``key``; none for 204 and 304. Raises RemoteError for a body of another shape."""
    if answer.status in (204, 304):
        return []
    body = answer.json()
    found = body.get(key) if isinstance(body, dict) else None
    if not isinstance(found, list):
        raise answer.unreadable(f"a body without {key}")
    return [item for item in found if isinstance(item, dict)]


def only(answer: Answer, key: str) -> Mapping[str, Any]:
    """The first object under ``key``. Raises RemoteError where there is none."""
    for item in items(answer, key):
        return item
    raise answer.unreadable(f"a body without {key}")


def more_records(answer: Answer) -> bool:
    """Whether another page follows (zoho.md 3.6)."""
    info = answer.json().get("info") if answer.status == 200 else None
    return isinstance(info, dict) and info.get("more_records") is True
