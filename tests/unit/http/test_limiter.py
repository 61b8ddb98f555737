"""The pace of a credential, on a clock that the tests move."""

from __future__ import annotations

import asyncio

import pytest

from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.http.limiter import (
    FIRST_RATE,
    GROWTH,
    HOLD_SECONDS,
    LEAST_RATE,
    LONGEST_HOLD_SECONDS,
    PATIENCE_SECONDS,
    Limiter,
)
from tests.unit.runtime.fakes import JumpingClock, settle


class Service:
    """A service behind a limiter; refuses when told to."""

    def __init__(self) -> None:
        self.clock = JumpingClock()
        self.waits: list[float] = []
        self.limiter = Limiter(self.clock, self.waits.append)
        self.sent = 0

    async def ask(self, error: RemoteError | None = None) -> None:
        async with self.limiter.turn("FlowService", "flows.list"):
            self.sent += 1
            if error is not None:
                raise error

    async def refuse(self, retry_after: float | None = None) -> None:
        with pytest.raises(RemoteError):
            await self.ask(refusal(retry_after))

    async def held_for(self) -> float:
        """How long it holds requests back at present; 0 if it does not."""
        sent = self.sent
        [error] = await asyncio.gather(self.ask(), return_exceptions=True)
        if error is None:
            return 0.0
        assert isinstance(error, RemoteError)
        assert (error.error_class, error.reason) == (ErrorClass.TRANSIENT, "RateLimited")
        assert not error.maybe_applied
        assert self.sent == sent, "a request that is held back is not sent"
        return error.retry_after or 0.0


def refusal(retry_after: float | None = None, reason: str = "RateLimited") -> RemoteError:
    return RemoteError(
        "FlowService", "flows.list", ErrorClass.TRANSIENT, reason, "busy", retry_after=retry_after
    )


@pytest.fixture
def service() -> Service:
    return Service()


async def test_nothing_is_held_back_before_the_first_refusal(service: Service) -> None:
    await asyncio.gather(*(service.ask() for _ in range(500)))
    assert service.sent == 500
    assert set(service.waits) == {0.0}
    assert service.limiter.rate is None


async def test_retry_after_holds_every_request_of_the_credential(service: Service) -> None:
    await service.refuse(retry_after=30)
    assert await service.held_for() == 30
    service.clock.jump(29)
    waiting = asyncio.create_task(service.ask())  # one second is waited for
    await settle()
    assert not waiting.done()
    service.clock.jump(1)
    await waiting
    assert service.waits[-1] == 1.0


async def test_a_refusal_without_retry_after_is_answered_with_growing_pauses(service: Service) -> None:
    first, longest = HOLD_SECONDS
    await service.refuse()
    for number in range(10):
        sent, began = service.sent, service.clock.now()
        while service.sent == sent:  # ask until it is let through, to be refused again
            asking = asyncio.create_task(service.refuse())
            await settle()
            service.clock.jump(PATIENCE_SECONDS)
            await asking
        pause = min(longest, first * 2**number)
        assert pause * 0.5 <= service.clock.now() - began <= pause + 2 * PATIENCE_SECONDS


async def test_each_refusal_halves_the_rate_and_time_without_one_raises_it(service: Service) -> None:
    rates = []
    for _ in range(12):
        await service.refuse(retry_after=1)
        rates.append(service.limiter.rate)
        service.clock.jump(20)
    assert rates[:3] == [FIRST_RATE, FIRST_RATE / 2, FIRST_RATE / 4]
    assert rates[-1] == LEAST_RATE

    await service.ask()
    assert service.limiter.rate == pytest.approx(LEAST_RATE + GROWTH * 10)
    for _ in range(200):
        service.clock.jump(10)
        await service.ask()
    assert service.limiter.rate is None


async def test_refusals_of_requests_that_were_under_way_count_once(service: Service) -> None:
    answer = asyncio.Event()

    async def ask() -> None:
        async with service.limiter.turn("FlowService", "flows.list"):
            await answer.wait()
            raise refusal(30)

    asking = [asyncio.create_task(ask()) for _ in range(20)]
    await settle()
    service.clock.jump(1)
    answer.set()
    await asyncio.gather(*asking, return_exceptions=True)
    assert service.limiter.rate == FIRST_RATE


async def test_at_a_learned_rate_requests_are_spread_evenly(service: Service) -> None:
    await service.refuse(retry_after=1)
    service.clock.jump(1)
    asking = [asyncio.create_task(service.ask()) for _ in range(20)]
    sent_by = []
    for _ in range(20):
        await settle()
        sent_by.append(service.sent - 1)
        service.clock.jump(1 / FIRST_RATE + 1e-6)
    await asyncio.gather(*asking)
    assert sent_by == list(range(1, 21))


async def test_who_would_wait_long_is_sent_away(service: Service) -> None:
    await service.refuse(retry_after=1)
    service.clock.jump(1)
    most = int(PATIENCE_SECONDS * FIRST_RATE) + 1
    asking = [asyncio.create_task(service.ask()) for _ in range(most + 30)]
    await settle()
    sent_away = [task for task in asking if task.done() and task.exception() is not None]
    assert 29 <= len(sent_away) <= 31
    for task in asking:
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)


async def test_a_refusal_reaches_those_who_are_waiting_already(service: Service) -> None:
    await service.refuse(retry_after=1)
    service.clock.jump(1)
    refused = asyncio.Event()

    async def ask() -> None:
        async with service.limiter.turn("FlowService", "flows.list"):
            await refused.wait()
            raise refusal(60)

    asking = asyncio.create_task(ask())
    await settle()
    waiting = asyncio.create_task(service.ask())
    await settle()
    refused.set()
    await settle()
    service.clock.jump(1)
    await settle()
    for task in (asking, waiting):
        assert isinstance(task.exception(), RemoteError)
    assert service.sent == 1, "the one that waited was never sent"


async def test_an_unavailable_service_that_names_a_time_is_given_it(service: Service) -> None:
    with pytest.raises(RemoteError):
        await service.ask(refusal(20, "Unavailable"))
    assert await service.held_for() == 20
    assert service.limiter.rate is None


@pytest.mark.parametrize(
    "error",
    [
        refusal(None, "Unavailable"),
        RemoteError("FlowService", "flows.get", ErrorClass.NOT_FOUND, "NotFound", "no such flow"),
        RemoteError(
            "FlowService", "flows.get", ErrorClass.TERMINAL, "PermissionDenied", "no", retry_after=60
        ),
    ],
    ids=["unavailable", "not found", "refused for good"],
)
async def test_other_failures_hold_nothing_back(service: Service, error: RemoteError) -> None:
    with pytest.raises(RemoteError):
        await service.ask(error)
    assert await service.held_for() == 0


async def test_an_absurd_retry_after_is_asked_about_again(service: Service) -> None:
    await service.refuse(retry_after=1e12)
    assert await service.held_for() == LONGEST_HOLD_SECONDS
