"""What is sent, and what is read out of an answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from crmflow.clock import Clock
from crmflow.http.client import Answer, Call, HttpClient


def client(handler: Callable[[httpx.Request], httpx.Response], clock: Clock | None = None) -> HttpClient:
    return HttpClient(httpx.MockTransport(handler), clock or Clock())


async def exchange(
    response: httpx.Response, clock: Clock | None = None, **arguments: Any
) -> tuple[httpx.Request, Answer]:
    requests: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return response

    answer = await client(handler, clock).send(
        "S", "o", arguments.pop("method", "POST"), "https://host/path", **arguments
    )
    return requests[0], answer


async def test_json_is_sent_with_its_type() -> None:
    request, answer = await exchange(httpx.Response(201, json={"id": "1"}), json={"a": [1, "ü"]})
    assert request.content == '{"a":[1,"ü"]}'.encode()
    assert request.headers["content-type"] == "application/json"
    assert request.headers["accept"] == "application/json"
    assert request.headers["user-agent"].startswith("crmflow/")
    assert (answer.status, answer.json()) == (201, {"id": "1"})


async def test_a_form_is_sent_with_its_type() -> None:
    request, _ = await exchange(httpx.Response(200), form={"a": "1 &=", "b": "ü"})
    assert request.content == b"a=1+%26%3D&b=%C3%BC"
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"


async def test_headers_of_the_caller_win_over_the_defaults() -> None:
    request, _ = await exchange(
        httpx.Response(200),
        json={},
        headers={"accept": "text/plain", "content-type": "application/json-patch+json"},
    )
    assert request.headers.get_list("accept") == ["text/plain"]
    assert request.headers.get_list("content-type") == ["application/json-patch+json"]


async def test_an_action_has_an_empty_body() -> None:
    request, _ = await exchange(httpx.Response(200), params=[("op", "enable")])
    assert request.headers["content-length"] == "0"
    assert "content-type" not in request.headers
    assert request.url.query == b"op=enable"


async def test_parameters_may_repeat() -> None:
    params = [("property", 'name=="a b"'), ("property", "x>1")]
    request, _ = await exchange(httpx.Response(200), method="GET", params=params)
    assert request.url.params.get_list("property") == ['name=="a b"', "x>1"]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("Fri, 13 Feb 2009 23:31:40 GMT", 10.0),
        ("Fri, 13 Feb 2009 23:31:00 GMT", 0.0),
        ("1.5", 1.5),
        ("9" * 12, 86400.0),
        ("9" * 400, 86400.0),
        ("Fri, 13 Feb 2099 23:31:40 GMT", 86400.0),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("1e3", None),
        ("-5", None),
        ("", None),
        (None, None),
    ],
)
async def test_retry_after(value: str | None, seconds: float | None) -> None:
    class Friday(Clock):
        def now(self) -> float:
            return 1234567890.0

    headers = {} if value is None else {"Retry-After": value}
    _, answer = await exchange(httpx.Response(503, headers=headers), Friday())
    assert answer.retry_after == seconds


async def test_header_names_are_lower_case() -> None:
    _, answer = await exchange(httpx.Response(200, headers={"X-Request-Id": "r"}))
    assert answer.headers["x-request-id"] == "r"


def test_an_answer_does_not_print_what_it_holds() -> None:
    answer = Answer(Call("S", "o", "GET"), 200, {"set-cookie": "secret"}, b'{"access_token": "secret"}')
    assert "secret" not in repr(answer)


class Stopped(Exception):
    """Nothing may be sent any more."""


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_who_may_not_send_sends_nothing(method: str) -> None:
    requests: list[httpx.Request] = []
    seen: list[tuple[object, ...]] = []

    def refuse() -> None:
        raise Stopped

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200)

    http = HttpClient(httpx.MockTransport(answer), Clock(), lambda *call: seen.append(call), may_send=refuse)
    with pytest.raises(Stopped):
        await http.send("S", "o", method, "https://host/path")
    assert (requests, seen) == ([], [])
