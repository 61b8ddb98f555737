"""What becomes of a refresh token when something fails after the exchange."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import httpx
import pytest
from pydantic import SecretStr

from crmflow.cli.api_server import UnansweredError
from crmflow.cli.destination import Destination
from crmflow.cli.exchange import Exchange
from crmflow.cli.oauth_client import OAuthClient
from crmflow.cli.problem import Problem
from crmflow.cli.zoho import ZohoClients
from crmflow.clock import Clock
from crmflow.http.client import HttpClient
from crmflow.http.errors import RemoteError
from crmflow.zoho.accounts import ZohoAccounts
from crmflow.zoho.crm import ZohoCRM
from crmflow.zoho.datacenters import ZohoEndpoints
from crmflow.zoho.grants import ZohoGrants
from crmflow.zoho.scopes import DEFAULT_SCOPES
from tests.unit.cli.connections import connection

CONNECTION = connection()
CODE = SecretStr("1000.eeee.ffff")
TOKENS = {
    "access_token": "1000.aaaa.bbbb",
    "refresh_token": "1000.cccc.dddd",
    "scope": " ".join(DEFAULT_SCOPES),
    "expires_in": 3600,
}
ORGANIZATION = {"id": "1", "zgid": "2", "company_name": "Nordlicht", "type": "production"}


class FakeZoho:
    """Answers each path with one body, and notes which were asked."""

    def __init__(self, **answers: Any) -> None:
        self.asked: list[str] = []
        self._answers = {
            "token": TOKENS,
            "revoke": {"status": "success"},
            "org": {"org": [ORGANIZATION]},
            "users": {"users": [{"id": "3"}]},
            **answers,
        }
        clock, endpoints = Clock(), ZohoEndpoints()
        http = HttpClient(httpx.MockTransport(self._answer), clock)
        self.clients = ZohoClients(
            endpoints,
            ZohoAccounts(http, endpoints, clock),
            ZohoGrants(http, endpoints, clock),
            ZohoCRM(http, endpoints),
            clock,
        )

    def _answer(self, request: httpx.Request) -> httpx.Response:
        name = request.url.path.rsplit("/", 1)[-1]
        self.asked.append(name)
        return httpx.Response(200, json=self._answers[name])


class FakeDestination:
    """Takes the refresh token, or fails."""

    def __init__(self, failure: BaseException | None = None) -> None:
        self._failure = failure
        self.delivered: list[str] = []

    async def deliver(self, client: OAuthClient, refresh_token: SecretStr) -> str:
        if self._failure is not None:
            raise self._failure
        self.delivered.append(refresh_token.get_secret_value())
        return "It is there."


def exchange(zoho: FakeZoho, destination: FakeDestination) -> Exchange:
    client = OAuthClient("1000.ID", SecretStr("client-secret-value"))
    return Exchange(CONNECTION, client, cast(Destination, destination), zoho.clients, DEFAULT_SCOPES)


async def test_all_is_well() -> None:
    zoho, destination = FakeZoho(), FakeDestination()
    told = await exchange(zoho, destination).complete(CODE, None)
    assert told[1] == "It is there."
    assert destination.delivered == ["1000.cccc.dddd"]
    assert zoho.asked == ["token", "org", "users"]


async def test_a_grant_that_does_not_fit_is_revoked_and_not_delivered() -> None:
    zoho, destination = FakeZoho(org={"org": [ORGANIZATION | {"type": "sandbox"}]}), FakeDestination()
    with pytest.raises(Problem, match="sandbox"):
        await exchange(zoho, destination).complete(CODE, None)
    assert destination.delivered == []
    assert zoho.asked[-1] == "revoke"


@pytest.mark.parametrize("failure", [Problem("forbidden"), BrokenPipeError(), ValueError()])
async def test_a_delivery_that_failed_revokes(failure: Exception) -> None:
    zoho = FakeZoho()
    with pytest.raises(type(failure)):
        await exchange(zoho, FakeDestination(failure)).complete(CODE, None)
    assert zoho.asked[-1] == "revoke"


@pytest.mark.parametrize("failure", [UnansweredError("no answer"), asyncio.CancelledError()])
async def test_a_delivery_that_may_have_worked_does_not(failure: BaseException) -> None:
    """The Secret may hold it already: revoking would take a good token away."""
    zoho = FakeZoho()
    with pytest.raises(Problem, match="nobody knows"):
        await exchange(zoho, FakeDestination(failure)).complete(CODE, None)
    assert "revoke" not in zoho.asked


async def test_a_token_that_could_not_be_revoked_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    zoho = FakeZoho(revoke={"status": "failure"})
    with pytest.raises(Problem):
        await exchange(zoho, FakeDestination(Problem("forbidden"))).complete(CODE, None)
    said = capsys.readouterr().err
    assert "could not be revoked" in said
    assert "Connected Apps" in said
    assert "1000." not in said


async def test_an_exchange_that_failed_leaves_nothing_to_revoke() -> None:
    zoho = FakeZoho(token={"error": "invalid_code"})
    with pytest.raises(RemoteError):
        await exchange(zoho, FakeDestination()).complete(CODE, None)
    assert zoho.asked == ["token"]
