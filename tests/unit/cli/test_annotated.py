"""Whatever a manifest holds, its YAML is read as that, and comments never get out of their lines."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from crmflow.cli.annotated import Noted, noted, plain, render

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), TEXT)
NOTES = st.lists(TEXT, max_size=2).map(tuple)


def _noted(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(values, st.builds(Noted, values, NOTES, NOTES))


VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(_noted(inner), max_size=3), st.dictionaries(TEXT, _noted(inner), max_size=3)
    ),
    max_leaves=12,
)
DOCUMENTS = st.dictionaries(TEXT, _noted(VALUES), min_size=1, max_size=4)


@given(DOCUMENTS, st.lists(TEXT, max_size=2))
def test_it_is_read_as_what_it_is(document: dict[str, Any], head: list[str]) -> None:
    assert yaml.safe_load(render(document, head)) == plain(document)


@pytest.mark.parametrize(
    "text", ["no", "on", "~", "012", "12:30", "1e3", "0x1f", "2026-01-31", "1_000", "=", ""]
)
def test_a_text_that_readers_of_yaml_1_1_take_for_something_else_is_quoted(text: str) -> None:
    assert yaml.safe_load(render({"value": text})) == {"value": text}


def test_comments_stand_where_they_belong() -> None:
    document = {
        "spec": {
            "policy": noted("Observe", "Choose."),
            "mapping": Noted([noted({"target": "a", "source": "b"}, "Review.")], ("All.",), ("Left:", "  c")),
            "create": {},
        }
    }
    assert render(document, ["Head"]) == (
        "# Head\n"
        "spec:\n"
        "  # Choose.\n"
        "  policy: Observe\n"
        "  # All.\n"
        "  mapping:\n"
        "    # Review.\n"
        "    - target: a\n"
        "      source: b\n"
        "  # Left:\n"
        "  #   c\n"
        "  create: {}\n"
    )


def test_a_comment_holds_on_to_what_it_quotes() -> None:
    name = "A\nspec: {}\u2028# \x85b\x00\u202e"
    assert render({"a": noted(1, name)}) == "# A spec: {} #  b\na: 1\n"
