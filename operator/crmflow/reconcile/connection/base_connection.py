"""The steps of a ZohoSourceConnection that speak about its base connection: offered, there, and as the spec
says.
"""

from __future__ import annotations

from dataclasses import replace

from crmflow.aep.models import BaseConnection
from crmflow.api.base import LastDrift
from crmflow.api.zohosourceconnection import BaseConnectionStatus, TokenStatus
from crmflow.http.errors import RemoteError
from crmflow.observability.events import REPAIR, EventType
from crmflow.reconcile.connection.conditions import SOURCE_OFFERED, SYNCED
from crmflow.reconcile.connection.deletion import release
from crmflow.reconcile.connection.plan import CHANGED_THERE, DeclaredConnection, plan, renaming, sends_params
from crmflow.reconcile.connection.sending import apply, auth_params, note_accepted, note_sent, note_shown
from crmflow.reconcile.connection.state import ConnectionPass, Reached
from crmflow.reconcile.connection.testing import refusal
from crmflow.reconcile.core import creation, drift
from crmflow.reconcile.core.act import carry_out
from crmflow.reconcile.core.adoption import Adoption, discard_begun, find_adopted, not_adoptable
from crmflow.reconcile.core.conditions import FALSE, UNKNOWN
from crmflow.reconcile.core.deletion import has_remote
from crmflow.reconcile.core.engine import step
from crmflow.reconcile.core.outcome import Outcome, PassEndedError, StalledError, explain, stalled
from crmflow.reconcile.core.plan import Plan
from crmflow.reconcile.core.refusals import OPTIONAL_REFUSALS
from crmflow.reconcile.core.sandbox import SandboxClient
from crmflow.reconcile.external.base_connection import BASE_CONNECTION
from crmflow.reconcile.sources.offer import UNKNOWN_OFFER, PlatformSourceOffer
from crmflow.sentences import every

ADOPTION = Adoption(BASE_CONNECTION, "spec.connectionId")


@step(SOURCE_OFFERED)
async def check_offer(pass_: ConnectionPass, sandbox: SandboxClient) -> PlatformSourceOffer:
    """Platform still offers the source. A base connection that exists is left alone when it does not. A
    credential that may not look is used all the same: what is not offered can't be created.
    """
    platform = pass_.spec.platform
    try:
        offer = await pass_.services.sources.platform_source.offer(
            sandbox.platform, platform.organization, platform.sandbox, fresh=True
        )
    except RemoteError as error:
        if error.reason not in OPTIONAL_REFUSALS:
            raise
        not_known = "Whether Platform offers the Zoho CRM source was not verified:"
        pass_.set_condition(SOURCE_OFFERED, UNKNOWN, error.reason, f"{not_known} {explain(error)}")
        return UNKNOWN_OFFER
    if offer.obstacle is None:
        return offer
    reason, message = offer.obstacle
    if pass_.recorded_id is None and not pass_.adopts:
        # One that status does not know may be there, as after a cluster was rebuilt.
        is_fresh = BASE_CONNECTION.slot not in creation.intents(pass_)
        found = await creation.find(pass_, sandbox, BASE_CONNECTION, fresh=is_fresh)
        if found is None:
            raise StalledError(
                reason,
                f"{message} So no base connection is created. Set spec.transport to LandingZone, or ask "
                "Adobe whether your organization can have the source; the operator looks again every hour.",
            )
        pass_.record(base_connection=BaseConnectionStatus(id=found))
    existing = pass_.recorded_id or pass_.spec.connection_id
    pass_.set_condition(
        SOURCE_OFFERED,
        FALSE,
        reason,
        f"{message} Base connection {existing} is left as it is; this resource stays Ready as long as its "
        "test succeeds. To move its dataflows to the landing zone: kubectl patch zohosourceconnection "
        f"{pass_.identity.name} -n {pass_.identity.namespace} --type=merge "
        """-p '{"spec":{"transport":"LandingZone"}}'""",
    )
    return offer


@step(SYNCED)
async def confirm_listing(pass_: ConnectionPass, sandbox: SandboxClient) -> None:
    """Platform lists what the sandbox holds. What polls are refused is said by whoever relies on them."""
    await sandbox.inventory.confirm()


@step(SYNCED)
async def release_base_connection(pass_: ConnectionPass, sandbox: SandboxClient) -> None:
    """There is no base connection that nobody reads through."""
    if not has_remote(pass_, BASE_CONNECTION) or pass_.observes:
        return
    await release(pass_, sandbox)
    creation.forget(pass_, BASE_CONNECTION.slot)
    pass_.record(base_connection=None, token=None, adopted=None, test_failures=None, next_test_time=None)


@step(SYNCED)
async def sync_base_connection(pass_: ConnectionPass, reached: Reached) -> str:
    """The base connection exists and is what the spec says; if it is only observed, differences are told. Its
    id.
    """
    try:
        remote = await _observe(pass_, reached) or await _create(pass_, reached)
        pass_.record(base_connection=BaseConnectionStatus(id=remote.id, state=remote.state))
        await _update(pass_, reached, remote)
    except RemoteError as error:
        refused = refusal(pass_, reached, error)
        if refused is None:
            raise
        if pass_.recorded_id is None or error.reason != "SourceNotOffered":
            raise PassEndedError(refused) from error
        # A source that is withdrawn takes no changes; whether what exists still works, its test tells.
        pass_.set_condition(SYNCED, FALSE, refused.reason, refused.message)
        return pass_.recorded_id
    pass_.credentials_changed = pass_.credentials_sent
    return remote.id


