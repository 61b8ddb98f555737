"""The ZohoSourceConnection reconciler: which steps, in which order, speak for which condition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crmflow.aep.listings import Collection, Listed
from crmflow.api.kinds import ZOHO_SOURCE_CONNECTION
from crmflow.api.zohosourceconnection import TokenPush
from crmflow.reconcile.connection import authorization, base_connection, deletion, push, testing
from crmflow.reconcile.connection.conditions import AUTHORIZED, CONDITIONS, SOURCE_OFFERED, SYNCED, TESTED
from crmflow.reconcile.connection.state import ComparableConnection, ConnectionPass
from crmflow.reconcile.engine import Step
from crmflow.reconcile.identity import Slot
from crmflow.reconcile.kind import Reconciler

STEPS = (
    Step(authorization.check_tenancy, AUTHORIZED),
    Step(authorization.read_secrets, AUTHORIZED),
    Step(authorization.authorize_at_zoho, AUTHORIZED),
    Step(authorization.verify_organization, AUTHORIZED),
    Step(authorization.authorize_at_adobe, AUTHORIZED),
    Step(authorization.verify_sandbox, AUTHORIZED),
    Step(base_connection.check_offer, SOURCE_OFFERED),
    Step(base_connection.sync_base_connection, SYNCED),
    Step(push.push_new_token, SYNCED),
    Step(testing.test_base_connection, TESTED),
    Step(testing.explore, TESTED),
)

DELETION_STEPS = (
    Step(deletion.wait_for_dataflows),
    Step(deletion.reach_platform),
    Step(deletion.release_base_connection),
    Step(deletion.release_grant),
)


async def _quiet(pass_: ConnectionPass) -> bool:
    """The last test succeeded, the Secrets are those that were sent, and the listing shows the base
    connection as it should be; an adopted one may be called anything, and what an observed one was given
    nobody knows. A new access token is passed on by the way: that takes no comparison of everything.
    """
    if not pass_.conditions.is_true(TESTED.name):
        return False
    if (
        not (await authorization.check_tenancy(pass_)).is_done
        or not (await authorization.read_secrets(pass_)).is_done
    ):
        return False
    if not pass_.credentials_are_current and not pass_.observes:
        return False
    if not (await authorization.authorize_at_adobe(pass_)).is_done:
        return False
    await pass_.inventory.ensure()
    item = pass_.inventory.item(Collection.CONNECTIONS, pass_.base_connection_id or "")
    if item is None or not (pass_.adopts or _is_as_named(pass_, item)):
        return False
    return pass_.spec.token_push is not TokenPush.ON_REFRESH or await _keep_token(pass_)


def _is_as_named(pass_: ConnectionPass, item: Listed) -> bool:
    desired = ComparableConnection.desired(pass_)
    hits = pass_.inventory.with_key(Collection.CONNECTIONS, pass_.identity.key(Slot.CONNECTION))
    return (item.name, item.description) == (desired.name, desired.description) and len(hits) <= 1


async def _keep_token(pass_: ConnectionPass) -> bool:
    if not (await authorization.authorize_at_zoho(pass_)).is_done:
        return False
    return (await push.push_new_token(pass_)).is_done


def _claimed(status: Mapping[str, Any]) -> dict[str, str]:
    remote_id = (status.get("baseConnection") or {}).get("id")
    return {Slot.CONNECTION: remote_id} if remote_id else {}


def _references(spec: dict[str, Any]) -> list[tuple[str, str]]:
    names = (
        spec.get("zoho", {}).get("credentialsSecretRef", {}).get("name"),
        spec.get("platform", {}).get("credentialsSecretRef", {}).get("name"),
    )
    return [("Secret", name) for name in names if isinstance(name, str)]


def _ready_message(pass_: ConnectionPass) -> str:
    name = f"Base connection {pass_.base_connection_id or '?'}"
    if pass_.observes:
        return f"{name} works. It is only observed: Synced tells whether it is what the spec says."
    return f"{name} works and is what the spec says."


RECONCILER = Reconciler(
    kind=ZOHO_SOURCE_CONNECTION,
    conditions=CONDITIONS,
    make_pass=ConnectionPass,
    steps=STEPS,
    deletion_steps=DELETION_STEPS,
    ready_message=_ready_message,
    references=_references,
    slots={Slot.CONNECTION: Collection.CONNECTIONS},
    claimed=_claimed,
    adopts=lambda spec: spec.get("connectionId"),
    quiet=_quiet,
)
