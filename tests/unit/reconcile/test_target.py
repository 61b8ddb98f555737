"""Schema and dataset of a CRMDataflow: named by id, or by title and name, and created where missing."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from crmflow.aep.models import DataSet, Schema
from crmflow.reconcile.outcome import OutcomeClass
from crmflow.transport.errors import ErrorClass
from tests.unit.reconcile.fakes import DATASET_ID, SCHEMA_ID, remote_error
from tests.unit.reconcile.world import CREATE_GRACE, Resource, World

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


def named(world: World, title: str = "Contact", name: str = "Contacts of the CRM") -> None:
    """The seeded schema and dataset bear these."""
    world.platform.schemas[SCHEMA_ID] = replace(world.platform.schemas[SCHEMA_ID], title=title)
    world.platform.datasets[DATASET_ID] = replace(world.platform.datasets[DATASET_ID], name=name)


def creating(world: World, name: str = "contacts", **changes: Any) -> Resource:
    resource = world.dataflow(target={"schema": SCHEMA, "dataset": DATASET}, **changes)
    resource.name = name
    return resource


def creates(world: World) -> list[str]:
    targets = ("create_schema", "set_primary_identity", "enable_schema_for_profile", "create_dataset")
    return [call for call in world.timeline if call in targets]


async def test_a_title_and_a_name_mean_the_only_ones_that_bear_them() -> None:
    world = World()
    named(world)
    target = {"schema": {"title": "Contact"}, "dataset": {"name": "Contacts of the CRM"}}
    resource = world.dataflow(target=target)
    assert (await resource.visit()).outcome.is_done
    assert resource.status["schema"]["id"] == SCHEMA_ID
    assert resource.status["dataset"]["id"] == DATASET_ID
    assert resource.status["dataset"]["name"] == "Contacts of the CRM"
    assert creates(world) == []
    again = await resource.visit()
    assert again.outcome.is_done
    assert not {"schemas_titled", "datasets_named"} & set(again.calls), "what is known is not looked up"


async def test_the_same_object_named_otherwise_is_no_change() -> None:
    world = World()
    named(world)
    resource = world.dataflow()
    await resource.visit()
    resource.edit(
        lambda spec: spec.update(
            target={"schema": {"title": "Contact"}, "dataset": {"name": "Contacts of the CRM"}}
        )
    )
    assert (await resource.visit()).outcome.is_done
    assert "patch_target_connection" not in world.platform.arguments
    resource.edit(lambda spec: spec["target"]["schema"].update(title="Another"))
    assert (await resource.visit()).outcome.reason == "ReplacementRequired"


@pytest.mark.parametrize("kind", ["schema", "dataset"])
async def test_a_name_that_several_bear_is_ambiguous_and_lists_them(kind: str) -> None:
    world = World()
    named(world)
    other = "https://ns.adobe.com/acme/schemas/other" if kind == "schema" else "0000feed"
    if kind == "schema":
        world.platform.schemas[other] = replace(world.platform.schemas[SCHEMA_ID], id=other)
    else:
        world.platform.datasets[other] = replace(world.platform.datasets[DATASET_ID], id=other)
    resource = world.dataflow(
        target={"schema": {"title": "Contact"}, "dataset": {"name": "Contacts of the CRM"}}
    )
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, "Ambiguous")
    assert other in result.outcome.message
    assert (SCHEMA_ID if kind == "schema" else DATASET_ID) in result.outcome.message
    assert f"spec.target.{kind}.id" in result.outcome.message
    assert resource.condition("TargetReady")[:2] == ("False", "Ambiguous")
    if kind == "schema":
        del world.platform.schemas[other]
    else:
        del world.platform.datasets[other]
    assert (await resource.visit()).outcome.is_done


async def test_what_is_missing_and_not_to_be_created_is_said() -> None:
    world = World()
    resource = world.dataflow(target={"schema": {"title": "None"}, "dataset": {"name": "None"}})
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, "SchemaNotFound")
    assert "spec.target.schema.create" in result.outcome.message
    named(world, title="None")
    result = await resource.visit()
    assert result.outcome.reason == "DatasetNotFound"
    assert "spec.target.dataset.create" in result.outcome.message
    named(world, "None", "None")
    assert (await resource.visit()).outcome.is_done


async def test_schema_and_dataset_are_created_in_their_order() -> None:
    world = World()
    resource = creating(world)
    result = await resource.visit()
    assert result.outcome.is_done
    assert creates(world) == [
        "create_schema",
        "set_primary_identity",
        "enable_schema_for_profile",
        "create_dataset",
    ]
    calls = result.calls
    assert calls.index("validate_mapping") < calls.index("create_dataset") < calls.index("create_flow")
    [(title, description, class_id, groups)] = world.platform.arguments["create_schema"]
    assert (title, class_id, groups) == ("New contacts", PROFILE, (DETAILS,))
    assert description == resource.identity.description(None)
    schema_id = resource.status["schema"]["id"]
    assert world.platform.identities == {schema_id: ("/personalEmail/address", "Email")}
    assert world.platform.schemas[schema_id].profile_enabled
    dataset = world.platform.datasets[resource.status["dataset"]["id"]]
    assert (dataset.name, dataset.schema_id, dataset.profile_enabled) == ("New contacts", schema_id, True)
    assert "intents" not in resource.status
    assert [event.reason for event in result.events] == ["Created"] * 3
    assert (await resource.visit()).outcome.is_done
    assert len(creates(world)) == 4


async def test_a_plain_schema_gets_neither_identity_nor_union() -> None:
    world = World()
    target = {
        "schema": {"title": "Plain", "create": {"class": PROFILE}},
        "dataset": {"name": "Plain", "create": {}},
    }
    assert (await world.dataflow(target=target).visit()).outcome.is_done
    assert creates(world) == ["create_schema", "create_dataset"]


async def test_what_exists_is_never_changed() -> None:
    world = World()
    named(world, title="New contacts", name="New contacts")
    world.platform.schemas[SCHEMA_ID] = replace(world.platform.schemas[SCHEMA_ID], profile_enabled=True)
    assert (await creating(world).visit()).outcome.is_done
    assert creates(world) == []


async def test_a_mapping_that_is_refused_keeps_the_dataset_from_being_created() -> None:
    world = World()
    resource = creating(world)
    world.platform.mapping_verdicts = {"_acme.origin": "no such field"}
    assert (await resource.visit()).outcome.reason == "MappingInvalid"
    assert "create_dataset" not in creates(world)
    world.platform.mapping_verdicts = {}
    assert (await resource.visit()).outcome.is_done


async def test_a_profile_dataset_needs_a_schema_that_is_enabled_for_profile() -> None:
    world = World()
    resource = world.dataflow(target={"schema": {"id": SCHEMA_ID}, "dataset": DATASET})
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, "SchemaNotProfileEnabled")
    assert creates(world) == []
    world.platform.schemas[SCHEMA_ID] = replace(world.platform.schemas[SCHEMA_ID], profile_enabled=True)
    assert (await resource.visit()).outcome.is_done


async def test_a_dataset_of_that_name_with_another_schema_is_said() -> None:
    world = World()
    world.platform.datasets["d1"] = DataSet(
        "d1", "New contacts", "https://ns.adobe.com/acme/other", "", False
    )
    result = await creating(world).visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, "SchemaMismatch")


@pytest.mark.parametrize("lagging", [False, True], ids=["listed at once", "listed late"])
async def test_two_dataflows_that_name_the_same_missing_objects_create_one_of_each(lagging: bool) -> None:
    world = World()
    if lagging:
        world.platform.hidden_names.add("New contacts")
    first, second = creating(world), creating(world, "contacts-2")
    results = await asyncio.gather(first.visit(), second.visit())
    assert all(result.outcome.is_done for result in results)
    assert len(creates(world)) == 4
    assert first.status["schema"]["id"] == second.status["schema"]["id"]
    assert first.status["dataset"]["id"] == second.status["dataset"]["id"]
    assert world.platform.counts == (0, 2, 2, 2)


CALLS = ["create_schema", "set_primary_identity", "enable_schema_for_profile", "create_dataset"]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("arrived", [True, False], ids=["arrived", "never arrived"])
async def test_a_lost_answer_makes_no_second_object(call: str, arrived: bool) -> None:
    """And what was left undone is done, by another process too."""
    world = World()
    resource = creating(world)
    world.platform.fail(call, LOST, after=arrived, times=1)
    result = await resource.visit()
    assert result.outcome.outcome_class is OutcomeClass.TRANSIENT
    slot = "dataset" if call == "create_dataset" else "schema"
    assert [(intent["slot"], intent["name"]) for intent in resource.status["intents"]] == [
        (slot, "New contacts")
    ]
    world.services = replace(world.services, created_names=type(world.services.created_names)())
    if not arrived and call.startswith("create_"):
        assert (await resource.visit()).outcome.reason == "CreatePending"
        world.clock.time += CREATE_GRACE
    assert (await resource.visit()).outcome.is_done
    made = [schema for schema in world.platform.schemas.values() if schema.title == "New contacts"]
    assert len(made) == 1
    assert made[0].profile_enabled
    assert list(world.platform.identities) == [made[0].id]
    assert len([each for each in world.platform.datasets.values() if each.name == "New contacts"]) == 1
    assert "intents" not in resource.status


@pytest.mark.parametrize("slot", ["schema", "dataset"])
async def test_what_another_dataflow_is_creating_is_waited_for(slot: str) -> None:
    """It may have been created without being listed yet."""
    world = World()
    resource = creating(world)
    begun = datetime.fromtimestamp(world.clock.time - 20, UTC)
    world.peers.intents[slot, "New contacts"] = [begun]
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (WAITING, "CreatePending")
    assert f"create_{slot}" not in creates(world)
    world.clock.time += CREATE_GRACE
    assert (await resource.visit()).outcome.is_done


async def test_a_schema_of_somebody_elses_is_left_as_it_is_though_an_intent_is_open() -> None:
    world = World()
    resource = creating(world)
    world.platform.fail("create_schema", LOST, times=1)
    await resource.visit()
    foreign = Schema(
        "https://ns.adobe.com/acme/schemas/f", "alt", "New contacts", "1.0", profile_enabled=True
    )
    world.platform.schemas[foreign.id] = foreign
    assert (await resource.visit()).outcome.is_done
    assert resource.status["schema"]["id"] == foreign.id
    assert "set_primary_identity" not in creates(world)


async def test_a_refused_identity_keeps_the_intent_until_it_is_corrected() -> None:
    world = World()
    resource = creating(world)
    refused = remote_error(ErrorClass.TERMINAL, "RequestRefused", "no such namespace")
    world.platform.fail("set_primary_identity", refused)
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, "RequestRefused")
    world.platform.heal()
    assert (await resource.visit()).outcome.is_done
    assert creates(world).count("create_schema") == 1
    assert len(world.platform.identities) == 1


async def test_a_refused_create_leaves_no_intent() -> None:
    world = World()
    resource = creating(world)
    world.platform.fail("create_schema", remote_error(ErrorClass.TERMINAL, "RequestRefused"), times=1)
    await resource.visit()
    assert "intents" not in resource.status


async def test_after_a_reset_of_the_sandbox_they_are_created_again() -> None:
    world = World()
    resource = creating(world)
    await resource.visit()
    world.platform.schemas.clear()
    world.platform.datasets.clear()
    other = creating(world, "contacts-2")
    assert (await other.visit()).outcome.is_done
    assert len(creates(world)) == 8


async def test_before_there_is_a_flow_the_target_may_still_change() -> None:
    world = World()
    resource = world.dataflow()
    world.platform.fail("create_flow", remote_error(ErrorClass.TERMINAL, "ScheduleInvalid"), times=1)
    await resource.visit()
    world.platform.datasets["d2"] = replace(world.platform.datasets[DATASET_ID], id="d2")
    resource.edit(lambda spec: spec["target"]["dataset"].update(id="d2"))
    assert (await resource.visit()).outcome.is_done
    [connection] = world.platform.target_connections.values()
    assert connection.dataset_id == resource.status["dataset"]["id"] == "d2"


async def test_before_there_is_a_flow_another_table_has_its_own_columns() -> None:
    world = World()
    resource = world.dataflow(source={"table": "Contacts"})
    world.platform.fail("create_flow", remote_error(ErrorClass.TERMINAL, "ScheduleInvalid"), times=1)
    await resource.visit()
    world.platform.column_list = world.platform.column_list[:3]
    resource.edit(lambda spec: spec["source"].update(table="Leads"))
    world.clock.time += 1
    assert (await resource.visit()).outcome.is_done
    [source] = world.platform.source_connections.values()
    assert source.table_name == "Leads"
    assert list(source.column_names) == resource.status["columns"] == ["Email", "First_Name", "Modified_Time"]
