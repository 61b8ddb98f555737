"""``crmflow run``: the operator process."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from pathlib import Path

from pydantic import ValidationError

from crmflow import __version__
from crmflow.clock import Clock
from crmflow.environment import SettingError, ensure_home
from crmflow.observability import logs
from crmflow.settings import PREFIX, Settings, setting_errors

FAILED, MISCONFIGURED = 1, 2
"""Exit statuses besides 0: it ended for a reason that may pass, or a setting has to be corrected first."""


def main(arguments: list[str] | None = None) -> int:
    """Entry point of the ``crmflow`` command; the exit status."""
    parser = argparse.ArgumentParser(
        prog="crmflow",
        description="Keeps Zoho CRM data flowing into Adobe Experience Platform.",
        epilog=f"Exit status: 0 when it was told to end, {FAILED} when it could not go on, {MISCONFIGURED} "
        "when the command line or a setting has to be corrected.",
    )
    parser.add_argument("--version", action="version", version=f"crmflow {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    commands.add_parser(
        "run", help=f"run the operator; settings are environment variables that begin with {PREFIX}"
    )
    _add_transfer(commands)
    chosen = parser.parse_args(arguments)
    try:
        settings = Settings.from_environment()
    except ValidationError as error:
        problems = setting_errors(error)
        for problem in problems:
            print(problem, file=sys.stderr)  # noqa: T201 - how to log is a setting, too
        if chosen.command == "transfer":
            from crmflow.transfer.program import misconfigured

            return misconfigured(problems, chosen.report)
        return MISCONFIGURED
    logs.configure(settings.log_format, settings.log_level)
    if chosen.command == "transfer":
        from crmflow.transfer.program import run

        return run(chosen.declaration, chosen.credentials, chosen.report)
    return _run(settings)


def _add_transfer(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "transfer",
        help="extract one window of Zoho CRM into a landing zone; the operator's Jobs run this",
        epilog="The exit status says who has to act: 0 nobody, 10 time, 20 and 21 the operator, which renews "
        "the access token or the SAS, 30 whoever declares the table, 31 somebody at Zoho, 32 somebody at "
        "Adobe, 40 the makers of crmflow.",
    )
    parser.add_argument("--declaration", required=True, metavar="JSON", help="what to do")
    parser.add_argument(
        "--credentials",
        type=Path,
        default=Path("/var/run/secrets/crmflow/transfer"),
        metavar="FOLDER",
        help="the mounted Secret with accessToken and sasUri (default: %(default)s)",
    )
    parser.add_argument(
        "--report",
        type=Path,
        default=Path("/dev/termination-log"),
        metavar="FILE",
        help="where the termination message goes (default: %(default)s)",
    )


def _run(settings: Settings) -> int:
    ensure_home()
    # Half a second of imports that --help can do without.
    from crmflow.runtime.app import Application
    from crmflow.runtime.kubernetes.leader import LeadershipLostError

    log = logging.getLogger("crmflow")
    try:
        asyncio.run(Application(settings, Clock.from_environment()).run())
    except SettingError as error:
        log.error("the operator can't start: %s", error)  # noqa: TRY400 - a trace would not help
        return MISCONFIGURED
    except LeadershipLostError as lost:
        log.error("the operator ends, to stand by when it is started again: %s", lost)  # noqa: TRY400
        return FAILED
    except Exception:
        log.exception("the operator ends")
        return FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main())
