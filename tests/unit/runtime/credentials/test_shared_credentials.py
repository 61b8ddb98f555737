"""Connections that share a credential: across restarts, deletions, rotations and slow token endpoints, and
what is left of a credential that nobody uses any more.
"""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import orjson
import pytest
from pydantic import SecretStr

from crmflow.aep.ims import ImsToken
from crmflow.aep.sandboxes import SANDBOXES
from crmflow.api.zohosourceconnection import DataCenter
from crmflow.http.client import Answer, Call
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.reconcile.credentials import PlatformCredentials, ZohoCredentials
from crmflow.runtime.controller.cache import ObjectCache
from crmflow.runtime.controller.keys import Key
from crmflow.runtime.credentials.registry import IDLE_SECONDS
from crmflow.runtime.credentials.token_store import Record, Service
from crmflow.runtime.kubernetes.errors import KubernetesError
from crmflow.zoho.accounts import ZohoToken
from crmflow.zoho.grants import Grant
from tests.fakes.failing import remote_error
from tests.unit.reconcile.harness import connection_spec
from tests.unit.runtime.fakes import FakeKubernetes, JumpingClock, make_object, ready, settle
from tests.unit.runtime.process import KINDS, POLL, Process

LIFE = 3600.0
PROD = ("org", "prod")
A, B = "crm/a", "crm/b"

ADOBE = PlatformCredentials("id", SecretStr("adobe-secret"))
ROTATED = PlatformCredentials("id", SecretStr("rotated-secret"))
REFRESH = ZohoCredentials("id", SecretStr("zoho-secret"), SecretStr("1000.aa.bb"))
OTHER_SECRET = ZohoCredentials("id", SecretStr("other-secret"), SecretStr("1000.aa.bb"))
GRANT = ZohoCredentials("id", SecretStr("zoho-secret"), None, SecretStr("1000.gg.hh"))


class TokenEndpoint:
    """Zoho's or Adobe's: numbered tokens, or the error that it is told; it can be held up."""

    def __init__(self, clock: JumpingClock) -> None:
        self._clock = clock
        self.asked = 0
        self.at_once = 0
        self.most_at_once = 0
        self.error: BaseException | None = None
        self.open = asyncio.Event()
        self.open.set()
        self.revoked: list[str] = []
        self.redirect_uri: str | None = None
        """The one that is registered."""

    async def _issue(self) -> tuple[SecretStr, float, float]:
        self.asked += 1
        number = self.asked
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            await self.open.wait()
        finally:
            self.at_once -= 1
        if self.error is not None:
            raise self.error
        return SecretStr(f"token-{number}"), self._clock.now() + LIFE, self._clock.now()

    async def token(self, *_: Any) -> ImsToken:
        return ImsToken(*await self._issue())

    async def refresh(self, *_: Any) -> ZohoToken:
        return ZohoToken(*await self._issue(), (), None)

    async def exchange(
        self, dc: DataCenter, client_id: str, secret: SecretStr, code: SecretStr, redirect_uri: str | None
    ) -> Grant:
        if redirect_uri != self.redirect_uri:
            raise remote_error(ErrorClass.TERMINAL, "InvalidRedirectUri")
        return Grant(SecretStr("1000.obtained.1"), ZohoToken(*await self._issue(), (), None))

    async def revoke(self, _: DataCenter, refresh_token: SecretStr) -> None:
        self.revoked.append(refresh_token.get_secret_value())
        if self.error is not None:
            raise self.error


class Gateway:
    """Adobe's, with a sandbox that holds nothing; it notes the tokens that it is shown."""

    def __init__(self) -> None:
        self.tokens: list[str] = []

    async def send(
        self, service: str, operation: str, method: str, url: str, *, headers: dict[str, str], **_: Any
    ) -> Answer:
        self.tokens.append(headers["Authorization"].removeprefix("Bearer "))
        body: dict[str, list[Any]] = {"items": [], "sandboxes": []}
        return Answer(Call(service, operation, method), 200, {}, orjson.dumps(body))


