"""The address that asks for consent, and what is believed of what comes back."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from crmflow.api.zohosourceconnection import DataCenter
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.observability.redaction import redact
from crmflow.zoho.consent import answers, authorization_url, callback_parameters, grant_token, new_state
from crmflow.zoho.datacenters import DATA_CENTERS, ZohoEndpoints

REAL = ZohoEndpoints()
STATE = "the-state"
CODE = "1000.0123456789abcdef.fedcba9876543210"
GOOD = {"code": CODE, "state": STATE, "location": "eu", "accounts-server": "https://accounts.zoho.eu"}


def refusal(parameters: dict[str, str], data_center: DataCenter = DataCenter.EU) -> RemoteError:
    with pytest.raises(RemoteError) as caught:
        grant_token(parameters, STATE, data_center, REAL)
    assert caught.value.error_class is ErrorClass.TERMINAL
    assert caught.value.advice
    assert not caught.value.maybe_applied
    return caught.value


def test_the_address_has_what_a_refresh_token_takes() -> None:
    url = authorization_url(
        "https://accounts.zohocloud.ca",
        "1000.ID",
        "http://localhost:1/callback",
        ["a.b.READ", "c.ALL"],
        "s/+&",
    )
    parts = urlsplit(url)
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == "https://accounts.zohocloud.ca/oauth/v2/auth"
    assert parse_qs(parts.query) == {
        "response_type": ["code"],
        "client_id": ["1000.ID"],
        "redirect_uri": ["http://localhost:1/callback"],
        "scope": ["a.b.READ,c.ALL"],
        "access_type": ["offline"],
        "prompt": ["consent"],
        "state": ["s/+&"],
    }


def test_states_are_long_and_never_the_same() -> None:
    states = {new_state() for _ in range(100)}
    assert len(states) == 100
    assert min(map(len, states)) >= 32


@pytest.mark.parametrize("data_center", list(DataCenter))
def test_a_grant_token_of_each_data_center(data_center: DataCenter) -> None:
    server = DATA_CENTERS[data_center].accounts_url
    for spelling in (server, server + "/"):
        came = {**GOOD, "location": data_center.lower(), "accounts-server": spelling}
        assert grant_token(came, STATE, data_center, REAL).get_secret_value() == CODE


def test_the_grant_token_is_never_printed() -> None:
    token = "opaque-and-of-no-known-shape"
    grant_token({**GOOD, "code": token}, STATE, DataCenter.EU, REAL)
    assert token not in redact(f"the code {token}")


@pytest.mark.parametrize("state", ["another", "", STATE + "x", STATE.upper(), "ü"])
def test_another_state(state: str) -> None:
    assert refusal({**GOOD, "state": state}).reason == "StateMismatch"
    assert refusal({"error": "access_denied", "state": state}).reason == "StateMismatch"


def test_a_code_without_state() -> None:
    assert refusal({name: value for name, value in GOOD.items() if name != "state"}).reason == "StateMismatch"


@pytest.mark.parametrize(
    ("parameters", "belongs"),
    [
        ({"code": "x", "state": STATE}, True),
        ({"error": "x", "state": STATE}, True),
        ({"error": "x"}, True),
        ({"code": "x"}, False),
        ({"error": "x", "state": "another"}, False),
    ],
)
def test_what_answers_a_request(parameters: dict[str, str], belongs: bool) -> None:
    assert answers(parameters, STATE) is belongs


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ("access_denied", "ConsentRefused"),
        ("no_org", "OrganizationMissing"),
        ("something_else", "ConsentRefused"),
        ("", "ConsentRefused"),
    ],
)
def test_errors(error: str, reason: str) -> None:
    assert refusal({"error": error}).reason == reason
    # even if a code came along
    assert refusal({**GOOD, "error": error}).reason == reason


def test_an_unknown_error_is_named_without_its_markup() -> None:
    message = refusal({"error": "<b>out_of_service</b>\r\n"}).message
    assert "out_of_service" in message
    assert "<" not in message


@pytest.mark.parametrize(
    "server",
    [
        "https://accounts.zoho.eu.example.com",
        "https://accounts.zoho.eu@example.com",
        "https://user@accounts.zoho.eu",
        "https://example.com/accounts.zoho.eu",
        "https://example.com#https://accounts.zoho.eu",
        "https://accounts.zoho.eu:8443",
        "https://accounts.zoho.eu/path",
        "https://accounts.zoho.eu?x",
        "https://ACCOUNTS.zoho.eu",
        "http://accounts.zoho.eu",
        "accounts.zoho.eu",
        "//accounts.zoho.eu",
        "https://crm.zoho.eu",
        "https://www.zohoapis.eu",
        "https://accounts.zoho.com",  # real, and not where the location says
        " https://accounts.zoho.eu",
        "https://169.254.169.254",
        "",
    ],
)
def test_a_forged_accounts_server(server: str) -> None:
    error = refusal({**GOOD, "accounts-server": server})
    assert error.reason == "AccountsServerRejected"
    assert "nothing was sent" in error.message


def test_the_accounts_server_of_a_development_setup() -> None:
    """It may give its own address or that of the host it stands for, and those of no other data center."""
    setup = ZohoEndpoints("http://127.0.0.1:8080/dc/{dc}", None)
    for server in ("http://127.0.0.1:8080/dc/eu", "https://accounts.zoho.eu"):
        came = {**GOOD, "accounts-server": server}
        assert grant_token(came, STATE, DataCenter.EU, setup).get_secret_value() == CODE
    for endpoints in (setup, REAL):
        with pytest.raises(RemoteError, match="may be forged"):
            grant_token(
                {**GOOD, "accounts-server": "http://127.0.0.1:8080/dc/us"}, STATE, DataCenter.EU, endpoints
            )


@pytest.mark.parametrize("location", ["us", "xx", "", "eu ", "EUROPE"])
def test_a_location_that_does_not_fit(location: str) -> None:
    assert refusal({**GOOD, "location": location}).reason == "AccountsServerRejected"


@pytest.mark.parametrize("name", ["location", "accounts-server"])
def test_without_a_location(name: str) -> None:
    came = {key: value for key, value in GOOD.items() if key != name}
    assert refusal(came).reason == "CallbackIncomplete"


def test_an_account_in_another_data_center() -> None:
    error = refusal(GOOD, DataCenter.US)
    assert error.reason == "WrongDataCenter"
    assert "data center EU" in error.message
    assert "spec.zoho.dataCenter is US" in error.message


@pytest.mark.parametrize("code", [None, ""])
def test_without_a_code(code: str | None) -> None:
    came = {key: value for key, value in {**GOOD, "code": code}.items() if value is not None}
    assert refusal(came).reason == "CallbackIncomplete"


def test_the_parameters_of_an_address() -> None:
    address = "http://localhost:8917/callback?code=1&accounts-server=https%3A%2F%2Faccounts.zoho.eu&state="
    assert callback_parameters(address) == {
        "code": "1",
        "accounts-server": "https://accounts.zoho.eu",
        "state": "",
    }


@pytest.mark.parametrize(
    "address",
    [
        "",
        "http://localhost:8917/callback",
        "http://localhost:8917/callback?state=x",
        "http://localhost:8917/callback?code=1&code=2",
        "http://localhost:8917/callback?code=1&state=x&state=y",
        "http://[::1/callback?code=1",
    ],
)
def test_an_address_that_says_nothing_or_too_much(address: str) -> None:
    with pytest.raises(RemoteError) as caught:
        callback_parameters(address)
    assert caught.value.reason == "CallbackIncomplete"
