"""Names of resources, from what people call things."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmflow.cli.importing.names import LONGEST, resource_name

ID = "a32aa19f-3eb2-4405-bf84-f67141f565f0"
NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Contacts of Zoho CRM", "contacts-of-zoho-crm"),
        ('Contacts, "VIP": {daily}', "contacts-vip-daily"),
        ("Kundenübersicht – täglich", "kundenubersicht-taglich"),
        ("--a--", "a"),
        ("東京", "crmdataflow"),
        ("", "crmdataflow"),
    ],
)
def test_names(text: str, name: str) -> None:
    assert resource_name(text, "crmdataflow", ID, ()) == name


def test_a_name_that_is_taken_gets_the_beginning_of_the_id() -> None:
    assert resource_name("Contacts", "x", ID, {"contacts"}) == "contacts-a32aa19f"
    assert resource_name("Contacts", "x", ID, {"contacts", "contacts-a32aa19f"}) == "contacts-a32aa19f3"
    with pytest.raises(ValueError, match="two objects"):
        resource_name("a", "x", "1", {"a", "a-1"})


@given(st.text(max_size=300), st.text(st.sampled_from("0123456789abcdef-"), min_size=36, max_size=36))
def test_every_name_is_one(text: str, remote_id: str) -> None:
    name = resource_name(text, "crmdataflow", remote_id, ())
    assert NAME.fullmatch(name)
    assert len(name) <= LONGEST
    other = resource_name(text, "crmdataflow", f"0{remote_id}", {name})
    assert NAME.fullmatch(other)
    assert other != name
    assert len(other) <= LONGEST
