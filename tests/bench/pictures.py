"""``python -m tests.bench.pictures``: draws ``docs/images/benchmarks.png`` from ``build/bench.json``, in the
environment of ``make dashboard``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib as mpl  # type: ignore[import-not-found]  # it has an environment of its own

mpl.use("Agg")
from matplotlib.figure import Figure  # type: ignore[import-not-found]

ROOT = Path(__file__).resolve().parents[2]


def draw(found: dict[str, Any], file: Path) -> None:
    """Growth of cost and memory with the number of dataflows, and how long a new flow takes to be Ready."""
    measured = [row for row in found["rows"] if row["name"] == "operator" and row["latency"]]
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    cost, memory, ready = figure.subplots(1, 3)
    sizes = [row["flows"] for row in measured]
    cost.plot(sizes, [row["cpu"]["operator"] for row in measured], "o")
    cost.set(
        xscale="log", xlabel="dataflows", ylabel="ms of CPU each", title="Cost of a dataflow", ylim=(0, None)
    )
    memory.plot(sizes, [row["memory"]["peak"] for row in measured], "o")
    memory.set(xscale="log", xlabel="dataflows", ylabel="MiB", title="Memory at its greatest", ylim=(0, None))
    for size in sorted(set(sizes)):
        curve = next(row for row in measured if row["flows"] == size)["settled"]["curve"]
        ready.plot(curve, range(101), label=f"{size:,}")
    ready.set(
        xlabel="seconds",
        ylabel="% of the dataflows",
        title="From the flow's creation until Ready",
        xlim=(0, None),
    )
    ready.legend()
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=120)


if __name__ == "__main__":
    draw(json.loads((ROOT / "build" / "bench.json").read_text()), ROOT / "docs" / "images" / "benchmarks.png")
