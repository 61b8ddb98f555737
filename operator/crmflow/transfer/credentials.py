"""Access token and SAS URI, read from the mounted Secret before each use.

The operator renews both while the transfer runs; the kubelet takes up to 90 seconds to bring them here. So a
refusal is first taken for a credential that has run out, and waits for another one.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote

from pydantic import SecretStr

from crmflow.clock import Clock
from crmflow.http.errors import RemoteError
from crmflow.observability.redaction import register
from crmflow.transfer.report import ExitCode, unreadable_file

TOKEN_FILE, SAS_FILE = "accessToken", "sasUri"
"""Keys of the Secret."""
PATIENCE_SECONDS = 120.0
_LOOK_EVERY = 1.0
_SIGNATURE = re.compile(r"\bsig=([^&\s]*)")
"""What of a SAS URI is the secret, also of one that is damaged."""

T = TypeVar("T")
Use = Callable[[SecretStr], Awaitable[T]]


class CredentialRefusedError(Exception):
    """A credential was refused, and no other one came."""

    def __init__(self, exit_code: ExitCode, error: RemoteError) -> None:
        super().__init__(error.message)
        self.exit_code = exit_code
        self.error = error


class Credentials:
    """The two files in ``directory``."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock

    async def with_token(self, use: Use[T]) -> T:
        """What comes of ``use`` with an access token that Zoho takes. Raises CredentialRefusedError."""
        refusals = frozenset({"TokenRejected", "AccessRefused"})
        return await self._with(TOKEN_FILE, use, refusals, ExitCode.ZOHO_TOKEN)

    async def with_sas(self, use: Use[T]) -> T:
        """What comes of ``use`` with a SAS URI that the landing zone takes. Raises CredentialRefusedError."""
        return await self._with(SAS_FILE, use, frozenset({"LandingZoneRefused"}), ExitCode.SAS)

    async def _with(self, name: str, use: Use[T], refusals: frozenset[str], exit_code: ExitCode) -> T:
        while True:
            value = self._read(name)
            try:
                return await use(SecretStr(value))
            except RemoteError as error:
                if error.reason not in refusals:
                    raise
                if not await self._changed(name, value):
                    raise CredentialRefusedError(exit_code, error) from error

    async def _changed(self, name: str, old: str) -> bool:
        """Whether another value is there before patience ends."""
        until = self._clock.now() + PATIENCE_SECONDS
        while self._read(name) == old:
            if self._clock.now() >= until:
                return False
            await self._clock.sleep(_LOOK_EVERY)
        return True

    def _read(self, name: str) -> str:
        path = self._directory / name
        try:
            value = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise unreadable_file(path, error) from error
        for signature in _SIGNATURE.findall(value):
            register(signature)
            register(unquote(signature))
        register(value)
        return value
