"""The Data Landing Zone of a sandbox, asked from this machine. Only reads: new credentials would end those
that everybody else in the sandbox has.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from pydantic import SecretStr

from crmflow.aep.client import PlatformClient
from crmflow.blob.container import Container
from crmflow.blob.service import BlobService
from crmflow.cli.connection import Connection
from crmflow.cli.doctor.checks import Check, Subject, failed, failed_by, ok, warning
from crmflow.http.client import HttpClient
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.reconcile.sources.landing_zone_offer import read_offer

T = TypeVar("T")

_FOLDER = "crmflow"


@dataclass(frozen=True)
class _Sas:
    """The SAS as Platform has just handed it out: there is no other."""

    uri: SecretStr

    async def with_sas(self, use: Callable[[SecretStr], Awaitable[T]]) -> T:
        return await use(self.uri)


async def check_landing_zone(
    http: HttpClient, platform: PlatformClient, connection: Connection
) -> AsyncIterator[Check]:
    """Whether Platform offers it, hands out what opens it, and whether that does."""
    subject = Subject.LANDING_ZONE
    try:
        obstacle = (await read_offer(platform)).obstacle
        if obstacle is not None:
            reason, message = obstacle
            yield failed(subject, message, "Do what the message says", reason)
            return
        yield ok(subject, "Platform takes files from the sandbox's Data Landing Zone")
        subject = Subject.LANDING_ZONE_CREDENTIALS
        found = await platform.landing_zone_credentials()
    except RemoteError as error:
        yield failed_by(subject, connection.advisor.advised(error))
        return
    yield ok(
        subject, f"Platform handed out a SAS for the container {found.container}{_until(found.expires_at)}"
    )
    yield await _open(http, found.sas_uri)


def _until(end: float | None) -> str:
    return "" if end is None else f", good until {datetime.fromtimestamp(end, UTC):%Y-%m-%d}"


async def _open(http: HttpClient, sas_uri: SecretStr) -> Check:
    """From this machine; the transfers run in the cluster."""
    subject = Subject.LANDING_ZONE_FILES
    try:
        await Container(BlobService(http, _Sas(sas_uri))).list(_FOLDER)
    except RemoteError as error:
        if error.error_class is ErrorClass.TRANSIENT:
            return warning(
                subject,
                f"not checked: this machine does not reach the blob service ({error.message})",
                "Nothing, if the cluster does: transfers go to *.blob.core.windows.net",
                error.reason,
            )
        return failed_by(subject, error)
    return ok(subject, "the SAS opens the container")
