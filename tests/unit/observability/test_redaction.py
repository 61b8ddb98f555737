"""What may not get into logs, events and status."""

from __future__ import annotations

import ast
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmflow.observability import redaction
from crmflow.observability.redaction import MASK, redact, register, sanitize

ZOHO_TOKEN = "1000.0123456789abcdef0123456789abcdef.fedcba9876543210fedcba9876543210"
ZOHO_TOKEN_OTHER = "1004.0123456789abcdef0123456789abcdef.fedcba9876543210fedcba9876543210"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJpZCI6IjE2Nj-_zMifQ.c2lnbmF0dXJl_-"


@pytest.fixture(autouse=True)
def _nothing_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_registered", type(redaction._registered)())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"token {ZOHO_TOKEN}.", f"token {MASK}."),
        (f"({ZOHO_TOKEN_OTHER})", f"({MASK})"),
        (f"Authorization: Zoho-oauthtoken {ZOHO_TOKEN}", f"Authorization: {MASK}"),
        ("Zoho-oauthtoken abc/def=", f"Zoho-oauthtoken {MASK}"),
        (f"got {JWT} back", f"got {MASK} back"),
        ("authorization: Basic dXNlcjpwYXNz", f"authorization: {MASK}"),
        ("Bearer abc.def-ghi", f"Bearer {MASK}"),
        ("bearer abc", f"bearer {MASK}"),
        ("client_secret=abc123&scope=x", f"client_secret={MASK}&scope=x"),
        ('{"clientSecret": "a b\tc", "x": 1}', f'{{"clientSecret": {MASK}, "x": 1}}'),
        ("'refresh_token': 'abc'", f"'refresh_token': {MASK}"),
        ("accessToken: abc", f"accessToken: {MASK}"),
        ("grant_token=abc", f"grant_token={MASK}"),
        ("password = hunter2;", f"password = {MASK};"),
        ("https://u?token=abc#x", f"https://u?token={MASK}"),
        ("https://u?token=400&x=1", f"https://u?token={MASK}&x=1"),
        ("token: 4f9c2a7b6d", f"token: {MASK}"),
        ("secret: p8e-Xy-11-zz", f"secret: {MASK}"),
        ('"token": "invalid"', f'"token": {MASK}'),
        ("refresh token: 4f9c2a7b6d", f"refresh token: {MASK}"),
        ("password: letmein", f"password: {MASK}"),
        ("Authorization: 4f9c2a7b6d", f"Authorization: {MASK}"),
        ("authorization: Digest 4f9c2a7b6d", f"authorization: {MASK}"),
        ("the header was authorization=Basic abc", f"the header was authorization={MASK}"),
    ],
)
def test_shapes_of_secrets(text: str, expected: str) -> None:
    assert redact(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Basic Authentication",
        "invalid oauth token",
        "1000.4KXY7Q2N3M8P",  # a Zoho client id
        "10.1.2.3 answered",
        "version 1.0",
        "FLOW-1404-412",
        "929e4450-0237-4ed2-9404-b7e1e0a00309",
        "https://ns.adobe.com/tenant/schemas/0123456789abcdef",
        "continuationToken=abc",
        "IMS token: 400 invalid_client: Adobe does not accept the client id or secret",
        "IMS token: answered 400 invalid_client",
        "ZohoAccounts token: 401 INVALID_TOKEN",
        "the refresh token: invalid_code",
        "access token: FLOW-2000-401: refused",
        "client secret: not given",
        "token: PlatformTokenRejected",
        "token: https://accounts.zoho.eu/oauth/v2/token answered 500",
        "Bearer token is missing",
        "bearer authentication is required",
        'Bearer error="invalid_token"',
        "Zoho authorization: the grant was revoked",
        "authorization: 403 Forbidden",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    assert redact(text) == text


def test_registered_values_are_masked_whatever_they_look_like() -> None:
    register("plain words")
    register("plain words and more")
    assert redact("<plain words and more> and plain words") == f"<{MASK}> and {MASK}"


def test_short_values_are_not_registered() -> None:
    register("prod")
    assert redact("sandbox prod") == "sandbox prod"


def test_the_registry_is_bounded_and_keeps_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_MOST_SECRETS", 2)
    for secret in ("secret-1", "secret-2", "secret-1", "secret-3"):
        register(secret)
    assert redact("secret-1 secret-2 secret-3") == f"{MASK} secret-2 {MASK}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  two\n\tlines\r\n ", "two lines"),
        ("bell\x07 and\x1b[31m color", "bell and [31m color"),
        ("zero\u200bwidth \u202eright to left", "zerowidth right to left"),
        ("line\u2028separator", "line separator"),
        ("lone \ud800 surrogate", "lone surrogate"),
        ("<html><body><h1>502</h1>Bad&nbsp;Gateway</body></html>", "502 Bad&nbsp;Gateway"),
        ("<script>alert('x')</script>text<style>a{}</style>", "text"),
        ("<!-- comment -->a <b>c</b> < d", "a c < d"),
        ("start <b must not be > a", "start a"),
        ("1 <2 and 3> 2", "1 <2 and 3> 2"),
        ("Grüße, 你好 👋", "Grüße, 你好 👋"),
        (f"<p>{ZOHO_TOKEN}</p>", MASK),
        ("", ""),
    ],
)
def test_remote_text_is_made_fit_for_people(text: str, expected: str) -> None:
    assert sanitize(text) == expected


