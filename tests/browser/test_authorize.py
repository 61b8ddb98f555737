"""A person's way through ``kubectl crmflow authorize`` in a real browser, over the emulated consent page."""

from __future__ import annotations

import re

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Screenshot
from tests.kit.authorize import Authorize, decide
from tests.kit.desk import Desk

USER = "data.pipeline@example.com, Nordlicht Handels GmbH (production, eu)"
AMERICAN = "data.pipeline@example.com, Prairie Supply Inc. (production, us)"
IN_SANDBOX = "data.pipeline@example.com, Nordlicht Handels GmbH (sandbox, eu)"
NOBODY = "somebody without Zoho CRM"
ACCOUNT = "eu:production:data.pipeline@example.com"


def consent(page: Page, run: Authorize, account: str, button: str = "Accept") -> None:
    """Open the address that the command shows, choose and decide."""
    page.goto(run.url)
    page.get_by_label(account).check()
    page.get_by_role("button", name=button).click()


def expect_outcome(page: Page, title: str, *texts: str) -> None:
    """The command's own page is there, says this, and repeats no part of the grant."""
    expect(page.get_by_role("heading")).to_have_text(title)
    for text in texts:
        expect(page.locator("body")).to_contain_text(text)
    assert not re.search(r"1000\.[0-9a-f]{8}", page.content())


def test_success(desk: Desk, page: Page, screenshot: Screenshot) -> None:
    run = desk.authorize()
    page.goto(run.url)
    for scope in ("ZohoCRM.modules.READ", "ZohoCRM.settings.modules.READ", "ZohoCRM.org.READ"):
        expect(page.locator("body")).to_contain_text(scope)
    page.get_by_label(USER).check()
    page.get_by_role("button", name="Accept").click()

    expect_outcome(
        page, "Connected", "Nordlicht Handels GmbH (production, enterprise)", "data.pipeline@example.com"
    )
    screenshot("connected")
    assert run.finish() == 0, run.stderr
    assert "access_token" in desk.refreshes().json()


def test_success_with_a_client_of_another_data_center(desk: Desk, page: Page) -> None:
    """Zoho's page is that of the client's data center, the token request goes to the user's."""
    desk.register_elsewhere()
    run = desk.authorize("--client-data-center=us")
    consent(page, run, USER)

    expect_outcome(page, "Connected", "Nordlicht Handels GmbH (production, enterprise)")
    assert run.finish() == 0, run.stderr
    assert {call["path"] for call in desk.calls("/oauth/v2/auth")} == {"/dc/us/oauth/v2/auth"}
    assert [call["path"] for call in desk.calls("/oauth/v2/token")] == ["/dc/eu/oauth/v2/token"]
    assert "access_token" in desk.refreshes().json()


def test_success_pasted(desk: Desk, page: Page) -> None:
    """The browser is on another machine and ends on an address that it can't load; that is what is pasted."""
    desk.register_elsewhere()
    run = desk.authorize("--paste", "--client-data-center=us")
    page.goto(run.shown_url)
    page.get_by_label(USER).check()
    with page.expect_event("requestfailed", lambda request: "code=" in request.url) as ended:
        page.get_by_role("button", name="Accept").click()
    run.type(ended.value.url)

    assert run.finish() == 0, run.stderr
    assert [call["path"] for call in desk.calls("/oauth/v2/token")] == ["/dc/eu/oauth/v2/token"]
    assert "access_token" in desk.refreshes().json()


@pytest.mark.parametrize(
    ("account", "button", "texts", "picture"),
    [
        (USER, "Reject", ("The consent was refused", "Run the command again and accept"), "refused"),
        (NOBODY, "Accept", ("has no Zoho CRM organization", "a user of the CRM"), "no-organization"),
        (AMERICAN, "Accept", ("lives in data center US", "an account of EU"), "wrong-data-center"),
        (IN_SANDBOX, "Accept", ("a sandbox organization", "the Production environment"), "wrong-environment"),
    ],
)
def test_another_decision(
    desk: Desk,
    page: Page,
    screenshot: Screenshot,
    account: str,
    button: str,
    texts: tuple[str, ...],
    picture: str,
) -> None:
    before = desk.stored()
    run = desk.authorize()
    consent(page, run, account, button)

    expect_outcome(page, "Not connected", *texts)
    screenshot(picture)
    assert run.finish() == 1
    assert desk.stored() == before


def test_a_grant_that_is_too_old(desk: Desk, page: Page, screenshot: Screenshot) -> None:
    run = desk.authorize()
    address = decide(run.url, ACCOUNT)
    desk.emulators.control.advance(200)
    page.goto(address)

    expect_outcome(page, "Not connected", "has expired", "Authorize anew")
    screenshot("expired")
    assert run.finish() == 1


def test_a_replayed_answer(desk: Desk, page: Page, screenshot: Screenshot) -> None:
    """The address of an earlier run, out of the browser's history, while the next run waits."""
    first = desk.authorize()
    consent(page, first, USER)
    expect_outcome(page, "Connected")
    assert first.finish() == 0
    replayed, exchanged = page.url, len(desk.calls("/oauth/v2/token"))

    second = desk.authorize()
    assert second.url
    page.goto(replayed)
    expect_outcome(page, "Not the answer that is waited for", "belongs to another authorization")
    screenshot("replayed")
    assert len(desk.calls("/oauth/v2/token")) == exchanged

    consent(page, second, USER)
    expect_outcome(page, "Connected")
    assert second.finish() == 0


def test_a_forged_accounts_server(desk: Desk, page: Page, screenshot: Screenshot) -> None:
    """Somebody between Zoho and the command wants the grant token and the client secret."""
    run = desk.authorize()
    forged = "https://accounts.zoho.eu.example.com"
    page.goto(str(httpx.URL(decide(run.url, ACCOUNT)).copy_set_param("accounts-server", forged)))

    expect_outcome(page, "Not connected", forged, "the answer may be forged, and nothing was sent")
    screenshot("forged")
    assert run.finish() == 1
    assert desk.calls("/oauth/v2/token") == []
