"""The users of a stored credential: many of them, few writes, and no Secret that is too large."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from crmflow.http.errors import RemoteError
from crmflow.reconcile.credentials import fingerprint
from crmflow.runtime.credentials.token_store import FULL, Record, Service, TokenStore
from crmflow.runtime.kubernetes.errors import KubernetesError
from tests.unit.runtime.fakes import FakeKubernetes

HOME = "crmflow-system"
ANNOTATIONS_LIMIT = 256 * 1024
"""Bytes of all keys and values of an object's annotations, by the API server's validation."""
MANY = 10_000
WORKERS = 20
USERS = [f"{'n' * 63}/{number:05d}{'c' * 248}" for number in range(MANY)]
"""The longest names that there are."""


class SlowKubernetes(FakeKubernetes):
    """Its answers take a while, as they do."""

    async def merge_own_secret(self, namespace: str, name: str, body: Mapping[str, Any]) -> None:
        await asyncio.sleep(0)
        await super().merge_own_secret(namespace, name, body)


class Cluster:
    """The operator's own namespace; processes come and go."""

    def __init__(self) -> None:
        self.kubernetes = SlowKubernetes()
        self.start()

    def start(self) -> Record:
        """A new process, and the record of the one credential in it."""
        self.store = TokenStore(self.kubernetes.port, HOME, "test")
        self.record = self.store.record(Service.ZOHO, "credential")
        return self.record

    async def pass_of(self, user: str) -> None:
        """A connection gets a token, and gives it to its base connection."""
        await self.record.add_user(user)
        await self.record.note_pushed(user, "token")

    async def passes_of(self, users: Sequence[str]) -> None:
        """The passes of many, as many at once as there are workers."""
        for first in range(0, len(users), WORKERS):
            await asyncio.gather(*map(self.pass_of, users[first : first + WORKERS]))

    @property
    def writes(self) -> int:
        return sum(call in ("merge_own_secret", "create_own_secret") for call in self.kubernetes.calls)

    @property
    def sizes(self) -> list[int]:
        """Bytes of annotations, by Secret."""
        bodies = self.kubernetes.own_secrets.values()
        annotations = [body["metadata"]["annotations"] for body in bodies]
        return [sum(len(key) + len(value) for key, value in each.items()) for each in annotations]


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


async def test_ten_thousand_users_fit_and_are_known_after_a_restart(cluster: Cluster) -> None:
    await cluster.passes_of(USERS)
    first = cluster.writes
    assert first <= MANY / WORKERS * 3, "those who come at once share a write"
    await cluster.store.flush()
    assert cluster.writes - first <= len(cluster.sizes), "one for what all have pushed"
    assert max(cluster.sizes) < ANNOTATIONS_LIMIT

    record = cluster.start()
    assert await cluster.store.records(Service.ZOHO) == [record], "whatever lies on further Secrets"
    assert set(record.users) == set(USERS)
    assert {await record.pushed(user) for user in (USERS[0], USERS[-1])} == {"token"}
    before = cluster.writes
    await cluster.passes_of(USERS)
    await cluster.store.flush()
    assert cluster.writes == before

    await record.remove_users(*USERS[1:])
    await cluster.start().fields()
    assert cluster.record.users == USERS[:1]
    await cluster.record.remove()
    assert cluster.kubernetes.own_secrets == {}


async def test_a_record_of_an_earlier_version_is_left_as_it_is_however_many_use_it(cluster: Cluster) -> None:
    """It put them all on one Secret, which takes some thousand with names of usual length."""
    early = [f"crm/zoho-{number}" for number in range(2 * FULL)]
    users = {f"holder.crmflow.io/{fingerprint(user)}": user for user in early}
    pushed = {f"pushed.crmflow.io/{fingerprint(user)}": "token" for user in early}
    await cluster.record.write(accessToken="token-1")
    [body] = cluster.kubernetes.own_secrets.values()
    body["metadata"]["annotations"] = {**users, **pushed}
    cluster.start()
    before = cluster.writes
    for user in early:
        await cluster.pass_of(user)
    await cluster.store.flush()
    assert cluster.writes == before
    await cluster.pass_of("crm/another")
    await cluster.store.flush()
    await cluster.start().fields()
    assert cluster.record.users == [*early, "crm/another"]
    assert len(cluster.sizes) == 2


async def test_what_could_not_be_noted_is_with_the_next_flush(cluster: Cluster) -> None:
    await cluster.pass_of("crm/a")
    cluster.kubernetes.errors["merge_own_secret"] = [KubernetesError("503", 503)]
    with pytest.raises(RemoteError):
        await cluster.store.flush()
    await cluster.store.flush()
    assert await cluster.start().pushed("crm/a") == "token"


async def test_a_secret_that_can_not_be_written_keeps_no_other_from_it(cluster: Cluster) -> None:
    other = cluster.store.record(Service.ZOHO, "another credential")
    for record in (cluster.record, other):
        await record.add_user("crm/a")
        await record.note_pushed("crm/a", "token")
    cluster.kubernetes.errors["merge_own_secret"] = [KubernetesError("422", 422)]
    with pytest.raises(RemoteError):
        await cluster.store.flush()
    cluster.start()
    stored = [cluster.store.record(Service.ZOHO, name) for name in ("credential", "another credential")]
    assert sorted([await record.pushed("crm/a") is None for record in stored]) == [False, True]


async def test_a_user_is_stored_at_once_and_a_push_with_the_next_flush(cluster: Cluster) -> None:
    await cluster.pass_of("crm/a")
    assert await cluster.start().pushed("crm/a") is None
    assert cluster.record.users == ["crm/a"]
