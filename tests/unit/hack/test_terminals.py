"""The pictures of the terminal load nothing, and show what there is."""

from __future__ import annotations

import html
import re

import pytest

from crmflow.reconcile.connection.conditions import CONDITIONS as CONNECTION_CONDITIONS
from crmflow.reconcile.core.conditions import READY
from crmflow.reconcile.dataflow.conditions import CONDITIONS as DATAFLOW_CONDITIONS
from crmflow.reconcile.dataflow.conditions import EXTRACTED, INGESTION_COMPLETE
from hack import terminals
from hack.demo import report
from hack.demo.story import CONNECTION, DATAFLOW, FILES_DATAFLOW

NAMES = ("demo", *terminals.SCENES)


def shown(name: str) -> list[str]:
    """The lines of a picture."""
    svg = (terminals.PICTURES / f"{name}.svg").read_text()
    lines: dict[str, str] = {}
    for line, text in re.findall(r'clip-path="url\(#crmflow-[a-z]+-(line-\d+)\)">([^<]*)</text>', svg):
        lines[line] = lines.get(line, "") + html.unescape(text).replace("\xa0", " ")
    return [text.strip() for text in lines.values()]


def first_column(title: str) -> list[str]:
    """Of a table that the demo prints, without its header."""
    lines = shown("demo")
    below = lines[lines.index(title) + 2 :]
    return [line.split()[0] for line in below[: below.index("") if "" in below else None]]


@pytest.mark.parametrize("name", NAMES)
def test_it_loads_nothing(name: str) -> None:
    svg = (terminals.PICTURES / f"{name}.svg").read_text()
    assert re.findall(r"(?:href=|src=|url\()[\"']?[a-z]+:", svg) == []
    assert "@font-face" not in svg


def test_the_demo_shows_the_conditions_of_both_ways() -> None:
    found = {name: first_column(f"Conditions of {name}") for name in (CONNECTION, DATAFLOW, FILES_DATAFLOW)}
    of_dataflow = [READY, *(type_.name for type_ in DATAFLOW_CONDITIONS)]
    of_files = [EXTRACTED.name, INGESTION_COMPLETE.name]
    assert found == {
        CONNECTION: [READY, *(type_.name for type_ in CONNECTION_CONDITIONS)],
        DATAFLOW: [name for name in of_dataflow if name not in of_files],
        FILES_DATAFLOW: of_dataflow,
    }


def test_the_demo_shows_what_each_dataflow_ingested() -> None:
    names = [name.partition("/")[2] for name in (DATAFLOW, FILES_DATAFLOW)]
    assert first_column(report.RUNS_TITLE) == names


def test_a_picture_is_the_same_whenever_it_is_taken() -> None:
    once, again = (
        f"Flow {id_} runs.\ncrmflow:{id_}:{hash_}…\nReady for {age}, at {time}\nzoho-eu   True   {age}\n"
        for id_, hash_, age, time in (
            ("8d2f4b9c-b8ba-4333-a43a-0cc5e4ae67b1", "a5", "8s", "2026-11-24T17:07:27Z"),
            ("69d5fc27-a64d-40a4-a65c-a1ca718b7370", "cd", "2m", "2026-12-24T07:00:00Z"),
        )
    )
    assert terminals.picture("status", "x", once) == terminals.picture("status", "x", again)
