"""Data Access: what a batch was made from, and the rows that it refused (platform.md 7.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import orjson

from crmflow.aep import fields
from crmflow.aep.collection import Query
from crmflow.aep.models import RefusedRow, RunError
from crmflow.http.client import Answer
from crmflow.http.errors import RemoteError
from crmflow.observability.redaction import sanitize

SERVICE = "DataAccess"
_FILES, _ROW_ERRORS, _SAMPLES = "input_files", "row_errors", "row_error_samples.json"

_ABOUT = ("_errors", "_filename")
"""What Platform says of a row, beside what is in it."""
_TEXT = 1024


def meta_path(batch_id: str) -> str:
    """Where the metadata of a batch is."""
    return f"/data/foundation/export/batches/{quote(batch_id, safe='')}/meta"


def files_query(name: str = "") -> Query:
    """What is asked for the lists of files that a batch was made from, or for one of these lists."""
    return Query([("path", f"{_FILES}/{name}" if name else _FILES)])


def row_errors_query(name: str = "") -> Query:
    """What is asked for the lists of rows that a batch refused, or for one of these lists."""
    return Query([("path", f"{_ROW_ERRORS}/{name}" if name else _ROW_ERRORS)])


def samples_query() -> Query:
    """What is asked for a few of these rows."""
    return Query([("path", _SAMPLES)])


def lists(answer: Answer) -> tuple[str, ...]:
    """The names of the lists. Raises RemoteError for any other answer."""
    found = fields.obj(answer.json()).get("data")
    if not isinstance(found, list):
        raise answer.unreadable("no listing")
    return tuple(filter(None, (fields.text(raw, "name") for raw in fields.objects(found))))


def paths(answer: Answer) -> tuple[str, ...]:
    """The paths in one list: each line is an object of its own. Raises RemoteError for any other answer."""
    return tuple(
        filter(None, (fields.text(_line(answer, line), "path") for line in answer.body.splitlines()))
    )


def refused_rows(answer: Answer) -> tuple[RefusedRow, ...]:
    """The rows in one list, an object a line; Adobe's guide shows one over several lines, too. Raises
    RemoteError for any other answer.
    """
    try:
        raw = [_line(answer, line) for line in answer.body.splitlines()]
    except RemoteError:
        shown = answer.json()
        raw = [*fields.objects(shown if isinstance(shown, list) else [shown])]
    return tuple(_refused(row) for row in raw if row)


def _refused(raw: Mapping[str, Any]) -> RefusedRow:
    errors = tuple(
        RunError(sanitize(fields.text(error, "code"), 64), sanitize(fields.text(error, "message"), _TEXT))
        for error in fields.objects(raw.get("_errors"))
    )
    return RefusedRow(errors, {name: value for name, value in raw.items() if name not in _ABOUT})


def _line(answer: Answer, line: bytes) -> Mapping[str, Any]:
    try:
        return fields.obj(orjson.loads(line)) if line.strip() else {}
    except orjson.JSONDecodeError as error:
        raise answer.unreadable("a line that is not JSON") from error
