"""What a scope includes."""

from __future__ import annotations

import pytest

from crmflow.api.base import Transport
from crmflow.zoho.scopes import (
    DEFAULT_SCOPES,
    LANDING_ZONE_SCOPES,
    SOURCE_SCOPES,
    VERIFICATION_SCOPES,
    missing_scopes,
    parse_scopes,
    scopes_to_ask_for,
)


@pytest.mark.parametrize(
    ("text", "scopes"),
    [
        ("a.b.READ,c.d.READ", ("a.b.READ", "c.d.READ")),
        ("a.b.READ c.d.READ", ("a.b.READ", "c.d.READ")),
        (" a.b.READ, a.b.READ ,", ("a.b.READ",)),
        ("", ()),
    ],
)
def test_parsing(text: str, scopes: tuple[str, ...]) -> None:
    assert parse_scopes(text) == scopes


@pytest.mark.parametrize(
    ("granted", "needed", "is_missing"),
    [
        ("ZohoCRM.modules.READ", "ZohoCRM.modules.READ", False),
        ("zohocrm.MODULES.read", "ZohoCRM.modules.READ", False),
        ("ZohoCRM.modules.ALL", "ZohoCRM.modules.READ", False),
        ("ZohoCRM.settings.READ", "ZohoCRM.settings.fields.READ", False),
        ("ZohoCRM.settings.ALL", "ZohoCRM.settings.fields.READ", False),
        ("ZohoCRM.modules.CREATE", "ZohoCRM.modules.READ", True),
        ("ZohoCRM.modules.contacts.READ", "ZohoCRM.modules.READ", True),
        ("ZohoCRM.mod.READ", "ZohoCRM.modules.READ", True),
        ("ZohoBooks.modules.READ", "ZohoCRM.modules.READ", True),
        ("ZohoCRM.ALL", "ZohoCRM.modules.READ", True),
        ("READ", "ZohoCRM.modules.READ", True),
        ("", "ZohoCRM.modules.READ", True),
    ],
)
def test_what_is_missing(granted: str, needed: str, is_missing: bool) -> None:
    assert missing_scopes([needed], [granted]) == ((needed,) if is_missing else ())


def test_each_missing_one_is_named_once_in_order() -> None:
    lacking = (*LANDING_ZONE_SCOPES, *VERIFICATION_SCOPES)
    assert missing_scopes(DEFAULT_SCOPES, SOURCE_SCOPES) == lacking


def test_what_only_own_reads_need_is_not_asked_for_where_platform_reads() -> None:
    assert scopes_to_ask_for(Transport.AUTO) == scopes_to_ask_for(Transport.LANDING_ZONE) == DEFAULT_SCOPES
    less = scopes_to_ask_for(Transport.PLATFORM_SOURCE)
    assert missing_scopes(DEFAULT_SCOPES, less) == LANDING_ZONE_SCOPES
