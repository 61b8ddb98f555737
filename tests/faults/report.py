"""The outcome of every crash point as a page."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from tests.faults.campaign import Result, Tally
from tests.faults.scenarios import Scenario, scenario_named


def write_report(path: Path, tally: Tally) -> None:
    """Write the page, and the folder it is in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(_lines(tally)))


def _lines(tally: Tally) -> Iterator[str]:
    yield "# Crash points"
    yield ""
    yield "Written by `make crash REPORT=…`. At each point who makes the call is killed (SIGKILL): the"
    yield "operator, which is started anew, or the process of a Job's pod; with `--failures` the call fails."
    yield "What Platform then holds and what the resources say is compared with the run without a fault."
    yield ""
    yield f"{tally}."
    for name, results in groupby(tally.results, key=lambda result: result.scenario):
        yield from _section(scenario_named(name), list(results))


def _section(scenario: Scenario, results: list[Result]) -> Iterator[str]:
    yield ""
    yield f"## {scenario.name}"
    yield ""
    yield f"May differ: {', '.join(['time', 'Events', *sorted(scenario.may_differ)])}."
    yield ""
    yield "| Fault | Call | No. | Outcome |"
    yield "|---|---|---|---|"
    for result in results:
        point = result.point
        yield f"| {point.fault} | `{point.call}` | {point.occurrence} | {result.told} |"
    yield ""
