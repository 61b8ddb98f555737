"""New access tokens on their way to the base connection."""

from __future__ import annotations

from crmflow.aep.models import PatchOperation
from crmflow.api.zohosourceconnection import TokenPush
from crmflow.observability.events import EventType
from crmflow.reconcile.connection.auth_params import auth_params, auth_spec, problem_with
from crmflow.reconcile.connection.state import ConnectionPass
from crmflow.reconcile.connection.testing import works
from crmflow.reconcile.connection.update import note_sent, patch
from crmflow.reconcile.outcome import DONE, Outcome, explain
from crmflow.transport.errors import ErrorClass, RemoteError


async def push_new_token(pass_: ConnectionPass) -> Outcome:
    """The base connection has today's access token, if the spec wants it to have each.

    A refusal takes nothing away from one that works: Platform has the refresh token, too.
    """
    if pass_.spec.token_push is not TokenPush.ON_REFRESH or pass_.observes or pass_.credentials_sent:
        return DONE
    zoho, connection_id = pass_.zoho, pass_.base_connection_id
    if zoho is None or connection_id is None:
        raise RuntimeError("Zoho is reached, and the base connection created, first")
    pushed = await zoho.is_pushed()
    if pushed is None and await works(pass_, connection_id):
        # It was made by a version that took no notes, or they are lost. What works is not written to; the
        # next token comes in less than an hour.
        await zoho.note_pushed(await zoho.access_token())
        return DONE
    if pushed:
        return DONE
    remote = await pass_.platform.connection(connection_id)
    params = await auth_params(pass_, remote)
    problem = problem_with(pass_, auth_spec(pass_.offer, remote.auth_spec_name), params)
    if problem is not None:
        return problem
    try:
        await patch(pass_, remote, lambda _: [PatchOperation("replace", "/auth/params", params)])
    except RemoteError as error:
        if error.error_class is not ErrorClass.TERMINAL:
            raise
        pass_.tell(
            "TokenPushRefused",
            "Update",
            f"Base connection {connection_id} does not take the new access token: {explain(error)} "
            "Platform refreshes tokens by itself, or set spec.tokenPush to OnCredentialChange.",
            EventType.WARNING,
        )
    await note_sent(pass_, params)
    return DONE
