"""Many sequences of each kind, spread over processes."""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context

from hack.console import say
from tests.emulators.core.server import Emulators
from tests.property import remote_edits
from tests.property.foresight import run_foresight
from tests.property.landing_zone.sequence import run_landing_zone
from tests.property.mass_deletion import run_mass_deletion
from tests.property.sequence import Outcome, run

Task = tuple[str, int]
"""Kind of sequence, and seed."""

DECLARED, REMOTE, MASS_DELETION = "edits of the spec", "edits in Platform", "mass deletion"
LANDING_ZONE = "through the landing zone"
FORESIGHT, FORESIGHT_ZONE = "planned, then applied", "planned, then applied, with a landing zone"
_PORTION = 20


def run_campaign(
    sequences: Mapping[str, int], length: int, first_seed: int, processes: int
) -> list[tuple[str, Outcome]]:
    """So many sequences of each kind; kind and outcome of each."""
    tasks: list[Task] = [
        (kind, seed) for kind, count in sequences.items() for seed in range(first_seed, first_seed + count)
    ]
    portions = [tasks[start : start + _PORTION] for start in range(0, len(tasks), _PORTION)]
    done: list[tuple[str, Outcome]] = []
    begun = time.monotonic()
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        for future in as_completed([pool.submit(work, portion, length) for portion in portions]):
            done += future.result()
            say(f"{len(done)} of {len(tasks)} sequences, {time.monotonic() - begun:.0f} s")
    return sorted(done, key=lambda entry: (entry[0], entry[1].seed))


def work(tasks: Sequence[Task], length: int) -> list[tuple[str, Outcome]]:
    """Run the tasks one after the other, in this process."""
    logging.disable(logging.CRITICAL)  # an operator that is killed and misled has much to say
    return asyncio.run(_work(tasks, length))


async def _work(tasks: Sequence[Task], length: int) -> list[tuple[str, Outcome]]:
    async with Emulators() as emulators:
        return [(kind, await _tried(emulators, kind, seed, length)) for kind, seed in tasks]


async def _tried(emulators: Emulators, kind: str, seed: int, length: int) -> Outcome:
    """One sequence; if it can't be run or judged, that is its problem and not that of the others."""
    try:
        return await run_one(emulators, kind, seed, length)
    except Exception:
        return Outcome(seed, problems=[traceback.format_exc()])


async def run_one(emulators: Emulators, kind: str, seed: int, length: int) -> Outcome:
    """One sequence of that kind."""
    if kind == LANDING_ZONE:
        return await run_landing_zone(emulators, seed, length)
    if kind in (FORESIGHT, FORESIGHT_ZONE):
        return await run_foresight(emulators, seed, length, with_zone=kind == FORESIGHT_ZONE)
    if kind == MASS_DELETION:
        return await run_mass_deletion(emulators, seed)
    table = tuple(remote_edits.EDITS.items()) if kind == REMOTE else ()
    return await run(emulators, seed, length, remote=table)


def last_lines(done: Sequence[tuple[str, Outcome]]) -> Iterator[str]:
    """How many of what, of each kind and of all."""
    for kind in sorted({kind for kind, _ in done}):
        yield f"{kind}: {last_line([one for one in done if one[0] == kind])}"
    yield last_line(done)


def last_line(done: Sequence[tuple[str, Outcome]]) -> str:
    """How many of what."""
    steps = sum(len(outcome.steps) for _, outcome in done)
    failures = sum(1 for _, outcome in done if outcome.problems)
    return f"{len(done):,} sequences, {steps:,} steps, {failures} failures"


def report(done: Sequence[tuple[str, Outcome]]) -> Iterator[str]:
    """The page of a campaign, line by line."""
    yield "# Random sequences\n\nWritten by `make property REPORT=…`.\n"
    yield (
        "Each sequence begins with a connection and a dataflow. Either their specs are edited at random, the "
        "operator killed and time passed, or somebody edits their objects in Platform. Then all has to "
        "settle: Platform holds what the specs say, one of each and nothing else of ours; what only another "
        "flow can have is made by one that takes its place, or waits for that and heals when it is set back; "
        "and in two more polls and a full check nothing is written.\n"
    )
    yield (
        "Through the landing zone, records change as well, and services, credentials and pods fail. In the "
        "end every record is ingested in its last version, none twice unless an Event has said so or the "
        "whole table is read again, and neither Jobs nor Secrets nor files of dataflows that are gone are "
        "left.\n"
    )
    yield (
        "What is planned is applied: before each edit the planner of `kubectl crmflow plan` says what it "
        "would do. Once it is done, and what has to be replaced is approved, Platform was written to in "
        "just this way.\n"
    )
    yield "| kind | sequences | steps | failures |\n|---|---:|---:|---:|"
    for kind in sorted({kind for kind, _ in done}):
        of_kind = [outcome for found, outcome in done if found == kind]
        steps, failures = sum(len(o.steps) for o in of_kind), sum(1 for o in of_kind if o.problems)
        yield f"| {kind} | {len(of_kind):,} | {steps:,} | {failures} |"
    yield "\n| step | times |\n|---|---:|"
    names = [step.partition(": ")[0] for _, outcome in done for step in outcome.steps]
    for name in sorted(set(names)):
        yield f"| {name} | {names.count(name):,} |"
    yield f"\n{last_line(done)}"
