"""The SAS of a landing zone: read once for everybody, renewed in good time, and never made anew."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import SecretStr

from crmflow.aep.models import LandingZoneCredentials
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.runtime.credentials.landing_zone import (
    FAILED_RENEWAL_PAUSE_SECONDS,
    REJECTION_PAUSE_SECONDS,
    RENEW_BEFORE_SECONDS,
    SAME_AGAIN_SECONDS,
    LandingZoneCredential,
)
from tests.fakes.failing import remote_error
from tests.unit.runtime.fakes import START, JumpingClock, settle

LIFE = 90 * 86400.0


class Sandbox:
    """Hands out one SAS until a test makes another, once it is let."""

    def __init__(self) -> None:
        self.generation = 1
        self.expires_at: float | None = START + LIFE
        self.asked = 0
        self.error: RemoteError | None = None
        self.open = asyncio.Event()
        self.open.set()

    async def landing_zone_credentials(self) -> LandingZoneCredentials:
        self.asked += 1
        answer = self._credentials()
        await self.open.wait()
        if self.error is not None:
            raise self.error
        return answer

    def _credentials(self) -> LandingZoneCredentials:
        return LandingZoneCredentials("c", "a", SecretStr(f"sas-{self.generation}"), self.expires_at)


@pytest.fixture
def clock() -> JumpingClock:
    return JumpingClock()


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox()


@pytest.fixture
def credential(sandbox: Sandbox, clock: JumpingClock) -> LandingZoneCredential:
    return LandingZoneCredential(sandbox, clock)


async def value(credential: LandingZoneCredential) -> str:
    return (await credential.get()).sas_uri.get_secret_value()


async def test_fifty_callers_share_one_read(sandbox: Sandbox, credential: LandingZoneCredential) -> None:
    assert await asyncio.gather(*(value(credential) for _ in range(50))) == ["sas-1"] * 50
    assert await value(credential) == "sas-1"
    assert sandbox.asked == 1


async def test_fifty_callers_share_one_failure(sandbox: Sandbox, credential: LandingZoneCredential) -> None:
    sandbox.error = remote_error()
    sandbox.open.clear()
    callers = [asyncio.create_task(value(credential)) for _ in range(50)]
    await settle()
    sandbox.open.set()
    results = await asyncio.gather(*callers, return_exceptions=True)
    assert all(result is sandbox.error for result in results)
    assert sandbox.asked == 1
    sandbox.error = None
    assert await value(credential) == "sas-1"


async def test_it_is_renewed_a_day_before_its_end(
    sandbox: Sandbox, credential: LandingZoneCredential, clock: JumpingClock
) -> None:
    await credential.get()
    clock.jump(LIFE - RENEW_BEFORE_SECONDS - 1)
    await credential.get()
    assert sandbox.asked == 1
    clock.jump(1)
    assert await value(credential) == "sas-1", "Platform hands out the same until its end"
    assert sandbox.asked == 2
    await credential.get()
    assert sandbox.asked == 2, "which is not asked for again at once"
    sandbox.generation, sandbox.expires_at = 2, START + 2 * LIFE
    clock.jump(SAME_AGAIN_SECONDS)
    assert await value(credential) == "sas-2"
    clock.jump(LIFE / 2)
    await credential.get()
    assert sandbox.asked == 3


async def test_one_without_an_end_is_read_again_each_day(
    sandbox: Sandbox, credential: LandingZoneCredential, clock: JumpingClock
) -> None:
    sandbox.expires_at = None
    await credential.get()
    clock.jump(RENEW_BEFORE_SECONDS - 1)
    await credential.get()
    assert sandbox.asked == 1
    clock.jump(1)
    await credential.get()
    assert sandbox.asked == 2


async def test_one_that_was_refused_is_replaced_at_once(
    sandbox: Sandbox, credential: LandingZoneCredential
) -> None:
    await credential.get()
    sandbox.generation = 2
    credential.reject(SecretStr("sas-1"))
    assert await value(credential) == "sas-2"
    credential.reject(SecretStr("sas-1"))
    assert await value(credential) == "sas-2", "the refusal was of the former one"
    assert sandbox.asked == 2


async def test_one_that_stays_refused_is_read_again_after_a_pause(
    sandbox: Sandbox, credential: LandingZoneCredential, clock: JumpingClock
) -> None:
    await credential.get()
    for _ in range(20):
        credential.reject(SecretStr("sas-1"))
        assert await value(credential) == "sas-1", "Platform knows no other"
    assert sandbox.asked == 2
    clock.jump(REJECTION_PAUSE_SECONDS)
    sandbox.generation = 2
    credential.reject(SecretStr("sas-1"))
    assert await value(credential) == "sas-2"


async def test_an_answer_from_before_a_refusal_does_not_undo_it(
    sandbox: Sandbox, credential: LandingZoneCredential, clock: JumpingClock
) -> None:
    await credential.get()
    clock.jump(LIFE - RENEW_BEFORE_SECONDS)
    sandbox.open.clear()
    under_way = asyncio.create_task(value(credential))
    await settle()
    credential.reject(SecretStr("sas-1"))
    sandbox.generation = 2
    sandbox.open.set()
    assert await under_way == "sas-1"
    assert await value(credential) == "sas-2"


async def test_what_is_there_outlasts_an_outage(
    sandbox: Sandbox, credential: LandingZoneCredential, clock: JumpingClock
) -> None:
    await credential.get()
    clock.jump(LIFE - RENEW_BEFORE_SECONDS)
    sandbox.error = remote_error()
    for _ in range(5):
        assert await value(credential) == "sas-1"
    assert sandbox.asked == 2
    clock.jump(FAILED_RENEWAL_PAUSE_SECONDS)
    await credential.get()
    assert sandbox.asked == 3


async def test_a_refused_one_outlasts_nothing(sandbox: Sandbox, credential: LandingZoneCredential) -> None:
    await credential.get()
    credential.reject(SecretStr("sas-1"))
    sandbox.error = remote_error()
    with pytest.raises(RemoteError):
        await credential.get()
    sandbox.error = None
    assert await value(credential) == "sas-1"


async def test_a_permission_that_was_taken_away_is_heard(
    sandbox: Sandbox, credential: LandingZoneCredential, clock: JumpingClock
) -> None:
    await credential.get()
    clock.jump(LIFE)
    sandbox.error = RemoteError("Connectors", "landingZone.credentials", ErrorClass.TERMINAL, "X", "refused")
    with pytest.raises(RemoteError):
        await credential.get()
