"""Access by credential: who shares a token, what the token store keeps over restarts, and what ends when."""

from __future__ import annotations

import asyncio
import base64
import math
from collections.abc import Sequence
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from crmflow.aep.ims import AccessToken as AdobeToken
from crmflow.api.zohosourceconnection import DataCenter, Environment
from crmflow.observability.metrics import Metrics
from crmflow.reconcile.credentials import PlatformCredentials, ZohoCredentials
from crmflow.reconcile.offer import Offers
from crmflow.runtime.access import IDLE_SECONDS, RemoteAccess
from crmflow.runtime.cache import ObjectCache
from crmflow.runtime.events import EventWriter
from crmflow.runtime.inventories import Installation, Inventories
from crmflow.runtime.kube import KubernetesError
from crmflow.runtime.tokenstore import TokenStore
from crmflow.runtime.zoho_access import ZohoServices
from crmflow.transport.errors import ErrorClass, RemoteError
from crmflow.zoho.accounts import AccessToken
from crmflow.zoho.grants import Grant
from tests.unit.reconcile.fakes import remote_error
from tests.unit.runtime.fakes import FakeKubernetes, JumpingClock

LIFE = 3600.0
HOME = "crmflow-system"
A, B = "crm/a", "crm/b"

REFRESH = ZohoCredentials("id", SecretStr("secret"), SecretStr("1000.aa.bb"))
GRANT = ZohoCredentials("id", SecretStr("secret"), None, SecretStr("1000.gg.hh"), "http://localhost:8917/cb")
ADOBE = PlatformCredentials("id", SecretStr("secret"))
OTHER = PlatformCredentials("other", SecretStr("secret"))


class Zoho:
    """Accounts, grants and CRM in one; counts what it is asked for."""

    def __init__(self, clock: JumpingClock) -> None:
        self.clock = clock
        self.refreshes = 0
        self.exchanges: list[str | None] = []
        self.revoked: list[str] = []
        self.error: BaseException | None = None
        self.accepted: str | None = None
        self.home: DataCenter | None = None
        self.replacement: SecretStr | None = None
        self.used: list[str] = []

    def _token(self) -> AccessToken:
        now = self.clock.now()
        number = self.refreshes + len(self.exchanges)
        return AccessToken(
            SecretStr(f"1000.access.{number}"),
            now + LIFE,
            now,
            ("ZohoCRM.modules.READ",),
            self.home,
            self.replacement,
        )

    async def refresh(self, _: DataCenter, __: str, ___: SecretStr, refresh_token: SecretStr) -> AccessToken:
        self.refreshes += 1
        self.used.append(refresh_token.get_secret_value())
        if self.error is not None:
            raise self.error
        return self._token()

    async def exchange(
        self, dc: DataCenter, client_id: str, secret: SecretStr, code: SecretStr, redirect_uri: str | None
    ) -> Grant:
        self.exchanges.append(redirect_uri)
        if self.error is not None:
            raise self.error
        return Grant(SecretStr("1000.obtained.1"), self._token())

    async def revoke(self, dc: DataCenter, refresh_token: SecretStr) -> None:
        self.revoked.append(f"{dc} {refresh_token.get_secret_value()}")
        if self.error is not None:
            raise self.error

    async def organization(self, _: DataCenter, __: Environment, token: SecretStr) -> str:
        if self.accepted not in (None, token.get_secret_value()):
            raise remote_error(ErrorClass.TERMINAL, "TokenRejected")
        return "org"


class Adobe:
    """IMS."""

    def __init__(self, clock: JumpingClock) -> None:
        self.clock = clock
        self.asked = 0
        self.error: RemoteError | None = None

    async def token(self, *_: Any) -> AdobeToken:
        self.asked += 1
        if self.error is not None:
            raise self.error
        now = self.clock.now()
        return AdobeToken(SecretStr(f"ims-{self.asked}"), now + LIFE, now)


