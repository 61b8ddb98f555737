"""The three operations that AEP's services know of JSON Patch: add, replace and remove."""

from __future__ import annotations

import copy
from typing import Any

from tests.emulators.aep.numbers import whole


class PatchError(Exception):
    """An operation that cannot be applied."""


def operations(body: Any) -> list[dict[str, Any]]:
    """The operations of a PATCH body, names in lower case.

    An array as documented, or a single object as published (platform.md 16.1.5).
    Raises PatchError for anything else.
    """
    entries = [body] if isinstance(body, dict) else body
    if not isinstance(entries, list) or not entries:
        raise PatchError("an array of operations is expected")
    return [_operation(entry) for entry in entries]


def _operation(entry: Any) -> dict[str, Any]:
    if not isinstance(entry, dict) or not isinstance(entry.get("op"), str):
        raise PatchError("an operation needs op and path")
    op = entry["op"].lower()
    if op not in ("add", "replace", "remove"):
        raise PatchError(f"operation {entry['op']} is not supported")
    if not isinstance(entry.get("path"), str) or not entry["path"].startswith("/"):
        raise PatchError("path is missing or does not begin with /")
    if op != "remove" and "value" not in entry:
        raise PatchError("value is missing")
    return {**entry, "op": op}


def apply(document: dict[str, Any], operation: dict[str, Any]) -> dict[str, Any]:
    """A copy of ``document`` with one operation applied; raises PatchError."""
    result = copy.deepcopy(document)
    *parents, last = [_unescape(part) for part in operation["path"].split("/")[1:]]
    target: Any = result
    for part in parents:
        target = _child(target, part, operation["path"])
    _change(target, last, operation)
    return result


def _change(target: Any, last: str, operation: dict[str, Any]) -> None:
    op, path = operation["op"], operation["path"]
    if isinstance(target, list):
        _change_list(target, last, operation)
    elif not isinstance(target, dict):
        raise PatchError(f"{path} does not exist")
    elif op == "remove":
        if last not in target:
            raise PatchError(f"{path} does not exist")
        del target[last]
    else:
        target[last] = operation["value"]


def _change_list(target: list[Any], last: str, operation: dict[str, Any]) -> None:
    op, path = operation["op"], operation["path"]
    if op == "add" and last == "-":
        target.append(operation["value"])
        return
    index = _index(target, last, path, grows=op == "add")
    if op == "add":
        target.insert(index, operation["value"])
    elif op == "replace":
        target[index] = operation["value"]
    else:
        del target[index]


def _child(target: Any, part: str, path: str) -> Any:
    if isinstance(target, list):
        return target[_index(target, part, path, grows=False)]
    if isinstance(target, dict):
        return target.setdefault(part, {}) if target.get(part) is None else target[part]
    raise PatchError(f"{path} does not exist")


def _index(target: list[Any], part: str, path: str, *, grows: bool) -> int:
    index = whole(part)
    if index is None or index >= len(target) + grows:
        raise PatchError(f"{path} does not exist")
    return index


def _unescape(part: str) -> str:
    return part.replace("~1", "/").replace("~0", "~")
