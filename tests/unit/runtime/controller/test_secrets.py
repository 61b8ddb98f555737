"""Reading Secrets only when needed, and noticing when they change."""

from __future__ import annotations

import asyncio
import base64
import gc
import weakref

import pytest

from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.observability import redaction
from crmflow.observability.redaction import redact
from crmflow.runtime.controller.secrets import RECONNECT_SECONDS, SecretReader, SecretWatch
from crmflow.runtime.controller.served_namespaces import Operation
from crmflow.runtime.kubernetes.errors import ExpiredError, KubernetesError
from tests.unit.runtime.fakes import FakeKubernetes, JumpingClock, serving, settle

NAME = ("crm", "zoho-oauth")


@pytest.fixture(autouse=True)
def _nothing_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_registered", type(redaction._registered)())


@pytest.fixture
def kubernetes() -> FakeKubernetes:
    return FakeKubernetes()


@pytest.fixture
def reader(kubernetes: FakeKubernetes) -> SecretReader:
    return SecretReader(kubernetes.port)


def encoded(**values: str) -> dict[str, str]:
    return {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}


async def test_data_is_decoded_and_does_not_print(kubernetes: FakeKubernetes, reader: SecretReader) -> None:
    kubernetes.secrets[NAME] = ("1", encoded(clientId="id", clientSecret="grüner wert"))
    data = await reader.read(*NAME)
    assert data is not None
    assert {key: value.get_secret_value() for key, value in data.items()} == {
        "clientId": "id",
        "clientSecret": "grüner wert",
    }
    assert "wert" not in repr(data)


async def test_bytes_that_are_no_text_do_not_end_the_pass(
    kubernetes: FakeKubernetes, reader: SecretReader
) -> None:
    kubernetes.secrets[NAME] = ("1", {"clientSecret": base64.b64encode(b"\xff\xfe").decode()})
    data = await reader.read(*NAME)
    assert data is not None
    assert data["clientSecret"].get_secret_value() == "\ufffd\ufffd"


@pytest.mark.parametrize(
    "key", ["clientSecret", "client_secret", "refreshToken", "refresh_token", "PASSWORD"]
)
@pytest.mark.parametrize("around", ["{}", "{}\n", " {}\r\n"])
async def test_what_is_secret_is_redacted_from_then_on(
    kubernetes: FakeKubernetes, reader: SecretReader, key: str, around: str
) -> None:
    kubernetes.secrets[NAME] = ("1", encoded(**{key: around.format("hush-hush"), "clientId": "public-id"}))
    await reader.read(*NAME)
    assert redact("a hush-hush b public-id") == "a *** b public-id"


async def test_a_body_is_kept_while_the_watch_says_that_it_has_not_changed(
    kubernetes: FakeKubernetes, reader: SecretReader
) -> None:
    kubernetes.secrets[NAME] = ("7", encoded(clientId="old"))
    assert reader.is_new(*NAME, "7")
    for _ in range(3):
        await reader.read(*NAME)
    assert kubernetes.calls == ["read_secret"]
    kubernetes.secrets[NAME] = ("8", encoded(clientId="new"))
    assert reader.is_new(*NAME, "8")
    data = await reader.read(*NAME)
    assert data is not None
    assert data["clientId"].get_secret_value() == "new"


async def test_without_a_watch_nothing_is_kept(kubernetes: FakeKubernetes, reader: SecretReader) -> None:
    kubernetes.secrets[NAME] = ("7", encoded(clientId="x"))
    await reader.read(*NAME)
    await reader.read(*NAME)
    assert kubernetes.calls == ["read_secret"] * 2


async def test_a_body_newer_than_the_watch_is_read_again(
    kubernetes: FakeKubernetes, reader: SecretReader
) -> None:
    reader.is_new(*NAME, "7")
    kubernetes.secrets[NAME] = ("8", encoded(clientId="x"))
    await reader.read(*NAME)
    await reader.read(*NAME)
    assert kubernetes.calls == ["read_secret"] * 2
    assert reader.is_new(*NAME, "8")


