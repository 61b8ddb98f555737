"""The mapping as Data Prep gets it, and the hash that tells whether it changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmflow.aep.models import FieldMapping, MappingSet, Schema, SourceType
from crmflow.api.crmdataflow import Mapping
from crmflow.reconcile.dataflow.mapping import content_hash, content_type, entries
from crmflow.reconcile.outcome import OutcomeClass
from tests.unit.reconcile.fakes import SCHEMA_ID
from tests.unit.reconcile.world import Resource, World

TYPE = "application/vnd.adobe.xed-full+json;version=1"
SPEC = [
    Mapping(target="b", source="Email"),
    Mapping(target="a", expression="concat(A,B)"),
    Mapping(target="c", value="zoho"),
]
mappings = st.lists(
    st.builds(
        FieldMapping, st.sampled_from(list(SourceType)), st.text(max_size=4), st.text(min_size=1, max_size=4)
    ),
    max_size=4,
)


def hashed(mapping: list[Mapping], schema: str = "s", schema_type: str = TYPE) -> str:
    return content_hash(schema, schema_type, entries(mapping))


def test_entries_are_typed_and_ordered_by_target() -> None:
    assert entries(SPEC) == [
        FieldMapping(SourceType.EXPRESSION, "concat(A,B)", "a"),
        FieldMapping(SourceType.ATTRIBUTE, "Email", "b"),
        FieldMapping(SourceType.STATIC, "zoho", "c"),
    ]


def test_the_order_in_the_spec_does_not_count() -> None:
    assert hashed(SPEC) == hashed(SPEC[::-1])


@pytest.mark.parametrize(
    "changed",
    [
        [Mapping(target="b", source="Phone"), *SPEC[1:]],
        [Mapping(target="d", source="Email"), *SPEC[1:]],
        [Mapping(target="b", value="Email"), *SPEC[1:]],
        [Mapping(target="b", expression="Email"), *SPEC[1:]],
        SPEC[1:],
    ],
    ids=["source", "target", "source became value", "source became expression", "entry removed"],
)
def test_each_difference_changes_the_hash(changed: list[Mapping]) -> None:
    assert hashed(changed) != hashed(SPEC)


def test_the_schema_and_its_version_count() -> None:
    assert len({hashed(SPEC), hashed(SPEC, "t"), hashed(SPEC, schema_type=TYPE + "0")}) == 3


@given(mappings, mappings)
def test_equal_hashes_mean_equal_mappings(first: list[FieldMapping], second: list[FieldMapping]) -> None:
    assert (content_hash("s", TYPE, first) == content_hash("s", TYPE, second)) is (first == second)


@pytest.mark.parametrize(
    ("version", "major"), [("1.0", 1), ("1.17", 1), ("2.3", 2), ("12", 12), ("", 1), ("x", 1)]
)
def test_the_content_type_names_the_major_version(version: str, major: int) -> None:
    schema: Any = Schema("id", "alt", "title", version)
    assert content_type(schema) == f"application/vnd.adobe.xed-full+json;version={major}"


# A mapping set that was made elsewhere

REF = {"id": "f00d", "version": 2}


def foreign(world: World, **changes: Any) -> None:
    """The sandbox holds a mapping set that somebody else made."""
    mappings = (
        FieldMapping(SourceType.ATTRIBUTE, "Email", "personalEmail.address"),
        FieldMapping(SourceType.STATIC, "zoho", "_acme.origin"),
    )
    known = MappingSet(SCHEMA_ID, "application/vnd.adobe.xed+json; version=1", mappings)
    world.platform.foreign_mapping_sets["f00d/2"] = replace(known, **changes)


def referring(world: World) -> Resource:
    resource = world.dataflow(mappingSetRef=REF)
    del resource.spec["mapping"]
    return resource


async def test_a_mapping_set_that_is_named_is_validated_and_used() -> None:
    world = World()
    foreign(world)
    resource = referring(world)
    result = await resource.visit()
    assert result.outcome.is_done
    assert not {"create_mapping_set", "find_mapping_set"} & set(result.calls)
    [(_, _, mappings)] = world.platform.arguments["validate_mapping"]
    assert [mapping.destination for mapping in mappings] == ["personalEmail.address", "_acme.origin"]
    assert resource.status["mappingSet"] == REF
    [flow] = world.platform.flows.values()
    assert (flow.mapping_set_id, flow.mapping_version) == ("f00d", 2)
    again = await resource.visit()
    assert again.outcome.is_done
    assert "mapping_set" not in again.calls


async def test_a_flow_moves_between_its_own_and_a_named_mapping_set() -> None:
    world = World()
    foreign(world)
    resource = world.dataflow()
    await resource.visit()
    own, mapping = resource.status["mappingSet"], resource.spec["mapping"]
    resource.edit(lambda spec: (spec.pop("mapping"), spec.update(mappingSetRef=REF)))
    assert (await resource.visit()).outcome.is_done
    [flow] = world.platform.flows.values()
    assert (flow.mapping_set_id, flow.mapping_version) == ("f00d", 2)
    resource.edit(lambda spec: (spec.pop("mappingSetRef"), spec.update(mapping=mapping)))
    assert (await resource.visit()).outcome.is_done
    assert resource.status["mappingSet"] == own


@pytest.mark.parametrize(
    ("changes", "reason", "text"),
    [
        (None, "MappingSetNotFound", "f00d does not exist in version 2"),
        ({"schema_id": "https://ns.adobe.com/x"}, "SchemaMismatch", "schema https://ns.adobe.com/x"),
        ({"content_type": "application/json;version=2"}, "SchemaMismatch", "version 2 of schema"),
        (
            {"mappings": (FieldMapping(SourceType.ATTRIBUTE, "Fax.home", "fax"),)},
            "MappingInvalid",
            "takes Fax.home",
        ),
    ],
    ids=["missing", "another schema", "another version", "unread column"],
)
async def test_a_named_mapping_set_that_does_not_fit_is_said_before_anything_is_written(
    changes: dict[str, Any] | None, reason: str, text: str
) -> None:
    world = World()
    if changes is not None:
        foreign(world, **changes)
    resource = referring(world)
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (OutcomeClass.STALLED, reason)
    assert text in result.outcome.message
    assert world.platform.counts == (0, 0, 0, 0)
    foreign(world)
    assert (await resource.visit()).outcome.is_done
