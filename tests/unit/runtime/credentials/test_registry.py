"""Access by credential: who shares a token, what the token store keeps over restarts, and what ends when."""

from __future__ import annotations

import asyncio
import base64
import math
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from crmflow.aep.ims import ImsToken
from crmflow.api.zohosourceconnection import DataCenter, Environment
from crmflow.http.client import HttpClient
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.http.limiter import Turn
from crmflow.reconcile.core.outcome import OutcomeClass, from_remote_error
from crmflow.reconcile.credentials import PlatformCredentials, ZohoCredentials
from crmflow.runtime.controller.cache import ObjectCache
from crmflow.runtime.credentials.registry import IDLE_SECONDS, CredentialRegistry
from crmflow.runtime.kubernetes.errors import KubernetesError, Refusal
from crmflow.zoho import tables
from crmflow.zoho.accounts import ZohoToken
from crmflow.zoho.api import CrmApi, Spend
from crmflow.zoho.datacenters import ZohoEndpoints
from crmflow.zoho.grants import Grant
from tests.fakes.failing import remote_error
from tests.unit.runtime.fakes import FakeKubernetes, JumpingClock
from tests.unit.runtime.process import HOME, Process

LIFE = 3600.0
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
        self.asked: list[str] = []
        """Questions to the CRM API that were answered."""
        self.status = 200

    def _token(self) -> ZohoToken:
        now = self.clock.now()
        number = self.refreshes + len(self.exchanges)
        return ZohoToken(
            SecretStr(f"1000.access.{number}"),
            now + LIFE,
            now,
            ("ZohoCRM.modules.READ",),
            self.home,
            self.replacement,
        )

    async def refresh(self, _: DataCenter, __: str, ___: SecretStr, refresh_token: SecretStr) -> ZohoToken:
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

    def url(self, data_center: DataCenter, environment: Environment) -> str:
        return ZohoEndpoints().api_url(data_center, environment)

    def api(
        self, dc: DataCenter, environment: Environment, token: SecretStr, spend: Spend, turn: Turn
    ) -> CrmApi:
        def answer(request: httpx.Request) -> httpx.Response:
            if self.accepted not in (None, token.get_secret_value()):
                return httpx.Response(401, json={"code": "INVALID_TOKEN"})
            self.asked.append(str(request.url))
            headers = {"Retry-After": "60"} if self.status == 429 else {}
            return httpx.Response(
                self.status, headers=headers, json={"org": [{"id": "org-1"}], "modules": []}
            )

        http = HttpClient(httpx.MockTransport(answer), self.clock)
        return CrmApi(http, self.url(dc, environment), token, spend=spend, turn=turn)


class Adobe:
    """IMS."""

    def __init__(self, clock: JumpingClock) -> None:
        self.clock = clock
        self.asked = 0
        self.error: RemoteError | None = None

    async def token(self, *_: Any) -> ImsToken:
        self.asked += 1
        if self.error is not None:
            raise self.error
        now = self.clock.now()
        return ImsToken(SecretStr(f"ims-{self.asked}"), now + LIFE, now)


class Harness:
    """The remote services and the API server; processes come and go."""

    def __init__(self) -> None:
        self.clock = JumpingClock()
        self.kubernetes = FakeKubernetes()
        self.zoho, self.adobe = Zoho(self.clock), Adobe(self.clock)
        self.start()

    def start(self) -> CredentialRegistry:
        """A new process."""
        process = Process(self.clock, self.kubernetes, ObjectCache({}))
        self.metrics = process.metrics
        self.access = process.registry(self.zoho, self.adobe)
        return self.access

    async def restart(self) -> CredentialRegistry:
        """The process ends in order, and a new one comes."""
        await self.access.flush()
        return self.start()

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
def harness() -> Harness:
    return Harness()


async def test_who_has_the_same_grant_shares_its_token(harness: Harness) -> None:
    assert {await harness.token(holder) for holder in (A, B, A)} == {"1000.access.1"}
    await harness.token(dc=DataCenter.US)
    await harness.token(credentials=ZohoCredentials("id", SecretStr("secret"), SecretStr("other")))
    assert harness.zoho.refreshes == 3


