"""Bulk Read: a job writes one part of a module as a ZIP of CSV (zoho.md 3.8; landing-zone.md F.1).

A part has up to 200,000 rows, in no order. Where more follow, the next job is made from the page token of the
one before; token and file live for a day.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from crmflow.http.client import Download
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.observability.redaction import sanitize
from crmflow.zoho.api import SERVICE, CrmApi, only

MOST_FIELDS = 200
"""Fields of one job."""
CREDITS = 50
"""What a job costs; a look at it and its file cost one each."""
_READ = "bulk/v8/read"


class BulkJobState(StrEnum):
    """How far a job is."""

    ADDED = "ADDED"
    QUEUED = "QUEUED"
    IN_PROGRESS = "IN PROGRESS"
    COMPLETED = "COMPLETED"
    FAILURE = "FAILURE"


@dataclass(frozen=True, slots=True)
class Job:
    """A job as a look at it shows it; the three last are known once it is completed."""

    id: str
    state: str
    """One of :class:`BulkJobState`, or a state that is not known and still passes."""
    rows: int | None = None
    next_page_token: str | None = None
    """Names the part that follows; None if there is none."""


@dataclass(frozen=True, slots=True)
class Criterion:
    """What a field's value has to be, such as ``Modified_Time greater_equal 2026-11-04T10:15:00+00:00``."""

    field: str
    comparator: str
    value: str

    def body(self) -> dict[str, Any]:
        """As the API takes it."""
        return {"field": {"api_name": self.field}, "comparator": self.comparator, "value": self.value}


def window(field: str, begin: datetime, end: datetime) -> tuple[Criterion, ...]:
    """Rows whose ``field`` lies in [begin, end)."""
    return (
        Criterion(field, "greater_equal", instant(begin)),
        Criterion(field, "less_than", instant(end)),
    )


def instant(when: datetime) -> str:
    """An aware datetime as Zoho writes it, in whole seconds."""
    return when.isoformat(timespec="seconds")


async def create(api: CrmApi, module: str, fields: Sequence[str], criteria: Sequence[Criterion]) -> str:
    """Make the job for the first part of the rows that meet all ``criteria``; its id."""
    query: dict[str, Any] = {"module": {"api_name": module}, "fields": list(fields)}
    group = [criterion.body() for criterion in criteria]
    if len(group) == 1:
        query["criteria"] = group[0]
    elif group:
        query["criteria"] = {"group_operator": "and", "group": group}
    return await _create(api, query)


async def create_next(api: CrmApi, page_token: str) -> str:
    """Make the job for the part that ``page_token`` names; its id. Raises RemoteError (PageTokenExpired)."""
    try:
        return await _create(api, {"page_token": page_token})  # alone: Zoho knows the rest by it
    except RemoteError as error:
        if error.status == 400:  # there is nothing else in it that could be wrong, whatever the code (K.7)
            raise error.but(error_class=ErrorClass.TRANSIENT, reason="PageTokenExpired") from error
        raise


async def job(api: CrmApi, job_id: str, used: Collection[str] = ()) -> Job:
    """How far a job is; ``used`` are the page tokens of the parts so far. Raises RemoteError, with NotFound
    for a job that Zoho does not know any more.
    """
    answer = await api.send("bulkReadJob", "GET", f"{_READ}/{job_id}")
    found = only(answer, "data")
    state, result = found.get("state"), found.get("result")
    if state != BulkJobState.COMPLETED or not isinstance(result, dict):
        if state == BulkJobState.COMPLETED or not isinstance(state, str):
            raise answer.unreadable("a job without a state or a result")
        return Job(job_id, sanitize(state, 32))
    token, more, rows = (result.get(name) for name in ("next_page_token", "more_records", "count"))
    if more is True and not token:
        raise answer.unreadable("more records and no page token")
    if more is True and str(token) in used:
        raise answer.unreadable("the page token of a part that was read")  # parts without end, at 50 credits
    return Job(
        job_id,
        BulkJobState.COMPLETED,
        rows if isinstance(rows, int) and not isinstance(rows, bool) else None,
        str(token) if more is True else None,
    )


@asynccontextmanager
async def result(api: CrmApi, job_id: str) -> AsyncIterator[Download]:
    """The ZIP of a completed job, piece by piece; ten in a minute may be fetched, each for a day.

    Raises RemoteError (NotFound) for a file that is gone.
    """
    try:
        async with api.download("bulkReadResult", f"{_READ}/{job_id}/result") as download:
            yield download
    except RemoteError as error:
        # An unknown job is 400 here and 404 elsewhere (landing-zone.md F.1), under any code.
        if error.status == 400 and error.error_class is ErrorClass.TRANSIENT:
            raise error.but(error_class=ErrorClass.NOT_FOUND, reason="NotFound") from error
        raise


async def _create(api: CrmApi, query: dict[str, Any]) -> str:
    body = {"query": query, **({} if "page_token" in query else {"file_type": "csv"})}
    answer = await api.send("bulkReadCreate", "POST", _READ, json=body, credits=CREDITS)
    details = only(answer, "data").get("details")
    identifier = details.get("id") if isinstance(details, dict) else None
    if not identifier:
        raise answer.unreadable("a job without an id")
    return str(identifier)


def failed(job_id: str) -> RemoteError:
    """The error for a job that ended in FAILURE."""
    return RemoteError(
        SERVICE,
        "bulkReadJob",
        ErrorClass.TRANSIENT,
        "BulkReadFailed",
        f"Zoho CRM could not read the rows: its bulk read job {sanitize(job_id, 32)} ended in FAILURE",
        advice="Nothing to do: it is read again. If it stays, look at the job in Zoho CRM under Setup, Data "
        "Administration, or ask Zoho.",
    )
