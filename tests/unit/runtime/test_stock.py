"""Taking stock: what is listed comes in, and what went unnoticed goes out."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from crmflow.api.kinds import Kind
from crmflow.reconcile.connection.reconciler import RECONCILER as CONNECTION
from crmflow.reconcile.dataflow.reconciler import RECONCILER as DATAFLOW
from crmflow.runtime.cache import ObjectCache
from crmflow.runtime.keys import Key
from crmflow.runtime.kube import Kubernetes, NotFoundError
from crmflow.runtime.queue import WorkQueue
from crmflow.runtime.stock import Stock
from crmflow.runtime.watch import Observer
from tests.unit.runtime.fakes import JumpingClock, make_object

RECONCILERS = {reconciler.kind.kind: reconciler for reconciler in (CONNECTION, DATAFLOW)}
SPEC = {"connectionRef": {"name": "zoho-eu"}}


class Listing:
    """An API server that lists dataflows, and knows of more than it lists."""

    def __init__(self) -> None:
        self.listed: list[dict[str, Any]] = []
        self.unlisted: set[str] = set()

    async def list_objects(self, kind: Kind, namespace: str | None) -> AsyncIterator[dict[str, Any]]:
        assert namespace is None
        for obj in self.listed:
            if obj["kind"] == kind.kind:
                yield copy.deepcopy(obj)

    async def get(self, kind: Kind, namespace: str, name: str) -> dict[str, Any]:
        if name not in self.unlisted:
            raise NotFoundError("404", 404)
        return make_object(name=name, spec=SPEC)


class Shop:
    """A stock with its cache and queue."""

    def __init__(self) -> None:
        self.queue = WorkQueue(JumpingClock())
        self.cache = ObjectCache(RECONCILERS)
        self.forgotten: list[Key] = []
        self.observer = Observer(self.cache, self.queue, RECONCILERS, lambda _: None, self.forgotten.append)
        self.server = Listing()
        self.stock = Stock(
            cast(Kubernetes, self.server), list(RECONCILERS.values()), (), self.cache, self.observer, ()
        )


@pytest.fixture
def shop() -> Shop:
    return Shop()


async def test_what_is_listed_is_known_and_due(shop: Shop) -> None:
    shop.server.listed = [make_object(name="a", spec=SPEC), make_object(name="b", spec=SPEC)]
    await shop.stock.take()
    assert shop.cache.keys() == [Key("CRMDataflow", "crm", "a"), Key("CRMDataflow", "crm", "b")]
    assert shop.queue.depth == 2


async def test_a_version_that_a_watch_has_not_brought_yet_is_taken_over(shop: Shop) -> None:
    shop.observer.seen(make_object(version=3, spec=SPEC))
    shop.server.listed = [make_object(version=7, spec=SPEC)]
    await shop.stock.take()
    known = shop.cache.get(Key("CRMDataflow", "crm", "contacts"))
    assert known is not None
    assert known["metadata"]["resourceVersion"] == "7"


async def test_what_was_deleted_while_no_watch_looked_is_dropped(shop: Shop) -> None:
    shop.observer.seen(make_object(spec=SPEC))
    await shop.stock.take()
    assert shop.cache.keys() == []
    assert shop.forgotten == [Key("CRMDataflow", "crm", "contacts")]


async def test_what_was_made_during_the_listing_is_kept(shop: Shop) -> None:
    shop.observer.seen(make_object(spec=SPEC))
    shop.server.unlisted = {"contacts"}
    await shop.stock.take()
    assert shop.cache.keys() == [Key("CRMDataflow", "crm", "contacts")]
