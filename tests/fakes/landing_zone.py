"""The files of a landing zone in memory; as the port ``LandingZoneFiles`` shows them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from pydantic import SecretStr

from crmflow.aep.models import LandingZoneCredentials
from crmflow.http.errors import ErrorClass
from crmflow.reconcile.ports import LandingZoneFile
from tests.fakes.failing import Failing, Timeline, remote_error

CONTAINER = "dlz-user-container"


class FakeLandingZoneFiles(Failing):
    """Its calls bear the names ``files.list``, ``files.delete`` and ``files.credentials``."""

    def __init__(self, timeline: Timeline) -> None:
        super().__init__(timeline)
        self.files: dict[str, LandingZoneFile] = {}
        """By paths below the container."""
        self.generation = 1
        """Of the SAS that Platform hands out."""
        self.is_refused = False
        """The blob service takes no SAS."""
        self.rejected: list[str] = []

    def put(self, path: str, committed: float, **metadata: str) -> None:
        """There is a file, whoever wrote it."""
        self.files[path] = LandingZoneFile(path, datetime.fromtimestamp(committed, UTC), metadata)

    async def credentials(self) -> LandingZoneCredentials:
        async def perform() -> LandingZoneCredentials:
            uri = f"https://account.example/{CONTAINER}?sig=signature-{self.generation}"
            return LandingZoneCredentials(CONTAINER, "account", SecretStr(uri), None)

        return await self.run("files.credentials", (), perform)

    def reject(self, sas_uri: SecretStr) -> None:
        self.rejected.append(sas_uri.get_secret_value())

    async def list(self, folder: str) -> Sequence[LandingZoneFile]:
        async def perform() -> Sequence[LandingZoneFile]:
            self._refuse()
            return [file for path, file in self.files.items() if path.rpartition("/")[0] == folder]

        return await self.run("files.list", (folder,), perform)

    async def delete(self, path: str) -> None:
        async def perform() -> None:
            self._refuse()
            self.files.pop(path, None)

        await self.run("files.delete", (path,), perform)

    def _refuse(self) -> None:
        if self.is_refused:
            raise remote_error(ErrorClass.TERMINAL, "LandingZoneRefused", "the SAS is not taken")