async def test_nothing_stays_of_a_secret_that_went_while_nobody_watched(
    kubernetes: FakeKubernetes, reader: SecretReader
) -> None:
    kubernetes.secrets[NAME] = ("7", encoded(clientSecret="hush-hush"))
    data = await reader.read(*NAME)
    assert data is not None
    value = weakref.ref(data["clientSecret"])
    del data, kubernetes.secrets[NAME]
    assert await reader.read(*NAME) is None
    gc.collect()
    assert value() is None


async def test_a_deleted_secret_is_none(kubernetes: FakeKubernetes, reader: SecretReader) -> None:
    kubernetes.secrets[NAME] = ("7", encoded(clientId="x"))
    reader.is_new(*NAME, "7")
    await reader.read(*NAME)
    del kubernetes.secrets[NAME]
    assert reader.is_new(*NAME, None)
    assert not reader.is_new(*NAME, None)
    assert await reader.read(*NAME) is None
    assert reader.known() == set()


@pytest.mark.parametrize(
    ("error", "error_class", "reason"),
    [
        (KubernetesError("403 Forbidden", 403), ErrorClass.TERMINAL, "SecretForbidden"),
        (KubernetesError("500", 500), ErrorClass.TRANSIENT, "KubernetesUnavailable"),
        (KubernetesError("unreachable"), ErrorClass.TRANSIENT, "KubernetesUnavailable"),
    ],
)
async def test_failures_of_the_api_server(
    kubernetes: FakeKubernetes, reader: SecretReader, error: Exception, error_class: ErrorClass, reason: str
) -> None:
    kubernetes.errors["read_secret"] = [error]
    with pytest.raises(RemoteError) as raised:
        await reader.read(*NAME)
    assert (raised.value.error_class, raised.value.reason) == (error_class, reason)
    if reason == "SecretForbidden":
        assert "zoho-oauth" in raised.value.message
        assert "ServiceAccount" in raised.value.advice


class Watching:
    """A running watch, and the changes that it reported."""

    def __init__(
        self, kubernetes: FakeKubernetes, reader: SecretReader, namespace: str | None = None
    ) -> None:
        self.clock = JumpingClock()
        self.steady = JumpingClock()
        self.changes: list[tuple[str, str]] = []
        self.served = serving(*([namespace] if namespace else []))
        self.watch = SecretWatch(
            kubernetes.port,
            reader,
            self.clock,
            self.steady,
            namespace,
            self.served,
            lambda *name: self.changes.append(name),
        )

    async def __aenter__(self) -> Watching:
        self._task = asyncio.create_task(self.watch.run())
        await settle()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def after(self, seconds: float) -> list[tuple[str, str]]:
        """The changes reported once so much time has passed."""
        self.clock.jump(seconds)
        await settle()
        found, self.changes[:] = list(self.changes), []
        return found


def metadata(name: str, version: str) -> dict[str, str]:
    return {"namespace": "crm", "name": name, "resourceVersion": version}


async def test_changes_are_told_once(kubernetes: FakeKubernetes, reader: SecretReader) -> None:
    kubernetes.secrets["crm", "a"] = ("1", {})
    kubernetes.watch_events = [
        [
            ("ADDED", metadata("b", "2")),
            ("MODIFIED", metadata("b", "2")),
            ("MODIFIED", metadata("b", "3")),
            ("BOOKMARK", {"resourceVersion": "9"}),
            ("DELETED", metadata("a", "10")),
        ]
    ]
    async with Watching(kubernetes, reader) as watching:
        assert await watching.after(0) == [("crm", "a"), ("crm", "b"), ("crm", "b"), ("crm", "a")]
    assert reader.known() == {("crm", "b")}


async def test_what_went_while_nobody_watched_is_noticed(
    kubernetes: FakeKubernetes, reader: SecretReader
) -> None:
    kubernetes.secrets["crm", "a"] = ("1", {})
    reader.is_new("crm", "gone", "1")
    reader.is_new("other", "kept", "1")
    watching = Watching(kubernetes, reader, "crm")
    assert await watching.watch.list() == "100"
    assert watching.changes == [("crm", "a"), ("crm", "gone")]
    assert reader.known() == {("crm", "a"), ("other", "kept")}


async def test_an_expired_watch_lists_again(kubernetes: FakeKubernetes, reader: SecretReader) -> None:
    kubernetes.watch_events = [[ExpiredError("too old", 410)]]
    async with Watching(kubernetes, reader) as watching:
        await watching.after(RECONNECT_SECONDS[0])
    assert kubernetes.calls == ["list_secret_metadata", "watch_secret_metadata"] * 2


