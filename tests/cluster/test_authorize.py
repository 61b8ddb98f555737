"""``kubectl crmflow authorize`` on a real API server, with a person's own rights, against emulated Zoho."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import yaml

from hack.emulators import Emulators
from hack.kubectl import Kubectl
from tests.kit import manifests
from tests.kit.authorize import decide, follow
from tests.kit.cluster import Cluster
from tests.kit.desk import Desk, desk_of
from tests.kit.person import READ_CONNECTIONS, secrets
from tests.kit.tenant import CONNECTION, Tenant

USER = "eu:production:data.pipeline@example.com"
AMERICAN = "us:production:data.pipeline@example.com"
IN_SANDBOX = "eu:sandbox:data.pipeline@example.com"
NOBODY = "no-organization"


@pytest.fixture
def desk(
    cluster: Cluster, emulators: Emulators, kubectl: Kubectl, namespace: str, tmp_path: Path
) -> Iterator[Desk]:
    """Somebody who may do what the command does."""
    with desk_of(cluster, emulators, kubectl, namespace, tmp_path) as desk:
        yield desk


# --- by redirect ------------------------------------------------------------------------------------------


def test_a_consent_becomes_a_refresh_token_in_the_secret(desk: Desk) -> None:
    desk.store()
    run = desk.authorize()
    page = follow(run.consent(USER))

    assert run.finish() == 0, run.stderr
    assert (page.status_code, "Connected" in page.text) == (200, True)
    assert "Nordlicht Handels GmbH (production, enterprise)" in page.text
    assert "data.pipeline@example.com" in run.stderr
    assert run.stdout == ""
    held = desk.stored()
    assert held is not None
    assert set(held) == {"clientId", "clientSecret", "refreshToken", "note"}
    assert "access_token" in desk.refreshes().json()


def test_the_operator_takes_it_from_there(desk: Desk, tenant: Tenant) -> None:
    tenant.apply_secrets()
    desk.store()
    tenant.cluster.patch("Secret", manifests.ZOHO_SECRET, desk.namespace, {"data": {"refreshToken": None}})
    tenant.wait_reason(CONNECTION, "Authorized", "SecretKeyMissing")

    run = desk.authorize()
    follow(run.consent(USER))

    assert run.finish() == 0, run.stderr
    tenant.wait_ready(CONNECTION)


def test_a_second_authorization_replaces_the_first(desk: Desk) -> None:
    desk.store()
    held = []
    for _ in range(2):
        run = desk.authorize()
        follow(run.consent(USER))
        assert run.finish() == 0, run.stderr
        held.append(desk.stored())
    first, second = held
    assert first != second
    assert set(second or {}) == {"clientId", "clientSecret", "refreshToken", "note"}
    assert "access_token" in desk.refreshes().json()


def test_the_secret_is_made_if_there_is_none(desk: Desk) -> None:
    run = desk.authorize(*desk.client_options())
    follow(run.consent(USER))

    assert run.finish() == 0, run.stderr
    assert set(desk.stored() or {}) == {"clientId", "clientSecret", "refreshToken"}


def test_keys_keep_the_spelling_that_the_secret_has(desk: Desk) -> None:
    desk.store(
        client_id=desk.client["clientId"], client_secret=desk.client["clientSecret"], refresh_token="old"
    )
    run = desk.authorize()
    follow(run.consent(USER))

    assert run.finish() == 0, run.stderr
    held = desk.stored() or {}
    assert set(held) == {"client_id", "client_secret", "refresh_token"}
    assert held["refresh_token"] != "old"


@pytest.mark.parametrize("same_secret", [False, True])
def test_a_client_of_another_data_center(desk: Desk, same_secret: bool) -> None:
    desk.register_elsewhere(same_secret=same_secret)
    run = desk.authorize("--client-data-center=us")
    assert "/dc/us/oauth/v2/auth" in run.url
    page = follow(run.consent(USER))

    assert run.finish() == 0, run.stderr
    assert "Nordlicht Handels GmbH (production, enterprise)" in page.text
    (call,) = desk.calls("/oauth/v2/token")
    assert call["path"].startswith("/dc/eu/")
    assert "access_token" in desk.refreshes().json()


def test_a_client_of_another_data_center_pasted(desk: Desk) -> None:
    desk.register_elsewhere()
    run = desk.authorize("--paste", "--client-data-center=us")
    assert "/dc/us/oauth/v2/auth" in run.shown_url
    run.type(decide(run.shown_url, USER))

    assert run.finish() == 0, run.stderr
    (call,) = desk.calls("/oauth/v2/token")
    assert call["path"].startswith("/dc/eu/")
    assert "access_token" in desk.refreshes().json()


def test_the_client_secret_of_another_data_center(desk: Desk) -> None:
    desk.register_elsewhere()
    desk.store(clientId=desk.client["clientId"], clientSecret=desk.client["clientSecrets"]["us"])
    before = desk.stored()
    run = desk.authorize("--client-data-center=us")
    page = follow(run.consent(USER))

    assert run.finish() == 1
    assert "each data center has a secret of its own" in page.text
    assert desk.stored() == before


def test_a_client_that_is_not_known_where_the_page_is_opened(desk: Desk) -> None:
    """Without ``--client-data-center``: Zoho shows a page of its own and sends nobody back."""
    desk.register_elsewhere()
    run = desk.authorize("--timeout=5m")
    page = httpx.get(run.url, trust_env=False)
    assert (page.status_code, "Invalid Client" in page.text) == (400, True)
    desk.emulators.control.advance(301)

    assert run.finish() == 1
    assert "--client-data-center" in run.stderr


@pytest.mark.parametrize(
    ("account", "decision", "message", "advice"),
    [
        (USER, "reject", "The consent was refused", "accept"),
        (NOBODY, "accept", "has no Zoho CRM organization", "a user of the CRM organization"),
        (AMERICAN, "accept", "lives in data center US", "Consent with an account of EU"),
    ],
)
@pytest.mark.parametrize("error_state", [True, False])
def test_what_comes_of_another_decision(
    desk: Desk, account: str, decision: str, message: str, advice: str, error_state: bool
) -> None:
    desk.emulators.control.switch("zoho", consentErrorState=error_state)
    desk.store()
    before = desk.stored()
    run = desk.authorize()
    page = follow(run.consent(account, decision))

    assert run.finish() == 1
    for text in (page.text, run.stderr):
        assert message in text
        assert advice in text
    assert "Not connected" in page.text
    assert desk.calls("/oauth/v2/token") == []
    assert desk.stored() == before


def test_a_grant_for_another_environment_is_named_and_revoked(desk: Desk) -> None:
    desk.store()
    before = desk.stored()
    run = desk.authorize()
    page = follow(run.consent(IN_SANDBOX))

    assert run.finish() == 1
    assert "belongs to a sandbox organization" in page.text
    assert "spec.zoho.environment is Production" in run.stderr
    assert "revoked again" in run.stderr
    assert desk.refresh_tokens() == []
    assert desk.stored() == before


def test_another_organization_than_the_pinned_one_is_refused(desk: Desk, tenant: Tenant) -> None:
    tenant.apply_secrets()
    tenant.wait_ready(CONNECTION)
    desk.emulators.control.patch("/zoho/eu/production/organization", id="999")
    run = desk.authorize(*desk.client_options())
    page = follow(run.consent(USER))

    assert run.finish() == 1
    assert "(999)" in page.text
    assert desk.refresh_tokens() == []


def test_an_answer_from_another_run_is_ignored(desk: Desk) -> None:
    desk.store()
    first = desk.authorize()
    old = first.consent(USER)
    follow(old)
    assert first.finish() == 0
    exchanged = len(desk.calls("/oauth/v2/token"))

    second = desk.authorize()
    url = second.url
    page = follow(old)
    assert (page.status_code, "another authorization" in page.text) == (400, True)
    assert len(desk.calls("/oauth/v2/token")) == exchanged

    assert "Connected" in follow(decide(url, USER)).text
    assert second.finish() == 0


@pytest.mark.parametrize(
    "server",
    ["https://accounts.zoho.eu.example.com", "https://accounts.zoho.com"],
)
def test_a_forged_accounts_server_is_refused_and_nothing_sent(desk: Desk, server: str) -> None:
    desk.store()
    run = desk.authorize()
    address = httpx.URL(run.consent(USER)).copy_set_param("accounts-server", server)
    page = follow(str(address))

    assert run.finish() == 1
    assert "nothing was sent" in page.text
    assert desk.calls("/oauth/v2/token") == []


def test_a_code_that_is_too_old(desk: Desk) -> None:
    desk.store()
    run = desk.authorize()
    address = run.consent(USER)
    desk.emulators.control.advance(200)
    page = follow(address)

    assert run.finish() == 1
    assert "has expired" in page.text
    assert "Authorize anew" in run.stderr


@pytest.mark.parametrize(
    "fault",
    [{"reset": "after"}, {"status": 502, "body": "Bad gateway"}, {"status": 200, "body": "<html>"}],
)
def test_a_lost_answer_is_not_asked_for_again(desk: Desk, fault: Any) -> None:
    desk.store()
    before = desk.stored()
    desk.emulators.control.fault(service="zoho-accounts", path="/oauth/v2/token", times=None, **fault)
    run = desk.authorize()
    page = follow(run.consent(USER))

    assert run.finish() == 1
    assert "its result is lost" in page.text
    assert "authorize anew" in run.stderr
    assert len(desk.calls("/oauth/v2/token")) == 1
    assert desk.stored() == before


def test_nobody_comes(desk: Desk) -> None:
    desk.store()
    run = desk.authorize("--timeout=5m")
    assert run.url
    desk.emulators.control.advance(301)

    assert run.finish() == 1
    assert "Nobody consented within 300 s" in run.stderr


def test_ctrl_c_ends_it(desk: Desk) -> None:
    desk.store()
    before = desk.stored()
    run = desk.authorize()
    assert run.url
    run.interrupt()

    assert run.finish() == 130
    assert desk.stored() == before


def test_a_port_that_is_taken(desk: Desk) -> None:
    desk.store()
    with socket.create_server(("127.0.0.1", int(desk.redirect_uri.split(":")[2].split("/")[0]))):
        run = desk.authorize()
        assert run.finish() == 1
    assert "--redirect-uri" in run.stderr


# --- without a redirect -----------------------------------------------------------------------------------


def test_the_address_may_be_pasted(desk: Desk) -> None:
    desk.store()
    run = desk.authorize("--paste")
    run.type(decide(run.shown_url, USER))

    assert run.finish() == 0, run.stderr
    assert "access_token" in desk.refreshes().json()


def test_the_scopes_that_the_spec_names_are_asked_for(desk: Desk) -> None:
    desk.store()
    scopes = ["ZohoCRM.modules.contacts.READ", "ZohoCRM.org.READ"]
    desk.cluster.apply(manifests.connection(desk.namespace, zoho={"scopes": scopes}))
    asked = [desk.authorize("--paste"), desk.authorize("--paste", "--scopes=ZohoCRM.settings.READ")]
    found = [parse_qs(urlsplit(run.shown_url).query)["scope"] for run in asked]
    assert found == [[",".join(scopes)], ["ZohoCRM.settings.READ"]]


def test_a_pasted_answer_of_another_run_is_refused(desk: Desk) -> None:
    desk.store()
    old = decide(desk.authorize("--paste").shown_url, USER)
    run = desk.authorize("--paste")
    assert run.shown_url
    run.type(old)

    assert run.finish() == 1
    assert "does not belong to this authorization" in run.stderr
    assert desk.calls("/oauth/v2/token") == []


def test_a_grant_token_of_a_self_client(desk: Desk) -> None:
    run = desk.authorize_with_code(desk.emulators.control.post("/zoho/grants"))

    assert run.finish() == 0, run.stderr
    assert "access_token" in desk.refreshes().json()


def test_a_grant_token_with_too_few_scopes_names_each(desk: Desk) -> None:
    desk.client = desk.emulators.control.post(
        "/zoho/grants", scopes=["ZohoCRM.settings.fields.READ", "ZohoCRM.org.READ"]
    )
    run = desk.authorize_with_code(desk.client)

    assert run.finish() == 1
    lacking = "ZohoCRM.modules.READ, ZohoCRM.settings.modules.READ, ZohoCRM.coql.READ, ZohoCRM.bulk.READ."
    assert f"lacks these scopes: {lacking}" in run.stderr
    assert "refreshToken" not in (desk.stored() or {})
    assert desk.refresh_tokens() == []


def test_scopes_for_checks_only_warn(desk: Desk) -> None:
    scopes = [f"ZohoCRM.{part}" for part in ("settings.ALL", "modules.ALL", "coql.READ", "bulk.READ")]
    run = desk.authorize_with_code(desk.emulators.control.post("/zoho/grants", scopes=scopes))

    assert run.finish() == 0, run.stderr
    assert "needed for checks only: ZohoCRM.org.READ, ZohoCRM.users.READ" in run.stderr
    assert "refreshToken" in (desk.stored() or {})


def test_a_grant_token_is_exchanged_once(desk: Desk) -> None:
    grant = desk.emulators.control.post("/zoho/grants")
    assert desk.authorize_with_code(grant).finish() == 0
    again = desk.authorize_with_code(grant)

    assert again.finish() == 1
    assert "was used before" in again.stderr


def test_a_refused_address_only_warns(desk: Desk) -> None:
    """The operator's may be allowed."""
    desk.emulators.control.switch("zoho", ipBlock="direct")
    run = desk.authorize_with_code(desk.emulators.control.post("/zoho/grants"))

    assert run.finish() == 0, run.stderr
    assert "Allowed IPs" in run.stderr
    assert "refreshToken" in (desk.stored() or {})


