"""Access tokens: one refresh at a time, in good time, and no more than the service allows."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from pydantic import SecretStr

from crmflow.runtime.tokens import REJECTION_PAUSE_SECONDS, FreshToken, Held
from crmflow.transport.errors import ErrorClass, RemoteError
from tests.unit.reconcile.fakes import remote_error
from tests.unit.runtime.fakes import START, JumpingClock, settle

LIFE = 3600.0


@dataclass(frozen=True)
class Token:
    """What a service issued."""

    value: SecretStr
    issued_at: float
    expires_at: float


class Service:
    """Issues numbered tokens, once it is let; keeps the last one for the next process."""

    def __init__(self, clock: JumpingClock) -> None:
        self.clock = clock
        self.issued = 0
        self.asked = 0
        self.error: RemoteError | None = None
        self.open = asyncio.Event()
        self.open.set()
        self.kept: list[Held[Token]] = []

    async def stored(self) -> Held[Token] | None:
        return self.kept[-1] if self.kept else None

    async def keep(self, held: Held[Token]) -> None:
        self.kept.append(held)

    async def fetch(self) -> Token:
        self.asked += 1
        now = self.clock.now()
        await self.open.wait()
        if self.error is not None:
            raise self.error
        self.issued += 1
        return Token(SecretStr(f"token-{self.issued}"), now, now + LIFE)


@pytest.fixture
def clock() -> JumpingClock:
    return JumpingClock()


@pytest.fixture
def service(clock: JumpingClock) -> Service:
    return Service(clock)


@pytest.fixture
def fresh(service: Service, clock: JumpingClock) -> FreshToken[Token]:
    return FreshToken(service, clock)


async def value(fresh: FreshToken[Token]) -> str:
    return (await fresh.get()).get_secret_value()


async def test_fifty_callers_share_one_refresh(service: Service, fresh: FreshToken[Token]) -> None:
    service.open.clear()
    callers = [asyncio.create_task(value(fresh)) for _ in range(50)]
    await settle()
    assert service.asked == 1
    service.open.set()
    assert set(await asyncio.gather(*callers)) == {"token-1"}
    assert service.asked == 1


async def test_a_caller_that_is_cancelled_does_not_take_the_others_along(
    service: Service, fresh: FreshToken[Token]
) -> None:
    service.open.clear()
    callers = [asyncio.create_task(value(fresh)) for _ in range(3)]
    await settle()
    callers[0].cancel()
    await settle()
    service.open.set()
    assert await asyncio.gather(*callers[1:]) == ["token-1", "token-1"]


async def test_a_token_is_refreshed_at_about_two_thirds_of_its_life(
    service: Service, clock: JumpingClock
) -> None:
    for _ in range(40):
        service.kept.clear()
        fresh = FreshToken(service, clock)
        first = await value(fresh)
        clock.jump(0.639 * LIFE)
        assert await value(fresh) == first
        clock.jump(0.062 * LIFE)
        assert await value(fresh) != first
    assert service.asked == 80


async def test_a_valid_token_outlives_a_service_that_is_down(
    service: Service, fresh: FreshToken[Token], clock: JumpingClock
) -> None:
    await value(fresh)
    service.error = remote_error()
    clock.jump(0.75 * LIFE)
    assert await value(fresh) == "token-1"
    assert service.asked == 2
    clock.jump(0.25 * LIFE - 60.0)
    assert not fresh.is_valid
    with pytest.raises(RemoteError):
        await fresh.get()
    service.error = None
    assert await value(fresh) == "token-2"


async def test_a_refused_credential_is_told_although_a_token_is_left(
    service: Service, fresh: FreshToken[Token], clock: JumpingClock
) -> None:
    await value(fresh)
    service.error = remote_error(ErrorClass.TERMINAL, "RefreshTokenRejected")
    clock.jump(0.75 * LIFE)
    with pytest.raises(RemoteError, match="not available"):
        await fresh.get()
    assert fresh.is_valid, "it still serves a deletion"


async def test_a_throttled_credential_is_left_alone_until_the_window_is_over(
    service: Service, fresh: FreshToken[Token], clock: JumpingClock
) -> None:
    service.error = remote_error(reason="TokenThrottled", retry_after=600.0)
    with pytest.raises(RemoteError) as first:
        await fresh.get()
    assert first.value.retry_after == 600.0
    clock.jump(250.0)
    for _ in range(5):
        with pytest.raises(RemoteError) as again:
            await fresh.get()
        assert (again.value.reason, again.value.retry_after) == ("TokenThrottled", 350.0)
        assert again.value.error_class is ErrorClass.TRANSIENT
    assert service.asked == 1
    service.error = None
    clock.jump(350.0)
    assert await value(fresh) == "token-1"


async def test_a_throttled_refresh_serves_the_old_token_meanwhile(
    service: Service, fresh: FreshToken[Token], clock: JumpingClock
) -> None:
    await value(fresh)
    service.error = remote_error(reason="TokenThrottled", retry_after=600.0)
    clock.jump(0.75 * LIFE)
    for _ in range(5):
        assert await value(fresh) == "token-1"
    assert service.asked == 2


async def test_a_rejected_token_is_not_handed_out_again(service: Service, fresh: FreshToken[Token]) -> None:
    fresh.reject(await fresh.get())
    assert not fresh.is_valid
    assert await value(fresh) == "token-2"


async def test_the_late_rejection_of_an_old_token_leaves_the_new_one(
    service: Service, fresh: FreshToken[Token]
) -> None:
    old = await fresh.get()
    fresh.reject(old)
    assert await value(fresh) == "token-2"
    fresh.reject(SecretStr(old.get_secret_value()))
    assert await value(fresh) == "token-2"
    assert service.asked == 2


async def test_a_second_rejection_soon_after_is_not_the_tokens_fault(
    service: Service, fresh: FreshToken[Token], clock: JumpingClock
) -> None:
    """Else a refused address, say, would use up what the service grants."""
    fresh.reject(await fresh.get())
    for _ in range(5):
        fresh.reject(await fresh.get())
    assert service.asked == 2
    clock.jump(REJECTION_PAUSE_SECONDS)
    fresh.reject(await fresh.get())
    assert await value(fresh) == "token-3"


async def test_a_restart_asks_for_nothing_and_renews_when_the_first_would_have(
    service: Service, clock: JumpingClock
) -> None:
    await value(FreshToken(service, clock))
    refresh_at = service.kept[0].refresh_at
    for _ in range(50):
        assert await value(FreshToken(service, clock)) == "token-1"
    assert service.asked == 1
    clock.jump(refresh_at - START - 1.0)
    assert await value(FreshToken(service, clock)) == "token-1"
    clock.jump(1.0)
    assert await value(FreshToken(service, clock)) == "token-2"


async def test_those_who_share_a_lock_do_not_ask_at_the_same_time(
    service: Service, clock: JumpingClock
) -> None:
    lock = asyncio.Lock()
    both = [FreshToken(service, clock, lock) for _ in range(2)]
    service.open.clear()
    callers = [asyncio.create_task(value(fresh)) for fresh in both]
    await settle()
    assert service.asked == 1
    service.open.set()
    assert set(await asyncio.gather(*callers)) == {"token-1"}
