"""Which OAuth client asks: the one of the options, else the one of the Secret."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from crmflow.cli.oauth_client import choose
from crmflow.cli.problem import Problem
from crmflow.cli.secret import SecretContents
from crmflow.observability.redaction import redact

HELD = SecretContents({"clientId": SecretStr("held-id"), "clientSecret": SecretStr("held-secret")})


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "secret"
    path.write_text("given-secret\n")
    return str(path)


def chosen(client_id: str | None, secret_file: str | None, stored: SecretContents | None) -> tuple[str, str]:
    client = choose(client_id, secret_file, stored, "zoho-oauth")
    assert client.secret.get_secret_value() not in repr(client)
    assert client.secret.get_secret_value() not in redact(f"it is {client.secret.get_secret_value()}")
    return client.id, client.secret.get_secret_value()


def test_from_the_secret() -> None:
    assert chosen(None, None, HELD) == ("held-id", "held-secret")


def test_options_win(file: str) -> None:
    assert chosen("given-id", file, HELD) == ("given-id", "given-secret")
    assert chosen("given-id", file, None) == ("given-id", "given-secret")
    assert chosen(None, file, HELD) == ("held-id", "given-secret")


def test_the_same_id_keeps_its_secret() -> None:
    assert chosen("held-id", None, HELD) == ("held-id", "held-secret")


def test_another_id_does_not_get_the_stored_secret() -> None:
    with pytest.raises(Problem, match="no usable clientSecret"):
        chosen("given-id", None, HELD)


@pytest.mark.parametrize("stored", [None, SecretContents({})])
def test_nothing_is_known(stored: SecretContents | None, file: str) -> None:
    with pytest.raises(Problem) as caught:
        chosen(None, file, stored)
    assert "--client-id" in caught.value.advice


def test_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("piped-secret\nmore\n"))
    assert chosen("given-id", "-", None) == ("given-id", "piped-secret")


def test_a_file_that_can_not_be_used(tmp_path: Path) -> None:
    empty, binary = tmp_path / "empty", tmp_path / "binary"
    empty.write_text("\n")
    binary.write_bytes(b"\xff\xfe")
    for path in (empty, binary, tmp_path / "missing"):
        with pytest.raises(Problem, match=r"client secret"):
            chosen("given-id", str(path), None)
