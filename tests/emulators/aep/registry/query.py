"""Listings of the Schema Registry: filter, order, start and limit (platform.md 10)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from aiohttp import web

from tests.emulators.aep import errors
from tests.emulators.aep.numbers import whole
from tests.emulators.aep.switches import AepSwitches

_MAXIMUM = 300
_PROPERTY = re.compile(r"^(?P<path>[\w$:.@-]+?)(?P<op>==|!=|<=|>=|<|>|~)(?P<value>.*)$", re.DOTALL)
_FILTERS = re.compile(r",(?=[\w$:.@-]+(?:==|!=|<=|>=|<|>|~))")

Document = dict[str, Any]


def page(
    request: web.Request, documents: list[Document], switches: AepSwitches, order: str = "title"
) -> Document:
    """One page. ``start`` is the last value of the ordering field that the client has seen, and so is
    ``_page.next``: what comes after it follows. Equal values never straddle two pages.
    """
    parameters = request.query
    alone = "orderby" not in parameters and sorted({"limit", "start"}.intersection(parameters))
    if alone and switches.limitWithoutOrderby == "refused":
        raise errors.xdm("XDM-1014-400", "Invalid query", f"{alone[0]} needs orderby")
    orderby = parameters.get("orderby", order).split(",")[0].strip()
    name, descending = orderby.lstrip("+- "), orderby.startswith("-")
    found = matching(request, documents)
    found.sort(key=lambda d: _key(d, name), reverse=descending)
    if (start := parameters.get("start")) is not None:
        found = [d for d in found if (_key(d, name) < start if descending else _key(d, name) > start)]
    limit = _limit(parameters.get("limit"))
    end = min(limit, len(found))
    while 0 < end < len(found) and _key(found[end], name) == _key(found[end - 1], name):
        end += 1
    last = _key(found[end - 1], name) if end < len(found) else None
    query = f"?orderby={orderby}&limit={limit}&start={last}"
    href = None if last is None else f"{request.path.rstrip('/')}{query}"
    return {
        "results": found[:end],
        "_page": {"orderby": orderby, "next": last, "count": end},
        "_links": {"next": {"href": href} if href else None},
    }


def matching(request: web.Request, documents: list[Document]) -> list[Document]:
    """What every ``property`` parameter of the query accepts; one may hold several, comma-separated.
    A comma within a value does not end it.
    """
    filters = [text for entry in request.query.getall("property", []) for text in _FILTERS.split(entry)]
    return [d for d in documents if all(_accepts(d, text) for text in filters)]


def _accepts(document: Document, text: str) -> bool:
    """Of a list, any member may fulfill a filter; none may have a value that is excluded."""
    match = _PROPERTY.match(text)
    if match is None:
        raise errors.xdm("XDM-1014-400", "Invalid filter", f"The filter {text!r} cannot be read")
    want, op = match["value"].strip('"'), match["op"]
    have = list(_values(document, match["path"])) or [""]
    if op == "!=":
        return want not in have
    return any(_compare(value, op, want) for value in have)


def _compare(have: str, op: str, want: str) -> bool:
    match op:
        case "==":
            return have == want
        case "<":
            return have < want
        case ">":
            return have > want
        case "<=":
            return have <= want
        case ">=":
            return have >= want
        case _:
            return want.lower() in have.lower()


def _key(document: Document, name: str) -> str:
    return next(_values(document, name), "")


def _values(document: Document, name: str) -> Iterator[str]:
    value: Any = document.get(name)
    if value is None:
        value = document
        for part in name.split("."):
            value = value.get(part) if isinstance(value, dict) else None
    if value is not None:
        yield from map(str, value) if isinstance(value, list) else (str(value),)


def _limit(text: str | None) -> int:
    """A hint: 0 and what is above the maximum come to the maximum."""
    if text is None:
        return _MAXIMUM
    limit = whole(text)
    if limit is None:
        raise errors.xdm("XDM-1014-400", "Invalid limit", f"limit {text!r} is not a number")
    return min(limit or _MAXIMUM, _MAXIMUM)