class Harness:
    """The remote services and the API server; processes come and go."""

    def __init__(self) -> None:
        self.clock = JumpingClock()
        self.kubernetes = FakeKubernetes()
        self.zoho, self.adobe = TokenEndpoint(self.clock), TokenEndpoint(self.clock)
        self.gateway = Gateway()
        self.cache = ObjectCache(KINDS)
        for holder in (A, B):
            name = holder.split("/")[1]
            self.cache.put(
                make_object(
                    "ZohoSourceConnection", name, uid=name, spec=connection_spec(), status=ready("True")
                )
            )
        self.start()

    def start(self) -> None:
        """A new process."""
        self.process = Process(self.clock, self.kubernetes, self.cache)
        self.access = self.process.registry(self.zoho, self.adobe, self.gateway)
        self.store = self.process.store

    async def restart(self) -> None:
        """The process ends in order, and a new one comes."""
        await self.access.flush()
        self.start()

    async def token(self, holder: str = A, credentials: ZohoCredentials = REFRESH) -> str:
        access = self.access.zoho(holder, DataCenter.EU, credentials)
        return (await access.access_token()).get_secret_value()

    async def polls(self, count: int = 1) -> list[str]:
        """Let so many polls pass; the tokens that they were made with."""
        before = len(self.gateway.tokens)
        async with self._polling():
            for _ in range(count):
                self.clock.jump(POLL)
                await settle()
        return sorted(set(self.gateway.tokens[before:]))

    @asynccontextmanager
    async def _polling(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.process.poller.run(self.access.sandboxes))
        await settle()
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    @property
    def failed_polls(self) -> float | None:
        return self.process.metric("inventory_poll_failures_total")

    @property
    def secrets(self) -> set[str]:
        """The names of the token store's Secrets."""
        return {name for _, name in self.kubernetes.own_secrets}


@pytest.fixture
def harness() -> Harness:
    return Harness()


# Credentials, inventories and restarts


@pytest.mark.parametrize("living_first", [False, True])
async def test_after_a_restart_living_connections_do_not_depend_on_a_token_that_a_deletion_took_up(
    harness: Harness, living_first: bool
) -> None:
    """A is deleted, and its Secret is gone; B lives on with the same credential."""
    for holder in (A, B):
        await harness.access.platform(holder, *PROD, ADOBE)
    await harness.restart()
    if living_first:
        await harness.access.platform(B, *PROD, ADOBE)
    assert await harness.access.cached_platform(A, PROD) is not None
    await harness.access.platform(B, *PROD, ADOBE)
    assert harness.access.inventory(A) is harness.access.inventory(B)

    harness.clock.jump(LIFE)
    assert await harness.polls(2) == ["token-2"]
    await harness.access.inventory(B).ensure()
    assert harness.failed_polls == 0


async def test_a_left_token_serves_until_it_ends_and_nothing_is_asked_for_it(harness: Harness) -> None:
    await harness.access.platform(A, *PROD, ADOBE)
    await harness.restart()
    harness.clock.jump(LIFE - 61.0)
    platform = await harness.access.cached_platform(A, PROD)
    assert platform is not None
    assert await platform.list(SANDBOXES) == ()
    assert (harness.adobe.asked, harness.gateway.tokens) == (1, ["token-1"])
    harness.clock.jump(1.0)
    assert await harness.access.cached_platform(A, PROD) is None
    with pytest.raises(RemoteError) as ended:
        await platform.list(SANDBOXES)
    assert (ended.value.error_class, ended.value.reason) == (
        ErrorClass.TERMINAL,
        "PlatformCredentialsRejected",
    )
    assert harness.adobe.asked == 1


@pytest.mark.parametrize("restart", [False, True])
async def test_a_refused_credential_that_still_has_a_token_serves_a_deletion(
    harness: Harness, restart: bool
) -> None:
    """The Secret is there, and Adobe accepts it no longer."""
    await harness.access.platform(A, *PROD, ADOBE)
    harness.clock.jump(0.75 * LIFE)
    harness.adobe.error = remote_error(ErrorClass.TERMINAL, "PlatformCredentialsRejected")
    if restart:
        await harness.restart()
    with pytest.raises(RemoteError):
        await harness.access.platform(A, *PROD, ADOBE)
    platform = await harness.access.cached_platform(A, PROD)
    assert platform is not None
    assert await platform.list(SANDBOXES) == ()
    assert harness.gateway.tokens == ["token-1"]
    assert harness.adobe.asked == 2, "a deletion that goes on does not ask again"


