"""One window of one module into one blob.

Blocks are staged while rows are read, and committed once, at the end: before that nobody sees anything, and
an attempt that dies leaves nothing behind (landing-zone.md K.6, L). What is there at the end is judged by the
blob's metadata, so that neither a lost answer nor a second attempt writes the window twice.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from typing import Any

from crmflow.blob.block_blob import MOST_BLOCKS
from crmflow.clock import Clock
from crmflow.http.client import HttpClient
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.transfer.blob import Blob
from crmflow.transfer.block_writer import BlockWriter, Checkpoint
from crmflow.transfer.cells import FileForm, MissingColumnError, PartForm
from crmflow.transfer.credentials import Credentials
from crmflow.transfer.csv_records import CsvRecords, MalformedCsvError, restored
from crmflow.transfer.declaration import Declaration, Way
from crmflow.transfer.deletions import Deletions
from crmflow.transfer.file_metadata import FileMetadata
from crmflow.transfer.report import ExitCode, Report, TransferError, TransferResult
from crmflow.transfer.retries import Retries
from crmflow.transfer.unzip import csv_of
from crmflow.transfer.zoho_reader import ZohoReader, coql_window
from crmflow.zoho import bulk_read, coql
from crmflow.zoho.api import SERVICE
from crmflow.zoho.bulk_read import Job

_LINES_AT_ONCE = 10_000

log = logging.getLogger("crmflow.transfer")


class Transfer:
    """``run`` does it; whatever it raises, nothing was committed, or what was is complete."""

    def __init__(
        self,
        declaration: Declaration,
        http: HttpClient,
        credentials: Credentials,
        blob: Blob,
        clock: Clock,
    ) -> None:
        self._declaration = declaration
        self._retries = Retries(clock)
        self._zoho = ZohoReader(http, credentials, self._retries, clock, declaration.zoho_api_url.rstrip("/"))
        self._blob = blob
        self._form = FileForm(declaration)
        self.writer = BlockWriter(self._stage, declaration.attempt, self._form.header, MOST_BLOCKS)
        self._deletions = Deletions()
        self._counts: dict[str, int] = {}

    @property
    def credits(self) -> int:
        """Credits of Zoho CRM that were spent so far."""
        return self._zoho.credits

    async def run(self) -> Report:
        """Read, stage and commit. Raises RemoteError, CredentialRefusedError and TransferError."""
        if (found := await self._retries.of(self._blob.metadata)) is not None:
            return self._judged(found)
        try:
            return await self._extract()
        finally:
            await self.writer.abandon()

    async def _extract(self) -> Report:
        declaration = self._declaration
        self._counts["before"] = await self._zoho.count(declaration)
        if declaration.marks_deletions:
            self._deletions = await self._zoho.deletions(declaration)
        if declaration.way is Way.BULK and len(declaration.columns) <= bulk_read.MOST_FIELDS:
            await self._by_bulk_read()
        else:
            await self._by_coql()
        rows = self.writer.rows
        await self._write(self._form.line_of_deleted(one) for one in self._deletions)
        self._counts["after"] = await self._zoho.count(declaration)
        blocks = await self.writer.finish()
        log.info(
            "all %d blocks have arrived",
            len(blocks),
            extra={"held_up_seconds": round(self.writer.held_up, 3)},
        )
        if not blocks:
            return self._report(TransferResult.NOTHING_NEW)
        return await self._committed(blocks, rows)

    async def _by_bulk_read(self) -> None:
        declaration = self._declaration
        window = declaration.window
        criteria = bulk_read.window(declaration.cursor, window.begin, window.end)
        job_id: str | None = await self._zoho.ask(
            lambda api: bulk_read.create(api, declaration.module, declaration.columns, criteria)
        )
        begin = await self.writer.checkpoint()
        left: int | None = None
        used: set[str] = set()
        while job_id is not None:
            job = await self._zoho.completed(job_id, used)
            job_id = None
            if (token := job.next_page_token) is not None:
                used.add(token)
                left = await self._zoho.count(declaration)
                job_id = await self._next_job(token)  # Zoho works on it while this part is copied
            await self._copy(job)
        if left is not None and not self._is_whole(left):
            log.info("records of the window were changed between its parts: it is read anew by COQL")
            await self.writer.rewind(begin)
            await self._by_coql()

    async def _next_job(self, token: str) -> str:
        return await self._zoho.ask(lambda api: bulk_read.create_next(api, token))

    def _is_whole(self, left: int) -> bool:
        """Whether the parts are known to hold every record of the window. It is not documented whether they
        are all of one instant, or each begins where the one before has ended among the records that are left
        by then: one that was edited or deleted meanwhile would have another one left out (landing-zone.md
        K.6, K.7).

        No record enters a window that is over. So nothing was left out if there are as many rows as before;
        and with more than were ``left`` when the last part began, the parts are of one instant.
        """
        return self.writer.rows == self._counts["before"] or self.writer.rows > left

    async def _copy(self, job: Job) -> None:
        """One part. A download that breaks is begun anew where the part began: the file is kept for a day."""
        if job.rows == 0:
            return
        begin = await self.writer.checkpoint()
        await self._retries.of(lambda: self._copy_once(job, begin))
        log.info("copied a part of %d rows", self.writer.rows - begin.rows)

    async def _copy_once(self, job: Job, begin: Checkpoint) -> None:
        await self.writer.rewind(begin)
        async with self._zoho.file(job) as download:
            try:
                lines = _Lines(self._form, self._deletions)
                async for piece in csv_of(download):
                    await self._write(lines.of(piece))
                await self._write(lines.rest())
            except (MalformedCsvError, MissingColumnError) as error:
                raise _not_understood(download.answer.call.operation, error) from error
            rows = self.writer.rows - begin.rows
            if job.rows is not None and rows != job.rows:
                raise download.answer.unreadable(f"a file of {rows} rows in place of {job.rows}")

    async def _by_coql(self) -> None:
        declaration, pager = self._declaration, coql.Pager()
        window = coql_window(declaration)
        after: coql.RecordKey | None = None
        while True:
            page = await self._zoho.ask(
                partial(pager.page, columns=declaration.columns, window=window, after=after)
            )
            if page.last is None:
                return
            after = page.last
            if self._deletions:
                for row in page.rows:
                    self._deletions.saw(row["id"])
            await self._write(map(self._form.line_of_record, page.rows))

    async def _write(self, lines: Iterable[bytes]) -> None:
        for batch in _batches(lines):
            await self.writer.write(restored(batch), len(batch))

    async def _stage(self, block_id: str, data: bytes) -> None:
        try:
            await self._retries.of(lambda: self._blob.stage(block_id, data))
        except RemoteError as error:
            if error.error_class is not ErrorClass.TRANSIENT:
                raise
            # Tried long enough: no part is read anew for it.
            raise TransferError(ExitCode.RETRY, error.reason, error.message, error.advice) from error

    async def _committed(self, blocks: list[str], rows: int) -> Report:
        declaration = self._declaration
        metadata = FileMetadata(
            window_begin=declaration.window.begin,
            window_end=declaration.window.end,
            extraction=declaration.extraction,
            attempt=declaration.attempt,
            rows=rows,
            deleted=self.writer.rows - rows,
            bytes=self.writer.bytes,
            count_before=self._counts["before"],
            count_after=self._counts["after"],
        ).headers()

        async def commit() -> Report:
            try:
                await self._blob.commit(blocks, metadata)
            except RemoteError as error:
                if error.error_class is not ErrorClass.CONFLICT and not error.maybe_applied:
                    raise
                found = await self._blob.metadata()
                if found is None:
                    if error.error_class is ErrorClass.CONFLICT:
                        raise _gone(error) from error
                    raise
                return self._judged(found)
            return self._judged(metadata)

        return await self._retries.of(commit)

    def _judged(self, found: Mapping[str, str]) -> Report:
        """What a blob of this name means: this window, by this attempt or another. Raises TransferError."""
        metadata = FileMetadata.of(found)
        if metadata is None or not metadata.is_of(self._declaration):
            raise TransferError(
                ExitCode.LANDING_ZONE,
                "BlobNotOurs",
                f"the landing zone has a file {self._declaration.file} that this transfer did not write",
                "Remove it, or have it extracted anew under another name.",
            )
        by_us = metadata.attempt == self._declaration.attempt
        return self._report(
            TransferResult.WRITTEN if by_us else TransferResult.ALREADY_WRITTEN,
            file=self._declaration.file,
            rows=metadata.rows,
            deleted=metadata.deleted,
            bytes=metadata.bytes,
            count_before=metadata.count_before,
            count_after=metadata.count_after,
        )

    def _report(self, result: TransferResult, **more: Any) -> Report:
        return Report(
            exit_code=ExitCode.DONE,
            reason=result,
            **{
                "window": self._declaration.window,
                "credits": self.credits,
                "count_before": self._counts.get("before"),
                "count_after": self._counts.get("after"),
                **more,
            },
        )


class _Lines:
    """The rows of one bulk read file as lines of ours."""

    def __init__(self, form: FileForm, deletions: Deletions) -> None:
        self._form = form
        self._records = CsvRecords()
        self._saw = deletions.saw if deletions else None
        self._part: PartForm | None = None

    def of(self, piece: bytes) -> list[bytes]:
        """The lines that ``piece`` completes. Raises MalformedCsvError and MissingColumnError."""
        return self._lines(self._records.feed(piece))

    def rest(self) -> list[bytes]:
        """The last line, if there is one."""
        return self._lines(self._records.end())

    def _lines(self, rows: list[bytes]) -> list[bytes]:
        if self._part is None and rows:
            header, *rows = rows
            self._part = self._form.part(header)
        if self._part is None:
            return []
        line, saw = self._part.line, self._saw
        return [line(row, saw) for row in rows]


def _batches(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    """As many lines as may be in memory at once."""
    remaining = iter(lines)
    while batch := list(islice(remaining, _LINES_AT_ONCE)):
        yield batch


def _not_understood(operation: str, error: ValueError) -> RemoteError:
    what = f"without the column {error}" if isinstance(error, MissingColumnError) else f"in which {error}"
    return RemoteError(
        SERVICE,
        operation,
        ErrorClass.BUG,
        "RowsNotUnderstood",
        f"Zoho CRM has written a file {what}",
        advice="Please report this. Small windows are read another way and may go on.",
    )


def _gone(error: RemoteError) -> TransferError:
    return TransferError(
        ExitCode.RETRY,
        "BlocksLost",
        f"{error.message}, and there is no such file",
        "Nothing to do: the window is extracted again.",
    )
