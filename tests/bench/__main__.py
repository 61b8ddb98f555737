"""``make bench``: what ten thousand dataflows cost, beside scripts that do without an operator.

python -m tests.bench [--quick | --full] [--flows N ...] [--latency SECONDS] [--page]
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hack.console import ToolError, say
from hack.install import ROOT
from tests.bench import allowance, page, rows
from tests.bench.distribution import Row

BUILD = ROOT / "build"
RESULT = BUILD / "bench.json"
LATENCY = 0.05
"""Seconds that each remote service takes for an answer."""
ONE_BY_ONE = 100
"""Dataflows that are made one by one; more of them take as much longer."""
_PACKAGES = ("aiohttp", "httpx", "kopf", "kubernetes", "orjson", "pydantic")


@dataclass(frozen=True)
class Extent:
    """How much is measured."""

    sizes: tuple[tuple[int, int], ...]
    """Numbers of dataflows, and how often each is measured."""
    compared: tuple[int, ...]
    """Those at which the scripts are run as well, as often."""
    undelayed: tuple[int, ...]
    """Those that are measured once more with services that answer at once."""
    limited: int = 0
    """Dataflows that are made while Platform refuses what is too much."""
    one_credential: int = 0
    """Connections that share a credential."""


QUICK = Extent(((100, 1),), (100,), ())
USUAL = Extent(((100, 3), (1000, 3), (10_000, 1)), (1000,), (1000,), 1000, 5000)
FULL = Extent(((100, 3), (1000, 3), (10_000, 3)), (1000, 10_000), (1000, 10_000), 1000, 5000)


def main() -> int:
    """Measure, and write ``build/bench.json``; with ``--page`` also the page of the documentation."""
    options = _parser().parse_args()
    extent = QUICK if options.quick else FULL if options.full else USUAL
    if options.flows:
        sizes = tuple((flows, 1) for flows in options.flows)
        extent = Extent(sizes, (), ())
    found: dict[str, Any] = {"machine": machine(), "rows": []}
    try:
        for name, measure in _measurements(extent, options.latency):
            folder = BUILD / "bench" / name
            shutil.rmtree(folder, ignore_errors=True)
            found["rows"].append({"name": name.partition("/")[0], **measure(folder)})
            RESULT.parent.mkdir(exist_ok=True)
            RESULT.write_text(json.dumps(found, indent=1))  # what there is, should a later one fail
    except ToolError as error:
        say(str(error))
        return 1
    print(page.table(found))
    if options.page:
        page.write(found)
        subprocess.run(
            [str(BUILD / "pictures" / "bin" / "python"), "-m", "tests.bench.pictures"], cwd=ROOT, check=True
        )
    return 0


def machine() -> dict[str, str]:
    """What was measured on; no name, and no path."""
    cpus = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    memory = int(Path("/proc/meminfo").read_text().split()[1]) / 2**20
    return {
        "cores": str(len(cpus)),
        "cpu": cpus[0].partition(":")[2].strip() if cpus else "unknown",
        "memory": f"{memory:.0f} GiB",
        "python": platform.python_version(),
        "load": Path("/proc/loadavg").read_text().split()[0],
        **{name: version(name) for name in _PACKAGES},
    }


def _measurements(extent: Extent, latency: float) -> list[tuple[str, Callable[[Path], Row]]]:
    """Name and measurement in their order: those that are compared take turns."""
    found: list[tuple[str, Callable[[Path], Row]]] = []
    for flows, times in extent.sizes:
        for turn in range(times):
            found.append((f"operator/{flows}-{turn}", _bulk(flows, latency, is_last=turn == times - 1)))
            if flows in extent.compared:
                found += [
                    (f"{way}/{flows}-{turn}", _script(flows, way, latency)) for way in ("at-once", "sharing")
                ]
        if flows in extent.undelayed:
            found.append((f"operator/{flows}-undelayed", _bulk(flows, 0.0, is_last=False)))
            found.append((f"at-once/{flows}-undelayed", _script(flows, "at-once", 0.0)))
    found += [(f"writes-alone/{flows}", _alone(flows)) for flows in extent.compared]
    if extent.compared:
        found.append((f"one-by-one/{ONE_BY_ONE}", _script(ONE_BY_ONE, "one-by-one", latency)))
    if extent.limited:
        found += [
            (f"limited/{retry_after}", _limited(extent.limited, retry_after, latency))
            for retry_after in allowance.RETRY_AFTER
        ]
    if extent.one_credential:
        found.append(("one-credential/all", _one_credential(extent.one_credential, latency)))
    return found


def _bulk(flows: int, latency: float, *, is_last: bool) -> Callable[[Path], Row]:
    return lambda folder: rows.bulk(folder, flows, latency, life=is_last)


def _limited(flows: int, retry_after: str, latency: float) -> Callable[[Path], Row]:
    return lambda folder: allowance.limited(folder, flows, retry_after, latency)


def _one_credential(connections: int, latency: float) -> Callable[[Path], Row]:
    return lambda folder: allowance.one_credential(folder, connections, latency)


def _alone(flows: int) -> Callable[[Path], Row]:
    return lambda folder: rows.alone(folder, flows)


def _script(flows: int, way: str, latency: float) -> Callable[[Path], Row]:
    return lambda folder: rows.script(folder, flows, way, latency)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    extent = parser.add_mutually_exclusive_group()
    extent.add_argument("--quick", action="store_true", help="100 dataflows, once")
    extent.add_argument("--full", action="store_true", help="everything three times")
    extent.add_argument(
        "--flows", type=int, nargs="+", metavar="N", help="the operator alone, at these sizes"
    )
    parser.add_argument(
        "--latency", type=float, default=LATENCY, help="seconds that each remote answer takes"
    )
    parser.add_argument("--page", action="store_true", help="write docs/benchmarks.md with its pictures")
    return parser


if __name__ == "__main__":
    sys.exit(main())
