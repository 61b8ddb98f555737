"""Schema, dataset and mapping set of a dataflow: named, found, or created once."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.kit import manifests
from tests.kit.cluster import Object, condition
from tests.kit.tenant import CONNECTION, DATAFLOW, Tenant

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


def bearing(tenant: Tenant, kind: str, name: str, sandbox: str = "prod") -> list[Object]:
    """The schemas or datasets of a title or name."""
    field = "title" if kind == "schemas" else "name"
    return [each for each in tenant.held(kind, sandbox) if each[field] == name]


def test_one_manifest_serves_two_sandboxes(tenant: Tenant) -> None:
    """Ids differ between sandboxes, titles and names do not."""
    tenant.make_ready(target=NAMED)
    tenant.cluster.apply(manifests.connection(tenant.namespace, "dev", platform={"sandbox": "dev"}))
    tenant.cluster.apply(
        manifests.dataflow(tenant.namespace, "contacts-dev", target=NAMED, connectionRef={"name": "dev"})
    )
    dev = tenant.cluster.wait_ready(DATAFLOW, "contacts-dev", tenant.namespace, seconds=30)
    prod = tenant.get(DATAFLOW)
    assert dev["status"]["schema"]["id"] != prod["status"]["schema"]["id"]
    assert dev["status"]["dataset"]["id"] == bearing(tenant, "dataSets", "CRM Contacts", "dev")[0]["id"]


def test_a_name_that_two_datasets_bear_is_ambiguous_until_one_goes(tenant: Tenant) -> None:
    twin = tenant.control.post("/aep/sandboxes/prod/dataSets", name="CRM Contacts")["id"]
    tenant.apply_secrets()
    tenant.apply_connection()
    tenant.apply_dataflow(target=NAMED)
    said = tenant.wait_reason(DATAFLOW, "TargetReady", "Ambiguous")
    message = condition(said, "Ready")["message"]
    assert twin in message
    assert "6889f4f89b982b2b90bc1207" in message
    tenant.edit(DATAFLOW, target={"dataset": {"id": twin, "name": None}})
    ready = tenant.wait_ready(DATAFLOW)
    assert ready["status"]["dataset"]["id"] == twin


def test_schema_and_dataset_are_created_and_never_touched_again(tenant: Tenant) -> None:
    tenant.make_ready(target=CREATED, mapping=MAPPING)
    (schema,) = bearing(tenant, "schemas", "Contacts of ours")
    (dataset,) = bearing(tenant, "dataSets", "Contacts of ours")
    assert schema["meta:class"] == PROFILE
    assert schema["meta:immutableTags"] == ["union"]
    identities = [each for each in tenant.held("descriptors") if each["xdm:sourceSchema"] == schema["$id"]]
    assert [(each["xdm:sourceProperty"], each["xdm:isPrimary"]) for each in identities] == [
        ("/personalEmail/address", True)
    ]
    assert dataset["schemaRef"]["id"] == schema["$id"]
    assert dataset["tags"]["unifiedProfile"] == ["enabled:true", "isUpsert:true"]
    assert dataset["enableErrorDiagnostics"] is True

    tenant.delete(DATAFLOW)
    tenant.wait_gone(DATAFLOW)
    assert bearing(tenant, "schemas", "Contacts of ours") == [schema]
    assert bearing(tenant, "dataSets", "Contacts of ours") == [dataset]


@pytest.mark.parametrize("lag", [0, 30])
def test_two_dataflows_that_name_the_same_missing_objects_create_one_of_each(
    tenant: Tenant, lag: int
) -> None:
    """Even while listings do not show yet what was created."""
    tenant.control.switch("aep", indexLagSeconds=lag)
    tenant.apply_secrets()
    for name in ("contacts", "contacts-2", "contacts-3"):
        tenant.apply_dataflow(name, target=CREATED, mapping=MAPPING)
    tenant.apply_connection()
    used = []
    for name in ("contacts", "contacts-2", "contacts-3"):
        status = tenant.cluster.wait_ready(DATAFLOW, name, tenant.namespace, seconds=40)["status"]
        used.append((status["schema"]["id"], status["dataset"]["id"]))
    assert len(set(used)) == 1
    assert len(bearing(tenant, "schemas", "Contacts of ours")) == 1
    assert len(bearing(tenant, "dataSets", "Contacts of ours")) == 1


@pytest.mark.parametrize("path", ["/tenant/schemas$", "/tenant/descriptors$", "/dataSets$"])
def test_a_lost_answer_makes_no_second_object(tenant: Tenant, path: str) -> None:
    tenant.control.fault(service="platform", method="POST", path=path, reset="after")
    tenant.make_ready(target=CREATED, mapping=MAPPING)
    (schema,) = bearing(tenant, "schemas", "Contacts of ours")
    assert schema["meta:immutableTags"] == ["union"]
    assert len([d for d in tenant.held("descriptors") if d["xdm:sourceSchema"] == schema["$id"]]) == 1
    assert len(bearing(tenant, "dataSets", "Contacts of ours")) == 1


@pytest.mark.parametrize("path", ["/tenant/schemas$", "/dataSets$"])
def test_a_lost_answer_under_index_lag_makes_no_second_object(tenant: Tenant, path: str) -> None:
    """A listing that does not show the object yet proves nothing before the grace is over."""
    tenant.control.switch("aep", indexLagSeconds=30)
    tenant.control.fault(service="platform", method="POST", path=path, reset="after")
    tenant.apply_secrets()
    tenant.apply_connection()
    tenant.apply_dataflow(target=CREATED, mapping=MAPPING)
    tenant.wait_ready(CONNECTION)
    for _ in range(20):
        if (condition(tenant.get(DATAFLOW), "Ready") or {}).get("status") == "True":
            break
        time.sleep(0.5)
        tenant.control.advance(11)
    tenant.wait_ready(DATAFLOW)
    assert len(bearing(tenant, "schemas", "Contacts of ours")) == 1
    assert len(bearing(tenant, "dataSets", "Contacts of ours")) == 1


def test_a_mapping_set_that_exists_is_used_by_its_id(tenant: Tenant) -> None:
    tenant.make_ready()
    own = tenant.get(DATAFLOW)["status"]["mappingSet"]
    ref = {"id": own["id"], "version": own["version"]}
    tenant.apply_dataflow("contacts-2", mapping=None, mappingSetRef=ref)
    ready = tenant.cluster.wait_ready(DATAFLOW, "contacts-2", tenant.namespace)
    assert ready["status"]["mappingSet"] == ref
    assert len(tenant.held("mappingSets")) == 1

    missing = {"id": "0" * 32, "version": 0}
    tenant.apply_dataflow("contacts-3", mapping=None, mappingSetRef=missing)
    tenant.cluster.wait_condition(
        DATAFLOW, "contacts-3", tenant.namespace, "MappingValid", "False", "MappingSetNotFound"
    )


def test_the_calls_from_ready_to_ready_are_the_fewest(tenant: Tenant) -> None:
    """From the connection's Ready on: explore of the table, schema, dataset, validate, four creates, and
    reads of the flow until it is enabled.
    """
    tenant.operator.stop()
    tenant.operator.start(CRMFLOW_POLL_INTERVAL="300s")  # polls come when this test wants them
    tenant.apply_secrets()
    tenant.apply_connection()
    tenant.wait_ready(CONNECTION)
    listed = tenant.metric("crmflow_remote_calls_total", operation="flows.list")
    tenant.control.advance(301)  # longer than a create of an earlier process may take to be listed
    tenant.until(
        lambda: tenant.metric("crmflow_remote_calls_total", operation="flows.list") > listed,
        "the sandbox is listed again",
    )
    mark = tenant.mark()
    tenant.apply_dataflow()
    tenant.wait_ready(DATAFLOW)
    calls = [_call(call) for call in tenant.calls_since(mark) if not _is_a_poll(call)]
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
    of_ids = any(value.startswith("id==") for value in call["query"].get("property", ()))
    return call["service"] != "platform" or (
        call["method"] == "GET" and "orderby" in call["query"] and "property" in call["query"] and not of_ids
    )
