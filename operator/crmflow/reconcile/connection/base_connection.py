"""The steps of a ZohoSourceConnection that speak about its base connection: offered, there, and as the spec
says.
"""

from __future__ import annotations

from crmflow.aep.listings import Collection
from crmflow.aep.models import BaseConnection as RemoteConnection
from crmflow.aep.models import Created
from crmflow.api.base import LastDrift
from crmflow.api.zohosourceconnection import BaseConnection, TokenStatus
from crmflow.observability.events import REPAIR, EventType
from crmflow.reconcile import creation
from crmflow.reconcile.adoption import Adoption, discard_begun, find_adopted, not_adoptable
from crmflow.reconcile.conditions import FALSE
from crmflow.reconcile.connection.auth_params import auth_params, auth_spec, problem_with
from crmflow.reconcile.connection.conditions import SOURCE_OFFERED, SYNCED
from crmflow.reconcile.connection.state import ComparableConnection, ConnectionPass
from crmflow.reconcile.connection.testing import refusal
from crmflow.reconcile.connection.update import note_sent, update_base_connection
from crmflow.reconcile.identity import Slot
from crmflow.reconcile.offer import ZOHO_CONNECTION_SPEC_ID
from crmflow.reconcile.outcome import DONE, Outcome, stalled
from crmflow.reconcile.remote import kept_by, read_object
from crmflow.transport.errors import RemoteError

FALLBACK_SPEC_VERSION = "1.0"
ADOPTION = Adoption(Slot.CONNECTION, Collection.CONNECTIONS, "base connection", "spec.connectionId")


async def check_offer(pass_: ConnectionPass) -> Outcome:
    """Platform still offers the source. A base connection that exists is left alone when it does not."""
    platform = pass_.spec.platform
    pass_.offer = await pass_.services.offers.get(
        pass_.platform, platform.organization, platform.sandbox, fresh=True
    )
    withdrawn = pass_.offer.withdrawn
    if withdrawn is None:
        return DONE
    reason, message = withdrawn
    try:
        if pass_.base_connection_id is None and not pass_.adopts and not await _find(pass_):
            return stalled(
                reason,
                f"{message} So no base connection is created. Ask Adobe whether your organization can have "
                "the source; the operator looks again every hour.",
            )
    except creation.NotCreatedError as not_ours:
        return not_ours.outcome
    existing = pass_.base_connection_id or pass_.spec.connection_id
    pass_.find(
        SOURCE_OFFERED,
        FALSE,
        reason,
        f"{message} Base connection {existing} is left as it is; this resource stays Ready as long as its "
        "test succeeds.",
    )
    return DONE


async def sync_base_connection(pass_: ConnectionPass) -> Outcome:
    """The base connection exists and is what the spec says; if it is only observed, differences are told."""
    try:
        return await _sync(pass_)
    except RemoteError as error:
        refused = refusal(pass_, error)
        if refused is None:
            raise
        if pass_.base_connection_id is not None and error.reason == "SourceNotOffered":
            # A source that is withdrawn takes no changes; whether what exists still works, its test tells.
            pass_.find(SYNCED, FALSE, refused.reason, refused.message)
            return DONE
        return refused


async def _sync(pass_: ConnectionPass) -> Outcome:
    remote = await (_created(pass_) if pass_.spec.connection_id is None else _adopted(pass_))
    if isinstance(remote, Outcome):
        return remote
    pass_.record(base_connection=BaseConnection(id=remote.id, state=remote.state))
    outcome = await update_base_connection(pass_, remote)
    pass_.credentials_changed = pass_.credentials_sent
    return outcome


async def _created(pass_: ConnectionPass) -> RemoteConnection | Outcome:
    """The base connection that the operator makes, or has made."""
    if pass_.base_connection_id is None:
        created = await _create(pass_)
        if not created.is_done:
            return created
    connection_id = _base_connection_id(pass_)
    remote: RemoteConnection | None = await read_object(pass_, Collection.CONNECTIONS, connection_id)
    if remote is None:
        absence = await pass_.inventory.absence(Collection.CONNECTIONS, connection_id)
        return kept_by(absence, f"base connection {connection_id}") or await _make_anew(pass_, connection_id)
    await creation.remove_duplicates(pass_, Slot.CONNECTION, Collection.CONNECTIONS, connection_id)
    return remote


