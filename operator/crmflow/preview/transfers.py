"""Jobs that would be started, the files that they would write, and the credits that would be spent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from pydantic import SecretStr

from crmflow.aep.models import LandingZoneCredentials
from crmflow.api.crmdataflow import CRMDataflowStatus
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.preview.notes import FILE, JOB, ChangeVerb, Notes, Write
from crmflow.reconcile.dataflow.extraction_status import pending_of
from crmflow.reconcile.extraction.credits import Ledger
from crmflow.reconcile.extraction.observed import JobState, TransferJob
from crmflow.reconcile.extraction.pending import JobKey
from crmflow.reconcile.extraction.ports import TransferCredentials, TransferOrder
from crmflow.reconcile.extraction.slots import Waiting
from crmflow.reconcile.ports import LandingZoneFile, LandingZoneFiles
from crmflow.transfer.report import ExitCode, Report, TransferResult

Written = dict[str, LandingZoneFile]
"""What Jobs would have written, by its path."""


class PreviewFiles:
    """Implements the port ``LandingZoneFiles``: the files that are there, without those that would be deleted
    and with those that Jobs would have written.
    """

    def __init__(self, files: LandingZoneFiles, notes: Notes, written: Written) -> None:
        self._files = files
        self._notes = notes
        self._written = written
        self._deleted: set[str] = set()

    async def credentials(self) -> LandingZoneCredentials:
        return await self._files.credentials()

    def reject(self, sas_uri: SecretStr) -> None:
        self._files.reject(sas_uri)

    async def list(self, folder: str) -> Sequence[LandingZoneFile]:
        begin = f"{folder.strip('/')}/"
        own = [file for path, file in self._written.items() if path.startswith(begin)]
        try:
            found = await self._files.list(folder)
        except RemoteError as error:
            if error.error_class is not ErrorClass.TRANSIENT:
                raise
            self._notes.assume(f"The folder {folder} is empty: this machine does not reach the landing zone.")
            found = ()
        return [*(file for file in found if file.path not in self._deleted), *own]

    async def delete(self, path: str) -> None:
        if self._written.pop(path, None) is None:
            self._deleted.add(path)
            self._notes.write(Write(ChangeVerb.DELETE, FILE, name=path))


class PreviewTransfers:
    """Implements the port ``Transfers``. A Job has done its work as soon as it was started, and so have those
    that run already, as far as status tells of them.
    """

    obstacle: str | None = None

    def __init__(self, notes: Notes, written: Written, now: Callable[[], float]) -> None:
        self._notes = notes
        self._written = written
        self._now = now
        self._jobs: dict[str, dict[JobKey, TransferJob]] = {}
        self._running: set[str] = set()

    def know(self, uid: str, status: CRMDataflowStatus) -> None:
        """Take over what runs for the dataflow of that uid."""
        for one in pending_of(status):
            if one.file is None and one.started and status.landing_zone is not None:
                self._running.add(uid)
                self._end(uid, one.job, status.landing_zone.path.partition("/")[2], one.rows)

    async def jobs(self, uid: str) -> Mapping[JobKey, TransferJob]:
        return dict(self._jobs.get(uid, {}))

    def may_start(self, organization: str, waiting: Waiting, credits: int = 0) -> bool:
        return True

    def waits_no_more(self, uid: str) -> None:
        """Nobody waits here."""

    def reserved_credits(self, organization: str, besides: str = "") -> int:
        return 0

    async def start(self, order: TransferOrder) -> None:
        uid, window = order.identity.uid, order.job.file.window
        if order.job in self._jobs.get(uid, {}):
            return
        what = f"{order.declaration.module}, changes until {window.end:%Y-%m-%dT%H:%M:%SZ}"
        self._notes.write(Write(ChangeVerb.START, JOB, name=what, credits=order.credits))
        self._end(uid, order.job, order.declaration.folder, 1)

    async def supply(self, uid: str, credentials: TransferCredentials) -> None:
        """They have what they need."""

    async def delete(self, uid: str, job: JobKey) -> None:
        self._jobs.get(uid, {}).pop(job, None)

    async def delete_all(self, uid: str) -> bool:
        self._jobs.pop(uid, None)
        if uid in self._running:
            self._running.remove(uid)
            self._notes.write(Write(ChangeVerb.END, JOB))
        return True

    def _end(self, uid: str, job: JobKey, folder: str, rows: int) -> None:
        """The Job has written its file."""
        report = Report(exit_code=ExitCode.DONE, reason=TransferResult.WRITTEN, rows=rows)
        self._jobs.setdefault(uid, {})[job] = TransferJob.ended(JobState.SUCCEEDED, report)
        path, now = f"{folder}/{job.file}", datetime.fromtimestamp(int(self._now()), UTC)
        metadata = {"rows": str(rows), "deleted": "0", "bytes": "0"}
        self._written[path] = LandingZoneFile(path, now, metadata)


class PreviewLedgers:
    """Implements the port ``CreditLedgers``: what the operator has spent is not known here, and what the
    preview spends is counted.
    """

    def __init__(self, notes: Notes) -> None:
        self._notes = notes

    async def ledger(self, organization: str, allowance: int) -> Ledger:
        return Ledger()

    async def spend(self, organization: str, credits: int) -> None:
        self._notes.credits += credits
