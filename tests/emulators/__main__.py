"""``python -m tests.emulators``: both emulators in the foreground, until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
import tempfile
from pathlib import Path

from tests.emulators.core.clock import write_atomically
from tests.emulators.core.server import Emulators


def main() -> None:
    """Print one JSON line on stdout, then serve."""
    parser = argparse.ArgumentParser(prog="python -m tests.emulators", description=__doc__)
    parser.add_argument("--exchanges", type=Path, metavar="FILE", help="append every exchange as a JSON line")
    parser.add_argument("--clock-file", type=Path, metavar="FILE", help="where the clock's offset is kept")
    parser.add_argument("--info", type=Path, metavar="FILE", help="write the JSON line there too")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument(
        "--landing-zone", action="store_true", help="start Azurite at once, not when it is first needed"
    )
    arguments = parser.parse_args()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(message)s")
    asyncio.run(_serve(arguments))


async def _serve(arguments: argparse.Namespace) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    own = Path(tempfile.mkdtemp(prefix="emulators-"))
    emulators = Emulators(
        clock_file=arguments.clock_file or own / "clock",
        exchanges_file=arguments.exchanges or own / "exchanges.jsonl",
        host=arguments.host,
    )
    async with emulators:
        if arguments.landing_zone:
            await emulators.blob.container(emulators.aep.default_sandbox.name)
        line = emulators.info_line()
        if arguments.info:
            write_atomically(arguments.info, line + "\n")
        print(line, flush=True)
        await stop.wait()


if __name__ == "__main__":
    main()
