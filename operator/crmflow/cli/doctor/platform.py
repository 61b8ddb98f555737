"""Adobe Experience Platform, asked from this machine with the credential in the Secret. Only reads.

The chain ends at its first failure, since what comes after it would only fail for the same reason.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from crmflow.aep.catalog import DATA_SETS
from crmflow.aep.client import PlatformClient
from crmflow.aep.collection import Named
from crmflow.aep.flow_service import CONNECTIONS
from crmflow.aep.models import Sandbox
from crmflow.aep.sandboxes import SANDBOXES
from crmflow.aep.schema_registry import SCHEMAS
from crmflow.api.base import Transport
from crmflow.cli.connection import Connection
from crmflow.cli.doctor.checks import Check, Level, Subject, failed, failed_by, ok, warning
from crmflow.cli.doctor.hosts import Hosts
from crmflow.cli.doctor.landing_zone import check_landing_zone
from crmflow.cli.platform import Adobe
from crmflow.http.errors import RemoteError
from crmflow.reconcile.core.refusals import OPTIONAL_REFUSALS
from crmflow.reconcile.credentials import PlatformCredentials
from crmflow.reconcile.sources import causes
from crmflow.reconcile.sources.offer import PlatformSourceOffer, read_offer
from crmflow.sentences import naming

_NOTHING = "kubectl crmflow doctor"


class LivePlatform:
    """Adobe Experience Platform with the credentials in Secrets."""

    def __init__(self, adobe: Adobe, hosts: Hosts) -> None:
        self._adobe = adobe
        self._hosts = hosts

    async def check(
        self,
        connection: Connection,
        credentials: PlatformCredentials | None,
        own_call: RemoteError | bool = False,
    ) -> AsyncIterator[Check]:
        """Hosts, token, sandbox, permissions, and what the connection's way needs: source, base connection
        and its test, or the landing zone. ``own_call`` is what came of the grant at Zoho, see
        :class:`causes.Evidence`.
        """
        ims = await self._hosts.check(Subject.IMS_HOST, self._adobe.ims_url)
        gateway = await self._hosts.check(Subject.PLATFORM_HOST, self._adobe.platform_url)
        yield ims
        yield gateway
        if credentials is None or not ims.level is gateway.level is Level.OK:
            return
        secret, odd = connection.platform_secret, credentials.suspicions
        subject = Subject.ADOBE_ACCESS
        token = self._adobe.token(credentials)
        platform = self._adobe.sandbox(connection, credentials, token)
        try:
            await token.get()
            odd = ()
            yield ok(subject, "Adobe's identity service gave an access token for the credential")
            subject = Subject.SANDBOX
            sandbox = await _sandbox(connection, platform)
            yield sandbox
            if sandbox.level is Level.FAILED:
                return
            subject = Subject.PERMISSIONS
            offer = await read_offer(platform)
            await _read_targets(platform)
            yield ok(
                subject,
                "the technical account has View Sources, View Schemas and View Datasets; Manage Sources only "
                "shows when it writes",
            )
            if connection.uses_landing_zone:
                async for check in check_landing_zone(self._adobe.http, platform, connection):
                    yield check
            if connection.transport is Transport.LANDING_ZONE:
                return
            yield _check_offer(offer)
            subject = Subject.BASE_CONNECTION
            if connection.base_connection_id is None:
                yield warning(subject, "there is none yet", "See what the conditions say")
                return
            remote = await platform.get(CONNECTIONS, connection.base_connection_id)
            yield ok(subject, f"base connection {remote.id} is {remote.state}")
            subject = Subject.CONNECTION_TEST
            yield await _test(platform, remote.id, connection.evidence(own_call))
        except RemoteError as error:
            yield failed_by(subject, connection.advisor.advised(error, secret, odd))


async def _sandbox(connection: Connection, platform: PlatformClient) -> Check:
    try:
        return _check_sandbox(connection, await platform.list(SANDBOXES))
    except RemoteError as error:
        if error.reason not in OPTIONAL_REFUSALS:
            raise
        fix = "Nothing, if what follows works: each call names the sandbox itself"
        return warning(Subject.SANDBOX, f"not verified: {error.message}", fix, error.reason)


def _check_sandbox(connection: Connection, sandboxes: tuple[Sandbox, ...]) -> Check:
    name, subject = connection.spec.platform.sandbox, Subject.SANDBOX
    found = next((sandbox for sandbox in sandboxes if sandbox.name == name), None)
    if found is None:
        others = naming(
            "it includes {}", [sandbox.name for sandbox in sandboxes], none="it includes no sandbox at all"
        )
        return failed(
            subject,
            f'sandbox "{name}" does not exist, or the role of the technical account does not include it; '
            f"{others}",
            "Check spec.platform.sandbox (the name, not the title), and add it to the role",
            "SandboxNotFound",
        )
    if (found.state or "active") != "active":
        return failed(
            subject, f'sandbox "{name}" is {found.state}', "Wait until it is active", "SandboxNotActive"
        )
    return ok(subject, f'sandbox "{name}" is active, in region {found.region}')


async def _read_targets(platform: PlatformClient) -> None:
    """Look for schemas and datasets, which dataflows write to; that there are none of that name is fine."""
    await platform.list(SCHEMAS, Named(_NOTHING))
    await platform.list(DATA_SETS, Named(_NOTHING))


def _check_offer(offer: PlatformSourceOffer) -> Check:
    if offer.obstacle is None:
        return ok(Subject.SOURCE_OFFERED, "Platform offers the Zoho CRM source for new dataflows")
    reason, message = offer.obstacle
    return failed(Subject.SOURCE_OFFERED, message, "Ask Adobe; what exists may go on to work", reason)


async def _test(platform: PlatformClient, connection_id: str, evidence: causes.Evidence) -> Check:
    """The test of a base connection that exists."""
    subject = Subject.CONNECTION_TEST
    try:
        works = await platform.test_connection(connection_id)
    except RemoteError as error:
        if not causes.concerns_source(error):
            return failed_by(subject, error)
        reason = "AddressBlocked" if causes.names_an_address(error.message) else "SourceRefused"
        message = f"Platform could not use Zoho CRM: {causes.quoted(error)}"
        return failed(subject, message, causes.of_a_test(evidence, error.message), reason)
    if works:
        return ok(subject, "Platform reaches Zoho CRM through the base connection")
    return failed(
        subject,
        "Platform could not reach Zoho CRM through the base connection and gave no reason",
        causes.of_a_test(evidence),
        "ConnectionTestFailed",
    )
