"""Every reason that a user can meet has its line in the troubleshooting page, and none of its lines is about
a reason that is gone.
"""

from __future__ import annotations

from tests.unit.reasons import EVENTS, PACKAGE, ROOT, documented_in, reasons_below

PAGE = ROOT / "docs" / "guides" / "troubleshooting.md"


def documented() -> set[str]:
    """The reasons in the first column of the page's tables."""
    return documented_in(PAGE.read_text())


def declared() -> set[str]:
    """Every reason in the package, of conditions and of events."""
    return reasons_below(".") | reasons_below(".", positions=EVENTS)


def test_each_reason_is_explained() -> None:
    assert declared() - documented() == set()


def test_no_line_is_about_a_reason_that_is_gone() -> None:
    code = "\n".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    assert {reason for reason in documented() if f'"{reason}"' not in code} == set()


def test_the_search_finds_reasons() -> None:
    assert {
        "SecretNotFound",
        "TableNotFound",
        "RefreshTokenRejected",
        "SourceWithdrawn",
        "AddressBlocked",
        "Unreachable",
        "LandingZoneRefused",  # by a constant
        "RowsDiffer",  # of an enum
        "Throttled",  # by a variable
        "TransferForbidden",
        "CursorFound",  # of an event
    } <= declared()