async def test_a_restart_asks_for_no_token(harness: Harness) -> None:
    await harness.token()
    await harness.access.platform(A, "org", "prod", ADOBE)
    for _ in range(50):
        harness.start()
        assert await harness.token() == "1000.access.1"
        await harness.access.platform(A, "org", "prod", ADOBE)
    assert (harness.zoho.refreshes, harness.adobe.asked) == (1, 1)


async def test_the_store_writes_at_home_only_and_nothing_while_nothing_changes(harness: Harness) -> None:
    await harness.token()
    assert {namespace for namespace, _ in harness.kubernetes.own_secrets} == {HOME}
    writes = len(harness.kubernetes.calls)
    harness.start()
    await harness.token()
    new = harness.kubernetes.calls[writes:]
    assert set(new) == {"read_own_secret"}


async def test_another_client_secret_gets_no_token_of_the_first(harness: Harness) -> None:
    """Else a namespace with half a credential could use another's."""
    await harness.token()
    harness.zoho.error = remote_error(ErrorClass.TERMINAL, "InvalidClientSecret")
    for _ in range(2):
        with pytest.raises(RemoteError):
            await harness.token(B, ZohoCredentials("id", SecretStr("guess"), SecretStr("1000.aa.bb")))
        harness.start()


async def test_two_client_secrets_of_one_refresh_token_share_its_budget(harness: Harness) -> None:
    other = ZohoCredentials("id", SecretStr("other-secret"), SecretStr("1000.aa.bb"))
    for number in range(5):
        for credentials in (REFRESH, other):
            harness.start()  # the record holds the token of one secret
            await harness.token(credentials=credentials)
        assert harness.zoho.refreshes == 2 * number + 2
    with pytest.raises(RemoteError) as error:
        await harness.token(credentials=REFRESH)
    assert error.value.reason == "TokenBudgetSpent"


async def test_a_crash_loop_does_not_use_the_budget_up_unseen(harness: Harness) -> None:
    """Each process dies with the answer on its way."""
    harness.zoho.error = asyncio.CancelledError()
    for _ in range(10):
        harness.start()
        with pytest.raises(asyncio.CancelledError):
            await harness.token()
    harness.zoho.error = None
    harness.start()
    harness.clock.jump(100.0)
    with pytest.raises(RemoteError) as error:
        await harness.token()
    assert error.value.error_class is ErrorClass.TRANSIENT
    assert error.value.retry_after == 500.0
    assert "UTC" in error.value.message
    assert harness.zoho.refreshes == 10
    harness.clock.jump(500.0)
    assert await harness.token()


async def test_a_throttle_is_remembered_over_a_restart(harness: Harness) -> None:
    harness.zoho.error = remote_error(reason="TokenThrottled", retry_after=600.0)
    with pytest.raises(RemoteError):
        await harness.token()
    harness.zoho.error = None
    harness.clock.jump(200.0)
    harness.start()
    with pytest.raises(RemoteError) as error:
        await harness.token()
    assert (error.value.reason, error.value.retry_after) == ("TokenThrottled", 400.0)
    assert harness.zoho.refreshes == 1
    harness.clock.jump(400.0)
    assert await harness.token()


async def test_a_grant_token_is_exchanged_once_and_its_refresh_token_lasts(harness: Harness) -> None:
    assert await harness.token(credentials=GRANT) == "1000.access.1"
    assert harness.zoho.exchanges == ["http://localhost:8917/cb"]
    harness.clock.jump(LIFE)
    harness.start()
    await harness.token(credentials=GRANT)
    assert (harness.zoho.refreshes, len(harness.zoho.exchanges)) == (1, 1)
    access = harness.access.zoho(A, DataCenter.EU, GRANT)
    assert (await access.refresh_token()).get_secret_value() == "1000.obtained.1"


async def test_an_exchange_whose_end_is_not_known_is_never_repeated(harness: Harness) -> None:
    harness.zoho.error = asyncio.CancelledError()  # as good as a crash
    with pytest.raises(asyncio.CancelledError):
        await harness.token(credentials=GRANT)
    harness.zoho.error = None
    for _ in range(3):
        harness.start()
        with pytest.raises(RemoteError) as error:
            await harness.token(credentials=GRANT)
        assert (error.value.reason, error.value.error_class) == ("GrantLost", ErrorClass.TERMINAL)
        assert "authorize anew" in error.value.advice
    assert len(harness.zoho.exchanges) == 1
    anew = ZohoCredentials("id", SecretStr("secret"), None, SecretStr("1000.ii.jj"))
    assert await harness.token(credentials=anew)


