"""Data Access: what a batch was made from (platform.md 7.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import orjson

from crmflow.aep import fields
from crmflow.aep.collection import Query
from crmflow.http.client import Answer

SERVICE = "DataAccess"
_FILES = "input_files"


def meta_path(batch_id: str) -> str:
    """Where the metadata of a batch is."""
    return f"/data/foundation/export/batches/{quote(batch_id, safe='')}/meta"


def files_query(name: str = "") -> Query:
    """What is asked for the lists of files that a batch was made from, or for one of these lists."""
    return Query([("path", f"{_FILES}/{name}" if name else _FILES)])


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


def _line(answer: Answer, line: bytes) -> Mapping[str, Any]:
    try:
        return fields.obj(orjson.loads(line)) if line.strip() else {}
    except orjson.JSONDecodeError as error:
        raise answer.unreadable("a line that is not JSON") from error
