"""New access tokens on their way to the base connection."""

from __future__ import annotations

from crmflow.api.zohosourceconnection import TokenPush
from crmflow.http.errors import RemoteError
from crmflow.observability.events import EventType
from crmflow.reconcile.connection.conditions import SYNCED
from crmflow.reconcile.connection.sending import auth_params, note_sent, send_params
from crmflow.reconcile.connection.state import ConnectionPass, Reached
from crmflow.reconcile.connection.testing import run_test
from crmflow.reconcile.core.engine import step
from crmflow.reconcile.core.outcome import is_refusal
from crmflow.reconcile.external.base_connection import BASE_CONNECTION
from crmflow.reconcile.sources.causes import quoted

_OF_THE_CONNECTOR = frozenset({"SourceRefused", "SourceNotOffered", "RequestRefused", "PatchNotSupported"})
"""What may be refused about a new token alone; any other refusal is that of the operator itself."""


@step(SYNCED)
async def push_new_token(pass_: ConnectionPass, reached: Reached, connection_id: str) -> None:
    """The base connection has today's access token, if the spec wants it to have each.

    Where the connector refuses it, that takes nothing away from one that works: Platform has the refresh
    token, too.
    """
    if pass_.spec.token_push is not TokenPush.ON_REFRESH or pass_.observes or pass_.credentials_sent:
        return
    zoho = reached.zoho
    pushed = await zoho.is_pushed()
    if pushed is None and await run_test(pass_, reached, connection_id) is None:
        # It was made by a version that took no notes, or they are lost. What works is not written to; the
        # next token comes in less than an hour.
        await zoho.note_pushed(await zoho.access_token())
        return
    if pushed:
        return
    remote = await reached.sandbox.platform.get(BASE_CONNECTION.collection, connection_id)
    params = await auth_params(pass_, reached, remote)
    try:
        await send_params(pass_, reached, remote, params, "Zoho has given a new access token.")
    except RemoteError as error:
        if not is_refusal(error) or error.reason not in _OF_THE_CONNECTOR:
            raise
        pass_.record_event(
            "TokenPushRefused",
            "Update",
            f"Base connection {connection_id} does not take the new access token: {quoted(error)} "
            "Platform refreshes tokens by itself, or set spec.tokenPush to OnCredentialChange.",
            EventType.WARNING,
        )
    await note_sent(pass_, reached, params)
