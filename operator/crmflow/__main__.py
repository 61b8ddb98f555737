"""``crmflow run``: the operator process."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys

from pydantic import ValidationError

from crmflow import __version__
from crmflow.clock import Clock
from crmflow.observability import logs
from crmflow.settings import PREFIX, Settings


def main(arguments: list[str] | None = None) -> int:
    """Entry point of the ``crmflow`` command; the exit status."""
    parser = argparse.ArgumentParser(
        prog="crmflow", description="Keeps Zoho CRM data flowing into Adobe Experience Platform."
    )
    parser.add_argument("--version", action="version", version=f"crmflow {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    commands.add_parser(
        "run", help=f"run the operator; settings are environment variables that begin with {PREFIX}"
    )
    parser.parse_args(arguments)
    try:
        settings = Settings.from_environment()
    except ValidationError as error:
        for problem in error.errors(include_input=False, include_url=False):
            print(f"{PREFIX}{str(problem['loc'][0]).upper()}: {problem['msg']}", file=sys.stderr)  # noqa: T201
        return 2
    logs.configure(settings.log_format, settings.log_level)
    return _run(settings)


def _run(settings: Settings) -> int:
    # Half a second of imports that --help can do without.
    from crmflow.runtime.app import Application
    from crmflow.runtime.leader import LeadershipLostError

    log = logging.getLogger("crmflow")
    try:
        asyncio.run(Application(settings, Clock.from_environment()).run())
    except LeadershipLostError as lost:
        log.error("the operator ends, to stand by when it is started again: %s", lost)  # noqa: TRY400
        return 1
    except Exception:
        log.exception("the operator ends")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