class Site:
    """The remote services and the API server; processes come and go."""

    def __init__(self) -> None:
        self.clock = JumpingClock()
        self.kubernetes = FakeKubernetes()
        self.zoho, self.adobe = Zoho(self.clock), Adobe(self.clock)
        self.renewed_for: list[list[str]] = []
        self.start()

    def start(self) -> RemoteAccess:
        """A new process."""
        self.metrics = Metrics()
        nothing: Any = None
        zoho: Any = self.zoho
        ims: Any = self.adobe
        inventories = Inventories(
            Installation("test", 60.0, 300.0),
            self.clock,
            ObjectCache({}),
            {},
            Offers(self.clock),
            EventWriter(self.kubernetes.port, self.clock, self.metrics, "test"),
            self.metrics,
            lambda _: None,
        )
        self.access = RemoteAccess(
            nothing,
            ZohoServices(zoho, zoho, zoho),
            ims,
            "http://platform",
            TokenStore(self.kubernetes.port, HOME, "test"),
            self.clock,
            self.metrics,
            inventories,
            self,
        )
        return self.access

    def used(self) -> None:
        pass

    def renewed(self, holders: Sequence[str], life: float) -> None:
        assert life == LIFE
        self.renewed_for.append(list(holders))

    async def token(
        self, holder: str = A, credentials: ZohoCredentials = REFRESH, dc: DataCenter = DataCenter.EU
    ) -> str:
        """The access token that ``holder`` gets."""
        return (await self.access.zoho(holder, dc, credentials).access_token()).get_secret_value()

    @property
    def stored(self) -> list[dict[str, str]]:
        """What the token store holds, decoded."""
        return [
            {key: base64.b64decode(value).decode() for key, value in body["data"].items()}
            for body in self.kubernetes.own_secrets.values()
        ]


@pytest.fixture
def site() -> Site:
    return Site()


async def test_who_has_the_same_grant_shares_its_token(site: Site) -> None:
    assert {await site.token(holder) for holder in (A, B, A)} == {"1000.access.1"}
    await site.token(dc=DataCenter.US)
    await site.token(credentials=ZohoCredentials("id", SecretStr("secret"), SecretStr("other")))
    assert site.zoho.refreshes == 3


async def test_a_restart_asks_for_no_token(site: Site) -> None:
    await site.token()
    await site.access.platform(A, "org", "prod", ADOBE)
    for _ in range(50):
        site.start()
        assert await site.token() == "1000.access.1"
        await site.access.platform(A, "org", "prod", ADOBE)
    assert (site.zoho.refreshes, site.adobe.asked) == (1, 1)


async def test_the_store_writes_at_home_only_and_nothing_while_nothing_changes(site: Site) -> None:
    await site.token()
    assert {namespace for namespace, _ in site.kubernetes.own_secrets} == {HOME}
    writes = len(site.kubernetes.calls)
    site.start()
    await site.token()
    new = site.kubernetes.calls[writes:]
    assert set(new) == {"read_own_secret"}


async def test_another_client_secret_gets_no_token_of_the_first(site: Site) -> None:
    """Else a namespace with half a credential could use another's."""
    await site.token()
    site.zoho.error = remote_error(ErrorClass.TERMINAL, "InvalidClientSecret")
    for _ in range(2):
        with pytest.raises(RemoteError):
            await site.token(B, ZohoCredentials("id", SecretStr("guess"), SecretStr("1000.aa.bb")))
        site.start()


async def test_two_client_secrets_of_one_refresh_token_share_its_budget(site: Site) -> None:
    other = ZohoCredentials("id", SecretStr("other-secret"), SecretStr("1000.aa.bb"))
    for number in range(5):
        for credentials in (REFRESH, other):
            site.start()  # the record holds the token of one secret
            await site.token(credentials=credentials)
        assert site.zoho.refreshes == 2 * number + 2
    with pytest.raises(RemoteError) as error:
        await site.token(credentials=REFRESH)
    assert error.value.reason == "TokenBudgetSpent"


