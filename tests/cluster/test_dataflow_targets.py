"""Schema, dataset and mapping set of a dataflow: named, found, or created once."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.cluster.support import manifests
from tests.cluster.support.cluster import Object, condition
from tests.cluster.support.world import CONNECTION, DATAFLOW, World

PROFILE = "https://ns.adobe.com/xdm/context/profile"
NAMED = {"schema": {"id": None, "title": "CRM Contacts"}, "dataset": {"id": None, "name": "CRM Contacts"}}
CREATED = {
    "schema": {
        "id": None,
        "title": "Contacts of ours",
        "create": {
            "class": PROFILE,
            "fieldGroups": [
                "https://ns.adobe.com/xdm/context/profile-person-details",
                "https://ns.adobe.com/xdm/context/profile-personal-details",
            ],
            "primaryIdentity": {"path": "personalEmail.address", "namespace": "Email"},
            "enableForProfileIrreversibly": True,
        },
    },
    "dataset": {
        "id": None,
        "name": "Contacts of ours",
        "create": {"profile": True, "upsert": True, "errorDiagnostics": True},
    },
}
MAPPING = [
    {"target": "personalEmail.address", "source": "Email"},
    {"target": "person.name.firstName", "source": "First_Name"},
]


def bearing(world: World, kind: str, name: str, sandbox: str = "prod") -> list[Object]:
    """The schemas or datasets of a title or name."""
    field = "title" if kind == "schemas" else "name"
    return [each for each in world.held(kind, sandbox) if each[field] == name]


def test_one_manifest_serves_two_sandboxes(world: World) -> None:
    """Ids differ between sandboxes, titles and names do not."""
    world.make_ready(target=NAMED)
    world.cluster.apply(manifests.connection(world.namespace, "dev", platform={"sandbox": "dev"}))
    world.cluster.apply(
        manifests.dataflow(world.namespace, "contacts-dev", target=NAMED, connectionRef={"name": "dev"})
    )
    dev = world.cluster.wait_ready(DATAFLOW, "contacts-dev", world.namespace, seconds=30)
    prod = world.get(DATAFLOW)
    assert dev["status"]["schema"]["id"] != prod["status"]["schema"]["id"]
    assert dev["status"]["dataset"]["id"] == bearing(world, "dataSets", "CRM Contacts", "dev")[0]["id"]


def test_a_name_that_two_datasets_bear_is_ambiguous_until_one_goes(world: World) -> None:
    twin = world.control.post("/aep/sandboxes/prod/dataSets", name="CRM Contacts")["id"]
    world.apply_secrets()
    world.apply_connection()
    world.apply_dataflow(target=NAMED)
    said = world.wait_reason(DATAFLOW, "TargetReady", "Ambiguous")
    message = condition(said, "Ready")["message"]
    assert twin in message
    assert "6889f4f89b982b2b90bc1207" in message
    world.edit(DATAFLOW, target={"dataset": {"id": twin, "name": None}})
    ready = world.wait_ready(DATAFLOW)
    assert ready["status"]["dataset"]["id"] == twin


def test_schema_and_dataset_are_created_and_never_touched_again(world: World) -> None:
    world.make_ready(target=CREATED, mapping=MAPPING)
    (schema,) = bearing(world, "schemas", "Contacts of ours")
    (dataset,) = bearing(world, "dataSets", "Contacts of ours")
    assert schema["meta:class"] == PROFILE
    assert schema["meta:immutableTags"] == ["union"]
    identities = [each for each in world.held("descriptors") if each["xdm:sourceSchema"] == schema["$id"]]
    assert [(each["xdm:sourceProperty"], each["xdm:isPrimary"]) for each in identities] == [
        ("/personalEmail/address", True)
    ]
    assert dataset["schemaRef"]["id"] == schema["$id"]
    assert dataset["tags"]["unifiedProfile"] == ["enabled:true", "isUpsert:true"]
    assert dataset["enableErrorDiagnostics"] is True

    world.delete(DATAFLOW)
    world.wait_gone(DATAFLOW)
    assert bearing(world, "schemas", "Contacts of ours") == [schema]
    assert bearing(world, "dataSets", "Contacts of ours") == [dataset]


@pytest.mark.parametrize("lag", [0, 30])
def test_two_dataflows_that_name_the_same_missing_objects_create_one_of_each(world: World, lag: int) -> None:
    """Even while listings do not show yet what was created."""
    world.control.switch("aep", indexLagSeconds=lag)
    world.apply_secrets()
    for name in ("contacts", "contacts-2", "contacts-3"):
        world.apply_dataflow(name, target=CREATED, mapping=MAPPING)
    world.apply_connection()
    used = []
    for name in ("contacts", "contacts-2", "contacts-3"):
        status = world.cluster.wait_ready(DATAFLOW, name, world.namespace, seconds=40)["status"]
        used.append((status["schema"]["id"], status["dataset"]["id"]))
    assert len(set(used)) == 1
    assert len(bearing(world, "schemas", "Contacts of ours")) == 1
    assert len(bearing(world, "dataSets", "Contacts of ours")) == 1


@pytest.mark.parametrize("path", ["/tenant/schemas$", "/tenant/descriptors$", "/dataSets$"])
def test_a_lost_answer_makes_no_second_object(world: World, path: str) -> None:
    world.control.fault(service="platform", method="POST", path=path, reset="after")
    world.make_ready(target=CREATED, mapping=MAPPING)
    (schema,) = bearing(world, "schemas", "Contacts of ours")
    assert schema["meta:immutableTags"] == ["union"]
    assert len([d for d in world.held("descriptors") if d["xdm:sourceSchema"] == schema["$id"]]) == 1
    assert len(bearing(world, "dataSets", "Contacts of ours")) == 1


@pytest.mark.parametrize("path", ["/tenant/schemas$", "/dataSets$"])
def test_a_lost_answer_under_index_lag_makes_no_second_object(world: World, path: str) -> None:
    """A listing that does not show the object yet proves nothing before the grace is over."""
    world.control.switch("aep", indexLagSeconds=30)
    world.control.fault(service="platform", method="POST", path=path, reset="after")
    world.apply_secrets()
    world.apply_connection()
    world.apply_dataflow(target=CREATED, mapping=MAPPING)
    world.wait_ready(CONNECTION)
    for _ in range(20):
        if (condition(world.get(DATAFLOW), "Ready") or {}).get("status") == "True":
            break
        time.sleep(0.5)
        world.control.advance(11)
    world.wait_ready(DATAFLOW)
    assert len(bearing(world, "schemas", "Contacts of ours")) == 1
    assert len(bearing(world, "dataSets", "Contacts of ours")) == 1


def test_a_mapping_set_that_exists_is_used_by_its_id(world: World) -> None:
    world.make_ready()
    own = world.get(DATAFLOW)["status"]["mappingSet"]
    ref = {"id": own["id"], "version": own["version"]}
    world.apply_dataflow("contacts-2", mapping=None, mappingSetRef=ref)
    ready = world.cluster.wait_ready(DATAFLOW, "contacts-2", world.namespace)
    assert ready["status"]["mappingSet"] == ref
    assert len(world.held("mappingSets")) == 1

    missing = {"id": "0" * 32, "version": 0}
    world.apply_dataflow("contacts-3", mapping=None, mappingSetRef=missing)
    world.cluster.wait_condition(
        DATAFLOW, "contacts-3", world.namespace, "MappingValid", "False", "MappingSetNotFound"
    )


def test_the_calls_from_ready_to_ready_are_the_fewest(world: World) -> None:
    """From the connection's Ready on: explore of the table, schema, dataset, validate, four creates, and
    reads of the flow until it is enabled.
    """
    world.operator.stop()
    world.operator.start(CRMFLOW_POLL_INTERVAL="300s")  # polls come when this test wants them
    world.apply_secrets()
    world.apply_connection()
    world.wait_ready(CONNECTION)
    listed = world.metric("crmflow_remote_calls_total", operation="flows.list")
    world.control.advance(301)  # longer than a create of an earlier process may take to be listed
    world.until(
        lambda: world.metric("crmflow_remote_calls_total", operation="flows.list") > listed,
        "the sandbox is listed again",
    )
    mark = world.mark()
    world.apply_dataflow()
    world.wait_ready(DATAFLOW)
    calls = [_call(call) for call in world.calls_since(mark) if not _is_a_poll(call)]
    reads = [call for call in calls if call.startswith("GET flows")]
    assert reads
    assert sorted(call for call in calls if call not in reads) == sorted(
        [
            "GET explore table",
            "GET schemas",
            "GET dataSets",
            "POST validate",
            "POST mappingSets",
            "POST sourceConnections",
            "POST targetConnections",
            "POST flows",
        ]
    )
    assert calls.index("POST validate") < min(
        calls.index(f"POST {each}") for each in ("mappingSets", "sourceConnections", "targetConnections")
    )


def _call(call: dict[str, Any]) -> str:
    """Method and kind, without ids."""
    parts = call["path"].split("/data/foundation/")[1].split("/")
    kinds = ("explore", "validate", "mappingSets", "sourceConnections", "targetConnections", "flows")
    kind = next(kind for kind in (*kinds, "schemas", "dataSets", *parts) if kind in parts)
    suffix = f" {call['query']['objectType'][0].lower()}" if kind == "explore" else ""
    return f"{call['method']} {kind}{suffix}"


def _is_a_poll(call: dict[str, Any]) -> bool:
    """A listing of the whole sandbox, which comes by the clock."""
    return call["service"] != "platform" or (
        call["method"] == "GET" and "orderby" in call["query"] and "property" in call["query"]
    )
