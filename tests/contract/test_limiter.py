"""The operator's own client against the emulator's limits: it asks no more once it was told to wait."""

from __future__ import annotations

import httpx
import pytest
from pydantic import SecretStr

from crmflow.aep.client import PlatformClient
from crmflow.aep.collection import OfSpec
from crmflow.aep.flow_service import FLOWS
from crmflow.aep.gateway import Gateway
from crmflow.clock import Clock
from crmflow.http.client import HttpClient
from crmflow.http.errors import RemoteError
from crmflow.http.limiter import Limiter
from tests.contract.aep import Aep
from tests.contract.test_aep_switches import turn
from tests.emulators.aep import seed_data as ids
from tests.emulators.core.server import Emulators

LIMIT = 5


class EmulatedTime(Clock):
    """The emulators' time."""

    def __init__(self, emulators: Emulators) -> None:
        super().__init__()
        self._emulated = emulators.clock

    def now(self) -> float:
        return self._emulated.now()


class Tokens:
    """The token that the test has logged in with."""

    def __init__(self, value: str) -> None:
        self._value = SecretStr(value)

    async def get(self) -> SecretStr:
        return self._value

    def reject(self, token: SecretStr) -> None:
        raise AssertionError("the token is valid")


class Client:
    """PlatformClient with a limiter, and what it sent."""

    def __init__(self, emulators: Emulators, aep: Aep, http: httpx.AsyncBaseTransport) -> None:
        self.emulators = emulators
        self.clock = EmulatedTime(emulators)
        self.limiter = Limiter(self.clock)
        self.outcomes: list[str] = []
        gateway = Gateway(
            HttpClient(
                http, self.clock, lambda _service, _operation, status, _: self.outcomes.append(status)
            ),
            emulators.platform_url,
            ids.ORGANIZATION,
            "prod",
            ids.CLIENT_ID,
            Tokens(aep.token),
            self.limiter.turn,
        )
        self.platform = PlatformClient(gateway)

    async def list_flows(self) -> RemoteError | None:
        """List; the refusal, if it is one."""
        try:
            await self.platform.list(FLOWS, OfSpec("any"))
        except RemoteError as error:
            return error
        return None


@pytest.mark.parametrize("form", ["seconds", "date", "absent"])
async def test_a_client_that_was_told_to_wait_waits(aep: Aep, emulators: Emulators, form: str) -> None:
    turn(aep, rateLimitPerMinute=LIMIT, retryAfter=form)
    async with httpx.AsyncHTTPTransport() as http:
        client = Client(emulators, aep, http)
        refusals = [await client.list_flows() for _ in range(LIMIT + 1)]
        assert refusals[:LIMIT] == [None] * LIMIT
        assert refusals[LIMIT] is not None
        assert client.outcomes == ["200"] * LIMIT + ["429"]

        held_until = client.clock.now() + (refusals[LIMIT].retry_after or 0.0)
        if form != "absent":
            for _ in range(20):
                refused = await client.list_flows()
                assert refused is not None
                assert (refused.reason, refused.maybe_applied) == ("RateLimited", False)
            assert client.outcomes.count("429") == 1, "nothing is sent while it is held back"
            assert held_until > client.clock.now()

        emulators.clock.advance(62)
        assert await client.list_flows() is None
