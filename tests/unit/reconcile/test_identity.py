"""Remote names: unique to the resource, stable over everything else, and safe in filters."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmflow.reconcile.external.identity import (
    REMOTE_NAME_LENGTH,
    Identity,
    Slot,
    mapping_set_name,
    plain_name,
)

IDENTITY = Identity("prod", "CRMDataflow", "crm", "contacts", "uid-1")
SLOTS = tuple(map(Slot, ("connection", "source", "target", "flow")))
KEY = re.compile(r"\[crmflow:[a-z0-9-]+:[0-9a-f]{16}\]")

instances = st.from_regex(r"\A[a-z0-9]([a-z0-9-]{0,34}[a-z0-9])?\Z")
names = st.from_regex(r"\A[a-z0-9]([-a-z0-9.]{0,60}[a-z0-9])?\Z")
identities = st.builds(Identity, instances, st.sampled_from(["CRMDataflow", "X"]), names, names, st.text())
texts = st.one_of(
    st.none(),
    st.text(max_size=200),
    st.text(alphabet='[]",\n\t \u2028crmflow:0aé漢😀', max_size=150),
)


@given(identities, texts, st.sampled_from(SLOTS))
def test_a_remote_name_is_short_safe_and_ends_in_its_key(
    identity: Identity, text: str | None, slot: str
) -> None:
    name = identity.remote_name(text, slot)
    display, _, rest = name.rpartition(" [")
    assert len(name) <= REMOTE_NAME_LENGTH
    assert f"[{rest}" == identity.key(slot)
    assert KEY.findall(name) == [identity.key(slot)]
    assert display
    assert display == display.strip()
    assert not re.search(r'[,"\[\]\x00-\x1f\x7f\u2028\u2029]', display)


@given(identities, texts, texts, st.text(), st.sampled_from(SLOTS))
def test_the_key_depends_on_neither_display_name_nor_uid(
    identity: Identity, first: str | None, second: str | None, uid: str, slot: str
) -> None:
    other = Identity(identity.instance, identity.kind, identity.namespace, identity.name, uid)
    key = identity.key(slot)
    assert identity.remote_name(first, slot).endswith(key)
    assert other.remote_name(second, slot).endswith(key)


@given(identities, identities, st.sampled_from(SLOTS), st.sampled_from(SLOTS))
def test_different_objects_have_different_keys(a: Identity, b: Identity, x: str, y: str) -> None:
    same = (a.instance, a.kind, a.namespace, a.name, x) == (b.instance, b.kind, b.namespace, b.name, y)
    assert (a.key(x) == b.key(y)) is same


@pytest.mark.parametrize(
    ("field", "value"),
    [("instance", "dev"), ("kind", "ZohoSourceConnection"), ("namespace", "crmc"), ("name", "ontacts")],
)
def test_every_part_of_the_identity_counts(field: str, value: str) -> None:
    parts: dict[str, Any] = {
        "instance": "prod",
        "kind": "CRMDataflow",
        "namespace": "crm",
        "name": "contacts",
        "uid": "uid-1",
    }
    assert Identity(**{**parts, field: value}).key(Slot("flow")) != IDENTITY.key(Slot("flow"))


def test_the_key_never_changes_between_versions() -> None:
    """A changed key would lose every object that an earlier version created."""
    assert IDENTITY.key(Slot("flow")) == "[crmflow:prod:f1d6013b5985844e]"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Contacts", "Contacts"),
        ("  a \t b\n\nc ", "a b c"),
        ('A, "B" [C]', "A B C"),
        ("x [crmflow:prod:0123456789abcdef]", "x crmflow:prod:0123456789abcdef"),
        ("Größe 漢字 😀", "Größe 漢字 😀"),
        ("\u2028\u2029", "crmflow"),
        ("", "crmflow"),
        ("[],", "crmflow"),
        ("a" * 150, "a" * 100),
        ("a" * 99 + " b", "a" * 99),
    ],
)
def test_plain_names(text: str, expected: str) -> None:
    assert plain_name(text) == expected


def test_without_a_display_name_it_is_namespace_and_name() -> None:
    assert IDENTITY.remote_name(None, Slot("flow")).startswith("crm.contacts [crmflow:prod:")
    assert IDENTITY.remote_name("", Slot("flow")).startswith("crm.contacts [")


@pytest.mark.parametrize(
    ("text", "lines"), [(None, []), ("", []), ("  ", []), ("All contacts", ["All contacts"]), (" a ", ["a"])]
)
def test_the_last_line_of_the_description_names_the_owner(text: str | None, lines: list[str]) -> None:
    assert IDENTITY.description(text).split("\n") == [*lines, "managed by crmflow prod crm/contacts uid-1"]


def test_a_forged_owner_line_is_not_the_last_one() -> None:
    forged = "managed by crmflow prod other/one uid-9"
    assert IDENTITY.description(forged).split("\n")[-1] == "managed by crmflow prod crm/contacts uid-1"


def test_mapping_sets_are_named_by_content() -> None:
    assert mapping_set_name("prod", "0a1b") == "crmflow:prod:0a1b"