async def test_a_crash_loop_does_not_use_the_budget_up_unseen(site: Site) -> None:
    """Each process dies with the answer on its way."""
    site.zoho.error = asyncio.CancelledError()
    for _ in range(10):
        site.start()
        with pytest.raises(asyncio.CancelledError):
            await site.token()
    site.zoho.error = None
    site.start()
    site.clock.jump(100.0)
    with pytest.raises(RemoteError) as error:
        await site.token()
    assert error.value.error_class is ErrorClass.TRANSIENT
    assert error.value.retry_after == 500.0
    assert "UTC" in error.value.message
    assert site.zoho.refreshes == 10
    site.clock.jump(500.0)
    assert await site.token()


async def test_a_throttle_is_remembered_over_a_restart(site: Site) -> None:
    site.zoho.error = remote_error(reason="TokenThrottled", retry_after=600.0)
    with pytest.raises(RemoteError):
        await site.token()
    site.zoho.error = None
    site.clock.jump(200.0)
    site.start()
    with pytest.raises(RemoteError) as error:
        await site.token()
    assert (error.value.reason, error.value.retry_after) == ("TokenThrottled", 400.0)
    assert site.zoho.refreshes == 1
    site.clock.jump(400.0)
    assert await site.token()


async def test_a_grant_token_is_exchanged_once_and_its_refresh_token_lasts(site: Site) -> None:
    assert await site.token(credentials=GRANT) == "1000.access.1"
    assert site.zoho.exchanges == ["http://localhost:8917/cb"]
    site.clock.jump(LIFE)
    site.start()
    await site.token(credentials=GRANT)
    assert (site.zoho.refreshes, len(site.zoho.exchanges)) == (1, 1)
    access = site.access.zoho(A, DataCenter.EU, GRANT)
    assert (await access.refresh_token()).get_secret_value() == "1000.obtained.1"


async def test_an_exchange_whose_end_is_not_known_is_never_repeated(site: Site) -> None:
    site.zoho.error = asyncio.CancelledError()  # as good as a crash
    with pytest.raises(asyncio.CancelledError):
        await site.token(credentials=GRANT)
    site.zoho.error = None
    for _ in range(3):
        site.start()
        with pytest.raises(RemoteError) as error:
            await site.token(credentials=GRANT)
        assert (error.value.reason, error.value.error_class) == ("GrantLost", ErrorClass.TERMINAL)
        assert "authorize anew" in error.value.advice
    assert len(site.zoho.exchanges) == 1
    anew = ZohoCredentials("id", SecretStr("secret"), None, SecretStr("1000.ii.jj"))
    assert await site.token(credentials=anew)


async def test_a_lost_answer_is_a_lost_grant(site: Site) -> None:
    site.zoho.error = remote_error(ErrorClass.TERMINAL, "GrantLost", maybe_applied=True)
    for _ in range(3):
        with pytest.raises(RemoteError):
            await site.token(credentials=GRANT)
        site.start()
    assert len(site.zoho.exchanges) == 1


@pytest.mark.parametrize(
    ("refusal", "exchanges"),
    [
        pytest.param(remote_error(ErrorClass.TERMINAL, "GrantRejected"), 1, id="spent: not sent again"),
        pytest.param(remote_error(ErrorClass.TERMINAL, "InvalidClientSecret"), 3, id="still good"),
        pytest.param(remote_error(reason="Unreachable"), 3, id="not sent"),
    ],
)
async def test_a_refused_grant_token(site: Site, refusal: RemoteError, exchanges: int) -> None:
    site.zoho.error = refusal
    for _ in range(3):
        with pytest.raises(RemoteError):
            await site.token(credentials=GRANT)
    assert len(site.zoho.exchanges) == exchanges


