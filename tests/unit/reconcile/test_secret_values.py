"""Values of a Secret that are not what they look like."""

from __future__ import annotations

import base64
import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from crmflow.reconcile.credentials import PlatformCredentials, ZohoCredentials
from crmflow.reconcile.secret_values import InvalidValuesError, impossible, suspicious

TOKEN = "1000.8cb99dxxxxxxxxxxxxx9be93.9b8xxxxxxxxxxxxxxxf".replace("x", "a")
CLIENT_ID = "1000.GMB0YULZHJK411248S8I5GZ4CHUEX0"
CLIENT_SECRET = "122c324d3496d5d777ceeebc129470715fbb856b7a"
ADOBE_ID = "4f1b5c0d9e8a4c7bb2a1d0e9f8c7b6a5"
ADOBE_SECRET = "p8e-SzCMZxMnrnK27PbP7mDwTZh9Ua1Bc2De"
VALUES = (TOKEN, CLIENT_ID, CLIENT_SECRET, ADOBE_ID, ADOBE_SECRET)


def as_stored(raw: bytes) -> str:
    """As the value of a Secret is decoded."""
    return raw.decode(errors="replace")


IMPOSSIBLE = [
    ("byte order mark", lambda v: as_stored(b"\xef\xbb\xbf" + v.encode())),
    ("UTF-16", lambda v: as_stored(v.encode("utf-16"))),
    ("UTF-16", lambda v: as_stored(b"\xfe\xff" + v.encode("utf-16-be"))),
    ("UTF-16", lambda v: as_stored(v.encode("utf-16-le"))),
    ("UTF-16", lambda v: as_stored((v + "\r\n").encode("utf-16"))),
    ("no text in UTF-8", lambda v: as_stored(v.encode() + b"\xe4")),
    ("U+200B (ZERO WIDTH SPACE)", lambda v: v + "\u200b"),
    ("U+200B (ZERO WIDTH SPACE)", lambda v: f"{v[:9]}\u200b{v[9:]}\n"),
    ("U+00AD (SOFT HYPHEN)", lambda v: f"{v[:9]}\u00ad{v[9:]}"),
    ("U+202C (POP DIRECTIONAL FORMATTING)", lambda v: f"{v}\u202c"),
    ("U+FEFF", lambda v: f"{v}\ufeff"),
    ("several lines", lambda v: f"{v[:9]}\n{v[9:]}"),
    ("several lines", lambda v: f"{v}\r\nclientId={v}"),
    ("control character U+0009", lambda v: f"{v[:9]}\t{v[9:]}"),
    ("U+2013 (EN DASH)", lambda v: f"{v[:9]}\u2013{v[9:]}"),
    ("U+201C (LEFT DOUBLE QUOTATION MARK)", lambda v: f"\u201c{v}\u201d"),
    ("U+00A0 (NO-BREAK SPACE)", lambda v: f"{v[:9]}\u00a0{v[9:]}"),
    ("JSON object", lambda v: json.dumps({"client_id": v})),
    ("JSON object", lambda v: "\ufeff" + json.dumps({"installed": {"client_secret": v}}, indent=2)),
]
SUSPICIOUS = [
    ("quotes", lambda v: f'"{v}"'),
    ("quotes", lambda v: f"'{v}'\n"),
    ("a comma", lambda v: f'"{v}",'),
    ("a comma", lambda v: f"{v};"),
    ("\\n", lambda v: f"{v}\\n"),
    ("base64 twice", lambda v: base64.b64encode(v.encode()).decode()),
    ("base64 twice", lambda v: base64.b64encode(f"{v}\n".encode()).decode() + "\n"),
    ("a name in front", lambda v: f"clientSecret={v}"),
    ("a name in front", lambda v: f"CLIENT_SECRET={v}"),
    ("a name in front", lambda v: f"export ZOHO_REFRESH_TOKEN={v}"),
    ("a name in front", lambda v: f"refresh_token: {v}"),
    ("a name in front", lambda v: f"Bearer {v}"),
    ("white space inside", lambda v: f"{v[:9]} {v[9:]}"),
    ("placeholder", lambda v: "${ZOHO_CLIENT_SECRET}"),
    ("placeholder", lambda v: "<path:secret/zoho#clientSecret>"),
    ("placeholder", lambda v: "{{ .Values.secret }}"),
]


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize(("what", "spoil"), IMPOSSIBLE)
def test_what_cannot_be_right_is_named_without_the_value(what, spoil, value: str) -> None:  # type: ignore[no-untyped-def]
    flaw = impossible("clientSecret", spoil(value))
    assert flaw is not None
    assert str(flaw).startswith("clientSecret ")
    assert what in str(flaw)
    assert flaw.fix
    assert value not in str(flaw)


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize(("what", "spoil"), SUSPICIOUS)
def test_what_only_looks_odd_is_possible(what, spoil, value: str) -> None:  # type: ignore[no-untyped-def]
    assert impossible("clientSecret", spoil(value)) is None
    flaw = suspicious("clientSecret", spoil(value))
    assert flaw is not None
    assert what in str(flaw)
    assert value not in str(flaw)


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("around", ["{}", "{}\n", " {}", "\t{}\r\n", "\u00a0{}\u00a0"])
def test_what_is_issued_is_neither(value: str, around: str) -> None:
    assert impossible("key", around.format(value)) is None
    assert suspicious("key", around.format(value)) is None


