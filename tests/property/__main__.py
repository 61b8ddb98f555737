"""``python -m tests.property``: all properties at full size."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from tests.property.campaign import (
    DECLARED,
    FORESIGHT,
    FORESIGHT_ZONE,
    LANDING_ZONE,
    MASS_DELETION,
    REMOTE,
    last_lines,
    report,
    run_campaign,
)


def main() -> int:
    """0 if no sequence failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.property", description=__doc__)
    parser.add_argument("--sequences", type=int, default=500, help="of edits of the spec, and in Platform")
    parser.add_argument("--landing-zone", type=int, default=150, metavar="N", help="through the landing zone")
    parser.add_argument("--planned", type=int, default=50, metavar="N", help="that are planned, then applied")
    parser.add_argument("--length", type=int, default=10, help="steps of a sequence")
    parser.add_argument("--seed", type=int, default=0, help="of the first sequence")
    parser.add_argument("--processes", type=int, default=min(4, os.cpu_count() or 1), metavar="N")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write a page as well")
    options = parser.parse_args()
    edits = dict.fromkeys((DECLARED, REMOTE), options.sequences)
    sequences = {
        LANDING_ZONE: options.landing_zone,
        FORESIGHT: options.planned,
        FORESIGHT_ZONE: options.planned // 5,
        **edits,
        MASS_DELETION: min(1, options.sequences),
    }
    done = run_campaign(sequences, options.length, options.seed, options.processes)
    for kind, outcome in done:
        if outcome.problems:
            print(f"{kind}, {outcome}")
    if options.report:
        options.report.parent.mkdir(parents=True, exist_ok=True)
        options.report.write_text("\n".join(report(done)) + "\n")
    print("\n".join(last_lines(done)), flush=True)
    return 1 if any(outcome.problems for _, outcome in done) else 0


if __name__ == "__main__":
    sys.exit(main())
