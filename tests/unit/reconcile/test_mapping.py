"""The mapping as Data Prep gets it, and the hash that tells whether it changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from crmflow.aep.models import FieldMapping, MappingSet, Schema, SourceType
from crmflow.api.crmdataflow import MappingEntry
from crmflow.http.errors import ErrorClass
from crmflow.reconcile.core.outcome import OutcomeClass
from crmflow.reconcile.external.mapping_set import (
    content_hash,
    entries,
    is_same_mapping,
    reads_from,
)
from crmflow.reconcile.external.schema import content_type
from tests.fakes.failing import remote_error
from tests.fakes.platform import SCHEMA_ID, new_column
from tests.unit.reconcile.harness import Harness, Resource

TYPE = "application/vnd.adobe.xed-full+json;version=1"
SPEC = [
    MappingEntry(target="b", source="Email"),
    MappingEntry(target="a", expression="concat(A,B)"),
    MappingEntry(target="c", value="zoho"),
]
mappings = st.lists(
    st.builds(
        FieldMapping, st.sampled_from(list(SourceType)), st.text(max_size=4), st.text(min_size=1, max_size=4)
    ),
    max_size=4,
)


def hashed(mapping: list[MappingEntry], schema: str = "s", schema_type: str = TYPE) -> str:
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
        [MappingEntry(target="b", source="Phone"), *SPEC[1:]],
        [MappingEntry(target="d", source="Email"), *SPEC[1:]],
        [MappingEntry(target="b", value="Email"), *SPEC[1:]],
        [MappingEntry(target="b", expression="Email"), *SPEC[1:]],
        SPEC[1:],
    ],
    ids=["source", "target", "source became value", "source became expression", "entry removed"],
)
def test_each_difference_changes_the_hash(changed: list[MappingEntry]) -> None:
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


COLUMNS = {"Email", "Owner.name", "Account", "First Name", "Größe", "a.b.c", "Odd\\name"}


@pytest.mark.parametrize(
    ("source", "reads"),
    [
        ("Email", True),
        (" Email ", True),
        ("Owner.name", True),
        ("Owner\\.name", True),
        ("${Owner.name}", True),
        ("${Owner\\.name}", True),
        ("Owner\\.name.first", True),
        ("Account.id", True),
        ("Account[0].id", True),
        ("Account[*]", True),
        ("${Account}.id", None),
        ("First Name", True),
        ("${First Name}", True),
        ("First\\ Name", True),
        ("Größe", True),
        ("a.b.c.d", True),
        ("a\\.b\\.c", True),
        ("Odd\\name", True),
        ("Fax", False),
        ("Fax.home", False),
        ("Fax\\.home", False),
        ("Owner", False),
        ("Owner.id", False),
        ("a.b", False),
        ("${Fax}", False),
        ("${Last Name}", False),
        ("Last Name", None),
        ("Fax-home", None),
        ("Fax[", None),
        ("Fax\\", None),
        ("$['Fax']", None),
        ("", None),
        ("Fax..home", None),
    ],
)
def test_a_source_is_read_by_the_grammar_of_data_prep(source: str, reads: bool | None) -> None:
    """True or False if it is known here whether it takes one of the columns; None: ask Data Prep."""
    assert reads_from(source, COLUMNS) is reads


@example("A ", set())
@given(st.text(max_size=12), st.sets(st.text(min_size=1, max_size=4), max_size=4))
def test_a_name_that_is_a_column_is_never_refused(source: str, columns: set[str]) -> None:
    assert reads_from(source, {*columns, source}) is not False
    escaped = "".join(f"\\{character}" for character in source)
    assert reads_from(escaped, {*columns, source}) is not False


def test_a_path_is_the_same_as_an_attribute_and_as_an_expression() -> None:
    for source in ("Email", "Owner.name", "Owner\\.name", "${First Name}"):
        attribute = [FieldMapping(SourceType.ATTRIBUTE, source, "a")]
        assert is_same_mapping(attribute, [FieldMapping(SourceType.EXPRESSION, source, "a")])
    assert not is_same_mapping(
        [FieldMapping(SourceType.ATTRIBUTE, "a-b", "a")], [FieldMapping(SourceType.EXPRESSION, "a-b", "a")]
    )


@pytest.mark.parametrize("source", ["Owner.name", "Owner\\.name", "${Owner\\.name}", "Last-Name"])
async def test_what_the_own_check_can_not_judge_is_asked_of_platform(source: str) -> None:
    harness = Harness()
    harness.platform.column_list = [*harness.platform.column_list, new_column("Owner.name", "string")]
    spec = {"table": "Contacts", "columns": ["Owner.name", "First_Name", "Modified_Time"]}
    resource = harness.dataflow(source=spec)
    resource.spec["mapping"] = [{"target": "personalEmail.address", "source": source}]
    harness.platform.mapping_verdicts = {"personalEmail.address": "no such attribute"}
    result = await resource.visit()
    assert "mappingSets.validate" in result.calls
    assert result.outcome.message == (
        "Platform refuses 1 of 1 mapping entries: personalEmail.address: no such attribute."
    )
    harness.platform.mapping_verdicts = {}
    assert (await resource.visit()).outcome.is_done
    [(body,)] = harness.platform.arguments["mappingSets.create"]
    assert body["mappings"] == [
        {"sourceType": "ATTRIBUTE", "source": source, "destination": "personalEmail.address"}
    ]


async def test_an_edit_of_the_mapping_is_not_refused_because_explore_fails() -> None:
    """What the flow reads is known without it."""
    harness = Harness()
    resource = harness.dataflow()
    await resource.until_done()
    harness.clock.time += 700
    harness.platform.fail("connections.exploreRoot", remote_error(ErrorClass.TERMINAL, "SourceRefused"))
    resource.edit(lambda spec: spec["mapping"].append({"target": "_acme.name", "source": "First_Name"}))
    assert (await resource.visit()).outcome.is_done
    resource.edit(lambda spec: spec["mapping"].append({"target": "_acme.fax", "source": "Fax"}))
    assert "takes Fax, which the source does not read" in (await resource.visit()).outcome.message


# A mapping set that was made elsewhere

REF = {"id": "f00d", "version": 2}


def foreign(harness: Harness, **changes: Any) -> None:
    """The sandbox holds a mapping set that somebody else made."""
    mappings = (
        FieldMapping(SourceType.ATTRIBUTE, "Email", "personalEmail.address"),
        FieldMapping(SourceType.STATIC, "zoho", "_acme.origin"),
    )
    known = MappingSet(SCHEMA_ID, "application/vnd.adobe.xed+json; version=1", mappings)
    harness.platform.foreign_mapping_sets["f00d/2"] = replace(known, **changes)


def referring(harness: Harness) -> Resource:
    resource = harness.dataflow(mappingSetRef=REF)
    del resource.spec["mapping"]
    return resource


async def test_a_mapping_set_that_is_named_is_validated_and_used() -> None:
    harness = Harness()
    foreign(harness)
    resource = referring(harness)
    result = await resource.visit()
    assert result.outcome.is_done
    assert not {"mappingSets.create", "mappingSets.list"} & set(result.calls)
    [(body,)] = harness.platform.arguments["mappingSets.validate"]
    assert [mapping["destination"] for mapping in body["mappings"]] == [
        "personalEmail.address",
        "_acme.origin",
    ]
    assert resource.status["mappingSet"] == REF
    [flow] = harness.platform.flows.values()
    assert (flow.mapping_set_id, flow.mapping_version) == ("f00d", 2)
    again = await resource.visit()
    assert again.outcome.is_done
    assert "mappingSets.get" not in again.calls


async def test_a_flow_moves_between_its_own_and_a_named_mapping_set() -> None:
    harness = Harness()
    foreign(harness)
    resource = harness.dataflow()
    await resource.visit()
    own, mapping = resource.status["mappingSet"], resource.spec["mapping"]
    resource.edit(lambda spec: (spec.pop("mapping"), spec.update(mappingSetRef=REF)))
    assert (await resource.visit()).outcome.is_done
    [flow] = harness.platform.flows.values()
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
    harness = Harness()
    if changes is not None:
        foreign(harness, **changes)
    resource = referring(harness)
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (OutcomeClass.STALLED, reason)
    assert text in result.outcome.message
    assert harness.platform.counts == (0, 0, 0, 0)
    foreign(harness)
    assert (await resource.visit()).outcome.is_done


async def test_a_target_that_is_mapped_twice_is_said_before_anything_is_written() -> None:
    harness = Harness()
    resource = harness.dataflow()
    mapping = resource.spec["mapping"]
    resource.spec["mapping"] = [*mapping, {"target": f" {mapping[0]['target']}", "value": "x"}]
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (OutcomeClass.STALLED, "MappingInvalid")
    assert f"maps to {mapping[0]['target']} more than once" in result.outcome.message
    assert harness.platform.counts == (0, 0, 0, 0)
    assert "mappingSets.validate" not in result.calls
    resource.edit(lambda spec: spec.update(mapping=mapping))
    assert (await resource.visit()).outcome.is_done