async def test_of_several_tokens_that_are_left_the_one_that_lasts_longest_is_taken_up(
    harness: Harness,
) -> None:
    """Whichever the API server lists first."""
    for first, second in ((ADOBE, ROTATED), (ROTATED, ADOBE)):
        harness.kubernetes.own_secrets.clear()
        await harness.restart()
        await harness.access.platform(A, *PROD, first)
        harness.clock.jump(LIFE)
        await harness.access.platform(A, *PROD, second)
        for _ in range(2):
            await harness.restart()
            assert await harness.access.cached_platform(A, PROD) is not None
            harness.kubernetes.own_secrets = dict(reversed(harness.kubernetes.own_secrets.items()))


async def test_deletions_share_the_limiter_of_their_credential(harness: Harness) -> None:
    for holder in (A, B):
        await harness.access.platform(holder, *PROD, ADOBE)
    await harness.restart()
    living = await harness.access.platform(B, *PROD, ADOBE)
    assert await harness.access.cached_platform(A, PROD) is living, "and so its token and its pace"


async def test_a_redirect_uri_that_is_put_right_is_used(harness: Harness) -> None:
    """It is no part of what tells a credential from others, and must not stay that of the first try."""
    harness.zoho.redirect_uri = "http://localhost:8917/callback"
    with pytest.raises(RemoteError):
        await harness.token(A, replace(GRANT, redirect_uri="http://localhost"))
    assert await harness.token(A, replace(GRANT, redirect_uri=harness.zoho.redirect_uri)) == "token-1"


# Scenarios that cross all three


SECRETS = {"old": ADOBE, "new": ROTATED}
CONNECTIONS = {"A": A, "B": B}


async def play(harness: Harness, steps: str) -> None:
    """Let happen what ``steps`` say, in this order. Tokens are numbered by the requests for one, refused ones
    included.
    """
    for step in steps.split(", "):
        match step.split():
            case ["restart"]:
                await harness.restart()
            case ["crash"]:
                harness.start()
            case ["token-ends"]:
                harness.clock.jump(LIFE)
            case ["refuse"]:
                harness.adobe.error = remote_error(ErrorClass.TERMINAL, "PlatformCredentialsRejected")
            case ["accept"]:
                harness.adobe.error = None
            case [who, "passes", secret]:
                with suppress(RemoteError):
                    await harness.access.platform(CONNECTIONS[who], *PROD, SECRETS[secret])
            case [who, "is-deleted"]:  # and its Secret is gone
                await harness.access.cached_platform(CONNECTIONS[who], PROD)
            case [who, "is-gone"]:
                await harness.access.drop_grants(CONNECTIONS[who], revoke=True)
                harness.cache.remove(Key("ZohoSourceConnection", "crm", who.lower()), who.lower())
            case ["sweep"]:
                await harness.access.sweep(
                    lambda user: Key("ZohoSourceConnection", *user.split("/")) in harness.cache
                )
            case _:
                raise AssertionError(step)


async def token_of(harness: Harness, connection: str) -> str | None:
    """The token that a deletion of the connection would go with."""
    platform = await harness.access.cached_platform(connection, PROD)
    if platform is None:
        return None
    await platform.list(SANDBOXES)
    return harness.gateway.tokens[-1]