async def _make_anew(pass_: ConnectionPass, connection_id: str) -> RemoteConnection | Outcome:
    """The base connection was deleted by somebody else."""
    withdrawn = pass_.offer.withdrawn if pass_.offer else None
    if withdrawn is not None:
        reason, message = withdrawn
        return stalled(
            reason,
            f"Base connection {connection_id} was deleted from outside and can't be made anew. {message}",
        )
    _note_loss(pass_, connection_id)
    return await _created(pass_)


async def _adopted(pass_: ConnectionPass) -> RemoteConnection | Outcome:
    """The base connection that the spec names."""
    is_new = pass_.base_connection_id is None
    remote: RemoteConnection | Outcome = await find_adopted(pass_, ADOPTION)
    if isinstance(remote, Outcome):
        return remote
    if remote.connection_spec_id != ZOHO_CONNECTION_SPEC_ID:
        why = f"it belongs to another source, connection specification {remote.connection_spec_id}."
        return not_adoptable(ADOPTION, remote.id, why)
    pending = await discard_begun(pass_, {Slot.CONNECTION: Collection.CONNECTIONS}, {}, {remote.id})
    if pending is not None:
        return pending
    pass_.record(adopted=True)
    if is_new:
        pass_.tell("Adopted", "Adopt", f"Adopted base connection {remote.id}.")
    return remote


async def _create(pass_: ConnectionPass) -> Outcome:
    wanted = _wanted(pass_)
    spec = pass_.offer.connection_spec if pass_.offer else None
    auth = auth_spec(pass_.offer)
    params = await auth_params(pass_)
    problem = problem_with(pass_, auth, params)
    if problem is not None:
        return problem

    async def post() -> Created:
        created = await pass_.platform.create_connection(
            wanted.name,
            wanted.description,
            auth.name,
            params,
            ZOHO_CONNECTION_SPEC_ID,
            spec.version if spec else FALLBACK_SPEC_VERSION,
        )
        await note_sent(pass_, params)  # one that is found may have been given others
        pass_.record(token=TokenStatus(secret_hash=pass_.credentials_hash))
        sandbox = pass_.spec.platform.sandbox
        pass_.tell("Created", "Create", f"Created base connection {created.id} in sandbox {sandbox}.")
        return created

    fresh = await creation.announce(pass_, {Slot.CONNECTION: wanted.name})
    try:
        connection_id = await creation.ensure(pass_, wanted, post, fresh=Slot.CONNECTION in fresh)
    except creation.NotCreatedError as not_created:
        return not_created.outcome
    pass_.record(base_connection=BaseConnection(id=connection_id))
    return DONE


async def _find(pass_: ConnectionPass) -> bool:
    """A base connection of this resource that status does not know, as after a cluster was rebuilt. Raises
    NotCreatedError.
    """
    found = await creation.find(pass_, _wanted(pass_))
    if found is not None:
        pass_.record(base_connection=BaseConnection(id=found))
    return found is not None


def _wanted(pass_: ConnectionPass) -> creation.Wanted:
    desired = ComparableConnection.desired(pass_)
    return creation.Wanted(Slot.CONNECTION, Collection.CONNECTIONS, desired.name, desired.description)


def _note_loss(pass_: ConnectionPass, connection_id: str) -> None:
    drift = LastDrift(time=pass_.utcnow, fields=("baseConnection",))
    pass_.record(base_connection=None, token=None, last_drift=drift)
    pass_.tell(
        "Vanished",
        REPAIR,
        f"Base connection {connection_id} was deleted from outside; it is made anew.",
        EventType.WARNING,
    )


def _base_connection_id(pass_: ConnectionPass) -> str:
    if pass_.base_connection_id is None:
        raise RuntimeError("the base connection is created first")
    return pass_.base_connection_id
