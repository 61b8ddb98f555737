"""Lists in sentences: none is ever built of an empty one."""

from __future__ import annotations

import ast

import pytest

from crmflow.sentences import every, naming, sentence, some
from tests.unit.reasons import PACKAGE

NAMES = [f"n{number}" for number in range(10)]


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["a"], "a"),
        (["a", "b"], "a, b"),
        (NAMES[:8], "n0, n1, n2, n3, n4, n5, n6, n7"),
        (NAMES, "n0, n1, n2, n3, n4, n5, n6, n7 and 2 more"),
        (iter(["a", "b"]), "a, b"),
    ],
)
def test_a_list_is_cut_where_it_would_flood_the_sentence(names: list[str], text: str) -> None:
    assert some(names) == text


def test_each_name_is_said_where_each_matters() -> None:
    assert every(NAMES) == ", ".join(NAMES)


def test_a_sentence_about_nothing_is_another_sentence() -> None:
    assert (
        naming("It has the columns {}.", ["a", "b"], none="It has no columns.") == "It has the columns a, b."
    )
    assert naming("It has the columns {}.", [], none="It has no columns.") == "It has no columns."
    for make in (some, every):
        with pytest.raises(ValueError):
            make([])


def test_braces_in_a_name_stay() -> None:
    assert naming("{} are there.", ["{0}", "{}"], none="") == "{0}, {} are there."


JOINED_ELSEWHERE = {
    "api/endpoint.py",  # a table of ours for a CEL message, never empty
    "cli/doctor/report.py",  # counts, one for each level
    "cli/doctor/zoho.py",  # the parts of an organization that Zoho tells, beside its name
    "cli/status/tree.py",  # parts of a line, which is shorter without any
    "cli/verification.py",
    "reconcile/sources/causes.py",  # address ranges, behind the case that there are none
    "runtime/app.py",  # behind "if missing"
    "sentences.py",
}


def test_lists_become_sentences_in_one_place() -> None:
    """A join of one's own is where "It has the columns ." comes from."""
    found = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "join"
        and isinstance(node.func.value, ast.Constant)
        and node.func.value.value == ", "
    }
    assert found <= JOINED_ELSEWHERE


@pytest.mark.parametrize("text", ["It failed", "It failed.", "Did it fail?", "It failed!", "It fai…"])
def test_a_sentence_has_one_mark_at_its_end(text: str) -> None:
    assert sentence(text) == (f"{text}." if text == "It failed" else text)


def test_nothing_is_no_sentence() -> None:
    assert sentence("") == ""
