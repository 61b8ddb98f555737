"""Listings of the Schema Registry: filter, order, start and limit (platform.md 10)."""

from __future__ import annotations

import re
from typing import Any

from aiohttp import web

from tests.emulators.aep import errors
from tests.emulators.aep.numbers import whole

_MAXIMUM = 300
_PROPERTY = re.compile(r"^(?P<path>[\w$:.@-]+?)(?P<op>==|!=|<=|>=|<|>|~)(?P<value>.*)$", re.DOTALL)

_NEXT_FILTER = re.compile(r",(?=[\w$:.@-]+(?:==|!=|<=|>=|<|>|~))")

Document = dict[str, Any]


def matching(request: web.Request, documents: list[Document]) -> list[Document]:
    """The documents that every ``property`` of the query accepts; one may hold several, comma-separated.
    A comma within a value does not end it.
    """
    filters = [part for text in request.query.getall("property", []) for part in _NEXT_FILTER.split(text)]
    return [d for d in documents if all(_accepts(d, part) for part in filters)]


def page(request: web.Request, documents: list[Document], *, orderby: str = "title") -> Document:
    """One page. ``start`` is a value of the ordering field; equal values never straddle two pages."""
    parameters = request.query
    orderby = parameters.get("orderby", orderby).split(",")[0].strip()
    name, descending = orderby.lstrip("+- "), orderby.startswith("-")
    found = matching(request, documents)
    found.sort(key=lambda d: _key(d, name), reverse=descending)
    if (start := parameters.get("start")) is not None:
        found = [d for d in found if (_key(d, name) <= start if descending else _key(d, name) >= start)]
    limit = _limit(parameters.get("limit"))
    end = min(limit, len(found))
    while 0 < end < len(found) and _key(found[end], name) == _key(found[end - 1], name):
        end += 1
    following = _key(found[end], name) if end < len(found) else None
    query = f"?orderby={orderby}&limit={limit}&start={following}"
    href = f"{request.path}{query}" if following is not None else None
    return {
        "results": found[:end],
        "_page": {"orderby": orderby, "next": following, "count": end},
        "_links": {"next": {"href": href} if href else None},
    }


def _accepts(document: Document, text: str) -> bool:
    match = _PROPERTY.match(text)
    if match is None:
        raise errors.xdm("XDM-1014-400", "Invalid filter", f"The filter {text!r} cannot be read")
    have, want = _key(document, match["path"]), match["value"].strip('"')
    match match["op"]:
        case "==":
            return have == want
        case "!=":
            return have != want
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
    value: Any = document.get(name)
    if value is None:
        value = document
        for part in name.split("."):
            value = value.get(part) if isinstance(value, dict) else None
    return "" if value is None else str(value)


def _limit(text: str | None) -> int:
    if text is None:
        return _MAXIMUM
    limit = whole(text)
    if not limit:
        raise errors.xdm("XDM-1014-400", "Invalid limit", f"limit {text!r} is not a positive number")
    return min(limit, _MAXIMUM)
