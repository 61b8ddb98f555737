"""What the cache keeps, and what it calls a change."""

from __future__ import annotations

from typing import Any

import pytest

from crmflow.reconcile.connection.kind import KIND as CONNECTION
from crmflow.reconcile.dataflow.kind import KIND as DATAFLOW
from crmflow.runtime.controller.cache import NOTHING, Change, ObjectCache
from crmflow.runtime.controller.keys import Key
from tests.unit.runtime.fakes import make_object, ready

KEY = Key("CRMDataflow", "crm", "contacts")


@pytest.fixture
def cache() -> ObjectCache:
    return ObjectCache({kind.name: kind for kind in (CONNECTION, DATAFLOW)})


def dataflow(version: int = 1, connection: str = "zoho-eu", **fields: Any) -> dict[str, Any]:
    return make_object(version=version, spec={"connectionRef": {"name": connection}}, **fields)


def connection(name: str = "zoho-eu", zoho: str = "zoho", adobe: str = "adobe") -> dict[str, Any]:
    spec = {
        "zoho": {"credentialsSecretRef": {"name": zoho}},
        "platform": {"credentialsSecretRef": {"name": adobe}},
    }
    return make_object("ZohoSourceConnection", name, spec=spec)


def test_an_object_comes_back_as_a_fresh_copy_without_managed_fields(cache: ObjectCache) -> None:
    obj = dataflow(managedFields=[{"manager": "kubectl"}])
    cache.put(obj)
    first = cache.get(KEY)
    assert first is not None
    assert "managedFields" not in first.metadata
    assert "managedFields" in obj["metadata"], "what was given is left alone"
    first.raw["spec"].clear()
    again = cache.get(KEY)
    assert again is not None
    assert again.raw == dataflow()


def test_what_is_unknown_is_none(cache: ObjectCache) -> None:
    assert cache.get(KEY) is None
    assert KEY not in cache
    cache.remove(KEY)
    assert cache.referrers("Secret", "crm", "x") == []


@pytest.mark.parametrize("version", [9, 10])
def test_an_older_event_does_not_undo_a_newer_state(cache: ObjectCache, version: int) -> None:
    """As numbers, not as texts: 9 is older than 10."""
    cache.put(dataflow(10, generation=3))
    assert cache.put(dataflow(version, generation=2)) == NOTHING
    found = cache.get(KEY)
    assert found is not None
    assert found.generation == 3


def test_an_older_event_of_a_predecessor_is_ignored(cache: ObjectCache) -> None:
    """Events of two objects of the same name may arrive in any order: each has its own stream in kopf."""
    cache.put(dataflow(20, uid="new"))
    assert cache.put(dataflow(15, uid="old")) == NOTHING
    found = cache.get(KEY)
    assert found is not None
    assert found.uid == "new"


def test_another_object_of_the_same_name_is_new(cache: ObjectCache) -> None:
    cache.put(dataflow(10, uid="old", status=ready("True")))
    change = cache.put(dataflow(20, uid="new"))
    assert change.is_new
    assert change.asks_for_attention


def test_removing_asks_for_the_uid(cache: ObjectCache) -> None:
    cache.put(dataflow(uid="new"))
    cache.remove(KEY, "old")
    assert KEY in cache
    cache.remove(KEY, "new")
    assert KEY not in cache


def test_what_an_object_uses_is_told_as_far_as_it_is_known(cache: ObjectCache) -> None:
    cache.put(dataflow())
    assert cache.uses(KEY) == []
    cache.put(connection())
    assert cache.uses(KEY) == [Key("ZohoSourceConnection", "crm", "zoho-eu")]
    cache.remove(KEY)
    assert cache.uses(KEY) == []


def test_referrers_follow_edits_and_removals(cache: ObjectCache) -> None:
    other = Key("CRMDataflow", "crm", "leads")
    cache.put(dataflow(1))
    cache.put({**dataflow(1), "metadata": {**dataflow(1)["metadata"], "name": "leads"}})
    assert cache.referrers("ZohoSourceConnection", "crm", "zoho-eu") == [KEY, other]
    assert cache.referrers("ZohoSourceConnection", "other", "zoho-eu") == []
    cache.put(dataflow(2, connection="zoho-us"))
    assert cache.referrers("ZohoSourceConnection", "crm", "zoho-eu") == [other]
    assert cache.referrers("ZohoSourceConnection", "crm", "zoho-us") == [KEY]
    cache.remove(other)
    assert cache.referrers("ZohoSourceConnection", "crm", "zoho-eu") == []