async def test_no_grant_token_is_used_up_without_a_place_for_what_it_gives(site: Site) -> None:
    site.kubernetes.errors["merge_own_secret"] = [KubernetesError("403", 403)]
    with pytest.raises(RemoteError) as error:
        await site.token(credentials=GRANT)
    assert error.value.reason == "TokenStoreForbidden"
    assert HOME in error.value.message
    assert site.zoho.exchanges == []
    assert await site.token(credentials=GRANT), "it was not sent, so it is still good"
    assert len(site.zoho.exchanges) == 1


@pytest.mark.parametrize(
    ("status", "reason", "error_class"),
    [
        (403, "TokenStoreForbidden", ErrorClass.TERMINAL),
        (None, "KubernetesUnavailable", ErrorClass.TRANSIENT),
    ],
)
async def test_no_token_is_asked_for_while_the_budget_is_not_known(
    site: Site, status: int | None, reason: str, error_class: ErrorClass
) -> None:
    site.kubernetes.errors["read_own_secret"] = [KubernetesError("no", status)]
    with pytest.raises(RemoteError) as error:
        await site.token()
    assert (error.value.reason, error.value.error_class) == (reason, error_class)
    assert site.zoho.refreshes == 0
    assert await site.token()


async def test_a_token_that_can_not_be_stored_is_good_all_the_same(site: Site) -> None:
    site.kubernetes.errors["merge_own_secret"] = [None, KubernetesError("503", 503)]
    assert await site.token() == await site.token() == "1000.access.1"


async def test_what_a_write_lost_is_in_the_next_one(site: Site) -> None:
    """Else the refresh token out of a grant token would be gone with the process."""
    site.kubernetes.errors["merge_own_secret"] = [None, KubernetesError("503", 503)]
    with pytest.raises(RemoteError):
        await site.token(credentials=GRANT)
    await site.token(credentials=GRANT)
    site.start()
    await site.token(credentials=GRANT)
    [stored] = site.stored
    assert stored["refreshToken"] == "1000.obtained.1"
    assert "grant" not in stored
    [secret] = site.kubernetes.own_secrets.values()
    assert A in secret["metadata"]["annotations"].values()
    assert len(site.zoho.exchanges) == 1


async def test_what_is_pushed_is_known_after_a_restart(site: Site) -> None:
    zoho = site.access.zoho(A, DataCenter.EU, REFRESH)
    token = await zoho.access_token()
    assert not await zoho.is_pushed()
    await zoho.note_pushed(token)
    assert await zoho.is_pushed()
    assert not await site.access.zoho(B, DataCenter.EU, REFRESH).is_pushed()
    zoho = site.start().zoho(A, DataCenter.EU, REFRESH)
    assert await zoho.is_pushed()
    site.clock.jump(LIFE)
    assert not await zoho.is_pushed()


async def test_who_uses_a_token_is_told_of_a_new_one(site: Site) -> None:
    await site.token(A)
    await site.token(B)
    site.clock.jump(LIFE)
    await site.token(B)
    assert site.renewed_for == [[], [A, B]]


async def test_a_zoho_token_that_is_not_accepted_is_replaced_once(site: Site) -> None:
    zoho = site.access.zoho(A, DataCenter.EU, REFRESH)
    site.zoho.accepted = "1000.access.2"
    assert await zoho.organization(Environment.PRODUCTION) == "org"  # type: ignore[comparison-overlap]
    site.zoho.accepted = "none"
    for _ in range(3):
        with pytest.raises(RemoteError):
            await zoho.organization(Environment.PRODUCTION)
    assert site.zoho.refreshes == 2


async def test_a_token_of_another_data_center_is_named(site: Site) -> None:
    site.zoho.accepted, site.zoho.home = "another", DataCenter.US
    with pytest.raises(RemoteError) as raised:
        await site.access.zoho(A, DataCenter.EU, REFRESH).organization(Environment.PRODUCTION)
    assert raised.value.reason == "WrongDataCenter"
    assert "lives in data centre US" in raised.value.message


