"""``python3 -m hack.controlplane``: build, start and stop a local control plane. Standard library only."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from hack.console import ToolError, say
from hack.controlplane import ControlPlane, find_assets


def main() -> int:
    """Run one command; a failure that the person can cure is printed without a stack trace."""
    arguments = _parser().parse_args()
    try:
        if arguments.command == "build":
            print(find_assets().folder)
        elif arguments.command == "start":
            print(ControlPlane(arguments.dir).start().kubeconfig)
        else:
            ControlPlane(arguments.dir).stop()
    except ToolError as error:
        say(f"error: {error}")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m hack.controlplane", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build", help="make sure the binaries are there, and print their folder")
    for name, text in (
        ("start", "start a control plane with its data in DIR, and print its kubeconfig"),
        ("stop", "stop exactly the processes that were started for DIR"),
    ):
        commands.add_parser(name, help=text).add_argument("--dir", type=Path, required=True)
    return parser


if __name__ == "__main__":
    sys.exit(main())
