"""What a base connection needs, worked out from spec, status and what was read: without any remote side."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from crmflow.aep.models import BaseConnection
from crmflow.api.zohosourceconnection import (
    TokenStatus,
    ZohoSourceConnectionSpec,
    ZohoSourceConnectionStatus,
)
from crmflow.reconcile.connection.plan import (
    CHANGED_THERE,
    CREDENTIALS_CHANGED,
    MISSING,
    DeclaredConnection,
    plan,
    with_params,
)
from crmflow.reconcile.core.plan import Effect
from crmflow.reconcile.credentials import ZohoCredentials
from crmflow.reconcile.external.base_connection import AUTH_PARAMS
from crmflow.reconcile.external.remote_object import DESCRIPTION, NAME
from crmflow.reconcile.sources.sign_in import SignIn
from tests.unit.reconcile.harness import connection_spec

SPEC = ZohoSourceConnectionSpec.model_validate(connection_spec())
CREDENTIALS = ZohoCredentials("1000.CLIENT", SecretStr("client-secret"), SecretStr("refresh-token"))
SHOWN = {"accountsUrl": "https://accounts.zoho.eu", "clientId": "1000.CLIENT", "clientSecret": "***"}
REMOTE = BaseConnection("bc-1", "etag-1", "Zoho EU", "ours", "enabled", "spec", "auth", SHOWN)
SIGN_IN = SignIn(SPEC, CREDENTIALS)
DECLARED = DeclaredConnection(SIGN_IN, {NAME: "Zoho EU", DESCRIPTION: "ours"})
SENT = ZohoSourceConnectionStatus(
    token=TokenStatus(secret_hash=SIGN_IN.fingerprint, shown_hash=SIGN_IN.shown_hash(REMOTE))
)
OTHERS = replace(CREDENTIALS, refresh_token=SecretStr("another"))
UNKNOWN_SHOWN = SENT.model_copy(update={"token": TokenStatus(secret_hash=SENT.token.secret_hash)})  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("declared", "status", "remote", "fields", "reason"),
    [
        pytest.param(DECLARED, SENT, REMOTE, (), "", id="nothing differs"),
        pytest.param(DECLARED, SENT, replace(REMOTE, name="Renamed"), (NAME,), "", id="renamed there"),
        pytest.param(
            replace(DECLARED, named={}), SENT, replace(REMOTE, name="Renamed"), (), "", id="adopted"
        ),
        pytest.param(
            replace(DECLARED, sign_in=SignIn(SPEC, OTHERS)),
            SENT,
            REMOTE,
            (AUTH_PARAMS,),
            CREDENTIALS_CHANGED,
            id="another grant",
        ),
        pytest.param(
            DECLARED,
            ZohoSourceConnectionStatus(),
            replace(REMOTE, description=""),
            (DESCRIPTION, AUTH_PARAMS),
            CREDENTIALS_CHANGED,
            id="never sent",
        ),
        pytest.param(
            DECLARED,
            SENT,
            replace(REMOTE, auth_params={**SHOWN, "accountsUrl": "https://accounts.zoho.com"}),
            (AUTH_PARAMS,),
            CHANGED_THERE,
            id="changed there",
        ),
        pytest.param(
            DECLARED,
            SENT,
            replace(REMOTE, auth_params={**SHOWN, "clientSecret": "other"}),
            (),
            "",
            id="a secret that is shown otherwise says nothing",
        ),
        pytest.param(DECLARED, UNKNOWN_SHOWN, REMOTE, (), "", id="what was shown is not known"),
    ],
)
def test_a_base_connection_that_exists(
    declared: DeclaredConnection,
    status: ZohoSourceConnectionStatus,
    remote: BaseConnection,
    fields: tuple[str, ...],
    reason: str,
) -> None:
    actions = plan(declared, status, remote).actions
    if not fields:
        assert actions == ()
        return
    [action] = actions
    assert (action.effect, action.fields, action.reason) == (Effect.PATCH, fields, reason)
    assert (action.remote_id, action.etag) == (remote.id, remote.etag)
    assert AUTH_PARAMS not in {operation.path for operation in action.operations}, "a plan holds no secrets"


def test_one_that_is_missing_is_created() -> None:
    [action] = plan(DECLARED, ZohoSourceConnectionStatus(), None).actions
    assert (action.effect, action.reason, action.values) == (Effect.CREATE, MISSING, DECLARED.named)


def test_of_one_that_is_only_observed_what_reads_show_is_compared() -> None:
    shown = {**SHOWN, "accountsUrl": "https://accounts.zoho.com/", "clientId": "1000.OTHER"}
    found = plan(replace(DECLARED, observes=True), SENT, replace(REMOTE, name="Any", auth_params=shown))
    assert found.actions == ()
    assert found.differences == ("spec.zoho.dataCenter", "spec.zoho.credentialsSecretRef")


def test_parameters_are_put_in_where_a_plan_sends_them() -> None:
    params: dict[str, Any] = {"clientId": "1000.CLIENT", "clientSecret": SecretStr("client-secret")}
    [action] = with_params(plan(DECLARED, ZohoSourceConnectionStatus(), REMOTE), params).actions
    assert [(op.op, op.path, op.value) for op in action.operations] == [("replace", AUTH_PARAMS, params)]
    assert "client-secret" not in repr(action)
    assert with_params(plan(DECLARED, SENT, REMOTE), params).actions == ()