@pytest.mark.parametrize(
    ("steps", "polled", "deleted_with"),
    [
        pytest.param("A passes old, B passes old", ["token-1"], ("token-1", "token-1"), id="shared"),
        pytest.param(
            "A passes old, B passes old, A passes new",
            ["token-1", "token-2"],
            ("token-2", "token-1"),
            id="one rotates",
        ),
        pytest.param(
            "A passes old, B passes old, A passes new, B passes new",
            ["token-2"],
            ("token-2", "token-2"),
            id="both rotate",
        ),
        pytest.param(
            "A passes old, refuse, A passes new, accept",
            ["token-3"],
            ("token-1", None),
            id="rotated and refused: polled with the new one, deleted with the old one",
        ),
        pytest.param(
            "A passes old, refuse, A passes new, restart, A passes new, A is-deleted, accept",
            ["token-4"],
            ("token-1", None),
            id="the same over a restart",
        ),
        pytest.param(
            "A passes old, B passes old, restart, A is-deleted",
            ["token-1"],
            ("token-1", "token-1"),
            id="a deletion is the first to come after a restart",
        ),
        pytest.param(
            "A passes old, B passes old, crash, A is-deleted, B passes old, token-ends, B passes old",
            ["token-2"],
            ("token-2", "token-2"),
            id="the living one makes it whole",
        ),
        pytest.param(
            "A passes old, B passes old, A is-gone, sweep, restart, B passes old",
            ["token-1"],
            (None, "token-1"),
            id="who is gone takes nothing along",
        ),
        pytest.param("A passes old, A is-gone, sweep", [], (None, None), id="nobody is left"),
    ],
)
async def test_scenarios(
    harness: Harness, steps: str, polled: list[str], deleted_with: tuple[str | None, str | None]
) -> None:
    await play(harness, steps)
    sandboxes = harness.access.sandboxes()
    assert len({sandbox.scope for sandbox in sandboxes}) == len(sandboxes) == len(polled)
    assert await harness.polls(2) == polled
    assert harness.failed_polls == 0
    assert (await token_of(harness, A), await token_of(harness, B)) == deleted_with
    users = {user for record in await harness.store.records(Service.ADOBE) for user in record.users}
    assert users == {user for user, token in zip((A, B), deleted_with, strict=True) if token}


# One object for each stored Secret


async def test_a_record_that_was_removed_is_the_same_object_when_it_comes_back(harness: Harness) -> None:
    record = harness.store.record(Service.ZOHO, "credential")
    await record.write(accessToken="token-1")
    await record.remove()
    assert (harness.secrets, dict(await record.fields())) == (set(), {})
    assert harness.store.record(Service.ZOHO, "credential") is record
    await record.write(accessToken="token-2")
    assert await harness.store.records(Service.ZOHO) == [record]


@pytest.mark.parametrize("service", list(Service))
async def test_a_credential_whose_record_was_swept_keeps_the_next_one(
    harness: Harness, service: Service
) -> None:
    async def use() -> None:
        if service is Service.ZOHO:
            await harness.token(A)
        else:
            await harness.access.platform(A, *PROD, ADOBE)

    await use()
    harness.clock.jump(LIFE + IDLE_SECONDS + 1)
    await harness.access.sweep(lambda _: False)
    assert harness.secrets == set()
    await use()
    await harness.access.sweep(lambda _: True)
    harness.clock.jump(LIFE)
    await use()
    before = harness.secrets
    harness.clock.jump(IDLE_SECONDS + 1)
    await harness.access.sweep(lambda _: True)
    assert harness.secrets == before != set()
    [body] = harness.kubernetes.own_secrets.values()
    assert A in body["metadata"]["annotations"].values()


async def test_a_grant_whose_record_was_removed_is_not_its_own_former_one(harness: Harness) -> None:
    await harness.token(A)
    await harness.access.drop_grants(A, revoke=True)
    harness.clock.jump(LIFE + IDLE_SECONDS + 1)
    await harness.access.sweep(lambda _: False)
    await harness.token(A)
    assert len(harness.secrets) == 1
    await harness.access.drop_former_grants(A)
    await harness.access.flush()
    [body] = harness.kubernetes.own_secrets.values()
    assert A in body["metadata"]["annotations"].values()
    [record] = await harness.store.records(Service.ZOHO)
    assert record.users == [A]


async def test_a_connection_whose_grant_is_not_known_yet_has_no_former_ones(harness: Harness) -> None:
    await harness.token(A, GRANT)
    await harness.restart()
    await harness.access.drop_former_grants(A)
    assert (harness.zoho.revoked, len(harness.secrets)) == ([], 1)


async def test_who_uses_a_credential_holds_its_record_again_should_it_be_gone(harness: Harness) -> None:
    await harness.token(A)
    await harness.store.record(Service.ZOHO, DataCenter.EU, "id", SecretStr("1000.aa.bb")).remove()
    await harness.token(A)
    await harness.access.flush()
    [record] = await harness.store.records(Service.ZOHO)
    assert record.users == [A]


