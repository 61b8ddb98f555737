"""Access tokens: one refresh at a time, in good time, and no more than the service allows."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import SecretStr

from crmflow.api.zohosourceconnection import DataCenter, Environment
from crmflow.observability.metrics import Metrics
from crmflow.reconcile.credentials import PlatformCredentials, ZohoCredentials
from crmflow.reconcile.offer import Offers
from crmflow.runtime.access import FreshToken, RemoteAccess, ZohoAccess
from crmflow.runtime.cache import ObjectCache
from crmflow.runtime.events import EventWriter
from crmflow.runtime.inventories import Installation, Inventories
from crmflow.transport.errors import ErrorClass, RemoteError
from tests.unit.reconcile.fakes import remote_error
from tests.unit.runtime.fakes import START, FakeKubernetes, JumpingClock, settle

LIFE = 3600.0


@dataclass(frozen=True)
class Token:
    """What a service issued."""

    value: SecretStr
    issued_at: float
    expires_at: float


class Service:
    """Issues numbered tokens, once it is let."""

    def __init__(self, clock: JumpingClock) -> None:
        self.clock = clock
        self.issued = 0
        self.asked = 0
        self.error: RemoteError | None = None
        self.open = asyncio.Event()
        self.open.set()

    async def fetch(self, *_: Any) -> Token:
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
    return FreshToken(service.fetch, clock, lambda _: None)


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
        fresh = FreshToken(service.fetch, clock, lambda _: None)
        first = await value(fresh)
        clock.jump(0.619 * LIFE)
        assert await value(fresh) == first
        clock.jump(0.082 * LIFE)
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


class Crm:
    """Accepts one token."""

    def __init__(self, accepted: str, reason: str = "TokenRejected") -> None:
        self.accepted = accepted
        self.reason = reason
        self.seen: list[str] = []

    async def organization(self, _: DataCenter, __: Environment, token: SecretStr) -> str:
        self.seen.append(token.get_secret_value())
        if token.get_secret_value() != self.accepted:
            raise remote_error(ErrorClass.TERMINAL, self.reason)
        return "org"


@pytest.mark.parametrize(
    ("crm", "seen", "works"),
    [
        (Crm("token-1"), ["token-1"], True),
        (Crm("token-2"), ["token-1", "token-2"], True),
        (Crm("none"), ["token-1", "token-2"], False),
        (Crm("none", "ApiAccessDisabled"), ["token-1"], False),
    ],
    ids=["accepted", "replaced once", "not accepted at all", "another refusal"],
)
async def test_a_zoho_token_that_is_not_accepted_is_replaced_once(
    fresh: FreshToken[Token], crm: Any, seen: list[str], works: bool
) -> None:
    token: Any = fresh
    access = ZohoAccess(DataCenter.EU, token, crm)
    if works:
        assert await access.organization(Environment.PRODUCTION) == "org"  # type: ignore[comparison-overlap]
    else:
        with pytest.raises(RemoteError):
            await access.organization(Environment.PRODUCTION)
    assert crm.seen == seen


class Remote:
    """RemoteAccess over services that count what they are asked for."""

    def __init__(self, clock: JumpingClock) -> None:
        self.zoho, self.adobe = Service(clock), Service(clock)
        self.metrics = Metrics()
        nothing: Any = None
        accounts: Any = type("Accounts", (), {"refresh": staticmethod(self.zoho.fetch)})
        ims: Any = type("Ims", (), {"token": staticmethod(self.adobe.fetch)})
        self.inventories = Inventories(
            Installation("test", 60.0, 300.0),
            clock,
            ObjectCache({}),
            {},
            Offers(clock),
            EventWriter(FakeKubernetes().port, clock, self.metrics, "test"),
            self.metrics,
            lambda _: None,
        )
        self.access = RemoteAccess(
            nothing, accounts, nothing, ims, "http://platform", clock, self.metrics, self.inventories
        )


GRANT = ZohoCredentials("id", SecretStr("secret"), SecretStr("refresh"))
ADOBE = PlatformCredentials("id", SecretStr("secret"))


@pytest.fixture
def remote(clock: JumpingClock) -> Remote:
    return Remote(clock)


async def test_one_grant_has_one_token_and_another_has_its_own(remote: Remote) -> None:
    for _ in range(3):
        await remote.access.zoho(DataCenter.EU, GRANT).access_token()
    assert remote.zoho.asked == 1
    await remote.access.zoho(DataCenter.US, GRANT).access_token()
    rotated = ZohoCredentials("id", SecretStr("secret"), SecretStr("other"))
    await remote.access.zoho(DataCenter.EU, rotated).access_token()
    assert remote.zoho.asked == 3


async def test_sandboxes_of_one_credential_share_its_token(remote: Remote) -> None:
    for holder, sandbox in (("crm/a", "prod"), ("crm/b", "dev"), ("crm/a", "prod")):
        await remote.access.platform(holder, "org", sandbox, ADOBE)
    assert remote.adobe.asked == 1
    await remote.access.platform("crm/a", "other-org", "prod", ADOBE)
    assert remote.adobe.asked == 2


async def test_a_platform_is_held_while_its_token_lasts(remote: Remote, clock: JumpingClock) -> None:
    assert remote.access.held_platform("crm/a") is None
    platform = await remote.access.platform("crm/a", "org", "prod", ADOBE)
    assert remote.access.held_platform("crm/a") is platform
    assert remote.access.held_platform("crm/b") is None
    clock.jump(LIFE - 61.0)
    assert remote.access.held_platform("crm/a") is platform
    clock.jump(1.0)
    assert remote.access.held_platform("crm/a") is None


async def test_a_refused_credential_leaves_what_was_held(remote: Remote) -> None:
    platform = await remote.access.platform("crm/a", "org", "prod", ADOBE)
    remote.adobe.error = remote_error(ErrorClass.TERMINAL, "PlatformCredentialsRejected")
    with pytest.raises(RemoteError):
        await remote.access.platform("crm/a", "org", "prod", PlatformCredentials("id", SecretStr("wrong")))
    assert remote.access.held_platform("crm/a") is platform
    remote.access.forget("crm/a")
    assert remote.access.held_platform("crm/a") is None


OTHER = PlatformCredentials("other", SecretStr("secret"))


@pytest.mark.parametrize(
    ("organization", "sandbox", "credentials", "shared"),
    [
        pytest.param("org", "prod", ADOBE, True, id="the same"),
        pytest.param("other", "prod", ADOBE, False, id="another organization"),
        pytest.param("org", "dev", ADOBE, False, id="another sandbox"),
        pytest.param("org", "prod", OTHER, False, id="another credential"),
    ],
)
async def test_connections_of_one_sandbox_and_credential_share_client_and_inventory(
    remote: Remote, organization: str, sandbox: str, credentials: PlatformCredentials, shared: bool
) -> None:
    """A poll costs its pages once, however many connections there are."""
    first = await remote.access.platform("crm/a", "org", "prod", ADOBE)
    second = await remote.access.platform("crm/b", organization, sandbox, credentials)
    assert (first is second) is shared
    assert (remote.access.inventory("crm/a") is remote.access.inventory("crm/b")) is shared


async def test_metrics_show_ages_of_tokens_under_a_hash(remote: Remote) -> None:
    await remote.access.zoho(DataCenter.EU, GRANT).access_token()
    samples = [
        sample
        for metric in remote.metrics.registry.collect()
        for sample in metric.samples
        if metric.name.startswith("crmflow_token")
    ]
    assert {sample.value for sample in samples} == {START, START + LIFE}
    for sample in samples:
        assert sample.labels["service"] == "Zoho"
        assert len(sample.labels["credential"]) == 16
