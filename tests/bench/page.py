"""The measurements as a table, and as the page of the documentation."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from hack.install import ROOT

PAGE = ROOT / "docs" / "benchmarks.md"
_SCALED_TO = 1000
_HEAD = """\
# Benchmarks

Written by `make bench ARGS=--page`: the operator as a process with default settings, a real API server and
the [emulators](../tests/emulators/README.md) of both remote sides, which share the machine with it; every
remote answer takes 50 ms unless the table says 0. A connection has ten dataflows, up to 100 connections; all
write into one dataset, each by one of ten mappings of 20 entries. Medians, with the least and the greatest in
brackets where a row was measured more than once.

The scripts are what an engineer would write instead ([source](../tests/bench/procedure.py)): *one by one* and
*20 at once* follow the documented procedure for each dataflow, *sharing* asks once for what many need. They
make the flows and are done: they record nothing, repair nothing, and can't be run twice. One by one was run
with 100 dataflows, and is scaled. *Writes alone* is a client that makes as many writes of the same forms for
each dataflow as the operator, and nothing else: on this machine no operator that records as much is faster.

Calls are those to Adobe and Zoho CRM, writes those to the API server, Events included; CPU is user and system
time.
"""
_BULK = (
    *("", "dataflows", "answers take", "seconds", "per second", "calls each", "writes each", "CPU each"),
    *("created → Ready, p99", "memory"),
)
_LIFE = (
    *("dataflows", "ready after a restart", "its calls, writes, tokens", "first new object"),
    *("quiet poll: calls (pages), writes, CPU", "share of a core", "create p99", "edit p99", "delete p99"),
)
_CHANGES = (
    *(
        "dataflows",
        "between two polls",
        "told after",
        "poll interval",
        "polls",
        "calls",
        "pages of a quiet poll",
    ),
    *("writes", "CPU", "counted"),
)
_LIFE_TEXT = """\
## Once they are Ready

The operator is stopped and started again, with a poll interval that is shorter than the default of 5 minutes:
the share of a core is what a quiet poll costs at the default. New objects, edits and deletions are tried one
by one beside the polls.
"""
_ALLOWANCE = ("what", "measured")
_ALLOWANCE_TEXT = """\
## What the services allow
"""
_CHANGES_TEXT = """\
## What happens in Platform