@pytest.mark.parametrize("credentials", [REFRESH, GRANT])
async def test_a_refresh_token_that_was_replaced_is_used_from_then_on(
    site: Site, credentials: ZohoCredentials
) -> None:
    site.zoho.replacement = SecretStr("1000.new.1")
    await site.token(credentials=credentials)
    site.clock.jump(LIFE)
    site.start()
    await site.token(credentials=credentials)
    assert site.zoho.used[-1] == "1000.new.1"
    access = site.access.zoho(A, DataCenter.EU, credentials)
    assert (await access.refresh_token()).get_secret_value() == "1000.new.1"

    await site.access.drop_grants(A, revoke=True)
    assert site.zoho.revoked == (["EU 1000.new.1"] if credentials is GRANT else [])
    site.clock.jump(LIFE + IDLE_SECONDS)
    await site.access.sweep(lambda holder: False)
    assert len(site.stored) == (0 if credentials is GRANT else 1)


async def test_a_refresh_token_that_is_repeated_is_not_kept(site: Site) -> None:
    site.zoho.replacement = REFRESH.refresh_token
    await site.token()
    assert "newRefreshToken" not in site.stored[0]


async def test_a_grant_of_our_own_is_revoked_with_its_last_user(site: Site) -> None:
    await site.token(A, GRANT)
    await site.token(B, GRANT)
    await site.access.drop_grants(A, revoke=True)
    assert site.zoho.revoked == []
    site.start()
    await site.access.drop_grants(B, revoke=True)
    assert site.zoho.revoked == ["EU 1000.obtained.1"]
    assert site.stored == []


async def test_a_grant_of_the_users_is_never_revoked(site: Site) -> None:
    await site.token(A)
    await site.access.drop_grants(A, revoke=True)
    assert site.zoho.revoked == []


async def test_an_orphan_keeps_its_grant(site: Site) -> None:
    await site.token(A, GRANT)
    await site.access.drop_grants(A, revoke=False)
    assert site.zoho.revoked == []
    site.start()
    await site.token(A, GRANT)
    assert len(site.zoho.exchanges) == 1


async def test_a_grant_that_was_revoked_before_does_not_matter(site: Site) -> None:
    await site.token(A, GRANT)
    site.zoho.error = remote_error(ErrorClass.TERMINAL, "RevocationRefused")
    await site.access.drop_grants(A, revoke=True)
    assert site.stored == []


async def test_rotation_ends_the_former_grant_of_our_own(site: Site) -> None:
    await site.token(A, GRANT)
    site.start()
    await site.token(A, REFRESH)
    await site.access.drop_former_grants(A)
    assert site.zoho.revoked == ["EU 1000.obtained.1"]
    assert site.access.zoho_in_use() != {}
    assert len(site.stored) == 1


async def test_the_sweep_removes_what_nobody_uses(site: Site) -> None:
    await site.token(A)
    await site.token(B, GRANT)
    await site.access.platform(A, "org", "prod", ADOBE)
    await site.access.sweep(lambda _: True)
    await site.access.sweep(lambda _: False)
    assert len(site.stored) == 3, "who comes back soon finds the token and the budget"
    site.clock.jump(LIFE + IDLE_SECONDS + 1)
    await site.access.sweep(lambda _: False)
    [left] = site.stored
    assert left["refreshToken"] == "1000.obtained.1", "nobody else has it"


async def test_sandboxes_of_one_credential_share_its_token(site: Site) -> None:
    for holder, sandbox in ((A, "prod"), (B, "dev"), (A, "prod")):
        await site.access.platform(holder, "org", sandbox, ADOBE)
    assert site.adobe.asked == 1
    await site.access.platform(A, "other-org", "prod", ADOBE)
    assert site.adobe.asked == 2


PROD = ("org", "prod")


