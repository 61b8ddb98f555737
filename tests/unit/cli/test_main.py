"""What a failure that nobody foresaw looks like."""

from __future__ import annotations

import io
import sys

import pytest

from crmflow.cli import __main__ as entry
from crmflow.cli.problem import Problem, sentence
from crmflow.cli.redacted import RedactedStream
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.observability.redaction import register

CODE = "1000.0123456789abcdef.0123456789abcdef"


def failing_with(error: Exception, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)

    def app(**_: object) -> None:
        raise error

    monkeypatch.setattr("crmflow.cli.main.app", app)
    status = entry.main()
    return status, stream.getvalue()


def test_a_traceback_is_shown_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    register("a-registered-value")
    error = ValueError(f"unexpected {CODE} and a-registered-value")
    status, text = failing_with(error, monkeypatch)
    assert status == 1
    assert "Traceback" in text
    assert "Please report it" in text
    assert CODE not in text
    assert "a-registered-value" not in text


@pytest.mark.parametrize(
    "error",
    [
        Problem("something is wrong", "do that"),
        RemoteError(
            "ZohoAccounts", "exchange", ErrorClass.TERMINAL, "X", "something is wrong", advice="do that"
        ),
    ],
)
def test_what_was_foreseen_is_two_sentences(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    assert failing_with(error, monkeypatch) == (1, "error: Something is wrong.\nDo that.\n")


@pytest.mark.parametrize(
    ("text", "whole"), [("a b", "A b."), ("Ends!", "Ends!"), ("Really?", "Really?"), ("", "")]
)
def test_sentences(text: str, whole: str) -> None:
    assert sentence(text) == whole


def test_the_stream_passes_everything_else_on() -> None:
    inner = io.StringIO()
    stream = RedactedStream(inner)
    assert stream.write("plain ü\n") == 8
    stream.flush()
    assert inner.getvalue() == "plain ü\n"
    assert (stream.isatty(), stream.writable()) == (False, True)
