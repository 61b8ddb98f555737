"""What is to be done about a base connection. A plan holds no secrets: the authentication parameters, which
can't be compared, are put in when it is carried out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from crmflow.aep.models import BaseConnection, PatchOperation
from crmflow.api.zohosourceconnection import ZohoSourceConnectionStatus
from crmflow.reconcile.core.plan import Action, Effect, Plan, patch
from crmflow.reconcile.external.base_connection import AUTH_PARAMS, BASE_CONNECTION
from crmflow.reconcile.external.remote_object import Values
from crmflow.reconcile.sources.sign_in import Params, SignIn

MISSING = "There is none."
CREDENTIALS_CHANGED = "The credentials, or what goes with them, are others than those that were sent."
CHANGED_THERE = "Platform shows other authentication parameters than after they were sent."


@dataclass(frozen=True)
class DeclaredConnection:
    """What the spec and the Secret say of a base connection."""

    sign_in: SignIn
    named: Values
    """Name and description, unless it was adopted."""
    observes: bool = False


def plan(
    declared: DeclaredConnection, status: ZohoSourceConnectionStatus, observed: BaseConnection | None
) -> Plan:
    """What makes the base connection as declared. Of one that is only observed, what reads show is
    compared.
    """
    if observed is None:
        return Plan((Action(Effect.CREATE, BASE_CONNECTION, reason=MISSING, values=declared.named),))
    if declared.observes:
        return Plan(others=declared.sign_in.differences(observed))
    named = renaming(declared, observed)
    reason = _reason_to_send(declared, status, observed)
    return Plan(_with_field(named.actions, observed, reason)) if reason else named


def renaming(declared: DeclaredConnection, observed: BaseConnection) -> Plan:
    """What the name and the description need."""
    return Plan(patch(BASE_CONNECTION, declared.named, observed))


def sending(observed: BaseConnection, reason: str) -> Plan:
    """The parameters alone are sent."""
    return Plan(_with_field((), observed, reason))


def with_params(plan: Plan, params: Params) -> Plan:
    """``plan`` with the parameters that it sends."""
    if not sends_params(plan):
        return plan
    [action] = plan.actions
    operations = (*action.operations, PatchOperation("replace", AUTH_PARAMS, params))
    return replace(plan, actions=(replace(action, operations=operations),))


def sends_params(plan: Plan) -> bool:
    """True if the authentication parameters have to be put in."""
    return any(AUTH_PARAMS in action.fields for action in plan.actions)


def _with_field(actions: tuple[Action, ...], observed: BaseConnection, reason: str) -> tuple[Action, ...]:
    fields = (*(field for action in actions for field in action.fields), AUTH_PARAMS)
    operations = tuple(operation for action in actions for operation in action.operations)
    return (Action(Effect.PATCH, BASE_CONNECTION, fields, reason, observed.id, observed.etag, operations),)


def _reason_to_send(
    declared: DeclaredConnection, status: ZohoSourceConnectionStatus, observed: BaseConnection
) -> str:
    """Secrets can't be read back. What Platform shows of the other parameters tells by its hash whether it is
    what it showed after they were sent (platform.md 16.3).
    """
    sign_in, sent = declared.sign_in, status.token
    if sent is not None and sent.shown_hash not in (None, sign_in.shown_hash(observed)):
        return CHANGED_THERE
    if sent is None or sent.secret_hash != sign_in.fingerprint:
        return CREDENTIALS_CHANGED
    return ""
