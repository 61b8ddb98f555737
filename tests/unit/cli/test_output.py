"""What goes to standard output: whole for programs, harmless and in columns for people."""

from __future__ import annotations

import json

import pytest
import yaml

from crmflow.cli.options import Format
from crmflow.cli.output import CELL_LENGTH, cell, write_data, write_table

HOSTILE = "a\x1b[31mred\x9b\u202eb\nc<script>x</script>"


def test_columns_line_up_and_are_never_folded(capsys: pytest.CaptureFixture[str]) -> None:
    write_table(("NAME", "VALUE"), [("a", "x" * CELL_LENGTH), ("long name", 5), ("empty", None)])
    assert capsys.readouterr().out.splitlines() == [
        "NAME        VALUE",
        f"a           {'x' * CELL_LENGTH}",
        "long name   5",
        "empty",
    ]


def test_wide_characters_take_two_places(capsys: pytest.CaptureFixture[str]) -> None:
    write_table(("NAME", "VALUE"), [("会社", "a"), ("b", "c")])
    assert capsys.readouterr().out.splitlines() == ["NAME   VALUE", "会社   a", "b      c"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (HOSTILE, "a [31mred b c"),
        ("[bold]x[/bold] :smile:", "[bold]x[/bold] :smile:"),
        ("y" * 500, "y" * (CELL_LENGTH - 1) + "…"),
        (True, "true"),
        (1.5, "1.5"),
        ({"id": "ü"}, '{"id": "ü"}'),
        (None, ""),
    ],
)
def test_a_cell_is_one_short_line(value: object, shown: str) -> None:
    assert " ".join(cell(value).split()) == shown


def test_json_is_whole_and_moves_no_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    data = {"text": HOSTILE, "name": "Köln", "long": "y" * 500}
    write_data(data, Format.JSON)
    out = capsys.readouterr().out
    assert json.loads(out) == data
    assert not {"\x1b", "\x9b", "\u202e"} & set(out)
    assert "Köln" in out


def test_yaml_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    data = {"text": HOSTILE, "name": "Köln", "numbers": [1, 2.5, None]}
    write_data(data, Format.YAML)
    out = capsys.readouterr().out
    assert yaml.safe_load(out) == data
    assert "\x1b" not in out
    assert "Köln" in out
