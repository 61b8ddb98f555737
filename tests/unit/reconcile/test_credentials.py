"""What is read from users' Secrets."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from crmflow.reconcile.credentials import (
    MissingKeysError,
    PlatformCredentials,
    ZohoCredentials,
    fingerprint,
)

ZOHO = {"clientId": "1000.ID", "clientSecret": "zoho-secret", "refreshToken": "1000.aa.bb"}
ADOBE = {"clientId": "id", "clientSecret": "adobe-secret"}
SNAKE = {
    "clientId": "client_id",
    "clientSecret": "client_secret",
    "refreshToken": "refresh_token",
}


GRANT = "refreshToken or grantToken"


def secret(data: dict[str, str]) -> dict[str, SecretStr]:
    return {key: SecretStr(value) for key, value in data.items()}


@pytest.mark.parametrize("snake", list(itertools.product([False, True], repeat=3)))
def test_each_key_may_be_camel_case_or_snake_case(snake: tuple[bool, ...]) -> None:
    data = {SNAKE[key] if s else key: value for (key, value), s in zip(ZOHO.items(), snake, strict=True)}
    credentials = ZohoCredentials.from_secret(secret(data))
    assert credentials.client_id == "1000.ID"
    assert credentials.client_secret.get_secret_value() == "zoho-secret"
    assert credentials.grant.get_secret_value() == "1000.aa.bb"


@pytest.mark.parametrize("around", ["{}\n", " {}", "\t{}\r\n"])
def test_white_space_around_values_is_pasted_along(around: str) -> None:
    padded = {key: around.format(value) for key, value in ZOHO.items()}
    assert ZohoCredentials.from_secret(secret(padded)) == ZohoCredentials.from_secret(secret(ZOHO))


@pytest.mark.parametrize(
    ("data", "missing"),
    [
        ({}, ("clientId", "clientSecret", GRANT)),
        ({"clientId": "x"}, ("clientSecret", GRANT)),
        ({**ZOHO, "refreshToken": ""}, (GRANT,)),
        ({**ZOHO, "clientSecret": " \n"}, ("clientSecret",)),
        ({key.upper(): value for key, value in ZOHO.items()}, ("clientId", "clientSecret", GRANT)),
    ],
)
def test_missing_keys_go_by_their_documented_names(data: dict[str, str], missing: tuple[str, ...]) -> None:
    with pytest.raises(MissingKeysError) as error:
        ZohoCredentials.from_secret(secret(data))
    assert error.value.keys == missing
    assert str(error.value) == ", ".join(missing)


CLIENT = {"clientId": "1000.ID", "clientSecret": "zoho-secret"}


@pytest.mark.parametrize("key", ["grantToken", "grant_token", "code"])
def test_a_grant_token_is_a_way_in(key: str) -> None:
    credentials = ZohoCredentials.from_secret(secret({**CLIENT, key: "1000.gg.hh"}))
    assert credentials.refresh_token is None
    assert credentials.grant.get_secret_value() == "1000.gg.hh"
    assert credentials.redirect_uri is None


@pytest.mark.parametrize("key", ["redirectUri", "redirect_uri"])
def test_a_grant_token_of_a_web_application_has_its_redirect_uri(key: str) -> None:
    data = {**CLIENT, "grantToken": "1000.gg.hh", key: "http://localhost:8917/callback"}
    assert ZohoCredentials.from_secret(secret(data)).redirect_uri == "http://localhost:8917/callback"


def test_a_refresh_token_goes_before_a_grant_token() -> None:
    data = {**ZOHO, "grantToken": "1000.gg.hh", "redirectUri": "http://localhost:8917/callback"}
    assert ZohoCredentials.from_secret(secret(data)) == ZohoCredentials.from_secret(secret(ZOHO))


def test_an_empty_key_does_not_hide_the_other_spelling() -> None:
    data = {**ZOHO, "clientId": "", "client_id": "1000.OTHER"}
    assert ZohoCredentials.from_secret(secret(data)).client_id == "1000.OTHER"


def test_camel_case_comes_first_and_other_keys_are_ignored() -> None:
    data = {**ZOHO, "client_id": "other", "clientsecret": "x", "notes": "y"}
    assert ZohoCredentials.from_secret(secret(data)) == ZohoCredentials.from_secret(secret(ZOHO))


@pytest.mark.parametrize(
    ("scopes", "expected"),
    [
        (None, ()),
        ("", ()),
        ("openid", ("openid",)),
        ("openid,AdobeID , session\n", ("openid", "AdobeID", "session")),
        ("openid AdobeID", ("openid", "AdobeID")),
        (",,", ()),
    ],
)
def test_scopes_are_separated_by_commas_or_spaces(scopes: str | None, expected: tuple[str, ...]) -> None:
    data = ADOBE if scopes is None else {**ADOBE, "scopes": scopes}
    assert PlatformCredentials.from_secret(secret(data)).scopes == expected


def test_adobe_needs_id_and_secret() -> None:
    with pytest.raises(MissingKeysError) as error:
        PlatformCredentials.from_secret(secret({"scopes": "openid"}))
    assert error.value.keys == ("clientId", "clientSecret")


def test_further_parameters_are_no_part_of_the_grant_and_do_not_print() -> None:
    plain = ZohoCredentials.from_secret(secret(ZOHO))
    given = {"authParams.signingKey": " key-1\n", "authParams.empty": " ", "authparams.other": "x"}
    more = ZohoCredentials.from_secret(secret({**ZOHO, **given}))
    assert more.auth_params == {"signingKey": SecretStr("key-1")}
    assert (more, more.fingerprint) == (plain, plain.fingerprint)
    assert hash(more) == hash(plain)
    assert "key-1" not in repr(more)


def test_credentials_do_not_print_secrets() -> None:
    assert "zoho-secret" not in repr(ZohoCredentials.from_secret(secret(ZOHO)))
    assert "1000.aa.bb" not in repr(ZohoCredentials.from_secret(secret(ZOHO)))
    assert "adobe-secret" not in repr(PlatformCredentials.from_secret(secret(ADOBE)))


@pytest.mark.parametrize("key", list(ZOHO))
def test_the_fingerprint_changes_with_every_part(key: str) -> None:
    before = ZohoCredentials.from_secret(secret(ZOHO)).fingerprint
    assert ZohoCredentials.from_secret(secret({**ZOHO, key: "another"})).fingerprint != before
    assert ZohoCredentials.from_secret(secret(ZOHO)).fingerprint == before


@pytest.mark.parametrize("change", [{"clientId": "x"}, {"clientSecret": "x"}, {"scopes": "openid"}])
def test_the_fingerprint_of_adobes_credential_changes_with_every_part(change: dict[str, str]) -> None:
    before = PlatformCredentials.from_secret(secret(ADOBE)).fingerprint
    assert PlatformCredentials.from_secret(secret({**ADOBE, **change})).fingerprint != before


@given(st.lists(st.text(max_size=6), max_size=4), st.lists(st.text(max_size=6), max_size=4))
def test_equal_fingerprints_mean_equal_parts(first: list[str], second: list[str]) -> None:
    assert (fingerprint(*first) == fingerprint(*second)) is (first == second)


def test_a_fingerprint_tells_nothing() -> None:
    assert fingerprint("a", SecretStr("b")) == fingerprint("a", "b")
    assert len(fingerprint("secret")) == 16
    assert set(fingerprint("secret")) <= set("0123456789abcdef")
