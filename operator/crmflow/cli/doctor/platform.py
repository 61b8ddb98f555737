"""Adobe Experience Platform, asked from this machine with the credential in the Secret. Only reads.

The chain ends at its first failure, since what comes after it would only fail for the same reason.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from crmflow.aep.client import PlatformClient
from crmflow.aep.models import Sandbox
from crmflow.cli.connection import Connection
from crmflow.cli.doctor.checks import Check, Level, Subject, failed, failed_by, ok, warning
from crmflow.cli.doctor.hosts import Hosts
from crmflow.cli.platform import Adobe
from crmflow.reconcile.credentials import PlatformCredentials
from crmflow.reconcile.offer import FLOW_SPEC_NAME, ZOHO_CONNECTION_SPEC_ID, Offer
from crmflow.transport.errors import RemoteError

_NOTHING = "kubectl crmflow doctor"


class LivePlatform:
    """Adobe Experience Platform with the credentials in Secrets."""

    def __init__(self, adobe: Adobe, hosts: Hosts) -> None:
        self._adobe = adobe
        self._hosts = hosts

    async def check(
        self, connection: Connection, credentials: PlatformCredentials | None
    ) -> AsyncIterator[Check]:
        """Hosts, token, sandbox, permissions, source, base connection and its test."""
        ims = await self._hosts.check(Subject.IMS_HOST, self._adobe.ims_url)
        gateway = await self._hosts.check(Subject.PLATFORM_HOST, self._adobe.platform_url)
        yield ims
        yield gateway
        if credentials is None or not ims.level is gateway.level is Level.OK:
            return
        subject = Subject.ADOBE_ACCESS
        token = self._adobe.token(credentials)
        platform = self._adobe.sandbox(connection, credentials, token)
        try:
            await token.get()
            yield ok(subject, "Adobe's identity service gave an access token for the credential")
            subject = Subject.SANDBOX
            sandbox = _check_sandbox(connection, await platform.sandboxes())
            yield sandbox
            if sandbox.level is not Level.OK:
                return
            subject = Subject.PERMISSIONS
            offer = await _offer(platform)
            await _read_targets(platform)
            yield ok(
                subject,
                "the technical account has View Sources, View Schemas and View Datasets; Manage Sources only "
                "shows when it writes",
            )
            yield _check_offer(offer)
            subject = Subject.BASE_CONNECTION
            if connection.base_connection_id is None:
                yield warning(subject, "there is none yet", "See what the conditions say")
                return
            remote = await platform.connection(connection.base_connection_id)
            yield ok(subject, f"base connection {remote.id} is {remote.state}")
            subject = Subject.CONNECTION_TEST
            yield _check_test(connection, await platform.test_connection(remote.id))
        except RemoteError as error:
            yield failed_by(subject, error)


def _check_sandbox(connection: Connection, sandboxes: tuple[Sandbox, ...]) -> Check:
    name, subject = connection.spec.platform.sandbox, Subject.SANDBOX
    found = next((sandbox for sandbox in sandboxes if sandbox.name == name), None)
    if found is None:
        others = ", ".join(sandbox.name for sandbox in sandboxes) or "none"
        return failed(
            subject,
            f'sandbox "{name}" does not exist, or the role of the technical account does not include it; '
            f"it includes {others}",
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
    await platform.schemas_titled(_NOTHING)
    await platform.datasets_named(_NOTHING)


async def _offer(platform: PlatformClient) -> Offer:
    return Offer(
        await platform.connection_spec(ZOHO_CONNECTION_SPEC_ID), await platform.flow_spec(FLOW_SPEC_NAME)
    )


def _check_offer(offer: Offer) -> Check:
    if offer.withdrawn is None:
        return ok(Subject.SOURCE_OFFERED, "Platform offers the Zoho CRM source for new dataflows")
    reason, message = offer.withdrawn
    return failed(Subject.SOURCE_OFFERED, message, "Ask Adobe; what exists may go on to work", reason)


def _check_test(connection: Connection, works: bool) -> Check:
    subject = Subject.CONNECTION_TEST
    if works:
        return ok(subject, "Platform reaches Zoho CRM through the base connection")
    return failed(
        subject,
        "Platform could not reach Zoho CRM through the base connection and gave no reason",
        f"Enter what `kubectl crmflow allowlist {connection.name} -n {connection.namespace}` prints into "
        "Zoho's Allowed IPs; then check the profile's API access, then the grant",
        "ConnectionTestFailed",
    )
