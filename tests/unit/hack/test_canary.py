"""The scan finds a secret in every usual encoding, and does not print it."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote_plus

import pytest

from tests.kit.canary import assert_no_secrets

SECRET = 'p8e-/"secret" value+1'


@pytest.mark.parametrize(
    "shown",
    [
        SECRET,
        quote_plus(SECRET),
        base64.b64encode(SECRET.encode()).decode(),
        json.dumps({"a": SECRET}),
    ],
)
def test_a_secret_is_found_and_not_repeated(shown: str) -> None:
    with pytest.raises(AssertionError, match="operator log") as failure:
        assert_no_secrets([SECRET], {"operator log": f"before {shown} after", "events": "clean"})
    assert "events" not in str(failure.value).splitlines()[0]
    assert shown not in str(failure.value).splitlines()[0]


def test_a_hash_is_no_secret() -> None:
    assert_no_secrets([SECRET], {"exchange log": "***0123abcd"})


def test_a_scan_for_nothing_fails() -> None:
    with pytest.raises(AssertionError, match="proves nothing"):
        assert_no_secrets([], {"events": ""})