# --- rights and Secrets -----------------------------------------------------------------------------------


def test_print_writes_nothing_and_prints_what_can_be_applied(desk: Desk) -> None:
    desk.give_rights(READ_CONNECTIONS, secrets("get"))
    desk.store()
    before = desk.stored()
    run = desk.authorize("--print")
    follow(run.consent(USER))

    assert run.finish() == 0, run.stderr
    printed = yaml.safe_load(run.stdout)
    assert printed["metadata"] == {"name": manifests.ZOHO_SECRET, "namespace": desk.namespace}
    assert printed["stringData"]["clientSecret"] == desk.client["clientSecret"]
    assert desk.stored() == before
    values = printed.pop("stringData")
    desk.store(**values)
    assert "access_token" in desk.refreshes().json()


def test_without_the_right_to_write_nobody_is_asked_for_consent(desk: Desk) -> None:
    desk.give_rights(READ_CONNECTIONS, secrets("get"))
    desk.store()
    run = desk.authorize()

    assert run.finish() == 1
    assert "patch" in run.stderr
    assert "/oauth/v2/auth" not in run.stderr
    assert desk.calls("") == []


def test_without_the_right_to_read_the_client_may_be_brought_along(desk: Desk) -> None:
    desk.give_rights(READ_CONNECTIONS, secrets("create", "patch"))
    desk.store()
    refused = desk.authorize()
    assert refused.finish() == 1
    assert 'cannot get resource "secrets"' in refused.stderr

    run = desk.authorize(*desk.client_options())
    follow(run.consent(USER))
    assert run.finish() == 0, run.stderr
    assert "access_token" in desk.refreshes().json()


