"""``crmflow transfer``: the process of a Job, which talks to Zoho CRM and the landing zone alone."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from crmflow.blob.block_blob import BlockBlob
from crmflow.blob.service import SERVICE as LANDING_ZONE
from crmflow.blob.service import BlobService
from crmflow.clock import Clock
from crmflow.environment import SettingError
from crmflow.http.client import HttpClient
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.http.pool import SpreadTransport
from crmflow.transfer import report
from crmflow.transfer.credentials import CredentialRefusedError, Credentials
from crmflow.transfer.declaration import Declaration
from crmflow.transfer.report import ExitCode, Report, TransferError
from crmflow.transfer.transfer import Transfer

_OF_THE_DECLARATION = frozenset({"ModuleNotReadable", "ColumnNotReadable"})
_POOLS = 2

log = logging.getLogger("crmflow.transfer")


def run(declaration: str, credentials: Path, report_file: Path) -> int:
    """Do what ``declaration`` (JSON) says with what is in the folder ``credentials``, and write the report;
    the exit status, which is an ExitCode.
    """
    begun = time.monotonic()
    try:
        declared = Declaration.model_validate_json(declaration)
        found = asyncio.run(_transfer(declared, credentials, Clock.from_environment()))
    except ValidationError as error:
        found = _report(
            ExitCode.DECLARATION, "DeclarationNotUnderstood", _problem(error), "Please report this."
        )
    except SettingError as error:
        found = _report(ExitCode.DECLARATION, "DeclarationNotUnderstood", str(error))
    except Exception as error:  # told by places alone: a text may quote a row
        log.error("the transfer fails", extra={"places": _places(error)})  # noqa: TRY400
        found = _report(
            ExitCode.BUG, "InternalError", "the transfer has failed; see its log", "Please report this."
        )
    return _told(found.model_copy(update={"seconds": round(time.monotonic() - begun, 1)}), report_file)


def misconfigured(problems: Sequence[SettingError], report_file: Path) -> int:
    """Report that settings of the process can't be used; the exit status."""
    message = " ".join(map(str, problems))
    return _told(_report(ExitCode.DECLARATION, "DeclarationNotUnderstood", message), report_file)


def _told(found: Report, file: Path) -> int:
    try:
        text = report.write(found, file)
    except OSError as error:
        log.error("the report can't be written to %s: %s", file, error.strerror)  # noqa: TRY400
    else:
        log.info("the transfer ends", extra={"report": json.loads(text)})
    return found.exit_code


async def _transfer(declaration: Declaration, directory: Path, clock: Clock) -> Report:
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    async with SpreadTransport(pools=_POOLS) as transport:
        http = HttpClient(transport, clock)
        credentials = Credentials(directory, clock)
        file = BlockBlob(BlobService(http, credentials), declaration.file)
        transfer = Transfer(declaration, http, credentials, file, clock)
        return (await outcome(transfer)).model_copy(update={"credits": transfer.credits})


async def outcome(transfer: Transfer) -> Report:
    """What comes of a transfer, as a report in each case."""
    try:
        return await transfer.run()
    except asyncio.CancelledError:
        return _report(
            ExitCode.RETRY,
            "Terminated",
            "it was told to end; a file that it was committing just then is found by the next attempt",
        )
    except TransferError as error:
        return _report(error.exit_code, error.reason, error.message, error.advice)
    except CredentialRefusedError as refused:
        return _of_remote(refused.exit_code, refused.error)
    except RemoteError as error:
        return _of_remote(_exit_code(error), error)


def _of_remote(exit_code: ExitCode, error: RemoteError) -> Report:
    return Report(
        exit_code=exit_code,
        reason=error.reason,
        message=error.message,
        advice=error.advice,
        retry_after=error.retry_after,
    )


def _exit_code(error: RemoteError) -> ExitCode:
    of_landing_zone = error.service == LANDING_ZONE
    if error.error_class is ErrorClass.BUG:
        return ExitCode.BUG
    if error.error_class is not ErrorClass.TERMINAL:
        return ExitCode.RETRY
    if error.reason == "InvalidRequest":  # what can't be put into a request is the credential
        return ExitCode.SAS if of_landing_zone else ExitCode.ZOHO_TOKEN
    if error.reason in _OF_THE_DECLARATION:
        return ExitCode.DECLARATION
    return ExitCode.LANDING_ZONE if of_landing_zone else ExitCode.ZOHO_ACCESS


def _report(exit_code: ExitCode, reason: str, message: str, advice: str = "") -> Report:
    return Report(exit_code=exit_code, reason=reason, message=message, advice=advice)


def _places(error: BaseException | None) -> list[str]:
    """Where an error was raised, and those that it came from: kinds and lines of code, and no text."""
    if error is None:
        return []
    frames = traceback.extract_tb(error.__traceback__)
    lines = [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
    source = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return [type(error).__name__, *lines, *_places(source)]


def _problem(error: ValidationError) -> str:
    """The first thing that is wrong, without the value."""
    problem = error.errors(include_input=False, include_url=False, include_context=False)[0]
    where = ".".join(map(str, problem["loc"]))
    return f"the declaration can't be read: {where + ': ' if where else ''}{problem['msg']}"