def _declared(pass_: ConnectionPass, reached: Reached) -> DeclaredConnection:
    named = BASE_CONNECTION.named(pass_.identity, pass_.spec.display_name, pass_.spec.description)
    return DeclaredConnection(reached.sign_in, {} if pass_.adopts else named, pass_.observes)


async def _observe(pass_: ConnectionPass, reached: Reached) -> BaseConnection | None:
    """The base connection that there is. Raises RemoteError and PassEndedError."""
    sandbox = reached.sandbox
    if pass_.spec.connection_id is not None:
        return await _adopted(pass_, sandbox, pass_.spec.connection_id)
    recorded = pass_.recorded_id
    if recorded is None:
        return None
    remote = await sandbox.read(BASE_CONNECTION, recorded)
    if remote is not None:
        await creation.remove_duplicates(pass_, sandbox, BASE_CONNECTION, recorded)
        return remote
    await sandbox.absence(BASE_CONNECTION, recorded, f"base connection {recorded}")
    if reached.offer.obstacle is not None:
        reason, message = reached.offer.obstacle
        raise StalledError(
            reason,
            f"Base connection {recorded} was deleted from outside and can't be made anew. {message}",
        )
    _note_loss(pass_, recorded)
    return None


async def _adopted(pass_: ConnectionPass, sandbox: SandboxClient, connection_id: str) -> BaseConnection:
    """The base connection that the spec names."""
    was_known = pass_.recorded_id is not None
    remote = await find_adopted(pass_, sandbox, ADOPTION, connection_id)
    other = pass_.services.sources.platform_source.mismatch(remote.connection_spec_id)
    if other is not None:
        raise not_adoptable(ADOPTION, remote.id, f"it belongs to {other}")
    await discard_begun(pass_, sandbox, (BASE_CONNECTION,), {remote.id})
    pass_.record(adopted=True)
    if not was_known:
        pass_.record_event("Adopted", "Adopt", f"Adopted base connection {remote.id}.")
    return remote


async def _create(pass_: ConnectionPass, reached: Reached) -> BaseConnection:
    """The base connection, made or found."""
    [action] = plan(_declared(pass_, reached), pass_.status, None).actions
    params = await auth_params(pass_, reached)
    values = pass_.services.sources.platform_source.base_connection(action.values, reached.offer, params)
    # What is found may have been given others: then the status learns nothing of a token.
    facts = {"token": TokenStatus(secret_hash=reached.sign_in.fingerprint)}
    action = replace(action, values=values, facts=facts)
    if await carry_out(pass_, reached.sandbox, Plan((action,))):
        await note_sent(pass_, reached, params)
        sandbox = pass_.spec.platform.sandbox
        pass_.record_event(
            "Created", "Create", f"Created base connection {pass_.recorded_id} in sandbox {sandbox}."
        )
    return await _observe(pass_, reached) or await _create(pass_, reached)


async def _update(pass_: ConnectionPass, reached: Reached, remote: BaseConnection) -> None:
    """Name and description are those of the spec, unless it was adopted, and the authentication parameters
    are today's. Of one that is only observed the differences are told.
    """
    declared, status = _declared(pass_, reached), pass_.status
    wanted = plan(declared, status, remote)
    if pass_.observes:
        drift.report(pass_, SYNCED, wanted)
        return
    if not sends_params(wanted):
        done = await apply(pass_, reached, remote, lambda found: plan(declared, status, found))
        _note_changes(pass_, remote.id, done, repaired=pass_.was_ready)
        note_shown(pass_, reached, remote)
        return
    repaired = pass_.was_ready and wanted.actions[0].reason == CHANGED_THERE
    params = await auth_params(pass_, reached, remote)
    try:
        done = await apply(pass_, reached, remote, lambda found: plan(declared, status, found), params)
    except RemoteError as error:
        if error.reason != "PatchNotSupported":
            raise
        done = await apply(pass_, reached, remote, lambda found: renaming(declared, found))
        _note_changes(pass_, remote.id, done, repaired=repaired)
        raise PassEndedError(_not_patched(remote.id, error)) from error
    await note_accepted(pass_, reached, remote.id, params)
    _note_changes(pass_, remote.id, done, repaired=repaired)


def _note_changes(pass_: ConnectionPass, connection_id: str, done: Plan, *, repaired: bool) -> None:
    fields = [field for action in done.actions for field in action.fields]
    if not fields:
        return
    if repaired:
        drift = LastDrift(
            time=pass_.utcnow, fields=tuple(f"baseConnection{field.replace('/', '.')}" for field in fields)
        )
        pass_.record(last_drift=drift)
        pass_.record_event(
            "DriftRepaired", REPAIR, f"Restored {every(fields)} of base connection {connection_id}."
        )
    else:
        pass_.record_event("Updated", "Update", f"Updated base connection {connection_id}: {every(fields)}.")


def _note_loss(pass_: ConnectionPass, connection_id: str) -> None:
    drift = LastDrift(time=pass_.utcnow, fields=("baseConnection",))
    pass_.record(base_connection=None, token=None, last_drift=drift)
    pass_.record_event(
        "Vanished",
        REPAIR,
        f"Base connection {connection_id} was deleted from outside; it is made anew.",
        EventType.WARNING,
    )


def _not_patched(connection_id: str, error: RemoteError) -> Outcome:
    return stalled(
        error.reason,
        f"Platform takes no other authentication parameters for base connection {connection_id}, which goes "
        f'on with those it has: "{error.message}". Put the former credentials back into the Secret. Or '
        "declare another ZohoSourceConnection with the new ones, its dataflows on that, and delete this one.",
    )
