"""The mapping as Data Prep gets it, and the hash that tells whether it changed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmflow.aep.models import FieldMapping, Schema, SourceType
from crmflow.api.crmdataflow import Mapping
from crmflow.reconcile.dataflow.mapping import content_hash, content_type, entries

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