def test_a_secret_that_a_controller_writes_is_left_to_it(desk: Desk) -> None:
    desk.store()
    owner = desk.cluster.get("ZohoSourceConnection", manifests.CONNECTION, desk.namespace)
    reference = {
        "apiVersion": "external-secrets.io/v1",
        "kind": "ExternalSecret",
        "name": "zoho",
        "uid": owner["metadata"]["uid"],
        "controller": True,
    }
    desk.cluster.patch(
        "Secret", manifests.ZOHO_SECRET, desk.namespace, {"metadata": {"ownerReferences": [reference]}}
    )
    run = desk.authorize()

    assert run.finish() == 1
    assert "written by ExternalSecret zoho" in run.stderr
    assert "--print" in run.stderr


def test_a_write_that_fails_after_the_consent_revokes_the_token(desk: Desk) -> None:
    desk.store()
    run = desk.authorize()
    address = run.consent(USER)
    desk.give_rights(READ_CONNECTIONS, secrets("get"))
    page = follow(address)

    assert run.finish() == 1
    assert "Not connected" in page.text
    assert "revoked again" in run.stderr
    assert desk.refresh_tokens() == []


@pytest.mark.parametrize(
    ("prepare", "name", "message"),
    [
        (lambda desk: desk.store(), "nothing", 'no ZohoSourceConnection "nothing"'),
        (lambda desk: None, manifests.CONNECTION, "Give --client-id"),
        (lambda desk: desk.store(clientId="1000.X"), manifests.CONNECTION, "Give --client-secret-file"),
        (lambda desk: desk.kubeconfig.write_text("{}"), manifests.CONNECTION, "no cluster"),
    ],
)
def test_what_is_missing_is_named(
    desk: Desk, prepare: Callable[[Desk], None], name: str, message: str
) -> None:
    prepare(desk)
    run = desk.authorize(name=name)

    assert run.finish() == 1
    assert message in run.stderr.replace("No cluster", "no cluster").replace("There is no", "no")
