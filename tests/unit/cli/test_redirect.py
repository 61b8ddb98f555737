"""Redirect URIs, and the server that waits at them."""

from __future__ import annotations

import asyncio
import socket

import httpx
import pytest

from crmflow.cli import pages
from crmflow.cli.problem import Problem
from crmflow.cli.redirect import DEFAULT_REDIRECT_URI, RedirectServer, RedirectUri
from crmflow.clock import Clock

STATE = "the-state"
CODE = "?code=1000.aaaa.bbbb&state=the-state"


@pytest.mark.parametrize(
    ("text", "addresses", "port", "path"),
    [
        (DEFAULT_REDIRECT_URI, ("127.0.0.1", "::1"), 8917, "/callback"),
        ("http://127.0.0.1:3000/a/b", ("127.0.0.1",), 3000, "/a/b"),
        ("http://[::1]:3000/", ("::1",), 3000, "/"),
        ("http://localhost", ("127.0.0.1", "::1"), 80, "/"),
        ("https://localhost:8443/callback", (), 8443, "/callback"),
        ("https://crm.example.com/callback", (), 80, "/callback"),
        ("http://localhost.example.com:1/callback", (), 1, "/callback"),
    ],
)
def test_where_they_lead(text: str, addresses: tuple[str, ...], port: int, path: str) -> None:
    uri = RedirectUri.parse(text)
    assert (uri.text, uri.addresses, uri.port, uri.path) == (text, addresses, port, path)


@pytest.mark.parametrize(
    "text",
    ["", "localhost:8917/callback", "ftp://localhost/", "http://", "http://localhost:x/", "http://h/#f"],
)
def test_what_is_no_redirect_uri(text: str) -> None:
    with pytest.raises(Problem):
        RedirectUri.parse(text)


@pytest.fixture
def uri() -> RedirectUri:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return RedirectUri.parse(f"http://localhost:{port}/callback")


class Browser:
    """Goes to addresses below the redirect URI."""

    def __init__(self, uri: RedirectUri) -> None:
        self._http = httpx.AsyncClient(trust_env=False, timeout=30)
        self._base = uri.text

    async def get(self, query: str, base: str | None = None) -> httpx.Response:
        return await self._http.get((base or self._base) + query)

    async def head(self, query: str) -> httpx.Response:
        return await self._http.head(self._base + query)


async def test_the_page_waits_for_the_outcome(uri: RedirectUri) -> None:
    browser = Browser(uri)
    async with RedirectServer(uri, STATE) as server:
        page = asyncio.create_task(browser.get(CODE))
        parameters = await server.answer(Clock(), Clock().now() + 30)
        assert parameters == {"code": "1000.aaaa.bbbb", "state": STATE}
        assert not page.done()
        server.show(pages.connected(["All is <well>."]))
    response = await page
    assert response.status_code == 200
    assert "All is &lt;well&gt;." in response.text


async def test_the_page_keeps_nothing_and_sends_nothing_on(uri: RedirectUri) -> None:
    async with RedirectServer(uri, STATE) as server:
        server.show(pages.connected([]))
        response = await Browser(uri).get(CODE)
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "1000.aaaa.bbbb" not in response.text


@pytest.mark.parametrize(
    "query", ["?code=x&state=another", "?code=x", "?error=access_denied&state=another", "", "?code=1&code=2"]
)
async def test_answers_of_others_are_turned_away(uri: RedirectUri, query: str) -> None:
    browser = Browser(uri)
    async with RedirectServer(uri, STATE) as server:
        assert (await browser.get(query)).status_code == 400
        page = asyncio.create_task(browser.get(CODE))
        assert await server.answer(Clock(), Clock().now() + 30) is not None
        server.show("done")
    assert (await page).text == "done"


async def test_the_same_answer_twice(uri: RedirectUri) -> None:
    browser = Browser(uri)
    async with RedirectServer(uri, STATE) as server:
        page = asyncio.create_task(browser.get(CODE))
        await server.answer(Clock(), Clock().now() + 30)
        again = await browser.get(CODE)
        server.show("done")
    assert (await page).text == "done"
    assert (again.status_code, "came before" in again.text) == (409, True)


async def test_looking_ahead_takes_nothing(uri: RedirectUri) -> None:
    browser = Browser(uri)
    async with RedirectServer(uri, STATE) as server:
        assert (await browser.head(CODE)).status_code == 405
        assert (await browser.get("", uri.text.replace("/callback", "/favicon.ico"))).status_code == 404
        assert await server.answer(Clock(), Clock().now()) is None


async def test_whoever_ends_early_says_so(uri: RedirectUri) -> None:
    async with RedirectServer(uri, STATE) as server:
        page = asyncio.create_task(Browser(uri).get(CODE))
        await server.answer(Clock(), Clock().now() + 30)
    assert "The command has ended" in (await page).text


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_another_program_at_either_address(uri: RedirectUri, address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        other = socket.create_server((address, uri.port), family=family)
    except OSError:
        assert address == "::1"  # a machine without IPv6 has nobody there
        return
    with other, pytest.raises(Problem, match=str(uri.port)):
        async with RedirectServer(uri, STATE):
            pass
