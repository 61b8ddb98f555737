"""Whose a remote object is, whatever users write into names and descriptions."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmflow.reconcile.core.ownership import Owner, Verdict, judge, key_in, owner_in
from crmflow.reconcile.external.identity import Identity, Slot

IDENTITY = Identity("prod", "CRMDataflow", "crm", "contacts", "uid-1")
OWN_LINE = "managed by crmflow prod crm/contacts uid-1"
SLOTS = st.sampled_from(tuple(map(Slot, ("connection", "source", "target", "flow"))))

user_texts = st.one_of(
    st.none(),
    st.text(max_size=300),
    st.text(alphabet="managedbycrmflow prod/contacts uid-1[]:\n\r\x85\u2028漢😀", max_size=300),
    st.sampled_from(
        [
            OWN_LINE,
            "managed by crmflow other crm/contacts uid-1",
            "managed by crmflow prod other/one uid-9\n",
            "managed by crmflow prod crm/contacts",
            "text\nmanaged by crmflow x y/z w\n\n",
        ]
    ),
)


@given(user_texts, st.uuids().map(str))
def test_whatever_a_user_writes_the_description_names_its_real_owner(text: str | None, uid: str) -> None:
    identity = replace(IDENTITY, uid=uid)
    description = identity.description(text)
    assert owner_in(description) == Owner("prod", "crm", "contacts", uid)
    assert judge(identity, description) is Verdict.OWN
    assert judge(replace(identity, uid="another"), description) is Verdict.PREDECESSOR
    for other in (
        replace(identity, instance="dev"),
        replace(identity, namespace="crm2"),
        replace(identity, name="contact"),
    ):
        assert judge(other, description) is Verdict.FOREIGN


@given(st.text(max_size=200), SLOTS)
def test_whatever_a_user_writes_the_name_ends_in_its_real_key(text: str, slot: str) -> None:
    assert key_in(IDENTITY.remote_name(text, slot)) == IDENTITY.key(slot)


@pytest.mark.parametrize(
    ("description", "verdict"),
    [
        pytest.param(OWN_LINE, Verdict.OWN, id="alone"),
        pytest.param(f"All contacts\n{OWN_LINE}", Verdict.OWN, id="after the user's text"),
        pytest.param(f"{OWN_LINE}\n", Verdict.OWN, id="line break at the end"),
        pytest.param(f"a\r\n{OWN_LINE}\r\n", Verdict.OWN, id="Windows line breaks"),
        pytest.param(f"{OWN_LINE}\nedited by hand", Verdict.OWN, id="text added behind it"),
        pytest.param(OWN_LINE.replace("uid-1", "uid-0"), Verdict.PREDECESSOR, id="another uid"),
        pytest.param("", Verdict.FOREIGN, id="empty"),
        pytest.param("Contacts of the sales organization", Verdict.FOREIGN, id="no such line"),
        pytest.param(f"text {OWN_LINE}", Verdict.FOREIGN, id="not at the beginning of a line"),
        pytest.param(OWN_LINE.upper(), Verdict.FOREIGN, id="other case"),
        pytest.param("managed by crmflow prod crm/contacts", Verdict.FOREIGN, id="without uid"),
        pytest.param(f"{OWN_LINE} and more", Verdict.FOREIGN, id="more on the line"),
        pytest.param("managed by crmflow prod crm/a/contacts uid-1", Verdict.FOREIGN, id="a slash more"),
        pytest.param(OWN_LINE.replace("prod", "dev"), Verdict.FOREIGN, id="another installation"),
        pytest.param(OWN_LINE.replace("crm/", "crm2/"), Verdict.FOREIGN, id="another namespace"),
        pytest.param(OWN_LINE.replace("contacts", "leads"), Verdict.FOREIGN, id="another name"),
        pytest.param(
            f"{OWN_LINE}\nmanaged by crmflow dev crm/contacts uid-1",
            Verdict.FOREIGN,
            id="the last line decides",
        ),
        pytest.param(
            f"managed by crmflow dev crm/contacts uid-1\n{OWN_LINE}",
            Verdict.OWN,
            id="an earlier one does not",
        ),
    ],
)
def test_the_verdict(description: str, verdict: Verdict) -> None:
    assert judge(IDENTITY, description) is verdict


KEY = "[crmflow:prod:0123456789abcdef]"


@pytest.mark.parametrize(
    ("name", "key"),
    [
        pytest.param(f"Contacts {KEY}", KEY, id="behind the display name"),
        pytest.param(KEY, KEY, id="alone"),
        pytest.param(f"Contacts {KEY} \n", KEY, id="blanks behind it"),
        pytest.param(f"[crmflow:dev:fedcba9876543210] {KEY}", KEY, id="the last one counts"),
        pytest.param(f"漢字 😀 {KEY}", KEY, id="Unicode before it"),
        pytest.param(f"{KEY} Contacts", None, id="not at the end"),
        pytest.param(f"{KEY}]", None, id="a bracket more"),
        pytest.param("Contacts", None, id="none"),
        pytest.param("", None, id="empty"),
        pytest.param("[crmflow:prod:0123456789abcde]", None, id="too short"),
        pytest.param("[crmflow:prod:0123456789abcdef0]", None, id="too long"),
        pytest.param("[crmflow:prod:0123456789ABCDEF]", None, id="upper case"),
        pytest.param("[crmflow:Prod:0123456789abcdef]", None, id="no instance of ours"),
        pytest.param("[crmflow::0123456789abcdef]", None, id="no instance"),
        pytest.param("[crmflow:prod:٠123456789abcdef]", None, id="another script's digit"),
        pytest.param("crmflow:prod:0123456789abcdef", None, id="a mapping set"),
    ],
)
def test_the_key_in_a_name(name: str, key: str | None) -> None:
    assert key_in(name) == key


def test_an_owner_is_told_by_resource_and_installation() -> None:
    assert str(owner_in(OWN_LINE)) == "crm/contacts of crmflow prod"
