"""The ZohoSourceConnection kind: which steps, in which order, speak for which condition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crmflow.aep.models import Listed
from crmflow.api.base import Transport
from crmflow.api.kinds import ZOHO_SOURCE_CONNECTION
from crmflow.api.zohosourceconnection import TokenPush
from crmflow.reconcile.connection import (
    authorization,
    base_connection,
    deletion,
    landing_zone,
    push,
    testing,
)
from crmflow.reconcile.connection.conditions import (
    AUTHORIZED,
    CONDITIONS,
    LANDING_ZONE_READY,
    SOURCE_OFFERED,
    SYNCED,
    TESTED,
)
from crmflow.reconcile.connection.state import ConnectionPass, Reached
from crmflow.reconcile.connection.transport import decide_transport
from crmflow.reconcile.core.conditions import Conditions, ConditionType
from crmflow.reconcile.core.kind import ManagedKind
from crmflow.reconcile.core.reading import text_at
from crmflow.reconcile.core.sandbox import SandboxClient
from crmflow.reconcile.core.transport import decided
from crmflow.reconcile.credentials import ZohoCredentials
from crmflow.reconcile.external.base_connection import BASE_CONNECTION
from crmflow.reconcile.external.remote_object import differing, observed_name
from crmflow.reconcile.ports import Zoho


async def _reconcile(pass_: ConnectionPass) -> None:
    await authorization.check_tenancy(pass_)
    credentials, platform_credentials = await authorization.read_secrets(pass_)
    zoho = await authorization.authorize_at_zoho(pass_, credentials)
    await authorization.verify_organization(pass_, credentials, zoho)
    sandbox = await authorization.authorize_at_adobe(pass_, platform_credentials)
    await authorization.verify_sandbox(pass_, sandbox)
    transport = await decide_transport(pass_, sandbox)
    if transport is Transport.LANDING_ZONE:
        await authorization.check_reading_scopes(pass_, zoho)
    pass_.fulfill(AUTHORIZED)

    if pass_.uses_landing_zone:
        await landing_zone.check_landing_zone(pass_, sandbox, zoho)
        pass_.fulfill(LANDING_ZONE_READY)
    if pass_.has_base_connection:
        await _sync_base_connection(pass_, sandbox, zoho, credentials)
    else:
        await base_connection.release_base_connection(pass_, sandbox)
        pass_.fulfill(SYNCED)
    if transport is Transport.LANDING_ZONE:
        await landing_zone.count_modules(pass_, sandbox, zoho)


async def _sync_base_connection(
    pass_: ConnectionPass, sandbox: SandboxClient, zoho: Zoho, credentials: ZohoCredentials
) -> None:
    """The base connection is offered, there, as the spec says, and works."""
    offer = await base_connection.check_offer(pass_, sandbox)
    pass_.fulfill(SOURCE_OFFERED)

    reached = Reached(pass_.sign_in(credentials), zoho, sandbox, offer)
    await base_connection.confirm_listing(pass_, sandbox)
    connection_id = await base_connection.sync_base_connection(pass_, reached)
    await push.push_new_token(pass_, reached, connection_id)
    pass_.fulfill(SYNCED)

    await testing.test_base_connection(pass_, reached, connection_id)
    await testing.explore(pass_, reached, connection_id)
    pass_.fulfill(TESTED)


async def _finalize(pass_: ConnectionPass) -> None:
    await deletion.wait_for_dataflows(pass_)
    sandbox = await deletion.reach_platform(pass_)
    await deletion.release_base_connection(pass_, sandbox)
    await deletion.release_grant(pass_)


async def _quiet(pass_: ConnectionPass) -> bool:
    """What there is to be is as it was; then the grant still has a token, and each way its own proof."""
    if pass_.has_base_connection != (pass_.recorded_id is not None):
        return False
    is_known = LANDING_ZONE_READY.name in pass_.conditions
    if pass_.uses_landing_zone != is_known:
        return False
    if pass_.uses_landing_zone and not await _is_open(pass_):
        return False
    return not pass_.has_base_connection or await _is_base_connection_quiet(pass_)


async def _is_open(pass_: ConnectionPass) -> bool:
    """Both services still accept the credentials, and the landing zone was ready."""
    decides = pass_.status.transport is Transport.LANDING_ZONE
    if decides and not pass_.conditions.is_true(LANDING_ZONE_READY.name):
        return False
    await authorization.check_tenancy(pass_)
    credentials, platform_credentials = await authorization.read_secrets(pass_)
    await authorization.authorize_at_zoho(pass_, credentials)
    sandbox = await authorization.authorize_at_adobe(pass_, platform_credentials)
    await sandbox.inventory.ensure()
    return True


async def _is_base_connection_quiet(pass_: ConnectionPass) -> bool:
    """The last test succeeded, the Secrets are those that were sent, and the listing shows the base
    connection as it should be; an adopted one may be called anything, and what an observed one was given
    nobody knows. A new access token is passed on by the way: that takes no comparison of everything.
    """
    connection_id = pass_.recorded_id
    if connection_id is None or not pass_.conditions.is_true(TESTED.name):
        return False
    await authorization.check_tenancy(pass_)
    credentials, platform_credentials = await authorization.read_secrets(pass_)
    if not pass_.was_sent(credentials) and not pass_.observes:
        return False
    sandbox = await authorization.authorize_at_adobe(pass_, platform_credentials)
    await sandbox.inventory.ensure()
    item = sandbox.inventory.item(BASE_CONNECTION.collection, connection_id)
    if item is None or not (pass_.adopts or _is_as_named(pass_, sandbox, item)):
        return False
    if pass_.spec.token_push is TokenPush.ON_REFRESH:
        zoho = await authorization.authorize_at_zoho(pass_, credentials)
        reached = Reached(pass_.sign_in(credentials), zoho, sandbox)
        await push.push_new_token(pass_, reached, connection_id)
    return True


def _is_as_named(pass_: ConnectionPass, sandbox: SandboxClient, item: Listed) -> bool:
    named = BASE_CONNECTION.named(pass_.identity, pass_.spec.display_name, pass_.spec.description)
    hits = sandbox.inventory.with_key(BASE_CONNECTION.collection, pass_.identity.key(BASE_CONNECTION.slot))
    return not differing(named, observed_name(item)) and len(hits) <= 1


def _references(spec: Mapping[str, Any]) -> list[tuple[str, str]]:
    names = (
        text_at(spec, "zoho", "credentialsSecretRef", "name"),
        text_at(spec, "platform", "credentialsSecretRef", "name"),
    )
    return [("Secret", name) for name in names if name]


def _sandbox(spec: Mapping[str, Any]) -> tuple[str, str] | None:
    organization = text_at(spec, "platform", "organization")
    name = text_at(spec, "platform", "sandbox")
    return (organization, name) if organization and name else None


def _transports(spec: Mapping[str, Any], status: Mapping[str, Any]) -> frozenset[Transport]:
    """Those that it is open for, and that of new dataflows."""
    is_open = {
        Transport.PLATFORM_SOURCE: text_at(status, "baseConnection", "id") is not None,
        Transport.LANDING_ZONE: Conditions.from_status(status).is_true(LANDING_ZONE_READY.name),
    }
    own = decided(spec, status) or Transport.PLATFORM_SOURCE
    return frozenset({own, *(transport for transport in is_open if is_open[transport])})


def _absent(pass_: ConnectionPass) -> frozenset[ConditionType]:
    """The conditions of a way that nothing takes."""
    of_source = () if pass_.has_base_connection else (SOURCE_OFFERED, TESTED)
    return frozenset((*of_source, *(() if pass_.uses_landing_zone else (LANDING_ZONE_READY,))))


def _ready_message(pass_: ConnectionPass) -> str:
    if not pass_.has_base_connection:
        return "Records can be read from Zoho CRM, and written into the landing zone."
    name = f"Base connection {pass_.recorded_id or '?'}"
    if pass_.observes:
        return f"{name} works. It is only observed: Synced tells whether it is what the spec says."
    return f"{name} works and is what the spec says."


KIND = ManagedKind(
    api=ZOHO_SOURCE_CONNECTION,
    conditions=CONDITIONS,
    make_pass=ConnectionPass,
    reconcile=_reconcile,
    finalize=_finalize,
    ready_message=_ready_message,
    references=_references,
    remote_objects=(BASE_CONNECTION,),
    adopted_id=lambda spec: text_at(spec, "connectionId"),
    quiet=_quiet,
    sandbox=_sandbox,
    transports=_transports,
    absent=_absent,
    takes_new_tokens=lambda spec: spec.get("tokenPush") in (None, TokenPush.ON_REFRESH),
)
