"""Zoho CRM as a transfer asks it: with a token that is good, again after failures that pass."""

from __future__ import annotations

import itertools
from array import array
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TypeVar

from pydantic import SecretStr

from crmflow.clock import Clock
from crmflow.http.client import Download, HttpClient
from crmflow.transfer.credentials import Credentials
from crmflow.transfer.declaration import Declaration
from crmflow.transfer.deletions import Deletions
from crmflow.transfer.retries import Retries
from crmflow.zoho import bulk_read, coql, deleted
from crmflow.zoho.api import CrmApi
from crmflow.zoho.bulk_read import BulkJobState, Job
from crmflow.zoho.deleted import DeletedRecord

_FIRST_LOOK, _LONGEST_BETWEEN_LOOKS = 1.0, 60.0

T = TypeVar("T")


class ZohoReader:
    """Errors are RemoteError and CredentialRefusedError."""

    def __init__(
        self, http: HttpClient, credentials: Credentials, retries: Retries, clock: Clock, url: str
    ) -> None:
        self._http = http
        self._credentials = credentials
        self._retries = retries
        self._clock = clock
        self._url = url
        self.credits = 0

    async def ask(self, call: Callable[[CrmApi], Awaitable[T]]) -> T:
        """What comes of ``call``."""
        return await self._retries.of(lambda: self._once(call))

    async def count(self, declaration: Declaration) -> int:
        """``COUNT(id)`` of the window."""
        window = coql_window(declaration)
        return await self.ask(lambda api: coql.count(api, window))

    async def deletions(self, declaration: Declaration) -> Deletions:
        """Ids of the records that were deleted in the window."""
        module, (begin, end) = declaration.module, (declaration.window.begin, declaration.window.end)
        ids = array("Q")
        records: list[DeletedRecord] = []
        for number in itertools.count(1):
            records, more = await self.ask(
                partial(deleted.page, module=module, since=begin, number=number, before=records)
            )
            ids.extend(int(record.id) for record in records if begin <= record.deleted_at < end)
            if not more:
                break
        return Deletions(ids)

    async def completed(self, job_id: str, used: Collection[str] = ()) -> Job:
        """A bulk read job once it is completed; ``used`` are the page tokens of the parts before it. Raises
        RemoteError (BulkReadFailed) for one that failed.
        """
        pause = _FIRST_LOOK
        while True:
            job = await self.ask(lambda api: bulk_read.job(api, job_id, used))
            if job.state == BulkJobState.COMPLETED:
                return job
            if job.state == BulkJobState.FAILURE:
                raise bulk_read.failed(job_id)
            await self._clock.sleep(pause)
            pause = min(2 * pause, _LONGEST_BETWEEN_LOOKS)

    @asynccontextmanager
    async def file(self, job: Job) -> AsyncIterator[Download]:
        """The ZIP of a completed job; not tried again, since nobody else knows what was read of it."""
        async with AsyncExitStack() as stack:
            yield await self._once(lambda api: stack.enter_async_context(bulk_read.result(api, job.id)))

    async def _once(self, call: Callable[[CrmApi], Awaitable[T]]) -> T:
        async def use(token: SecretStr) -> T:
            return await call(CrmApi(self._http, self._url, token, spend=self._spend))

        return await self._credentials.with_token(use)

    def _spend(self, credits: int) -> None:
        self.credits += credits


def coql_window(declaration: Declaration) -> coql.ModuleWindow:
    """The declared window, for COQL."""
    window = declaration.window
    return coql.ModuleWindow(declaration.module, declaration.cursor, window.begin, window.end)
