"""The ZohoSourceConnection reconciler: which steps, in which order, speak for which condition."""

from __future__ import annotations

from typing import Any

from crmflow.api.kinds import ZOHO_SOURCE_CONNECTION
from crmflow.reconcile.connection import deletion, steps
from crmflow.reconcile.connection.conditions import AUTHORIZED, CONDITIONS, SOURCE_OFFERED, SYNCED, TESTED
from crmflow.reconcile.connection.state import ConnectionPass
from crmflow.reconcile.engine import Step
from crmflow.reconcile.kind import Reconciler

STEPS = (
    Step(steps.read_secrets, AUTHORIZED),
    Step(steps.authorize_at_zoho, AUTHORIZED),
    Step(steps.verify_organization, AUTHORIZED),
    Step(steps.authorize_at_adobe, AUTHORIZED),
    Step(steps.verify_sandbox, AUTHORIZED),
    Step(steps.check_offer, SOURCE_OFFERED),
    Step(steps.sync_base_connection, SYNCED),
    Step(steps.test_base_connection, TESTED),
    Step(steps.explore, TESTED),
)

DELETION_STEPS = (
    Step(deletion.wait_for_dataflows),
    Step(deletion.reach_platform),
    Step(deletion.release_base_connection),
)


def _references(spec: dict[str, Any]) -> list[tuple[str, str]]:
    names = (
        spec.get("zoho", {}).get("credentialsSecretRef", {}).get("name"),
        spec.get("platform", {}).get("credentialsSecretRef", {}).get("name"),
    )
    return [("Secret", name) for name in names if isinstance(name, str)]


def _ready_message(pass_: ConnectionPass) -> str:
    connection = pass_.status.base_connection
    return f"Base connection {connection.id if connection else '?'} works and is what the spec says."


RECONCILER = Reconciler(
    kind=ZOHO_SOURCE_CONNECTION,
    conditions=CONDITIONS,
    make_pass=ConnectionPass,
    steps=STEPS,
    deletion_steps=DELETION_STEPS,
    ready_message=_ready_message,
    references=_references,
    polled=False,
)