async def test_a_lost_answer_is_a_lost_grant(harness: Harness) -> None:
    harness.zoho.error = remote_error(ErrorClass.TERMINAL, "GrantLost", maybe_applied=True)
    for _ in range(3):
        with pytest.raises(RemoteError):
            await harness.token(credentials=GRANT)
        harness.start()
    assert len(harness.zoho.exchanges) == 1


@pytest.mark.parametrize(
    ("refusal", "exchanges"),
    [
        pytest.param(remote_error(ErrorClass.TERMINAL, "GrantRejected"), 1, id="spent: not sent again"),
        pytest.param(remote_error(ErrorClass.TERMINAL, "InvalidClientSecret"), 3, id="still good"),
        pytest.param(remote_error(reason="Unreachable"), 3, id="not sent"),
    ],
)
async def test_a_refused_grant_token(harness: Harness, refusal: RemoteError, exchanges: int) -> None:
    harness.zoho.error = refusal
    for _ in range(3):
        with pytest.raises(RemoteError):
            await harness.token(credentials=GRANT)
    assert len(harness.zoho.exchanges) == exchanges


async def test_no_grant_token_is_used_up_without_a_place_for_what_it_gives(harness: Harness) -> None:
    harness.kubernetes.errors["merge_own_secret"] = [KubernetesError("403", 403)]
    with pytest.raises(RemoteError) as error:
        await harness.token(credentials=GRANT)
    assert error.value.reason == "TokenStoreForbidden"
    assert HOME in error.value.message
    assert harness.zoho.exchanges == []
    assert await harness.token(credentials=GRANT), "it was not sent, so it is still good"
    assert len(harness.zoho.exchanges) == 1


QUOTA = (
    'secrets "t" is forbidden: exceeded quota: small, requested: count/secrets=1, limited: count/secrets=5'
)
RIGHTS = (
    'secrets "t" is forbidden: User "u" cannot patch resource "secrets" in API group "" in the namespace "n"'
)


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        pytest.param(KubernetesError("", 403, words=QUOTA, refusal=Refusal.POLICY), "quota", id="quota"),
        pytest.param(
            KubernetesError("", 422, words="policy p denied request", refusal=Refusal.POLICY),
            "policy",
            id="policy",
        ),
        pytest.param(
            KubernetesError("", 403, words=RIGHTS, refusal=Refusal.RIGHTS), "ServiceAccount", id="rights"
        ),
    ],
)
async def test_a_token_that_may_not_be_kept_is_told_in_the_words_of_the_api_server(
    harness: Harness, error: KubernetesError, advice: str
) -> None:
    harness.kubernetes.errors["merge_own_secret"] = [error]
    with pytest.raises(RemoteError) as raised:
        await harness.token(credentials=GRANT)
    outcome = from_remote_error(raised.value)
    assert (outcome.outcome_class, outcome.reason) == (OutcomeClass.STALLED, "TokenStoreForbidden")
    assert error.words in outcome.message
    assert advice in raised.value.advice
    assert ("rights" in raised.value.advice) is (error.refusal is Refusal.RIGHTS)
    assert outcome.silent, "a wider quota sends no event"


@pytest.mark.parametrize(
    ("status", "reason", "error_class"),
    [
        (403, "TokenStoreForbidden", ErrorClass.TERMINAL),
        (None, "KubernetesUnavailable", ErrorClass.TRANSIENT),
    ],
)
async def test_no_token_is_asked_for_while_the_budget_is_not_known(
    harness: Harness, status: int | None, reason: str, error_class: ErrorClass
) -> None:
    harness.kubernetes.errors["read_own_secret"] = [KubernetesError("no", status)]
    with pytest.raises(RemoteError) as error:
        await harness.token()
    assert (error.value.reason, error.value.error_class) == (reason, error_class)
    assert harness.zoho.refreshes == 0
    assert await harness.token()


async def test_a_token_that_can_not_be_stored_is_good_all_the_same(harness: Harness) -> None:
    harness.kubernetes.errors["merge_own_secret"] = [None, KubernetesError("503", 503)]
    assert await harness.token() == await harness.token() == "1000.access.1"


