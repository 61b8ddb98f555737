"""How other resources look to a pass."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from crmflow.api.kinds import ZOHO_SOURCE_CONNECTION
from crmflow.reconcile.connection.kind import KIND as CONNECTION
from crmflow.reconcile.core.reading import NotUnderstoodError
from crmflow.reconcile.dataflow.kind import KIND as DATAFLOW
from crmflow.runtime.controller.cache import ObjectCache
from crmflow.runtime.controller.lister import CacheLister
from tests.unit.reconcile.harness import connection_spec
from tests.unit.runtime.fakes import make_object, ready


@pytest.fixture
def cache() -> ObjectCache:
    return ObjectCache({kind.name: kind for kind in (CONNECTION, DATAFLOW)})


def connection(status: Any = None, **spec: Any) -> dict[str, Any]:
    status = {**ready("True"), "baseConnection": {"id": "b1"}, "tables": 1, **(status or {})}
    return make_object("ZohoSourceConnection", "zoho-eu", spec={**connection_spec(), **spec}, status=status)


def test_a_ready_connection_is_seen_with_what_it_records(cache: ObjectCache) -> None:
    cache.put(connection({"deletionPolicy": "Retain", "newer": 1}))
    view = CacheLister(cache).get(ZOHO_SOURCE_CONNECTION, "crm", "zoho-eu")
    assert view is not None
    assert view.ready
    assert view.status.base_connection is not None


@pytest.mark.parametrize(
    "obj",
    [
        pytest.param(connection(tokenPush="Sometimes"), id="spec"),
        pytest.param(connection(tokenPush="Sometimes", paused=True), id="spec of a paused one"),
        pytest.param(connection({"baseConnection": ["b1"]}), id="status"),
    ],
)
def test_a_connection_that_can_not_be_read_is_not_ready_and_gives_access(
    cache: ObjectCache, obj: dict[str, Any]
) -> None:
    """A newer version may have written that it is Ready."""
    cache.put(obj)
    view = CacheLister(cache).get(ZOHO_SOURCE_CONNECTION, "crm", "zoho-eu")
    assert view is not None
    assert (view.ready, view.status.base_connection) == (False, None)
    assert view.spec.platform.credentials_secret_ref.name


def test_without_the_part_that_gives_access_it_says_which(cache: ObjectCache) -> None:
    cache.put(connection(platform={"tenant": "acme"}))
    view = CacheLister(cache).get(ZOHO_SOURCE_CONNECTION, "crm", "zoho-eu")
    assert view is not None
    with pytest.raises(NotUnderstoodError, match="platform"):
        _ = view.spec.platform


def test_the_intents_of_others_are_found_by_what_they_create(cache: ObjectCache) -> None:
    def creating(name: str, version: int, *intents: Any) -> dict[str, Any]:
        return make_object(name=name, version=version, status={"intents": list(intents)})

    intent = {"slot": "schema", "name": "Contact", "time": "2026-01-01T00:00:00Z"}
    cache.put(creating("own", 1, intent))
    cache.put(creating("other", 1, {**intent, "slot": "dataset"}, intent))
    cache.put(creating("odd", 1, "an intent", {**intent, "time": "soon"}, {"slot": "schema"}, None))
    lister = CacheLister(cache)
    since = datetime(2026, 1, 1, tzinfo=UTC)
    assert lister.intents_of_others("CRMDataflow/crm/own", "schema", "Contact") == [since]
    assert lister.intents_of_others("CRMDataflow/crm/own", "schema", "Lead") == []
    cache.put(creating("other", 2))
    assert lister.intents_of_others("CRMDataflow/crm/own", "schema", "Contact") == []
