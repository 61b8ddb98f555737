"""Records that were deleted (landing-zone.md F.2). How long Zoho remembers them is not documented."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from crmflow.zoho.api import CrmApi, items, more_records

_PER_PAGE = 200
_CREDITS = 2


@dataclass(frozen=True, slots=True)
class DeletedRecord:
    """A record in the recycle bin, or one that is gone for good."""

    id: str
    deleted_at: datetime


async def page(
    api: CrmApi, module: str, since: datetime, number: int, before: Sequence[DeletedRecord] = ()
) -> tuple[list[DeletedRecord], bool]:
    """Page ``number``, from 1 on, of what was deleted at ``since`` or later; and whether another follows.

    ``before`` is the page before it. Raises RemoteError for one that leads nowhere: it would be asked for
    without end, at two credits each time.
    """
    answer = await api.send(
        "deletedRecords",
        "GET",
        f"v8/{module}/deleted",
        params=[("type", "all"), ("page", str(number)), ("per_page", str(_PER_PAGE))],
        headers={"If-Modified-Since": since.isoformat(timespec="seconds")},
        credits=_CREDITS,
    )
    found = [_record(raw) for raw in items(answer, "data")]
    records = [record for record in found if record is not None]
    if len(records) < len(found):
        raise answer.unreadable("a deleted record without id or time")
    more = more_records(answer)
    if more and records in ([], list(before)):
        raise answer.unreadable("the same page of deleted records again, and more to follow")
    return records, more


def _record(raw: Any) -> DeletedRecord | None:
    try:
        at = datetime.fromisoformat(str(raw.get("deleted_time")))
    except ValueError:
        return None
    identifier = str(raw.get("id"))
    return DeletedRecord(identifier, at) if at.tzinfo is not None and identifier.isdecimal() else None