async def test_what_is_written_while_a_record_is_removed_stays(harness: Harness) -> None:
    record = harness.store.record(Service.ZOHO, "credential")
    await record.write(accessToken="token-1")
    sent, may_answer = asyncio.Event(), asyncio.Event()
    delete = harness.kubernetes.delete_own_secret

    async def slow_delete(namespace: str, name: str) -> None:
        sent.set()
        await may_answer.wait()
        await delete(namespace, name)

    harness.kubernetes.delete_own_secret = slow_delete  # type: ignore[method-assign]
    removal = asyncio.create_task(record.remove())
    await sent.wait()
    comes_back = asyncio.create_task(record.add_user(A))
    await settle()
    may_answer.set()
    await asyncio.gather(removal, comes_back)
    await harness.store.flush()
    assert record.users == [A]
    [body] = harness.kubernetes.own_secrets.values()
    assert (list(body["metadata"]["annotations"].values()), body["data"]) == ([A], {})


async def test_a_record_that_could_not_be_removed_is_as_before(harness: Harness) -> None:
    record = harness.store.record(Service.ZOHO, "credential")
    await record.write(refreshToken="1000.obtained.1")
    await record.add_user(A)
    harness.kubernetes.errors["delete_own_secret"] = [KubernetesError("503", 503)]
    with pytest.raises(RemoteError):
        await record.remove()
    assert (record.users, list(await record.fields())) == ([A], ["refreshToken"])


async def test_a_listing_that_lags_behind_does_not_undo_what_was_written_meanwhile(harness: Harness) -> None:
    """Two connections with one grant are deleted at the same time, by a process that knew neither."""
    await harness.token(A, GRANT)
    await harness.token(B, GRANT)
    await harness.restart()
    listing = harness.kubernetes.list_own_secrets
    listed, may_answer = asyncio.Event(), asyncio.Event()

    async def slow_listing(namespace: str, selector: str) -> Any:
        answer = await listing(namespace, selector)
        if not listed.is_set():
            listed.set()
            await may_answer.wait()
        return answer

    harness.kubernetes.list_own_secrets = slow_listing  # type: ignore[method-assign]
    slow = asyncio.create_task(harness.access.drop_grants(A, revoke=True))
    await listed.wait()
    await harness.access.drop_grants(B, revoke=True)
    gc.collect()
    may_answer.set()
    await slow
    assert (harness.zoho.revoked, harness.secrets) == (["1000.obtained.1"], set())


async def test_the_sweep_leaves_the_record_of_a_credential_that_is_refused_for_now(harness: Harness) -> None:
    """No token and no holder: what it holds is the budget."""
    harness.zoho.error = remote_error(reason="TokenThrottled", retry_after=600.0)
    with pytest.raises(RemoteError):
        await harness.token(A)
    for _ in range(2):
        await harness.access.sweep(lambda _: True)
        assert len(harness.secrets) == 1
        await harness.restart()  # by which it is known from its Secret alone
    harness.clock.jump(600.0 + IDLE_SECONDS + 1)
    await harness.access.sweep(lambda _: True)
    assert harness.secrets == set()


# One request for all who wait


def timed_out() -> RemoteError:
    return remote_error(reason="Timeout", maybe_applied=True)


async def test_passes_that_wait_for_a_token_share_its_time_out(harness: Harness) -> None:
    harness.zoho.open.clear()
    harness.zoho.error = timed_out()
    passes = [asyncio.create_task(harness.token(holder)) for holder in (A, B) * 6]
    await settle()
    harness.zoho.open.set()
    ends = await asyncio.gather(*passes, return_exceptions=True)
    assert [getattr(end, "reason", end) for end in ends] == ["Timeout"] * 12
    assert harness.zoho.asked == 1
    [body] = harness.kubernetes.own_secrets.values()
    record = harness.store.record(Service.ZOHO, DataCenter.EU, "id", SecretStr("1000.aa.bb"))
    requests = orjson.loads((await record.fields())["requests"].get_secret_value())
    assert len(requests) == 1, "of Zoho's budget, too"
    assert body["data"].keys() == {"requests"}

    harness.zoho.error = None
    assert await harness.token() == "token-2"