def test_a_connection_refers_to_both_secrets(cache: ObjectCache) -> None:
    cache.put(connection())
    cache.put(connection("second", zoho="shared", adobe="shared"))
    assert cache.referrers("Secret", "crm", "zoho") == [Key("ZohoSourceConnection", "crm", "zoho-eu")]
    assert cache.referrers("Secret", "crm", "adobe") == [Key("ZohoSourceConnection", "crm", "zoho-eu")]
    assert cache.referrers("Secret", "crm", "shared") == [Key("ZohoSourceConnection", "crm", "second")]
    cache.remove(Key("ZohoSourceConnection", "crm", "second"))
    assert cache.referrers("Secret", "crm", "shared") == []


BASE: dict[str, Any] = {"status": {**ready("False"), "flow": {"id": "f1"}}, "generation": 2}


@pytest.mark.parametrize(
    ("fields", "attention", "dependents"),
    [
        pytest.param({}, False, False, id="nothing"),
        pytest.param({"generation": 3}, True, False, id="spec edited"),
        pytest.param({"deletionTimestamp": "2026-01-01T00:00:00Z"}, True, True, id="deletion begun"),
        pytest.param({"annotations": {"crmflow.io/reconcile-requested-at": "1"}}, True, False, id="ours"),
        pytest.param({"annotations": {"argocd.argoproj.io/x": "1"}}, False, False, id="others' annotation"),
        pytest.param({"labels": {"a": "b"}}, False, False, id="label"),
        pytest.param({"finalizers": ["x"]}, False, False, id="finalizer"),
        pytest.param({"status": {**ready("True"), "flow": {"id": "f1"}}}, False, True, id="became Ready"),
        pytest.param(
            {"status": {**ready("False"), "flow": {"id": "f1"}, "tables": 2}},
            False,
            False,
            id="fact in status",
        ),
        pytest.param({"status": {**ready("False"), "flow": {"id": "f2"}}}, False, True, id="another flow"),
        pytest.param(
            {"status": {**ready("False"), "flow": {"id": "f1", "state": "disabled"}}},
            False,
            False,
            id="state of the flow",
        ),
        pytest.param(
            {"status": {**ready("False"), "flow": {"id": "f1"}, "sourceConnectionId": "s1"}},
            False,
            True,
            id="a source connection",
        ),
        pytest.param(
            {"status": {**ready("False"), "transport": "PlatformSource"}}, False, True, id="the flow gone"
        ),
    ],
)
def test_what_counts_as_a_change(
    cache: ObjectCache, fields: dict[str, Any], attention: bool, dependents: bool
) -> None:
    cache.put(dataflow(1, **BASE))
    change = cache.put(dataflow(2, **{**BASE, **fields}))
    assert change == Change(
        asks_for_attention=attention,
        concerns_dependents=dependents,
        concerns_what_it_uses="deletionTimestamp" in fields,
    )


@pytest.mark.parametrize(
    ("fields", "attention", "unserved"),
    [
        pytest.param({}, True, True, id="no status"),
        pytest.param({"status": ready("True", generation=1)}, False, False, id="observed"),
        pytest.param(
            {"status": ready("True", generation=1), "generation": 2}, True, False, id="edited meanwhile"
        ),
        pytest.param(
            {"status": ready("True"), "deletionTimestamp": "2026-01-01T00:00:00Z"}, True, False, id="deleting"
        ),
        pytest.param(
            {"deletionTimestamp": "2026-01-01T00:00:00Z"}, True, False, id="deleted before it was served"
        ),
    ],
)
def test_at_first_sight_only_unfinished_business_is_urgent(
    cache: ObjectCache, fields: dict[str, Any], attention: bool, unserved: bool
) -> None:
    change = cache.put(dataflow(**fields))
    assert change == Change(
        is_new=True, is_unserved=unserved, asks_for_attention=attention, concerns_dependents=True
    )


