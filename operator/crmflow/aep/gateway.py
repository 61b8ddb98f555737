"""The way into AEP: Adobe's API gateway, with the same headers for every service (platform.md 1, 2.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any, Protocol

from pydantic import SecretStr

from crmflow.aep.errors import TOKEN_REJECTED_CODE, platform_error
from crmflow.http.client import Answer, Call, HttpClient
from crmflow.http.errors import RemoteError
from crmflow.http.limiter import Turn, unlimited

Params = Sequence[tuple[str, str]]


class TokenSource(Protocol):
    """Where IMS tokens come from."""

    async def get(self) -> SecretStr:
        """A token that is valid as far as is known; may ask IMS, and raise what that raises."""
        ...

    def reject(self, token: SecretStr) -> None:
        """Told that the gateway does not accept ``token``: :meth:`get` must not return it again."""
        ...


class ReadOnlyError(Exception):
    """Something was about to be changed through a gateway that only reads: nothing was sent."""


class Gateway:
    """One organization, sandbox and credential at the gateway."""

    def __init__(
        self,
        http: HttpClient,
        base_url: str,
        organization: str,
        sandbox: str,
        client_id: str,
        token: TokenSource,
        turn: Turn = unlimited,
    ) -> None:
        self._http = http
        self._base_url = base_url.rstrip("/")
        self._token = token
        self._turn = turn
        self._read_only = False
        self._headers = {
            "x-api-key": client_id,
            "x-gw-ims-org-id": organization,
            "x-sandbox-name": sandbox,
        }

    def read_only(self) -> Gateway:
        """The same gateway, through which nothing can be changed: :meth:`send` raises :class:`ReadOnlyError`
        instead.
        """
        gateway = copy(self)
        gateway._read_only = True
        return gateway

    async def send(
        self,
        service: str,
        operation: str,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        reads: bool = False,
    ) -> Answer:
        """Send one request and return its 2xx answer; raises :class:`RemoteError` for any other. ``reads``
        marks a POST that changes nothing.

        A token that the gateway has stopped accepting is replaced once: the refused request did not get past
        the gateway, so repeating it is safe for every method.
        """
        if self._read_only and Call(service, operation, method).changes and not reads:
            raise ReadOnlyError(f"{operation} is not allowed here: it changes Platform, and is not sent")

        async def attempt(token: SecretStr) -> Answer:
            bearer = {"Authorization": f"Bearer {token.get_secret_value()}"}
            async with self._turn(service, operation):
                answer = await self._http.send(
                    service,
                    operation,
                    method,
                    self._base_url + path,
                    headers={**bearer, **self._headers, **(headers or {})},
                    params=params,
                    json=json,
                )
                if not 200 <= answer.status < 300:
                    raise platform_error(answer)
            return answer

        token = await self._token.get()
        try:
            return await attempt(token)
        except RemoteError as error:
            # A 401 without any code is the gateway's too: services name theirs (platform.md 2.3).
            if error.status != 401 or error.code not in (TOKEN_REJECTED_CODE, None):
                raise
        self._token.reject(token)
        return await attempt(await self._token.get())
