"""``python -m hack.demo up|down``: show the main job, and stop what it left running."""

from __future__ import annotations

import argparse
import os
import sys

from hack.console import ToolError, say
from hack.demo import environment, report, story


def main() -> int:
    """Run one command; what is left running after a failure can be looked at."""
    parser = argparse.ArgumentParser(prog="python -m hack.demo", description=__doc__)
    parser.add_argument("command", choices=["up", "down"])
    if parser.parse_args().command == "down":
        environment.stop()
        return 0
    keep = os.environ.get("DEMO_KEEP", "1") != "0"
    try:
        return _up(keep=keep)
    except ToolError as error:
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        keep = False
        return 130
    finally:
        if not keep:
            environment.stop()


def _up(*, keep: bool) -> int:
    demo = environment.start(current_cluster=_wants_current_cluster())
    try:
        seconds_to_ready = story.tell(demo)
        if demo.runs_jobs:
            story.tell_of_files(demo)
    except ToolError:
        report.print_failure(demo)
        raise
    report.print_result(demo, seconds_to_ready, keep=keep)
    return 0


def _wants_current_cluster() -> bool:
    cluster = os.environ.get("CLUSTER", "")
    if cluster not in ("", "current"):
        raise ToolError(
            f"CLUSTER={cluster} is unknown: leave it out for the demo's own cluster, or say current"
        )
    return cluster == "current"


if __name__ == "__main__":
    sys.exit(main())
