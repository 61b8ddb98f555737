"""The files of a sandbox's landing zone, as the operator itself lists and deletes them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from pydantic import SecretStr

from crmflow.aep.models import LandingZoneCredentials
from crmflow.blob.container import Container
from crmflow.blob.errors import REFUSED
from crmflow.blob.service import BlobService
from crmflow.http.client import HttpClient
from crmflow.http.errors import RemoteError
from crmflow.reconcile.ports import LandingZoneFile
from crmflow.runtime.credentials.landing_zone import LandingZoneCredential

T = TypeVar("T")


class SandboxFiles:
    """Implements the port ``LandingZoneFiles``, which says what its methods mean."""

    def __init__(self, http: HttpClient, credential: LandingZoneCredential) -> None:
        self._credential = credential
        self._container = Container(BlobService(http, self))

    async def credentials(self) -> LandingZoneCredentials:
        return await self._credential.get()

    def reject(self, sas_uri: SecretStr) -> None:
        self._credential.reject(sas_uri)

    async def list(self, folder: str) -> Sequence[LandingZoneFile]:
        return [
            LandingZoneFile(blob.path, blob.last_modified, blob.metadata)
            for blob in await self._container.list(folder)
        ]

    async def delete(self, path: str) -> None:
        await self._container.delete(path)

    async def with_sas(self, use: Callable[[SecretStr], Awaitable[T]]) -> T:
        """What comes of ``use``. One that the blob service refuses is replaced once; that Platform hands out
        the same again is for people to cure.
        """
        sas_uri = (await self._credential.get()).sas_uri
        try:
            return await use(sas_uri)
        except RemoteError as error:
            if error.reason != REFUSED:
                raise
            self._credential.reject(sas_uri)
            other = (await self._credential.get()).sas_uri
            if other == sas_uri:
                raise _same_again(error) from error
        return await use(other)


def _same_again(error: RemoteError) -> RemoteError:
    return error.but(
        message=f"{error.message}; Platform hands out no other",
        advice="Have new ones made, which ends those of everybody who uses the sandbox's landing zone: POST "
        "/data/foundation/connectors/landingzone/credentials?type=user_drop_zone&action=refresh",
    )
