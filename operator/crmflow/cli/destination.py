"""Where the refresh token goes: into the connection's Secret, or to standard output."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from pydantic import SecretStr

from crmflow.cli.cluster import Cluster
from crmflow.cli.connection import Connection
from crmflow.cli.oauth_client import OAuthClient
from crmflow.cli.problem import Problem
from crmflow.cli.secret import SecretContents, manifest, with_spelling


class Destination:
    """The Secret that the connection names; ``print_only`` leaves it to the person to put it there."""

    def __init__(
        self, cluster: Cluster, connection: Connection, stored: SecretContents | None, *, print_only: bool
    ) -> None:
        self._cluster = cluster
        self._connection = connection
        self._stored = stored
        self._print_only = print_only

    async def check(self, client: OAuthClient) -> None:
        """Find out, before anybody is asked for consent, whether it can be written. Raises Problem."""
        if self._print_only:
            return
        if self._stored is not None and self._stored.owner is not None:
            raise Problem(
                f'Secret "{self._connection.zoho_secret}" is written by {self._stored.owner}, which would '
                "undo the change",
                "Print the new values with --print, and put them where that takes them from",
            )
        await self._apply(client, SecretStr("not granted yet"), dry_run=True)

    async def deliver(self, client: OAuthClient, refresh_token: SecretStr) -> str:
        """Write or print it; says so in a sentence. Raises Problem."""
        if self._print_only:
            values = self._values(client, refresh_token)
            sys.stdout.write(manifest(self._connection.namespace, self._connection.zoho_secret, values))
            sys.stdout.flush()
            return "The Secret was printed; the operator goes on once it is in the cluster."
        await self._apply(client, refresh_token, dry_run=False)
        return (
            f'Secret "{self._connection.zoho_secret}" in namespace "{self._connection.namespace}" holds the '
            "new refresh token; the operator takes it from there."
        )

    async def _apply(self, client: OAuthClient, refresh_token: SecretStr, *, dry_run: bool) -> None:
        values = self._values(client, refresh_token)
        await self._cluster.apply_secret(self._connection.zoho_secret, values, dry_run=dry_run)

    def _values(self, client: OAuthClient, refresh_token: SecretStr) -> Mapping[str, SecretStr]:
        # All three each time: an apply takes away what the same manager set before and leaves out now.
        values = {
            "clientId": SecretStr(client.id),
            "clientSecret": client.secret,
            "refreshToken": refresh_token,
        }
        return with_spelling(values, self._stored)
