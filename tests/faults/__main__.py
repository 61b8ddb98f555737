"""``python -m tests.faults crash``, ``cost``, ``day`` and ``memory``."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from hack.console import ToolError, say
from hack.install import ROOT
from tests.faults.bench import running_controlplane
from tests.faults.campaign import run_campaign
from tests.faults.cost.measure import WAYS, measure
from tests.faults.cost.table import last_line, tables
from tests.faults.day import live_a_day
from tests.faults.memory import measure_memory
from tests.faults.points import CRASHES, FAILURES
from tests.faults.replay import DidNotFinishError
from tests.faults.report import write_report
from tests.faults.scenarios import SCENARIOS, scenario_named


def main() -> int:
    """Run one of them; 0 if all is well."""
    options = _parser().parse_args()
    directory: Path = ROOT / "build" / options.command
    shutil.rmtree(directory, ignore_errors=True)
    try:
        return {"crash": _crash, "cost": _cost, "day": _day, "memory": _memory}[options.command](
            options, directory
        )
    except (ToolError, DidNotFinishError) as error:
        say(str(error))
        return 1


def _crash(options: argparse.Namespace, directory: Path) -> int:
    scenarios = [scenario_named(name) for name in options.scenario] or list(SCENARIOS)
    with running_controlplane(directory / "controlplane", node=True) as kubeconfigs:
        tally = run_campaign(
            kubeconfigs,
            directory,
            scenarios,
            faults=FAILURES if options.failures else CRASHES,
            every=options.every,
            point=options.point,
            benches=options.benches,
        )
    if options.report:
        write_report(options.report, tally)
    print(tally, flush=True)
    return 0 if tally.passed else 1


def _cost(options: argparse.Namespace, directory: Path) -> int:
    with running_controlplane(directory / "controlplane") as kubeconfigs:
        bills = measure(
            kubeconfigs, directory / "bench", options.connections, options.dataflows, options.way or WAYS
        )
    text = tables(bills)
    if options.report:
        options.report.parent.mkdir(parents=True, exist_ok=True)
        options.report.write_text(f"# Cost\n\nWritten by `make cost REPORT=…`.\n\n{text}\n")
    print(text)
    print(last_line(bills), flush=True)
    return 0


def _day(options: argparse.Namespace, directory: Path) -> int:
    with running_controlplane(directory / "controlplane") as kubeconfigs:
        day = live_a_day(kubeconfigs, directory / "bench", options.connections, options.restarts)
    if options.report:
        options.report.parent.mkdir(parents=True, exist_ok=True)
        options.report.write_text(
            "# A day of one credential\n\nWritten by `make day REPORT=…`: "
            f"{options.connections} connections share one Zoho credential for 24 hours of a moved clock, and "
            f"the operator is restarted {options.restarts} times.\n\n{day}\n"
        )
    print(day, flush=True)
    return 0 if day.is_as_promised else 1


def _memory(options: argparse.Namespace, directory: Path) -> int:
    with running_controlplane(directory / "controlplane") as kubeconfigs:
        memory = measure_memory(kubeconfigs, directory / "bench", options.secrets, options.kilobytes)
    if options.report:
        options.report.parent.mkdir(parents=True, exist_ok=True)
        options.report.write_text(
            "# Memory among large Secrets\n\n"
            "Written by `make memory REPORT=…`: resident memory of the operator in a namespace with "
            f"{options.secrets} unrelated Secrets of {options.kilobytes} kB.\n\n{memory}\n"
        )
    print(memory, flush=True)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    crash = commands.add_parser(
        "crash", help="kill the operator and its Jobs at every moment that could matter"
    )
    names = [scenario.name for scenario in SCENARIOS]
    crash.add_argument("--scenario", action="append", default=[], choices=names, help="only this one")
    crash.add_argument("--failures", action="store_true", help="have calls fail instead of who makes them")
    crash.add_argument("--every", type=int, default=1, metavar="K", help="only each K-th point")
    crash.add_argument("--point", default="", metavar="TEXT", help="only points whose line has TEXT")
    crash.add_argument("--benches", type=int, default=2, metavar="N", help="how many runs side by side")
    cost = commands.add_parser("cost", help="count what the operator asks of others")
    cost.add_argument("--connections", type=int, default=100, help="of the large tenant")
    cost.add_argument("--dataflows", type=int, default=1000, help="of the large tenant")
    cost.add_argument("--way", action="append", default=[], choices=WAYS, help="only this one")
    day = commands.add_parser("day", help="let a credential live for a day, and count its tokens")
    day.add_argument("--connections", type=int, default=200, help="that share the credential")
    day.add_argument("--restarts", type=int, default=50, help="of the operator in that day")
    memory = commands.add_parser("memory", help="keep large Secrets beside the operator's own")
    memory.add_argument("--secrets", type=int, default=2000, help="unrelated Secrets")
    memory.add_argument("--kilobytes", type=int, default=100, help="of each")
    for command in (crash, cost, day, memory):
        command.add_argument("--report", type=Path, metavar="FILE", help="write a page as well")
    return parser


if __name__ == "__main__":
    sys.exit(main())
