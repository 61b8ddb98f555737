"""The initial sync: what is listed comes in, and what went unnoticed goes out."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from crmflow.api.kinds import Kind
from crmflow.reconcile.connection.kind import KIND as CONNECTION
from crmflow.reconcile.dataflow.kind import KIND as DATAFLOW
from crmflow.runtime.controller.cache import ObjectCache
from crmflow.runtime.controller.initial_sync import InitialSync
from crmflow.runtime.controller.keys import Key
from crmflow.runtime.controller.queue import WorkQueue
from crmflow.runtime.controller.secrets import SecretReader, SecretWatch
from crmflow.runtime.controller.served_namespaces import Operation
from crmflow.runtime.controller.watch import ResourceEventHandler
from crmflow.runtime.kubernetes.client import Kubernetes
from crmflow.runtime.kubernetes.errors import KubernetesError, NotFoundError
from tests.unit.runtime.fakes import JumpingClock, make_object, serving

KINDS = {kind.name: kind for kind in (CONNECTION, DATAFLOW)}
SPEC = {"connectionRef": {"name": "zoho-eu"}}
FORBIDDEN = KubernetesError("403 Forbidden", 403)


class Listing:
    """An API server that lists dataflows, and knows of more than it lists."""

    def __init__(self) -> None:
        self.listed: list[dict[str, Any]] = []
        self.unlisted: set[str] = set()
        self.answers: dict[str | None, KubernetesError] = {}
        """What a namespace answers instead of a listing."""
        self.secrets_refused: set[str | None] = set()

    async def list_one(self, kind: Kind, namespace: str | None) -> None:
        if namespace in self.answers:
            raise self.answers[namespace]

    async def list_objects(self, kind: Kind, namespace: str | None) -> AsyncIterator[dict[str, Any]]:
        await self.list_one(kind, namespace)
        for obj in self.listed:
            if obj["kind"] == kind.kind and namespace in (None, obj["metadata"]["namespace"]):
                yield copy.deepcopy(obj)

    async def list_secret_metadata(self, namespace: str | None) -> tuple[str, list[dict[str, Any]]]:
        if namespace in self.secrets_refused:
            raise FORBIDDEN
        return "1", []

    async def get(self, kind: Kind, namespace: str, name: str) -> dict[str, Any]:
        if name not in self.unlisted:
            raise NotFoundError("404", 404)
        return make_object(name=name, spec=SPEC)


class Shop:
    """An initial sync with its cache and queue."""

    def __init__(self, *namespaces: str) -> None:
        self.queue = WorkQueue(JumpingClock())
        self.cache = ObjectCache(KINDS)
        self.forgotten: list[Key] = []
        self.handler = ResourceEventHandler(self.cache, self.queue, lambda _: None, self.forgotten.append)
        self.server = Listing()
        kubernetes = cast(Kubernetes, self.server)
        self.served = serving(*namespaces)
        reader, clock = SecretReader(kubernetes), JumpingClock()
        watches = {
            name: SecretWatch(kubernetes, reader, clock, clock, name, self.served, lambda *_: None)
            for name in self.served.names
        }
        self.initial_sync = InitialSync(
            kubernetes, list(KINDS.values()), self.served, self.cache, self.handler, watches
        )

    @property
    def namespaces(self) -> set[str]:
        """Where what is known is."""
        return {key.namespace for key in list(self.cache.keys())}


@pytest.fixture
def shop() -> Shop:
    return Shop()


async def test_what_is_listed_is_known_and_due(shop: Shop) -> None:
    shop.server.listed = [make_object(name="a", spec=SPEC), make_object(name="b", spec=SPEC)]
    await shop.initial_sync.run()
    assert shop.cache.keys() == [Key("CRMDataflow", "crm", "a"), Key("CRMDataflow", "crm", "b")]
    assert shop.queue.depth == 2


async def test_a_version_that_a_watch_has_not_brought_yet_is_taken_over(shop: Shop) -> None:
    shop.handler.seen(make_object(version=3, spec=SPEC))
    shop.server.listed = [make_object(version=7, spec=SPEC)]
    await shop.initial_sync.run()
    known = shop.cache.get(Key("CRMDataflow", "crm", "contacts"))
    assert known is not None
    assert known.metadata["resourceVersion"] == "7"


async def test_what_was_deleted_while_no_watch_looked_is_dropped(shop: Shop) -> None:
    shop.handler.seen(make_object(spec=SPEC))
    await shop.initial_sync.run()
    assert shop.cache.keys() == []
    assert shop.forgotten == [Key("CRMDataflow", "crm", "contacts")]


async def test_what_was_made_during_the_listing_is_kept(shop: Shop) -> None:
    shop.handler.seen(make_object(spec=SPEC))
    shop.server.unlisted = {"contacts"}
    await shop.initial_sync.run()
    assert shop.cache.keys() == [Key("CRMDataflow", "crm", "contacts")]


def of(namespace: str, **fields: Any) -> dict[str, Any]:
    return make_object(spec=SPEC, namespace=namespace, **fields)


@pytest.mark.parametrize(
    "answer", [FORBIDDEN, NotFoundError("404 Not Found", 404)], ids=["forbidden", "missing"]
)
@pytest.mark.parametrize("faulty", ["a", "b", "c"])
async def test_a_namespace_that_is_refused_keeps_no_other_from_being_listed(
    answer: KubernetesError, faulty: str
) -> None:
    shop = Shop("a", "b", "c")
    shop.server.listed = [of(name) for name in "abc"]
    shop.server.answers[faulty] = answer
    await shop.initial_sync.run()
    assert shop.namespaces == {*"abc"} - {faulty}
    assert shop.served.refused(faulty) == {Operation.LIST: str(answer)}
    assert shop.served.fault is None
    assert not shop.served.complete

    shop.server.answers.clear()
    assert await shop.initial_sync.sync_namespace(faulty)
    assert shop.namespaces == {*"abc"}
    assert shop.served.complete


async def test_where_nothing_can_be_served_that_is_said() -> None:
    shop = Shop("a", "b")
    shop.server.answers = {"a": FORBIDDEN, "b": FORBIDDEN}
    await shop.initial_sync.run()
    assert shop.served.fault is not None
    assert 'namespace "a"' in shop.served.fault


async def test_an_api_server_that_does_not_answer_is_no_fault_of_a_namespace() -> None:
    shop = Shop("a", "b")
    shop.server.answers["a"] = KubernetesError("the API server can't be reached")
    with pytest.raises(KubernetesError):
        await shop.initial_sync.run()
    assert shop.served.refused("a") == {}


async def test_what_is_known_of_a_namespace_that_is_refused_is_kept() -> None:
    """It may well be there, and its tokens and remote objects with it."""
    shop = Shop("a")
    shop.handler.seen(of("a"))
    shop.server.answers["a"] = FORBIDDEN
    assert not await shop.initial_sync.sync_namespace("a")
    assert shop.forgotten == []


async def test_only_what_is_gone_from_the_namespace_itself_is_dropped() -> None:
    shop = Shop("a", "b")
    for name in "ab":
        shop.handler.seen(of(name))
    await shop.initial_sync.sync_namespace("a")
    assert shop.namespaces == {"b"}


async def test_secrets_that_may_not_be_read_hold_nothing_up() -> None:
    shop = Shop("a", "b")
    shop.server.listed = [of("a"), of("b")]
    shop.server.secrets_refused = {"a"}
    await shop.initial_sync.run()
    assert len(shop.cache.keys()) == 2
    assert shop.served.refused("a") == {Operation.SECRETS: "403 Forbidden"}
    assert shop.served.complete


async def test_one_object_that_can_not_be_read_hides_no_other(shop: Shop) -> None:
    strange = of("crm", name="strange", status={"flow": "not an object", "intents": "none", "conditions": {}})
    strange["spec"] = {"connectionRef": [], "flowId": 7, "paused": "no"}
    broken = of("crm", name="broken")
    broken["metadata"]["resourceVersion"] = "not a number"
    shop.server.listed = [broken, strange, of("crm", name="good")]
    await shop.initial_sync.run()
    keys = shop.cache.keys()
    assert [key.name for key in keys] == ["strange", "good"]
