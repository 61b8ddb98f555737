"""``make transfer-bench``: rows a second, CPU seconds and peak memory of a transfer, and of a bare copy.

python -m tests.transfer_bench [--rows 100000 1000000] [--quick] [--report FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from crmflow.transfer.declaration import FORM_VERSION

from . import rows

ROOT = Path(__file__).resolve().parents[2]
FILES = ROOT / "build" / "transfer-bench"
PART = 200_000
MOST_CPU, MOST_MEMORY, MOST_HELD_UP = 3.0, 128.0, 0.05
"""Goals: times the CPU of the bare copy, MiB, share of the time with a block ready and none on its way."""


@dataclass(frozen=True)
class Cost:
    """What one process took."""

    seconds: float
    cpu: float
    """User and system, in seconds."""
    memory: float
    """Greatest resident set in MiB."""
    held_up: float = 0.0


@dataclass(frozen=True)
class Comparison:
    """Both processes over as many rows."""

    rows: int
    transfer: Cost
    bare: Cost

    @property
    def failures(self) -> list[str]:
        """Goals that were missed."""
        found = []
        if (times := self.transfer.cpu / self.bare.cpu) > MOST_CPU:
            found.append(f"{times:.1f} times the CPU of a bare copy, and not {MOST_CPU:g}")
        if self.transfer.memory > MOST_MEMORY:
            found.append(f"{self.transfer.memory:.0f} MiB, and not {MOST_MEMORY:g}")
        if (share := self.transfer.held_up / self.transfer.seconds) > MOST_HELD_UP:
            found.append(f"{share:.0%} of the time with a block ready and none on its way")
        return [f"{self.rows} rows: {one}" for one in found]


def compare(count: int) -> Comparison:
    """Copy ``count`` rows both ways, one after the other."""
    part = min(count, PART)
    file = FILES / f"{part}.zip"
    if not file.exists():
        print(f"Writing {part} rows …", file=sys.stderr)
        rows.write(file, part)
    with tempfile.TemporaryDirectory() as folder, _remote(file, part, count // part) as url:
        directory = Path(folder)
        (directory / "accessToken").write_text("token")
        (directory / "sasUri").write_text(f"{url}/container?sig=signature")
        declaration = _declaration(url)
        bare = _run("-m", "tests.transfer_bench.bare_copy", declaration, folder)
        transfer = _run(
            "-m",
            "crmflow",
            "transfer",
            f"--declaration={declaration}",
            f"--credentials={folder}",
            f"--report={directory / 'report'}",
        )
        told = json.loads((directory / "report").read_text())
        assert (told["reason"], told["rows"]) == ("Written", count), told
    return Comparison(count, transfer, bare)


@contextmanager
def _remote(file: Path, part: int, parts: int) -> Iterator[str]:
    command = [sys.executable, "-m", "tests.transfer_bench.remote", str(file), str(part), str(parts)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.communicate()


def _run(*arguments: str) -> Cost:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'operator'}:{ROOT}", "CRMFLOW_LOG_FORMAT": "json"}
    begun = time.monotonic()
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen([sys.executable, *arguments], cwd=ROOT, env=environment, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - begun
        log.seek(0)
        lines = log.read().splitlines()
    if process.returncode:
        raise SystemExit("\n".join(lines))
    records = [json.loads(line) for line in lines if line.startswith("{")]
    held_up = sum(record.get("held_up_seconds", 0.0) for record in records)
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, held_up)


def _declaration(url: str) -> str:
    return json.dumps(
        {
            "formVersion": FORM_VERSION,
            "zohoApiUrl": url,
            "module": "Leads",
            "columns": rows.COLUMNS,
            "dateTimes": rows.DATE_TIMES,
            "window": {"begin": "2025-01-01T00:00:00Z", "end": "2026-01-01T00:00:00Z"},
            "extraction": 1,
            "attempt": 1,
            "folder": "bench",
            "way": "Bulk",
        }
    )


_HEAD = f"""\
# What a transfer costs

Written by `make transfer-bench REPORT=…`: rows of {len(rows.COLUMNS)} columns through `crmflow transfer`,
beside a bare copy that inflates the same files and uploads the bytes with the same clients without looking
inside, against a local service that reads blocks and drops them. CPU and memory are those of the process from
its start to its end, imports included.

| rows | | rows a second | CPU, s | times the bare copy | peak, MiB | block ready, none on its way |
|---|---|---|---|---|---|---|
"""
_GOALS = f"""
Goals: at most {MOST_CPU:g} times the CPU of the bare copy, {MOST_MEMORY:g} MiB, and {MOST_HELD_UP:.0%} of the
time with a block ready and none on its way.
"""


def page(comparisons: list[Comparison]) -> str:
    """The report."""
    lines = []
    for one in comparisons:
        times = f"{one.transfer.cpu / one.bare.cpu:.1f}"
        held_up = f"{one.transfer.held_up / one.transfer.seconds:.1%}"
        lines += [
            _line(one.rows, "transfer", one.transfer, times, held_up),
            _line(one.rows, "bare copy", one.bare),
        ]
    return _HEAD + "".join(lines) + _GOALS


def _line(count: int, name: str, cost: Cost, times: str = "", held_up: str = "") -> str:
    return (
        f"| {count:,} | {name} | {count / cost.seconds:,.0f} | {cost.cpu:.1f} | {times} | {cost.memory:.0f} "
        f"| {held_up} |\n"
    )


def main() -> int:
    """Measure, print, and say whether the goals are met."""
    parser = argparse.ArgumentParser(prog="make transfer-bench")
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--quick", action="store_true", help="20,000 rows, which imports weigh on")
    parser.add_argument("--report", type=Path, metavar="FILE")
    chosen = parser.parse_args()
    comparisons = [compare(count) for count in ([20_000] if chosen.quick else chosen.rows)]
    text = page(comparisons)
    print(text)
    if chosen.report is not None:
        chosen.report.write_text(text, encoding="utf-8")
    failures = [failure for one in comparisons for failure in one.failures]
    print("\n".join(failures) or "All goals are met.")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
