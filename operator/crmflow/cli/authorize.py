"""``kubectl crmflow authorize``: from a person's consent to the refresh token in the connection's Secret.

A grant token lives for about a minute, so everything that can be known before is checked before: the
connection, the client, the port, and the right to write the Secret.
"""

from __future__ import annotations

from crmflow.api.zohosourceconnection import DataCenter
from crmflow.cli import oauth_client, zoho
from crmflow.cli.api_server import ForbiddenError
from crmflow.cli.cluster import Cluster
from crmflow.cli.connection import Connection
from crmflow.cli.consent import Consent
from crmflow.cli.destination import Destination
from crmflow.cli.exchange import Exchange
from crmflow.cli.options import AuthorizeOptions
from crmflow.cli.problem import Problem
from crmflow.cli.redirect import DEFAULT_REDIRECT_URI, RedirectUri
from crmflow.cli.secret import SecretContents
from crmflow.cli.terminal import ask_secret, say
from crmflow.sentences import every
from crmflow.settings import parse_duration
from crmflow.zoho.scopes import parse_scopes, scopes_to_ask_for


async def authorize(options: AuthorizeOptions) -> None:
    """Carry the command out. Raises Problem or RemoteError; the Secret is as it was then."""
    given = _scopes(options.scopes)
    seconds = _seconds(options.timeout)
    cluster = await Cluster.connect(options.cluster)
    try:
        connection = await cluster.connection(options.name)
        stored = await _stored(cluster, connection, options)
        client = oauth_client.choose(
            options.client_id, options.client_secret_file, stored, connection.zoho_secret
        )
        destination = Destination(cluster, connection, stored, print_only=options.print_only)
        await destination.check(client)
        async with zoho.connect() as remote:
            scopes = given or connection.spec.zoho.scopes or scopes_to_ask_for(connection.spec.transport)
            exchange = Exchange(connection, client, destination, remote, scopes)
            told = await _obtain(options, exchange, seconds)
    finally:
        await cluster.close()
    for text in told:
        say(text)


async def _obtain(options: AuthorizeOptions, exchange: Exchange, seconds: float) -> list[str]:
    if options.grant_token:
        code = ask_secret("Grant token")
        if not code.get_secret_value():
            raise Problem(
                "the grant token is empty",
                f"Generate a code for the self client with the scopes {','.join(exchange.scopes)}",
            )
        oauth_client.require_possible("the grant token", code.get_secret_value())
        return await exchange.complete(code, options.redirect_uri)
    uri = RedirectUri.parse(options.redirect_uri or DEFAULT_REDIRECT_URI)
    consent = Consent(exchange, uri, _data_center(options, exchange.connection))
    if options.paste or not uri.addresses:
        return await consent.by_paste()
    return await consent.by_redirect(browser=options.browser, seconds=seconds)


async def _stored(
    cluster: Cluster, connection: Connection, options: AuthorizeOptions
) -> SecretContents | None:
    try:
        return await cluster.secret(connection.zoho_secret)
    except ForbiddenError:
        # With the client given on the command line, the Secret need not be readable.
        if options.client_id is None or options.client_secret_file is None:
            raise
        return None


def _scopes(text: str | None) -> tuple[str, ...]:
    """Those of the command line; none if it does not speak of them."""
    scopes = parse_scopes(text or "")
    if text is not None and not scopes:
        raise Problem("--scopes names no scope")
    return scopes


def _seconds(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise Problem(f"--timeout: {error}") from None


def _data_center(options: AuthorizeOptions, connection: Connection) -> DataCenter:
    if options.client_data_center is None:
        return connection.data_center
    try:
        return DataCenter(options.client_data_center.upper())
    except ValueError:
        raise Problem(f"--client-data-center must be one of {every(DataCenter)}") from None