def test_a_registered_value_does_not_survive_stripping() -> None:
    register("se<cret>value")
    register("hidden-value")
    assert sanitize("a se<cret>value b") == f"a {MASK} b"
    assert sanitize("hidden\u200b-value") == MASK


def test_text_is_cut() -> None:
    assert sanitize("a" * 300) == "a" * 255 + "…"
    assert sanitize("word " * 3, 11) == "word word…"
    assert len(sanitize("a" * 256)) == 256


REQUEST = "HybridDeliveryException GET https://www.zohoapis.eu/crm/v2/Leads?$filter=" + "a eq 'b' or " * 40


def test_where_the_cause_stands_last_the_middle_is_cut() -> None:
    text = sanitize(f"{REQUEST} Unauthorized", keep_end=True)
    assert len(text) == 256
    assert text.startswith("HybridDeliveryException GET")
    assert text.endswith("Unauthorized")
    assert " … " in text
    assert sanitize("short: it stays", keep_end=True) == "short: it stays"


def test_of_nested_messages_the_innermost_is_kept() -> None:
    text = (
        "ErrorCode=UserErrorOdbcOperationFailed,'Type=Microsoft.HybridDeliveryException,Message=ERROR "
        f"[HY000] {'x' * 300},Source=Microsoft.Odbc,''Type=System.Data.Odbc.OdbcException,Message=ERROR "
        f"[HY000] [Microsoft][Zoho] (60) Unauthorized Access,Source={'y' * 300},'"
    )
    found = sanitize(text, keep_end=True)
    assert len(found) <= 256
    assert found.startswith("ErrorCode=UserErrorOdbcOperationFailed")
    assert found.endswith("ERROR [HY000] [Microsoft][Zoho] (60) Unauthorized Access")


def test_the_end_of_a_very_long_text_is_kept_and_redacted() -> None:
    register("a-long-registered-secret")
    found = sanitize("x" * 200_000 + " a-long-registered-secret 401 Unauthorized", keep_end=True)
    assert found.endswith(f"{MASK} 401 Unauthorized")


@given(st.text(max_size=400), st.integers(8, 300))
def test_nothing_is_longer_than_its_limit(text: str, limit: int) -> None:
    for keep_end in (False, True):
        assert len(sanitize(text, limit, keep_end=keep_end)) <= limit


def test_a_secret_is_not_cut_in_two() -> None:
    register("a-long-registered-secret")
    assert "secret" not in sanitize("x" * 230 + " a-long-registered-secret")
    assert "secret" not in sanitize("<i>" * 2700 + "a-long-registered-secret" * 500)


@pytest.mark.parametrize(
    "text", ["<" * 10_000_000, "eyJ-" * 2_500_000, "<script>" * 1_000_000, "1000.a." * 1_000_000]
)
def test_hostile_bodies_do_not_hold_up_the_process(text: str) -> None:
    started = time.perf_counter()
    sanitize(text)
    assert time.perf_counter() - started < 2


PACKAGE = Path(redaction.__file__).parents[1]


def _texts(source: str) -> list[str]:
    """The string constants of a module, without its docstrings."""
    tree = ast.parse(source)
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings
    ]


def test_our_own_words_are_not_taken_for_secrets() -> None:
    """A colon after "token" would blank out the word after it."""
    texts = [text for path in PACKAGE.rglob("*.py") for text in _texts(path.read_text())]
    assert len(texts) > 1000
    assert [text for text in texts if redact(text) != text] == []