Somebody renames one flow, or each flow has run once, between two polls. *Told* is when the status of the last
of them says so; it includes the wait for the poll. A poll reads one page of new runs besides; a hundred runs
are a page.
"""


def table(found: dict[str, Any]) -> str:
    """Medians, with the least and the greatest where there are several."""
    return "\n".join([*_bulk(found), "", *_life(found), "", *_changes(found), "", *_allowance(found)])


def write(found: dict[str, Any]) -> None:
    """Write the page."""
    PAGE.write_text("\n".join(_page(found)) + "\n")


def _page(found: dict[str, Any]) -> Iterator[str]:
    yield _HEAD
    yield from _bulk(found)
    yield ""
    yield "![Time until Ready, and CPU by the number of dataflows](images/benchmarks.png)"
    yield ""
    yield _LIFE_TEXT
    yield from _life(found)
    yield ""
    yield _CHANGES_TEXT
    yield from _changes(found)
    yield ""
    yield _ALLOWANCE_TEXT
    yield from _allowance(found)
    yield ""
    yield "## Measured on"
    yield ""
    yield from (f"- {name}: {value}" for name, value in found["machine"].items())


def _bulk(found: dict[str, Any]) -> Iterator[str]:
    yield from _heading(_BULK)
    groups: dict[tuple[str, int, float], list[dict[str, Any]]] = defaultdict(list)
    for row in found["rows"]:
        if "cpu" in row:
            groups[row["name"], row["flows"], row["latency"]].append(row)
    for (name, flows, latency), rows in groups.items():
        cpu = [
            row["cpu"]["operator"] if isinstance(row["cpu"], dict) else 1000 * row["cpu"] / flows
            for row in rows
        ]
        seconds = [row["seconds"] for row in rows]
        if name == "one-by-one":
            seconds, name, flows = (
                [second * _SCALED_TO / flows for second in seconds],
                "one by one, scaled",
                _SCALED_TO,
            )
        cells = [
            name.replace("at-once", "20 at once").replace("writes-alone", "writes alone"),
            f"{flows:,}",
            f"{1000 * latency:.0f} ms",
            _shown(seconds, 1),
            _shown([flows / second for second in seconds], 1),
            _shown([row["calls"] for row in rows], 2),
            _shown([row["writes"] for row in rows if "writes" in row], 2),
            f"{_shown(cpu, 1)} ms",
            *(
                (
                    f"{_shown([row['settled']['p99'] for row in rows], 1)} s",
                    f"{_shown([row['memory']['peak'] for row in rows], 0)} MiB",
                )
                if name == "operator"
                else ("–", "–")
            ),
        ]
        yield f"| {' | '.join(cells)} |"


def _life(found: dict[str, Any]) -> Iterator[str]:
    yield from _heading(_LIFE)
    for row in found["rows"]:
        if "life" not in row:
            continue
        restart, quiet, late = row["life"]["restart"], row["life"]["quiet"], row["life"]["latency"]
        yield (
            f"| {row['flows']:,} | {restart['ready']:.1f} s | {restart['calls']}, {restart['writes']}, "
            f"{restart['tokens']} | {restart['first']:.1f} s | {quiet['calls']:.0f} ({quiet['pages']:.0f}), "
            f"{quiet['writes']}, {quiet['cpu']:.1f} s | {quiet['share']:.1%} | "
            + " | ".join(f"{late[what]['p99']:.2f} s" for what in ("create", "edit", "delete"))
            + " |"
        )


def _changes(found: dict[str, Any]) -> Iterator[str]:
    yield from _heading(_CHANGES)
    for row in found["rows"]:
        for what, name in (("change", "a flow is renamed"), ("busy", "each flow has run")):
            if "life" in row:
                told = row["life"][what]
                cells = [
                    f"{row['flows']:,}",
                    name,
                    f"{told['seconds']:.1f} s",
                    f"{told['poll']:.0f} s",
                    f"{told['polls']}",
                    f"{told['calls']}",
                    f"{told['pages']}",
                    f"{told['writes']:,}",
                    f"{told['cpu']:.1f} s",
                    f"{told['counted']:,}" if "counted" in told else "–",
                ]
                yield f"| {' | '.join(cells)} |"


def _allowance(found: dict[str, Any]) -> Iterator[str]:
    yield from _heading(_ALLOWANCE)
    for row in found["rows"]:
        if row["name"] == "limited":
            what = (
                f"{row['flows']:,} dataflows, {row['limit']} calls a minute, Retry-After {row['retryAfter']}"
            )
            yield (
                f"| {what} | {row['used']:.0%} of what is allowed, {row['refused']:.1%} refused; back "
                f"{row['back']:.0f} s after the limit has gone |"
            )
        elif row["name"] == "one-credential":
            yield (
                f"| {row['connections']:,} connections of one credential | {row['seconds']:.0f} s, "
                f"{row['calls']:.1f} calls each; {row['tokens']} tokens, {row['tokensAfterRestart']} more "
                f"by a restart; {row['memory']['peak']:.0f} MiB |"
            )


def _heading(names: Sequence[str]) -> Iterator[str]:
    yield f"| {' | '.join(names)} |"
    yield f"|{'|'.join(['---', *['--:'] * (len(names) - 1)])}|"


def _shown(values: Sequence[float], digits: int) -> str:
    if not values:
        return "–"
    median = f"{statistics.median(values):,.{digits}f}"
    if len(values) == 1:
        return median
    return f"{median} ({min(values):,.{digits}f}–{max(values):,.{digits}f})"