async def test_what_a_write_lost_is_in_the_next_one(harness: Harness) -> None:
    """Else the refresh token out of a grant token would be gone with the process."""
    harness.kubernetes.errors["merge_own_secret"] = [None, KubernetesError("503", 503)]
    with pytest.raises(RemoteError):
        await harness.token(credentials=GRANT)
    await harness.token(credentials=GRANT)
    harness.start()
    await harness.token(credentials=GRANT)
    [stored] = harness.stored
    assert stored["refreshToken"] == "1000.obtained.1"
    assert "grant" not in stored
    [secret] = harness.kubernetes.own_secrets.values()
    assert A in secret["metadata"]["annotations"].values()
    assert len(harness.zoho.exchanges) == 1


async def test_what_is_pushed_is_known_after_a_restart(harness: Harness) -> None:
    zoho = harness.access.zoho(A, DataCenter.EU, REFRESH)
    token = await zoho.access_token()
    assert not await zoho.is_pushed()
    await zoho.note_pushed(token)
    assert await zoho.is_pushed()
    assert not await harness.access.zoho(B, DataCenter.EU, REFRESH).is_pushed()
    zoho = (await harness.restart()).zoho(A, DataCenter.EU, REFRESH)
    assert await zoho.is_pushed()
    harness.clock.jump(LIFE)
    assert not await zoho.is_pushed()


async def test_the_registry_says_who_uses_a_credential_and_that_it_has_a_new_token(harness: Harness) -> None:
    assert harness.access.zoho_in_use() == []
    await harness.token(A)
    await harness.token(B)
    [credential] = harness.access.zoho_in_use()
    assert (credential.renewal.announced, credential.token.renewals) == (1, 1), "both have it"
    harness.clock.jump(LIFE)
    await harness.token(B)
    assert harness.access.zoho_in_use() == [credential]
    assert (credential.used_by, credential.token.renewals) == ({A, B}, 2)


async def test_a_zoho_token_that_is_not_accepted_is_replaced_once(harness: Harness) -> None:
    zoho = harness.access.zoho(A, DataCenter.EU, REFRESH)
    harness.zoho.accepted = "1000.access.2"
    assert (await zoho.organization(Environment.PRODUCTION)).id == "org-1"
    harness.zoho.accepted = "none"
    for _ in range(3):
        with pytest.raises(RemoteError):
            await zoho.organization(Environment.PRODUCTION)
    assert harness.zoho.refreshes == 2


async def test_credits_of_questions_are_told(harness: Harness) -> None:
    zoho = harness.access.zoho(A, DataCenter.EU, REFRESH)
    harness.zoho.accepted = "1000.access.2"
    spent: list[int] = []
    assert await zoho.ask(Environment.SANDBOX, tables.modules, spent.append) == ()
    assert spent == [1], "a call that was refused costs nothing"
    assert harness.zoho.asked == ["https://sandbox.zohoapis.eu/crm/v8/settings/modules"]
    assert zoho.crm_url(Environment.SANDBOX) == "https://sandbox.zohoapis.eu"


async def test_each_call_of_a_question_keeps_to_the_pace_of_the_credential(harness: Harness) -> None:
    zoho = harness.access.zoho(A, DataCenter.EU, REFRESH)

    async def twice(api: CrmApi) -> None:
        await tables.modules(api)
        harness.zoho.status = 429
        await tables.modules(api)

    for _ in range(2):
        with pytest.raises(RemoteError) as raised:
            await zoho.ask(Environment.PRODUCTION, twice)
        assert raised.value.reason == "RateLimited"
    assert len(harness.zoho.asked) == 2, "the second time nothing was sent"


async def test_a_token_of_another_data_center_is_named(harness: Harness) -> None:
    harness.zoho.accepted, harness.zoho.home = "another", DataCenter.US
    with pytest.raises(RemoteError) as raised:
        await harness.access.zoho(A, DataCenter.EU, REFRESH).organization(Environment.PRODUCTION)
    assert raised.value.reason == "WrongDataCenter"
    assert "lives in data center US" in raised.value.message


