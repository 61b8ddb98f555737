"""Schema and dataset of a CRMDataflow: named by id, or by title and name, and created where missing."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from crmflow.aep.models import DataSet, Schema
from crmflow.http.errors import ErrorClass
from crmflow.reconcile.core.outcome import OutcomeClass
from tests.fakes.failing import remote_error
from tests.fakes.platform import DATASET_ID, SCHEMA_ID
from tests.unit.reconcile.harness import CREATE_GRACE, Harness, Resource

STALLED, WAITING = OutcomeClass.STALLED, OutcomeClass.WAITING
PROFILE = "https://ns.adobe.com/xdm/context/profile"
DETAILS = "https://ns.adobe.com/xdm/context/profile-person-details"
SCHEMA = {
    "title": "New contacts",
    "create": {
        "class": PROFILE,
        "fieldGroups": [DETAILS],
        "primaryIdentity": {"path": "personalEmail.address", "namespace": "Email"},
        "enableForProfileIrreversibly": True,
    },
}
DATASET = {"name": "New contacts", "create": {"profile": True, "upsert": True, "errorDiagnostics": True}}
LOST = remote_error(reason="Timeout", maybe_applied=True)


def named(harness: Harness, title: str = "Contact", name: str = "Contacts of the CRM") -> None:
    """The seeded schema and dataset bear these."""
    harness.platform.schemas[SCHEMA_ID] = replace(harness.platform.schemas[SCHEMA_ID], title=title)
    harness.platform.datasets[DATASET_ID] = replace(harness.platform.datasets[DATASET_ID], name=name)


def creating(harness: Harness, name: str = "contacts", **changes: Any) -> Resource:
    resource = harness.dataflow(target={"schema": SCHEMA, "dataset": DATASET}, **changes)
    resource.name = name
    return resource


def creates(harness: Harness) -> list[str]:
    targets = ("schemas.create", "descriptors.create", "schemas.patch", "dataSets.create")
    return [call for call in harness.timeline if call in targets]


async def test_a_title_and_a_name_mean_the_only_ones_that_bear_them() -> None:
    harness = Harness()
    named(harness)
    target = {"schema": {"title": "Contact"}, "dataset": {"name": "Contacts of the CRM"}}
    resource = harness.dataflow(target=target)
    assert (await resource.visit()).outcome.is_done
    assert resource.status["schema"]["id"] == SCHEMA_ID
    assert resource.status["dataset"]["id"] == DATASET_ID
    assert resource.status["dataset"]["name"] == "Contacts of the CRM"
    assert creates(harness) == []
    again = await resource.visit()
    assert again.outcome.is_done
    assert not {"schemas.list", "dataSets.list"} & set(again.calls), "what is known is not looked up"


async def test_the_same_object_named_otherwise_is_no_change() -> None:
    harness = Harness()
    named(harness)
    resource = harness.dataflow()
    await resource.visit()
    resource.edit(
        lambda spec: spec.update(
            target={"schema": {"title": "Contact"}, "dataset": {"name": "Contacts of the CRM"}}
        )
    )
    assert (await resource.visit()).outcome.is_done
    assert "targetConnections.patch" not in harness.platform.arguments
    resource.edit(lambda spec: spec["target"]["schema"].update(title="Another"))
    result = await resource.visit()
    assert result.outcome.reason == "SchemaNotFound", "the flow goes on, and no other one can be made"
    assert "spec.target.schema can't be changed on a flow that exists" in result.outcome.message


@pytest.mark.parametrize("kind", ["schema", "dataset"])
async def test_a_name_that_several_bear_is_ambiguous_and_lists_them(kind: str) -> None:
    harness = Harness()
    named(harness)
    other = "https://ns.adobe.com/acme/schemas/other" if kind == "schema" else "0000feed"
    if kind == "schema":
        harness.platform.schemas[other] = replace(harness.platform.schemas[SCHEMA_ID], id=other)
    else:
        harness.platform.datasets[other] = replace(harness.platform.datasets[DATASET_ID], id=other)
    resource = harness.dataflow(
        target={"schema": {"title": "Contact"}, "dataset": {"name": "Contacts of the CRM"}}
    )
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, "Ambiguous")
    assert other in result.outcome.message
    assert (SCHEMA_ID if kind == "schema" else DATASET_ID) in result.outcome.message
    assert f"spec.target.{kind}.id" in result.outcome.message
    assert resource.condition("TargetReady")[:2] == ("False", "Ambiguous")
    if kind == "schema":
        del harness.platform.schemas[other]
    else:
        del harness.platform.datasets[other]
    assert (await resource.visit()).outcome.is_done


async def test_what_is_missing_and_not_to_be_created_is_said() -> None:
    harness = Harness()
    resource = harness.dataflow(target={"schema": {"title": "None"}, "dataset": {"name": "None"}})
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, "SchemaNotFound")
    assert "spec.target.schema.create" in result.outcome.message
    named(harness, title="None")
    result = await resource.visit()
    assert result.outcome.reason == "DatasetNotFound"
    assert "spec.target.dataset.create" in result.outcome.message
    named(harness, "None", "None")
    assert (await resource.visit()).outcome.is_done


async def test_schema_and_dataset_are_created_in_their_order() -> None:
    harness = Harness()
    resource = creating(harness)
    result = await resource.visit()
    assert result.outcome.is_done
    assert creates(harness) == [
        "schemas.create",
        "descriptors.create",
        "schemas.patch",
        "dataSets.create",
    ]
    calls = result.calls
    assert calls.index("mappingSets.validate") < calls.index("dataSets.create") < calls.index("flows.create")
    description = resource.identity.description(None)
    [(schema_body,)] = harness.platform.arguments["schemas.create"]
    assert schema_body == {
        "type": "object",
        "title": "New contacts",
        "description": description,
        "allOf": [{"$ref": PROFILE}, {"$ref": DETAILS}],
    }
    schema_id = resource.status["schema"]["id"]
    [(descriptor,)] = harness.platform.arguments["descriptors.create"]
    assert descriptor == {
        "@type": "xdm:descriptorIdentity",
        "xdm:sourceSchema": schema_id,
        "xdm:sourceVersion": 1,
        "xdm:sourceProperty": "/personalEmail/address",
        "xdm:namespace": "Email",
        "xdm:property": "xdm:code",
        "xdm:isPrimary": True,
    }
    assert harness.platform.schemas[schema_id].profile_enabled
    dataset = harness.platform.datasets[resource.status["dataset"]["id"]]
    assert (dataset.name, dataset.schema_id, dataset.profile_enabled) == ("New contacts", schema_id, True)
    assert "intents" not in resource.status
    assert [event.reason for event in result.events] == ["Created"] * 3
    assert (await resource.visit()).outcome.is_done
    assert len(creates(harness)) == 4


@pytest.mark.parametrize(
    ("wanted", "tag"),
    [
        ({}, None),
        ({"profile": True}, ["enabled:true"]),
        ({"profile": True, "upsert": True}, ["enabled:true", "isUpsert:true"]),
    ],
    ids=["plain", "profile", "upsert"],
)
async def test_a_dataset_is_created_as_the_spec_says(wanted: dict[str, Any], tag: list[str] | None) -> None:
    harness = Harness()
    harness.platform.schemas[SCHEMA_ID] = replace(harness.platform.schemas[SCHEMA_ID], profile_enabled=True)
    create = {"errorDiagnostics": True, **wanted}
    target = {"schema": {"id": SCHEMA_ID}, "dataset": {"name": "A", "create": create}}
    resource = harness.dataflow(target=target)
    assert (await resource.visit()).outcome.is_done
    [(body,)] = harness.platform.arguments["dataSets.create"]
    assert body == {
        "name": "A",
        "description": resource.identity.description(None),
        "schemaRef": {"id": SCHEMA_ID, "contentType": "application/vnd.adobe.xed+json;version=1"},
        "enableErrorDiagnostics": True,
        **({} if tag is None else {"tags": {"unifiedProfile": tag, "unifiedIdentity": ["enabled:true"]}}),
    }


async def test_a_plain_schema_gets_neither_identity_nor_union() -> None:
    harness = Harness()
    target = {
        "schema": {"title": "Plain", "create": {"class": PROFILE}},
        "dataset": {"name": "Plain", "create": {}},
    }
    assert (await harness.dataflow(target=target).visit()).outcome.is_done
    assert creates(harness) == ["schemas.create", "dataSets.create"]


async def test_what_exists_is_never_changed() -> None:
    harness = Harness()
    named(harness, title="New contacts", name="New contacts")
    harness.platform.schemas[SCHEMA_ID] = replace(harness.platform.schemas[SCHEMA_ID], profile_enabled=True)
    assert (await creating(harness).visit()).outcome.is_done
    assert creates(harness) == []


async def test_a_mapping_that_is_refused_keeps_the_dataset_from_being_created() -> None:
    harness = Harness()
    resource = creating(harness)
    harness.platform.mapping_verdicts = {"_acme.origin": "no such field"}
    assert (await resource.visit()).outcome.reason == "MappingInvalid"
    assert "dataSets.create" not in creates(harness)
    harness.platform.mapping_verdicts = {}
    assert (await resource.visit()).outcome.is_done


async def test_a_profile_dataset_needs_a_schema_that_is_enabled_for_profile() -> None:
    harness = Harness()
    resource = harness.dataflow(target={"schema": {"id": SCHEMA_ID}, "dataset": DATASET})
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, "SchemaNotProfileEnabled")
    assert creates(harness) == []
    harness.platform.schemas[SCHEMA_ID] = replace(harness.platform.schemas[SCHEMA_ID], profile_enabled=True)
    assert (await resource.visit()).outcome.is_done


async def test_a_dataset_of_that_name_with_another_schema_is_said() -> None:
    harness = Harness()
    harness.platform.datasets["d1"] = DataSet(
        "d1", "New contacts", "https://ns.adobe.com/acme/other", "", False
    )
    result = await creating(harness).visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, "SchemaMismatch")


@pytest.mark.parametrize("lagging", [False, True], ids=["listed at once", "listed late"])
async def test_two_dataflows_that_name_the_same_missing_objects_create_one_of_each(lagging: bool) -> None:
    harness = Harness()
    if lagging:
        harness.platform.hidden_names.add("New contacts")
    first, second = creating(harness), creating(harness, "contacts-2")
    results = await asyncio.gather(first.visit(), second.visit())
    assert all(result.outcome.is_done for result in results)
    assert len(creates(harness)) == 4
    assert first.status["schema"]["id"] == second.status["schema"]["id"]
    assert first.status["dataset"]["id"] == second.status["dataset"]["id"]
    assert harness.platform.counts == (0, 2, 2, 2)


CALLS = ["schemas.create", "descriptors.create", "schemas.patch", "dataSets.create"]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("arrived", [True, False], ids=["arrived", "never arrived"])
async def test_a_lost_answer_makes_no_second_object(call: str, arrived: bool) -> None:
    """And what was left undone is done, by another process too."""
    harness = Harness()
    resource = creating(harness)
    harness.platform.fail(call, LOST, after=arrived, times=1)
    result = await resource.visit()
    assert result.outcome.outcome_class is OutcomeClass.TRANSIENT
    slot = "dataset" if call == "dataSets.create" else "schema"
    assert [(intent["slot"], intent["name"]) for intent in resource.status["intents"]] == [
        (slot, "New contacts")
    ]
    harness.services = replace(harness.services, created_names=type(harness.services.created_names)())
    if not arrived and call in ("schemas.create", "dataSets.create"):
        assert (await resource.visit()).outcome.reason == "CreatePending"
        harness.clock.time += CREATE_GRACE
    assert (await resource.visit()).outcome.is_done
    made = [schema for schema in harness.platform.schemas.values() if schema.title == "New contacts"]
    assert len(made) == 1
    assert made[0].profile_enabled
    assert list(harness.platform.identities) == [made[0].id]
    assert len([each for each in harness.platform.datasets.values() if each.name == "New contacts"]) == 1
    assert "intents" not in resource.status


@pytest.mark.parametrize("slot", ["schema", "dataset"])
async def test_what_another_dataflow_is_creating_is_waited_for(slot: str) -> None:
    """It may have been created without being listed yet."""
    harness = Harness()
    resource = creating(harness)
    begun = datetime.fromtimestamp(harness.clock.time - 20, UTC)
    harness.lister.intents[slot, "New contacts"] = [begun]
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (WAITING, "CreatePending")
    assert f"create_{slot}" not in creates(harness)
    harness.clock.time += CREATE_GRACE
    assert (await resource.visit()).outcome.is_done


async def test_a_schema_of_somebody_elses_is_left_as_it_is_though_an_intent_is_open() -> None:
    harness = Harness()
    resource = creating(harness)
    harness.platform.fail("schemas.create", LOST, times=1)
    await resource.visit()
    foreign = Schema(
        "https://ns.adobe.com/acme/schemas/f", "alt", "New contacts", "1.0", profile_enabled=True
    )
    harness.platform.schemas[foreign.id] = foreign
    assert (await resource.visit()).outcome.is_done
    assert resource.status["schema"]["id"] == foreign.id
    assert "descriptors.create" not in creates(harness)


async def test_a_refused_identity_keeps_the_intent_until_it_is_corrected() -> None:
    harness = Harness()
    resource = creating(harness)
    refused = remote_error(ErrorClass.TERMINAL, "RequestRefused", "no such namespace")
    harness.platform.fail("descriptors.create", refused)
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, "RequestRefused")
    harness.platform.heal()
    assert (await resource.visit()).outcome.is_done
    assert creates(harness).count("schemas.create") == 1
    assert len(harness.platform.identities) == 1


async def test_a_refused_create_leaves_no_intent() -> None:
    harness = Harness()
    resource = creating(harness)
    harness.platform.fail("schemas.create", remote_error(ErrorClass.TERMINAL, "RequestRefused"), times=1)
    await resource.visit()
    assert "intents" not in resource.status


async def test_after_a_reset_of_the_sandbox_they_are_created_again() -> None:
    harness = Harness()
    resource = creating(harness)
    await resource.visit()
    harness.platform.schemas.clear()
    harness.platform.datasets.clear()
    other = creating(harness, "contacts-2")
    assert (await other.visit()).outcome.is_done
    assert len(creates(harness)) == 8


async def test_before_there_is_a_flow_the_target_may_still_change() -> None:
    harness = Harness()
    resource = harness.dataflow()
    harness.platform.fail("flows.create", remote_error(ErrorClass.TERMINAL, "ScheduleInvalid"), times=1)
    await resource.visit()
    harness.platform.datasets["d2"] = replace(harness.platform.datasets[DATASET_ID], id="d2")
    resource.edit(lambda spec: spec["target"]["dataset"].update(id="d2"))
    assert (await resource.visit()).outcome.is_done
    [connection] = harness.platform.target_connections.values()
    assert connection.dataset_id == resource.status["dataset"]["id"] == "d2"


async def test_before_there_is_a_flow_another_table_has_its_own_columns() -> None:
    harness = Harness()
    resource = harness.dataflow(source={"table": "Contacts"})
    harness.platform.fail("flows.create", remote_error(ErrorClass.TERMINAL, "ScheduleInvalid"), times=1)
    await resource.visit()
    harness.platform.column_list = harness.platform.column_list[:3]
    resource.edit(lambda spec: spec["source"].update(table="Leads"))
    harness.clock.time += 1
    assert (await resource.visit()).outcome.is_done
    [source] = harness.platform.source_connections.values()
    assert source.table_name == "Leads"
    assert list(source.column_names) == resource.status["columns"] == ["Email", "First_Name", "Modified_Time"]
