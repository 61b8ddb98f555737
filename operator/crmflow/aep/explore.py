"""A base connection's view of its source: the test, and explore (platform.md 4.1, 5)."""

from __future__ import annotations

from crmflow.aep import fields
from crmflow.aep.collection import Query, Raw
from crmflow.aep.models import Column, Preview, Table
from crmflow.http.client import Answer

ROOT = Query([("objectType", "root")])
"""What is asked for the tables."""
_DATE_TIMES = ("datetime", "timestamp")
"""What the spellings of a date with its time begin with, without "-" and "_"."""


def test_result(answer: Answer) -> bool:
    """The outcome of a test that gave no reason. Raises RemoteError if there is none."""
    result = fields.boolean(fields.obj(answer.json()).get("result"))
    if result is None:
        raise answer.unreadable("no result")
    return result


def table_query(path: str, *, preview: bool = False) -> Query:
    """What is asked for the columns of a table, with or without sample rows."""
    more = [("preview", "true")] if preview else []
    return Query([("objectType", "table"), ("object", path), *more])


def tables(answer: Answer) -> tuple[Table, ...]:
    """The tables of a source. Raises RemoteError for any other answer."""
    found = fields.items(answer.json())
    if found is None:
        raise answer.unreadable("no tables")
    return tuple(
        Table(name=fields.text(raw, "name"), path=fields.text(raw, "path", "name"))
        for raw in found
        if fields.text(raw, "type").lower() in ("", "table")
    )


def columns(answer: Answer) -> tuple[Column, ...]:
    """The columns of a table. Raises RemoteError for any other answer."""
    found = fields.obj(_table(answer), "schema").get("columns")
    if not isinstance(found, list):
        raise answer.unreadable("no columns")
    return tuple(map(_column, fields.objects(found)))


def preview(answer: Answer) -> Preview:
    """The columns of a table with its sample rows. Raises RemoteError for any other answer."""
    return Preview(columns(answer), fields.objects(_table(answer).get("data")))


def _table(answer: Answer) -> Raw:
    return next(iter(fields.objects(answer.json())), {})  # bare, or in a list (platform.md 16.1)


def _column(raw: Raw) -> Column:
    """A column, described by ``xdm`` or, as of old, by ``meta.originalType`` (platform.md 16.1)."""
    original = fields.text(fields.obj(raw, "meta"), "originalType").lower()
    kind = fields.text(raw, "type").lower() or original
    xdm = (fields.text(raw, "meta:xdmType") or fields.text(fields.obj(raw, "xdm"), "format")).lower()
    formats = map(_date_format, (xdm, kind, original))
    date = next(filter(None, formats), "")
    return Column(
        name=fields.text(raw, "name"),
        type=kind,
        is_date=bool(date),
        raw=raw,
        format=date,
    )


def _date_format(spelling: str) -> str:
    """``date`` or ``date-time``, "" for what holds neither."""
    if spelling == "date":
        return spelling
    return "date-time" if spelling.replace("-", "").replace("_", "").startswith(_DATE_TIMES) else ""