async def test_a_watch_that_is_always_expired_lists_ever_more_slowly(
    kubernetes: FakeKubernetes, reader: SecretReader
) -> None:
    kubernetes.watch_events = [[ExpiredError("too old", 410)] for _ in range(9)]
    async with Watching(kubernetes, reader) as watching:
        pause, longest = RECONNECT_SECONDS
        for tries in range(1, 10):
            assert kubernetes.calls.count("list_secret_metadata") == tries
            await watching.after(pause * 0.9)
            assert kubernetes.calls.count("list_secret_metadata") == tries
            await watching.after(pause * 0.11)
            pause = min(longest, pause * 2)


async def test_a_watch_that_ended_goes_on_after_a_pause(
    kubernetes: FakeKubernetes, reader: SecretReader
) -> None:
    kubernetes.watch_events = [[], [("ADDED", metadata("b", "2"))]]
    async with Watching(kubernetes, reader) as watching:
        assert kubernetes.calls == ["list_secret_metadata", "watch_secret_metadata"]
        assert await watching.after(RECONNECT_SECONDS[0]) == [("crm", "b")]


async def test_an_unreachable_api_server_is_tried_again_ever_more_slowly(
    kubernetes: FakeKubernetes, reader: SecretReader
) -> None:
    kubernetes.errors["list_secret_metadata"] = [KubernetesError("down")] * 9
    async with Watching(kubernetes, reader) as watching:
        pause, longest = RECONNECT_SECONDS
        for tries in range(1, 10):
            assert len(kubernetes.calls) == tries
            await watching.after(pause * 0.9)
            assert len(kubernetes.calls) == tries
            await watching.after(pause * 0.11)
            pause = min(longest, pause * 2)
    assert kubernetes.calls[-2:] == ["list_secret_metadata", "watch_secret_metadata"]


async def test_its_age_counts_from_the_last_connection(
    kubernetes: FakeKubernetes, reader: SecretReader
) -> None:
    kubernetes.watch_events = [[]]
    async with Watching(kubernetes, reader) as watching:
        watching.steady.jump(30)
        assert watching.watch.age == 30
        await watching.after(RECONNECT_SECONDS[0])
        assert watching.watch.age == 0


async def test_a_try_that_fails_is_no_connection(kubernetes: FakeKubernetes, reader: SecretReader) -> None:
    kubernetes.watch_events = [[]]
    kubernetes.errors["watch_secret_metadata"] = [None, KubernetesError("down"), KubernetesError("down")]
    async with Watching(kubernetes, reader) as watching:
        watching.steady.jump(30)
        await watching.after(RECONNECT_SECONDS[0])
        await watching.after(RECONNECT_SECONDS[0])
        assert kubernetes.calls.count("watch_secret_metadata") == 3
        assert watching.watch.age == 30


async def test_a_refusal_is_told_and_is_no_lost_connection(
    kubernetes: FakeKubernetes, reader: SecretReader
) -> None:
    """A new process would be refused the same; liveness must not ask for one."""
    kubernetes.errors["list_secret_metadata"] = [KubernetesError("403 Forbidden", 403)] * 2
    async with Watching(kubernetes, reader, "crm") as watching:
        assert watching.served.refused("crm") == {Operation.SECRETS: "403 Forbidden"}
        watching.steady.jump(30)
        await watching.after(RECONNECT_SECONDS[0])
        assert watching.watch.age == 0
        await watching.after(RECONNECT_SECONDS[1])
        assert watching.served.refused("crm") == {}


async def test_what_went_while_it_was_refused_is_noticed(
    kubernetes: FakeKubernetes, reader: SecretReader
) -> None:
    kubernetes.secrets["crm", "a"] = ("1", {})
    kubernetes.watch_events = [[KubernetesError("403 Forbidden", 403)]]
    async with Watching(kubernetes, reader, "crm") as watching:
        assert await watching.after(0) == [("crm", "a")]
        del kubernetes.secrets["crm", "a"]
        assert await watching.after(RECONNECT_SECONDS[0]) == [("crm", "a")]