@pytest.mark.parametrize("credentials", [REFRESH, GRANT])
async def test_a_refresh_token_that_was_replaced_is_used_from_then_on(
    harness: Harness, credentials: ZohoCredentials
) -> None:
    harness.zoho.replacement = SecretStr("1000.new.1")
    await harness.token(credentials=credentials)
    harness.clock.jump(LIFE)
    harness.start()
    await harness.token(credentials=credentials)
    assert harness.zoho.used[-1] == "1000.new.1"
    access = harness.access.zoho(A, DataCenter.EU, credentials)
    assert (await access.refresh_token()).get_secret_value() == "1000.new.1"

    await harness.access.drop_grants(A, revoke=True)
    assert harness.zoho.revoked == (["EU 1000.new.1"] if credentials is GRANT else [])
    harness.clock.jump(LIFE + IDLE_SECONDS)
    await harness.access.sweep(lambda holder: False)
    assert len(harness.stored) == (0 if credentials is GRANT else 1)


async def test_a_refresh_token_that_is_repeated_is_not_kept(harness: Harness) -> None:
    harness.zoho.replacement = REFRESH.refresh_token
    await harness.token()
    assert "newRefreshToken" not in harness.stored[0]


async def test_a_grant_of_our_own_is_revoked_with_its_last_user(harness: Harness) -> None:
    await harness.token(A, GRANT)
    await harness.token(B, GRANT)
    await harness.access.drop_grants(A, revoke=True)
    assert harness.zoho.revoked == []
    harness.start()
    await harness.access.drop_grants(B, revoke=True)
    assert harness.zoho.revoked == ["EU 1000.obtained.1"]
    assert harness.stored == []


async def test_a_grant_of_the_users_is_never_revoked(harness: Harness) -> None:
    await harness.token(A)
    await harness.access.drop_grants(A, revoke=True)
    assert harness.zoho.revoked == []


async def test_an_orphan_keeps_its_grant(harness: Harness) -> None:
    await harness.token(A, GRANT)
    await harness.access.drop_grants(A, revoke=False)
    assert harness.zoho.revoked == []
    harness.start()
    await harness.token(A, GRANT)
    assert len(harness.zoho.exchanges) == 1


async def test_a_grant_that_was_revoked_before_does_not_matter(harness: Harness) -> None:
    await harness.token(A, GRANT)
    harness.zoho.error = remote_error(ErrorClass.TERMINAL, "RevocationRefused")
    await harness.access.drop_grants(A, revoke=True)
    assert harness.stored == []


async def test_rotation_ends_the_former_grant_of_our_own(harness: Harness) -> None:
    await harness.token(A, GRANT)
    harness.start()
    await harness.token(A, REFRESH)
    await harness.access.drop_former_grants(A)
    assert harness.zoho.revoked == ["EU 1000.obtained.1"]
    assert len(harness.access.zoho_in_use()) == 1
    assert len(harness.stored) == 1


async def test_the_sweep_removes_what_nobody_uses(harness: Harness) -> None:
    await harness.token(A)
    await harness.token(B, GRANT)
    await harness.access.platform(A, "org", "prod", ADOBE)
    await harness.access.sweep(lambda _: True)
    await harness.access.sweep(lambda _: False)
    assert len(harness.stored) == 3, "who comes back soon finds the token and the budget"
    harness.clock.jump(LIFE + IDLE_SECONDS + 1)
    await harness.access.sweep(lambda _: False)
    [left] = harness.stored
    assert left["refreshToken"] == "1000.obtained.1", "nobody else has it"


async def test_a_record_that_can_not_be_removed_keeps_no_other_from_it(harness: Harness) -> None:
    await harness.token(A)
    await harness.access.platform(A, "org", "prod", ADOBE)
    await harness.access.sweep(lambda _: False)
    harness.clock.jump(LIFE + IDLE_SECONDS + 1)
    harness.kubernetes.errors["delete_own_secret"] = [KubernetesError("403 Forbidden", 403)]
    with pytest.raises(RemoteError):
        await harness.access.sweep(lambda _: False)
    assert len(harness.stored) == 1


async def test_sandboxes_of_one_credential_share_its_token(harness: Harness) -> None:
    for holder, sandbox in ((A, "prod"), (B, "dev"), (A, "prod")):
        await harness.access.platform(holder, "org", sandbox, ADOBE)
    assert harness.adobe.asked == 1
    await harness.access.platform(A, "other-org", "prod", ADOBE)
    assert harness.adobe.asked == 2


PROD = ("org", "prod")