async def test_passes_that_wait_for_adobe_share_its_time_out(harness: Harness) -> None:
    harness.adobe.open.clear()
    harness.adobe.error = timed_out()
    passes = [asyncio.create_task(harness.access.platform(holder, *PROD, ADOBE)) for holder in (A, B) * 6]
    await settle()
    harness.adobe.open.set()
    ends = await asyncio.gather(*passes, return_exceptions=True)
    assert [getattr(end, "reason", end) for end in ends] == ["Timeout"] * 12
    assert harness.adobe.asked == 1


async def test_a_pass_that_is_canceled_takes_no_other_along_and_loses_no_grant(harness: Harness) -> None:
    harness.zoho.open.clear()
    passes = [asyncio.create_task(harness.token(holder, GRANT)) for holder in (A, B)]
    await settle()
    passes[0].cancel()
    await settle()
    harness.zoho.open.set()
    assert await passes[1] == "token-1"
    assert await harness.token(A, GRANT) == "token-1"
    assert harness.zoho.asked == 1


async def test_client_secrets_of_one_refresh_token_ask_one_after_the_other(harness: Harness) -> None:
    harness.zoho.open.clear()
    passes = [
        asyncio.create_task(harness.token(holder, credentials))
        for credentials in (REFRESH, OTHER_SECRET)
        for holder in (A, B)
    ]
    await settle()
    assert harness.zoho.asked == 1
    harness.zoho.open.set()
    await asyncio.gather(*passes)
    assert (harness.zoho.asked, harness.zoho.most_at_once) == (2, 1)


async def test_readers_of_a_record_share_the_outage_of_the_api_server(harness: Harness) -> None:
    record = harness.store.record(Service.ZOHO, "credential")
    harness.kubernetes.errors["read_own_secret"] = [KubernetesError("503", 503)]
    ends = await asyncio.gather(*(record.fields() for _ in range(12)), return_exceptions=True)
    assert {getattr(end, "reason", None) for end in ends} == {"KubernetesUnavailable"}
    assert harness.kubernetes.calls.count("read_own_secret") == 1
    assert dict(await record.fields()) == {}


# What nobody uses is let go


class Watched:
    """Credentials and their records, and how many of them are still in memory."""

    def __init__(self, harness: Harness) -> None:
        self._site = harness
        self._credentials: list[weakref.ref[Any]] = []
        self._records: list[weakref.ref[Record]] = []

    async def use(self, number: int) -> None:
        """A pass of A, whose Secrets were rotated so many times."""
        zoho = ZohoCredentials("id", SecretStr("secret"), SecretStr(f"1000.cc.{number}"))
        adobe = PlatformCredentials("id", SecretStr(f"secret-{number}"))
        with suppress(RemoteError):
            await self._site.token(A, zoho)
        with suppress(RemoteError):
            await self._site.access.platform(A, *PROD, adobe)
        store = self._site.store
        self._credentials += [weakref.ref(zoho), weakref.ref(adobe)]
        self._records += [
            weakref.ref(store.record(Service.ZOHO, DataCenter.EU, "id", zoho.grant)),
            weakref.ref(store.record(Service.ADOBE, PROD[0], adobe.fingerprint)),
        ]

    @property
    def left(self) -> tuple[int, int]:
        """Credentials, and records."""
        gc.collect()
        credentials = sum(ref() is not None for ref in self._credentials)
        return credentials, sum(ref() is not None for ref in self._records)


async def test_rotations_leave_nothing_behind(harness: Harness) -> None:
    """Secrets least of all."""
    watched = Watched(harness)
    for number in range(20):
        await watched.use(number)
        await harness.access.flush()
        await harness.polls()
    assert watched.left == (2, 2)


async def test_what_a_connection_used_goes_with_it(harness: Harness) -> None:
    watched = Watched(harness)
    await watched.use(1)
    harness.zoho.error = harness.adobe.error = remote_error(ErrorClass.TERMINAL, "Rejected")
    await watched.use(2)
    harness.zoho.error = harness.adobe.error = None
    assert watched.left == (4, 4), "the former ones serve on"
    harness.cache.remove(Key("ZohoSourceConnection", "crm", "a"), "a")
    await harness.polls()
    await harness.access.sweep(lambda holder: holder != A)
    await harness.access.flush()
    assert watched.left == (0, 0)