async def test_a_platform_is_held_while_its_token_lasts(site: Site) -> None:
    assert await site.access.held_platform(A, PROD) is None
    platform = await site.access.platform(A, *PROD, ADOBE)
    assert await site.access.held_platform(A, PROD) is platform
    assert await site.access.held_platform(A, None) is platform
    assert await site.access.held_platform(B, PROD) is None
    site.clock.jump(LIFE - 61.0)
    assert await site.access.held_platform(A, PROD) is platform
    site.clock.jump(1.0)
    assert await site.access.held_platform(A, PROD) is None


async def test_a_platform_is_held_over_a_restart_without_the_secret(site: Site) -> None:
    await site.access.platform(A, *PROD, ADOBE)
    site.start()
    assert await site.access.held_platform(B, PROD) is None, "what others reach is not theirs"
    assert await site.access.held_platform(A, ("other-org", "prod")) is None
    assert await site.access.held_platform(A, PROD) is not None
    assert site.adobe.asked == 1
    site.clock.jump(LIFE - 60.0)
    assert await site.access.held_platform(A, PROD) is None


async def test_a_refused_credential_leaves_what_was_held(site: Site) -> None:
    platform = await site.access.platform(A, *PROD, ADOBE)
    site.adobe.error = remote_error(ErrorClass.TERMINAL, "PlatformCredentialsRejected")
    with pytest.raises(RemoteError):
        await site.access.platform(A, *PROD, PlatformCredentials("id", SecretStr("wrong")))
    assert await site.access.held_platform(A, PROD) is platform
    site.access.forget(A)
    assert await site.access.held_platform(A, None) is None


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
    site: Site, organization: str, sandbox: str, credentials: PlatformCredentials, shared: bool
) -> None:
    """A poll costs its pages once, however many connections there are."""
    first = await site.access.platform(A, "org", "prod", ADOBE)
    second = await site.access.platform(B, organization, sandbox, credentials)
    assert (first is second) is shared
    assert (site.access.inventory(A) is site.access.inventory(B)) is shared


def shown(site: Site, name: str) -> dict[tuple[str, str], float]:
    """The values of a metric by service and credential, as they are scraped."""
    families = text_string_to_metric_families(site.metrics.text().decode())
    return {
        (sample.labels["service"], sample.labels["credential"]): sample.value
        for family in families
        for sample in family.samples
        if sample.name == f"crmflow_{name}"
    }


async def test_metrics_show_ages_of_tokens_under_a_hash(site: Site) -> None:
    await site.token()
    issued, expiry = (shown(site, f"token_{name}_timestamp_seconds") for name in ("issued", "expiry"))
    [(service, credential)] = issued
    assert (service, len(credential)) == ("Zoho", 16)
    assert expiry[service, credential] - issued[service, credential] == LIFE
    assert shown(site, "limiter_requests_per_second") == {(service, credential): math.inf}


async def test_a_token_that_has_ended_shows_for_as_long_as_somebody_asks(site: Site) -> None:
    await site.token()
    site.zoho.error = remote_error(ErrorClass.TERMINAL, "RefreshTokenRejected")
    for _ in range(10):
        site.clock.jump(LIFE)
        with pytest.raises(RemoteError):
            await site.token()
    assert len(shown(site, "token_expiry_timestamp_seconds")) == 1


async def test_a_credential_that_is_gone_shows_no_more(site: Site) -> None:
    await site.token()
    await site.access.platform(A, "org", "prod", ADOBE)
    site.clock.jump(LIFE + 2 * 3600 + 1)
    await site.access.platform(A, "org", "prod", ADOBE)
    for name in ("token_issued_timestamp_seconds", "token_expiry_timestamp_seconds"):
        assert [service for service, _ in shown(site, name)] == ["Adobe"]
    assert [service for service, _ in shown(site, "limiter_requests_per_second")] == ["Adobe"]
