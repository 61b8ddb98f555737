"""Giving a base connection what a plan says: the authentication parameters among it."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import SecretStr

from crmflow.aep.models import BaseConnection
from crmflow.api.zohosourceconnection import TokenStatus
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.reconcile.connection.plan import CHANGED_THERE, sending, with_params
from crmflow.reconcile.connection.state import ConnectionPass, Reached
from crmflow.reconcile.core.act import converge
from crmflow.reconcile.core.outcome import PassEndedError, StalledError
from crmflow.reconcile.core.plan import Plan
from crmflow.reconcile.external.base_connection import BASE_CONNECTION
from crmflow.reconcile.sources.sign_in import Params, auth_spec


async def auth_params(
    pass_: ConnectionPass, reached: Reached, remote: BaseConnection | None = None
) -> Params:
    """Everything that the base connection is given, ``remote`` if there is one. Raises RemoteError, and
    PassEndedError if it is not to be sent.
    """
    zoho, sign_in = reached.zoho, reached.sign_in
    adopted, name = remote if pass_.adopts else None, remote.auth_spec_name if remote else None
    params = sign_in.params(await zoho.access_token(), await zoho.refresh_token(), adopted)
    refusal = sign_in.refusal(auth_spec(reached.offer, name), params)
    if refusal is not None:
        raise StalledError(*refusal)
    return params


async def apply(
    pass_: ConnectionPass,
    reached: Reached,
    remote: BaseConnection,
    plan_for: Callable[[BaseConnection], Plan],
    params: Params | None = None,
) -> Plan:
    """Carry out what is planned for ``remote``, sending ``params``; the plan that was carried out."""

    def planned(found: BaseConnection) -> Plan:
        return plan_for(found) if params is None else with_params(plan_for(found), params)

    async def replan() -> Plan:
        return planned(await reached.sandbox.platform.get(BASE_CONNECTION.collection, remote.id))

    return await converge(pass_, reached.sandbox, planned(remote), replan)


async def note_accepted(pass_: ConnectionPass, reached: Reached, connection_id: str, params: Params) -> None:
    """Platform has taken ``params``, which are today's."""
    await note_sent(pass_, reached, params)
    pass_.record(token=TokenStatus(secret_hash=reached.sign_in.fingerprint))
    shown = await reached.sandbox.platform.get(BASE_CONNECTION.collection, connection_id)
    note_shown(pass_, reached, shown)


def note_shown(pass_: ConnectionPass, reached: Reached, remote: BaseConnection) -> None:
    if pass_.status.token is not None:
        shown = reached.sign_in.shown_hash(remote)
        pass_.record(token=pass_.status.token.model_copy(update={"shown_hash": shown}))


async def send_params(
    pass_: ConnectionPass, reached: Reached, remote: BaseConnection, params: Params, reason: str
) -> None:
    """Give the base connection ``params``, and change nothing else. May raise RemoteError."""
    await apply(pass_, reached, remote, lambda found: sending(found, reason), params)


async def resend_credentials(pass_: ConnectionPass, reached: Reached, connection_id: str) -> bool:
    """Send today's parameters once more, as they may have been changed where nobody sees it; whether Platform
    took them. May raise RemoteError.
    """
    remote = await reached.sandbox.platform.get(BASE_CONNECTION.collection, connection_id)
    try:
        params = await auth_params(pass_, reached, remote)
        await send_params(pass_, reached, remote, params, CHANGED_THERE)
        await note_accepted(pass_, reached, connection_id, params)
    except PassEndedError:
        return False
    except RemoteError as error:
        if error.error_class is ErrorClass.TERMINAL or error.reason == "PatchNotSupported":
            return False
        raise
    return True


async def note_sent(pass_: ConnectionPass, reached: Reached, params: Params) -> None:
    """The base connection has been given ``params``."""
    pass_.credentials_sent = True
    token = params["accessToken"]
    if isinstance(token, SecretStr):
        await reached.zoho.note_pushed(token)
