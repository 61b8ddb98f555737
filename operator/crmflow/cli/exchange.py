"""What follows once there is a grant token: exchange it, verify the grant, deliver the refresh token."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from pydantic import SecretStr

from crmflow.cli.api_server import UnansweredError
from crmflow.cli.connection import Connection
from crmflow.cli.destination import Destination
from crmflow.cli.oauth_client import OAuthClient
from crmflow.cli.problem import Problem
from crmflow.cli.terminal import say
from crmflow.cli.verification import verify
from crmflow.cli.zoho import ZohoClients
from crmflow.http.errors import RemoteError
from crmflow.zoho.grants import Grant


@dataclass(frozen=True)
class Exchange:
    """One authorization; ``scopes`` are those that were asked for."""

    connection: Connection
    client: OAuthClient
    destination: Destination
    zoho: ZohoClients
    scopes: tuple[str, ...]

    async def complete(self, code: SecretStr, redirect_uri: str | None) -> list[str]:
        """What there is to say about the new grant. Raises RemoteError and Problem.

        What fails after the exchange revokes the refresh token again: nobody would use it, and it counts
        among the user's twenty (zoho.md 1.5). Only a write that may have worked leaves it alive.
        """
        grant = await self.zoho.grants.exchange(
            self.connection.data_center, self.client.id, self.client.secret, code, redirect_uri
        )
        try:
            verified = await verify(self.zoho.crm, self.connection, grant.access_token, self.scopes)
        except BaseException:
            await self._revoke(grant)
            raise
        try:
            delivered = await self.destination.deliver(self.client, grant.refresh_token)
        except (UnansweredError, asyncio.CancelledError) as error:
            raise _maybe_written(self.connection) from error
        except BaseException:
            await self._revoke(grant)
            raise
        return [verified.summary, delivered, *(f"Warning: {text}" for text in verified.warnings)]

    async def _revoke(self, grant: Grant) -> None:
        try:
            await self.zoho.grants.revoke(self.connection.data_center, grant.refresh_token)
        except RemoteError as error:
            say(
                f"The new refresh token could not be revoked: {error.message}. End it in the user's Zoho "
                "account, Connected Apps."
            )
        else:
            say("The new refresh token was revoked again.")


def _maybe_written(connection: Connection) -> Problem:
    return Problem(
        f'nobody knows whether Secret "{connection.zoho_secret}" holds the new refresh token, as the write '
        "was not confirmed",
        f"See whether {connection.name} becomes Ready; if not, run the command again",
    )