@given(st.text(alphabet=string.printable[:94], min_size=1))
def test_no_value_of_printable_ascii_is_refused_unless_it_is_an_object(value: str) -> None:
    flaw = impossible("key", value)
    assert flaw is None or "JSON object" in flaw.what


@given(st.text())
def test_whatever_is_refused_is_no_printable_ascii_or_an_object(value: str) -> None:
    text = value.strip()
    odd = any(not c.isascii() or not c.isprintable() for c in text)
    assert (impossible("key", value) is not None) is (
        odd or (text.startswith("{") and text.endswith("}") and _is_object(text))
    )


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def secret(data: dict[str, str]) -> dict[str, SecretStr]:
    return {key: SecretStr(value) for key, value in data.items()}


ZOHO = {"clientId": CLIENT_ID, "clientSecret": CLIENT_SECRET, "refreshToken": TOKEN}
ADOBE = {"clientId": ADOBE_ID, "clientSecret": ADOBE_SECRET}


@pytest.mark.parametrize("key", ["clientId", "clientSecret", "refreshToken"])
def test_each_key_of_zohos_secret_is_looked_at(key: str) -> None:
    with pytest.raises(InvalidValuesError) as raised:
        ZohoCredentials.from_secret(secret({**ZOHO, key: f"\ufeff{ZOHO[key]}"}))
    assert [flaw.key for flaw in raised.value.flaws] == [key]
    odd = ZohoCredentials.from_secret(secret({**ZOHO, key: f'"{ZOHO[key]}"'}))
    assert [flaw.key for flaw in odd.suspicions] == [key]
    assert ZohoCredentials.from_secret(secret(ZOHO)).suspicions == ()


def test_a_grant_token_is_looked_at_too() -> None:
    data = {**ZOHO, "refreshToken": "", "grantToken": f"{TOKEN}\u200b"}
    with pytest.raises(InvalidValuesError) as raised:
        ZohoCredentials.from_secret(secret(data))
    assert [flaw.key for flaw in raised.value.flaws] == ["grantToken"]


@pytest.mark.parametrize("key", ["clientId", "clientSecret", "scopes"])
def test_each_key_of_adobes_secret_is_looked_at(key: str) -> None:
    data = {**ADOBE, "scopes": "openid,AdobeID"}
    with pytest.raises(InvalidValuesError) as raised:
        PlatformCredentials.from_secret(secret({**data, key: f"\ufeff{data[key]}"}))
    assert [flaw.key for flaw in raised.value.flaws] == [key]
    assert PlatformCredentials.from_secret(secret({**data, "scopes": "openid,\n AdobeID"})).suspicions == ()


def test_all_values_that_cannot_be_right_are_named_at_once() -> None:
    with pytest.raises(InvalidValuesError) as raised:
        ZohoCredentials.from_secret(secret({key: f"\ufeff{value}" for key, value in ZOHO.items()}))
    assert [flaw.key for flaw in raised.value.flaws] == ["clientId", "clientSecret", "refreshToken"]
    assert TOKEN not in str(raised.value)


def test_further_parameters_may_be_anything() -> None:
    data = {**ZOHO, "authParams.note": "f\u00fcr \u2013 alles", "authParams.pem": "-----\nabc\n-----"}
    assert set(ZohoCredentials.from_secret(secret(data)).auth_params) == {"note", "pem"}
