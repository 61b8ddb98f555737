"""Whether the remote hosts can be reached from this machine: DNS, proxy, TLS."""

from __future__ import annotations

from urllib.parse import urlsplit

from crmflow.cli.doctor.checks import Check, failed_by, ok
from crmflow.http.client import HttpClient
from crmflow.http.errors import RemoteError


class Hosts:
    """Whether hosts can be reached, each asked once."""

    def __init__(self, http: HttpClient) -> None:
        self._http = http
        self._found: dict[str, RemoteError | None] = {}

    async def check(self, subject: str, url: str) -> Check:
        """Any answer will do; a proxy, DNS or a certificate may keep it away."""
        parts = urlsplit(url)
        address = f"{parts.scheme}://{parts.netloc}"
        if address not in self._found:
            try:
                await self._http.send(subject, "reach", "GET", f"{address}/")
                self._found[address] = None
            except RemoteError as error:
                self._found[address] = error
        fault = self._found[address]
        if fault is not None:
            return failed_by(subject, fault)
        over = "over TLS, with a trusted certificate" if parts.scheme == "https" else "without TLS"
        return ok(subject, f"reached {parts.hostname} {over}")