async def test_a_platform_is_held_while_its_token_lasts(harness: Harness) -> None:
    assert await harness.access.cached_platform(A, PROD) is None
    platform = await harness.access.platform(A, *PROD, ADOBE)
    assert await harness.access.cached_platform(A, PROD) is platform
    assert await harness.access.cached_platform(A, None) is platform
    assert await harness.access.cached_platform(B, PROD) is None
    harness.clock.jump(LIFE - 61.0)
    assert await harness.access.cached_platform(A, PROD) is platform
    harness.clock.jump(1.0)
    assert await harness.access.cached_platform(A, PROD) is None


async def test_a_platform_is_held_over_a_restart_without_the_secret(harness: Harness) -> None:
    await harness.access.platform(A, *PROD, ADOBE)
    await harness.restart()
    assert await harness.access.cached_platform(B, PROD) is None, "what others reach is not theirs"
    assert await harness.access.cached_platform(A, ("other-org", "prod")) is None
    assert await harness.access.cached_platform(A, PROD) is not None
    assert harness.adobe.asked == 1
    harness.clock.jump(LIFE - 60.0)
    assert await harness.access.cached_platform(A, PROD) is None


async def test_a_refused_credential_leaves_what_was_held(harness: Harness) -> None:
    platform = await harness.access.platform(A, *PROD, ADOBE)
    harness.adobe.error = remote_error(ErrorClass.TERMINAL, "PlatformCredentialsRejected")
    with pytest.raises(RemoteError):
        await harness.access.platform(A, *PROD, PlatformCredentials("id", SecretStr("wrong")))
    assert await harness.access.cached_platform(A, PROD) is platform
    harness.access.forget(A)
    assert await harness.access.cached_platform(A, None) is None


@pytest.mark.parametrize(
    ("organization", "sandbox", "credentials", "shared"),
    [
        pytest.param("org", "prod", ADOBE, True, id="the same"),
        pytest.param("other", "prod", ADOBE, False, id="another organization"),
        pytest.param("org", "dev", ADOBE, False, id="another sandbox"),
        pytest.param("org", "prod", OTHER, False, id="another credential"),
    ],
)
async def test_connections_of_one_sandbox_and_credential_share_all_that_belongs_to_it(
    harness: Harness, organization: str, sandbox: str, credentials: PlatformCredentials, shared: bool
) -> None:
    """A poll costs its pages once, however many connections there are."""
    first = await harness.access.platform(A, "org", "prod", ADOBE)
    second = await harness.access.platform(B, organization, sandbox, credentials)
    assert (first is second) is shared
    assert (harness.access.inventory(A) is harness.access.inventory(B)) is shared
    assert (harness.access.landing_zone(A) is harness.access.landing_zone(B)) is shared


def shown(harness: Harness, name: str) -> dict[tuple[str, str], float]:
    """The values of a metric by service and credential, as they are scraped."""
    families = text_string_to_metric_families(harness.metrics.text().decode())
    return {
        (sample.labels["service"], sample.labels["credential"]): sample.value
        for family in families
        for sample in family.samples
        if sample.name == f"crmflow_{name}"
    }


async def test_metrics_show_ages_of_tokens_under_a_hash(harness: Harness) -> None:
    await harness.token()
    issued, expiry = (shown(harness, f"token_{name}_timestamp_seconds") for name in ("issued", "expiry"))
    [(service, credential)] = issued
    assert (service, len(credential)) == ("Zoho", 16)
    assert expiry[service, credential] - issued[service, credential] == LIFE
    assert shown(harness, "limiter_requests_per_second") == {(service, credential): math.inf}


async def test_a_token_that_has_ended_shows_for_as_long_as_somebody_asks(harness: Harness) -> None:
    await harness.token()
    harness.zoho.error = remote_error(ErrorClass.TERMINAL, "RefreshTokenRejected")
    for _ in range(10):
        harness.clock.jump(LIFE)
        with pytest.raises(RemoteError):
            await harness.token()
    assert len(shown(harness, "token_expiry_timestamp_seconds")) == 1


async def test_a_credential_that_is_gone_shows_no_more(harness: Harness) -> None:
    await harness.token()
    await harness.access.platform(A, "org", "prod", ADOBE)
    harness.clock.jump(LIFE + 2 * 3600 + 1)
    await harness.access.platform(A, "org", "prod", ADOBE)
    for name in ("token_issued_timestamp_seconds", "token_expiry_timestamp_seconds"):
        assert [service for service, _ in shown(harness, name)] == ["Adobe"]
    assert [service for service, _ in shown(harness, "limiter_requests_per_second")] == ["Adobe"]