@pytest.mark.parametrize(
    ("spec", "status", "concerned"),
    [
        pytest.param({}, {}, False, id="undecided"),
        pytest.param({"transport": "LandingZone"}, {}, True, id="declared"),
        pytest.param({"transport": "LandingZone"}, ready("True", generation=1), False, id="observed"),
    ],
)
def test_a_new_dataflow_concerns_its_connection_by_the_way_it_takes(
    cache: ObjectCache, spec: dict[str, Any], status: dict[str, Any], concerned: bool
) -> None:
    obj = dataflow(status=status) if status else dataflow()
    obj["spec"] |= spec
    assert cache.put(obj).concerns_what_it_uses is concerned


def test_a_landing_zone_that_is_open_concerns_the_dataflows(cache: ObjectCache) -> None:
    """The connection was Ready for the others all the time."""
    is_ready = {**ready("True")["conditions"][0]}
    opened = {**is_ready, "type": "LandingZoneReady"}
    kind, spec = "ZohoSourceConnection", connection()["spec"]
    cache.put(make_object(kind, "zoho-eu", version=1, spec=spec, status={"conditions": [is_ready]}))
    change = cache.put(
        make_object(kind, "zoho-eu", version=2, spec=spec, status={"conditions": [is_ready, opened]})
    )
    assert change.concerns_dependents


def test_another_base_connection_concerns_the_dataflows(cache: ObjectCache) -> None:
    """They stay woken although the connection stays Ready: what they read through is another one."""
    before = {**connection(), "status": {**ready("True"), "baseConnection": {"id": "b1"}}}
    after = {**connection(), "status": {**ready("True"), "baseConnection": {"id": "b2"}}}
    after["metadata"] = {**after["metadata"], "resourceVersion": "2"}
    cache.put(before)
    assert cache.put(after) == Change(concerns_dependents=True)


def test_counting(cache: ObjectCache) -> None:
    cache.put(dataflow())
    cache.put(connection())
    cache.put(connection("second"))
    assert (cache.count("CRMDataflow"), cache.count("ZohoSourceConnection")) == (1, 2)
    assert len(cache.keys()) == 3


def adopter(name: str, created: str, adopts: str | None = None, records: str | None = None) -> dict[str, Any]:
    obj = connection(name)
    obj["metadata"]["creationTimestamp"] = created
    if adopts:
        obj["spec"]["connectionId"] = adopts
    if records:
        obj["status"] = {"baseConnection": {"id": records}}
    return obj


def zoho(name: str) -> Key:
    return Key("ZohoSourceConnection", "crm", name)


def test_a_remote_object_belongs_to_who_records_it_else_to_the_oldest_that_names_it(
    cache: ObjectCache,
) -> None:
    cache.put(adopter("b", "2026-01-02T00:00:00Z", adopts="bc"))
    cache.put(adopter("c", "2026-01-01T00:00:00Z", adopts="bc"))
    cache.put(adopter("d", "2026-01-01T00:00:00Z", adopts="bc"))
    assert cache.owner("bc") == zoho("c")
    assert cache.recorded_by("bc") is None
    cache.put(adopter("e", "2026-01-03T00:00:00Z", records="bc"))
    assert cache.owner("bc") == cache.recorded_by("bc") == zoho("e")
    assert cache.rivals(zoho("e")) == [zoho("b"), zoho("c"), zoho("d")]
    cache.remove(zoho("e"))
    assert cache.owner("bc") == zoho("c")
    assert cache.rivals(zoho("c")) == [zoho("b"), zoho("d")]
    assert cache.owner("other") is None


def test_who_has_another_object_does_not_own_the_one_its_spec_names(cache: ObjectCache) -> None:
    cache.put(adopter("a", "2026-01-01T00:00:00Z", adopts="bc", records="own"))
    cache.put(adopter("b", "2026-01-02T00:00:00Z", adopts="bc"))
    assert cache.owner("bc") == zoho("b")
    assert cache.adopts(zoho("a")) == "bc"


def test_of_two_that_record_it_the_older_has_it(cache: ObjectCache) -> None:
    cache.put(adopter("a", "2026-01-02T00:00:00Z", adopts="bc", records="bc"))
    cache.put(adopter("b", "2026-01-01T00:00:00Z", adopts="bc", records="bc"))
    assert cache.recorded_by("bc") == zoho("b")
