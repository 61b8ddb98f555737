"""Access tokens: one refresh at a time, in good time, and no more than the service allows."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from pydantic import SecretStr

from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.runtime.credentials.tokens import (
    FAILED_REFRESH_PAUSE_SECONDS,
    REJECTION_PAUSE_SECONDS,
    CachedToken,
    FreshToken,
)
from tests.fakes.failing import remote_error
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
        self.kept: list[CachedToken[Token]] = []

    async def stored(self) -> CachedToken[Token] | None:
        return self.kept[-1] if self.kept else None

    async def store(self, cached: CachedToken[Token]) -> None:
        self.kept.append(cached)

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


async def test_a_caller_that_is_canceled_does_not_take_the_others_along(
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
    assert not fresh.valid
    with pytest.raises(RemoteError):
        await fresh.get()
    service.error = None
    assert await value(fresh) == "token-2"


async def test_while_a_token_is_valid_a_service_that_is_down_holds_nobody_up_for_a_minute(
    service: Service, fresh: FreshToken[Token], clock: JumpingClock
) -> None:
    """Each call of a pass asks for the token, and each request may take until its time-out."""
    await value(fresh)
    service.error = remote_error(reason="Timeout")
    clock.jump(0.75 * LIFE)
    for asked in (2, 3):
        for _ in range(5):
            assert await value(fresh) == "token-1"
        clock.jump(FAILED_REFRESH_PAUSE_SECONDS - 1.0)
        assert await value(fresh) == "token-1"
        assert service.asked == asked
        clock.jump(1.0)
    clock.jump(0.25 * LIFE - 4 * FAILED_REFRESH_PAUSE_SECONDS - 1.0)
    assert await value(fresh) == "token-1"
    clock.jump(FAILED_REFRESH_PAUSE_SECONDS + 1.0)
    service.error = None
    assert await value(fresh) == "token-2", "a pause ends with the token"


async def test_whoever_waits_while_a_token_is_asked_for_shares_the_failure(
    service: Service, fresh: FreshToken[Token]
) -> None:
    service.open.clear()
    service.error = remote_error(reason="Timeout")
    callers = [asyncio.create_task(value(fresh)) for _ in range(50)]
    await settle()
    service.open.set()
    ends = await asyncio.gather(*callers, return_exceptions=True)
    assert {getattr(end, "reason", None) for end in ends} == {"Timeout"}
    assert service.asked == 1
    service.error = None
    assert await value(fresh) == "token-1"


async def test_a_refused_credential_is_told_although_a_token_is_left(
    service: Service, fresh: FreshToken[Token], clock: JumpingClock
) -> None:
    await value(fresh)
    service.error = remote_error(ErrorClass.TERMINAL, "RefreshTokenRejected")
    clock.jump(0.75 * LIFE)
    with pytest.raises(RemoteError, match="not available"):
        await fresh.get()
    assert fresh.valid, "it still serves a deletion"


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
    assert not fresh.valid
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


async def used_up(fresh: FreshToken[Token], clock: JumpingClock) -> None:
    """The service ends two tokens within the pause."""
    await value(fresh)
    fresh.reject(await fresh.get())
    clock.jump(30.0)
    assert await value(fresh) == "token-2"
    fresh.reject(await fresh.get())


async def test_two_tokens_that_end_soon_after_each_other_are_waited_out(
    service: Service, fresh: FreshToken[Token], clock: JumpingClock
) -> None:
    await used_up(fresh, clock)
    for _ in range(3):
        with pytest.raises(RemoteError) as waiting:
            await fresh.get()
        assert waiting.value.error_class is ErrorClass.TRANSIENT
        assert waiting.value.reason == "TokenEnded"
        assert waiting.value.retry_after == REJECTION_PAUSE_SECONDS - 30.0
        assert not waiting.value.maybe_applied
    assert (service.asked, fresh.valid) == (2, None)
    clock.jump(REJECTION_PAUSE_SECONDS - 30.0)
    assert await value(fresh) == "token-3"


async def test_a_third_token_in_a_row_that_is_refused_is_not_at_fault(
    service: Service, fresh: FreshToken[Token], clock: JumpingClock
) -> None:
    """Nor is the credential: what refuses it is told, and one more is asked for after each pause."""
    await used_up(fresh, clock)
    clock.jump(REJECTION_PAUSE_SECONDS - 30.0)
    for _ in range(5):
        fresh.reject(await fresh.get())
        assert await value(fresh) == "token-3"
    for number in (4, 5):
        clock.jump(REJECTION_PAUSE_SECONDS)
        for _ in range(5):
            fresh.reject(await fresh.get())
        assert await value(fresh) == f"token-{number}"


async def test_a_token_that_ends_after_the_pause_is_replaced_at_once_however_often(
    service: Service, fresh: FreshToken[Token], clock: JumpingClock
) -> None:
    for number in range(2, 6):
        fresh.reject(await fresh.get())
        assert await value(fresh) == f"token-{number}"
        clock.jump(REJECTION_PAUSE_SECONDS)
    fresh.reject(await fresh.get())
    fresh.reject(await fresh.get())
    with pytest.raises(RemoteError, match="another one is asked for"):
        await fresh.get()
