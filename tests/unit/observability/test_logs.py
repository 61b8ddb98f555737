"""What a log line looks like, and that no secret gets into one, however it came into the record."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import pytest

from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.observability import logs, redaction
from crmflow.observability.redaction import register

SECRET = "s3cr3t-of-the-client"
AWKWARD = 'pa"ss\\wörd–漢'
TOKEN = "1000.0123456789abcdef0123456789abcdef.fedcba9876543210fedcba9876543210"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJpZCI6IjE2NjY2In0.c2lnbmF0dXJl"


class Capture(Protocol):
    """Configures logging in a format, and hands out what it writes."""

    def __call__(self, log_format: str, level: str = "INFO") -> io.StringIO: ...


@pytest.fixture(autouse=True)
def _nothing_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_registered", type(redaction._registered)())


@pytest.fixture
def capture(monkeypatch: pytest.MonkeyPatch) -> Iterator[Capture]:
    """Configure logging in a format, and hand out what it writes; afterwards all is as it was."""
    root = logging.getLogger()
    before = (list(root.handlers), root.level)
    levels = {name: logging.getLogger(name).level for name in logs.QUIET}

    def configure(log_format: str, level: str = "INFO") -> io.StringIO:
        stream = io.StringIO()
        monkeypatch.setattr(sys, "stderr", stream)
        logs.configure(log_format, level)
        return stream

    yield configure
    root.handlers[:], root.level = before[0], before[1]
    for name, value in levels.items():
        logging.getLogger(name).setLevel(value)


def test_json_is_one_object_a_line(capture: Capture) -> None:
    stream = capture("json")
    logging.getLogger("crmflow.test").warning(
        "two\nlines of %s", "text", extra={"object": "CRMDataflow/crm/contacts", "step": "settle"}
    )
    logging.getLogger("crmflow.test").info("second")
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert first["event"] == "two\nlines of text"
    assert (first["level"], first["logger"]) == ("warning", "crmflow.test")
    assert (first["object"], first["step"]) == ("CRMDataflow/crm/contacts", "settle")
    assert first["timestamp"].endswith("Z")
    assert second["event"] == "second"


def test_text_is_for_people_and_has_no_colors(capture: Capture) -> None:
    stream = capture("text")
    logging.getLogger("crmflow.test").warning("a line", extra={"step": "settle"})
    line = stream.getvalue()
    assert "a line" in line
    assert "warning" in line
    assert "step=settle" in line
    assert "\x1b" not in line


def test_a_trace_is_a_field_of_its_record(capture: Capture) -> None:
    stream = capture("json")
    try:
        raise ValueError("broken")
    except ValueError:
        logging.getLogger("crmflow.test").exception("failed")
    [line] = stream.getvalue().splitlines()
    assert "ValueError: broken" in json.loads(line)["exception"]
    assert "Traceback" in json.loads(line)["exception"]


def test_the_level_holds_and_only_one_handler_is_left(capture: Capture) -> None:
    capture("json")
    stream = capture("json", "WARNING")
    logging.getLogger("crmflow.test").info("unheard")
    logging.getLogger("crmflow.test").warning("heard")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["heard"]


@pytest.mark.parametrize("name", logs.QUIET)
def test_chatty_libraries_are_heard_only_when_they_warn(capture: Capture, name: str) -> None:
    stream = capture("json", "DEBUG")
    logger = logging.getLogger(f"{name}.inner")
    logger.debug("chatter")
    logger.info("chatter")
    logger.warning("trouble")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["trouble"]


def _message(secret: str) -> None:
    logging.getLogger("t").info(f"it is {secret}")


def _argument(secret: str) -> None:
    logging.getLogger("t").info("it is %s", secret)


def _argument_in_a_dict(secret: str) -> None:
    logging.getLogger("t").info("it is %s", {"body": [secret]})


def _extra(secret: str) -> None:
    logging.getLogger("t").info("it", extra={"body": secret})


def _nested_extra(secret: str) -> None:
    logging.getLogger("t").info("it", extra={"body": {"inner": [secret]}})


def _exception(secret: str) -> None:
    try:
        raise ValueError(f"refused {secret}")
    except ValueError:
        logging.getLogger("t").exception("failed")


def _chained_exception(secret: str) -> None:
    try:
        try:
            raise KeyError(secret)
        except KeyError as error:
            raise RuntimeError("outer") from error
    except RuntimeError:
        logging.getLogger("t").exception("failed")


WAYS = [_message, _argument, _argument_in_a_dict, _extra, _nested_extra, _exception, _chained_exception]


@pytest.mark.parametrize("log_format", ["json", "text"])
@pytest.mark.parametrize("way", WAYS, ids=[way.__name__.strip("_") for way in WAYS])
@pytest.mark.parametrize("secret", [SECRET, AWKWARD], ids=["plain", "with characters that are escaped"])
def test_a_registered_secret_never_gets_out(
    capture: Capture, log_format: str, way: Callable[[str], Any], secret: str
) -> None:
    stream = capture(log_format)
    register(secret)
    way(secret)
    out = stream.getvalue()
    assert out
    for shown in (
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret),
    ):
        assert shown not in out
    assert redaction.MASK in out


@pytest.mark.parametrize("log_format", ["json", "text"])
@pytest.mark.parametrize("way", WAYS, ids=[way.__name__.strip("_") for way in WAYS])
@pytest.mark.parametrize("secret", [TOKEN, JWT, f"Bearer {JWT}"], ids=["Zoho token", "JWT", "header"])
def test_what_is_shaped_like_a_token_never_gets_out(
    capture: Capture, log_format: str, way: Callable[[str], Any], secret: str
) -> None:
    stream = capture(log_format)
    way(secret)
    assert stream.getvalue()
    for part in (TOKEN, JWT, JWT.rpartition(".")[0]):
        assert part not in stream.getvalue()


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_a_value_under_a_secrets_name_never_gets_out(capture: Capture, log_format: str) -> None:
    stream = capture(log_format)
    body = {"items": [{"clientSecret": "hunter2", "name": "visible"}]}
    logging.getLogger("t").info("it", extra={"body": body, "refresh_token": "hunter2"})
    assert "hunter2" not in stream.getvalue()
    assert "visible" in stream.getvalue()


@pytest.mark.parametrize("way", WAYS, ids=[way.__name__.strip("_") for way in WAYS])
def test_a_redacted_json_line_is_still_json(capture: Capture, way: Callable[[str], Any]) -> None:
    stream = capture("json")
    register(SECRET)
    way(SECRET)
    way(f"Bearer {JWT}")
    way(f'client_secret="{SECRET}"')
    for line in stream.getvalue().splitlines():
        assert json.loads(line)["logger"] == "t"


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_status_and_code_of_a_refused_token_stay(capture: Capture, log_format: str) -> None:
    stream = capture(log_format)
    error = RemoteError(
        "IMS",
        "token",
        ErrorClass.TERMINAL,
        "PlatformCredentialsRejected",
        "Adobe does not accept the client id or secret",
        status=400,
        code="invalid_client",
    )
    logging.getLogger("t").warning("%s", error)
    logging.getLogger("t").warning("IMS token: answered %d %s", 400, "invalid_client")
    assert "IMS token: 400 invalid_client: Adobe does not accept" in stream.getvalue()
    assert "IMS token: answered 400 invalid_client" in stream.getvalue()
    assert redaction.MASK not in stream.getvalue()


async def test_what_is_worked_on_is_named_in_every_record_meanwhile(capture: Capture) -> None:
    stream = capture("json")
    logger = logging.getLogger("crmflow.test")

    async def call() -> None:
        logger.info("called")

    with logs.context(object="CRMDataflow/crm/contacts"):
        with logs.context(step="settle"):
            await asyncio.gather(call())
            logger.info("own", extra={"step": "another"})
        logger.info("between")
    logger.info("after")
    found = [
        (record["event"], record.get("object"), record.get("step"))
        for record in map(json.loads, stream.getvalue().splitlines())
    ]
    assert found == [
        ("called", "CRMDataflow/crm/contacts", "settle"),
        ("own", "CRMDataflow/crm/contacts", "another"),
        ("between", "CRMDataflow/crm/contacts", None),
        ("after", None, None),
    ]
