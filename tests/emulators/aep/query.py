"""Filtering, sorting and paging of Flow Service listings (platform.md 3)."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.emulators.aep import errors
from tests.emulators.aep.numbers import whole
from tests.emulators.aep.switches import AepSwitches

_FILTER = re.compile(r"^\s*(?P<path>[^=<>!~]*?)\s*(?P<op>[=<>!~]+)(?P<value>.*)$", re.DOTALL)
_WORDS = ("state", "status")
"""Fields that hold words, in any spelling: filters say Failed where runs say failed (platform.md 7.1)."""
_OPERATORS = {"==", ">", "<", ">=", "<="}
_VALUE = re.compile(r'\s*(?:"(?P<quoted>[^"]*)"|(?P<plain>(?!\s*")[^,]*))\s*(?:,|$)')

Item = dict[str, Any]


class Listed:
    """An item of a listing. Its full form costs something and is made only when it is asked for.

    ``known`` holds members that read the same in the full form.
    """

    def __init__(self, known: Item, render: Callable[[], Item]) -> None:
        self._known = known
        self._render = render
        self._item: Item | None = None

    @classmethod
    def ready(cls, item: Item) -> Listed:
        """An item that costs nothing."""
        return cls(item, lambda: item)

    def item(self) -> Item:
        """The full form."""
        if self._item is None:
            self._item = self._render()
        return self._item

    def having(self, name: str) -> Item:
        """A form that shows the member of that name as the full form does."""
        return self._known if name in self._known else self.item()


@dataclass(frozen=True)
class Filter:
    """One ``property`` parameter: any of ``values`` may hold."""

    path: tuple[str, ...]
    op: str
    values: tuple[str, ...]

    def accepts(self, listed: Listed) -> bool:
        """Whether any value at the path compares with any of the wanted ones."""
        found = list(_at(listed.having(self.path[0]), self.path))
        if self.path[-1] in _WORDS and self.op == "==":
            return not {_folded(word) for word in found}.isdisjoint(map(_folded, self.values))
        return any(_compare(have, self.op, want) for have in found for want in self.values)


@dataclass
class Query:
    """A listing request. A continuation token carries all of it, so that ``_links.next`` is complete."""

    filters: list[str] = field(default_factory=list)
    orderby: str = ""
    limit: int = 20
    count: bool = False
    skip: int = 0


def parse(request: web.Request, switches: AepSwitches, now: float) -> Query:
    """The query of a request; raises Flow Service's filter errors (platform.md 2.3)."""
    parameters = request.query
    if token := parameters.get("continuationToken"):
        return _continued(token, switches, now)
    count = _boolean(parameters.get("count"))
    if count and "limit" in parameters:
        raise errors.flow("FLOW-1401-400", "Invalid query", "limit and count cannot be given together")
    return Query(
        filters=parameters.getall("property", []),
        orderby=parameters.get("orderby", ""),
        limit=_limit(parameters.get("limit"), switches),
        count=count,
    )


def from_search(body: Any, switches: AepSwitches) -> Query:
    """The query of a search body. The syntax of ``queryString`` is not published: ``property=…`` is taken."""
    if not isinstance(body, dict):
        raise errors.flow("FLOW-1405-400", "Empty body", "The search request has no body")
    text = str(body.get("queryString") or "")
    limit = body.get("limit")
    return Query(
        filters=[part.removeprefix("property=") for part in text.split("&") if part],
        orderby=str(body.get("orderby") or ""),
        limit=_limit(None if limit is None else str(limit), switches),
        count=body.get("count") is True,
    )


def page(
    items: Iterable[Listed], query: Query, path: str, fields: frozenset[str], now: float
) -> dict[str, Any]:
    """One page of the ``items`` that match; ``fields`` are the names that a filter may begin with."""
    filters = [parse_filter(text, fields) for text in query.filters]
    found = [item for item in items if all(f.accepts(item) for f in filters)]
    if query.count:
        return {"count": len(found)}
    for name, descending in reversed(_order(query.orderby, fields)):
        found.sort(key=lambda item, name=name: _sort_key(item, name), reverse=descending)  # type: ignore[misc]
    end = query.skip + query.limit
    links = {}
    if end < len(found):
        links["next"] = {"href": f"{path}?continuationToken={_token(query, end, now)}"}
    return {"items": [listed.item() for listed in found[query.skip : end]], "_links": links}


def parse_filter(text: str, fields: frozenset[str]) -> Filter:
    """One ``property`` value; raises the filter errors 1440 and 1443 to 1454."""
    match = _FILTER.match(text)
    if match is None or not match["path"]:
        raise errors.flow("FLOW-1450-400", "Invalid filter", f"The filter {text!r} has no operator")
    op = match["op"]
    if op.startswith("~"):
        raise errors.flow("FLOW-1440-400", "Operator not implemented", "The operator ~ is not implemented")
    if op not in _OPERATORS:
        raise errors.flow("FLOW-1449-400", "Invalid filter", f"The operator {op} is unknown")
    path = tuple(part.removesuffix("[]") for part in match["path"].split("."))
    if path[0] not in fields:
        raise errors.flow("FLOW-1448-400", "Invalid filter", f"The field {match['path']} is unknown")
    values = tuple(_values(match["value"]))
    if len(values) > 1 and op != "==":
        raise errors.flow("FLOW-1443-400", "Invalid filter", f"{op} cannot be used with several values")
    return Filter(path, op, values)


def _values(text: str) -> Iterator[str]:
    position = 0
    while True:
        match = _VALUE.match(text, position)
        if match is None:
            raise errors.flow("FLOW-1454-400", "Invalid filter", f"The value {text!r} cannot be read")
        quoted = match["quoted"]
        yield quoted if quoted is not None else match["plain"].strip()
        if not match[0].endswith(","):
            return
        position = match.end()


def _at(value: Any, path: tuple[str, ...]) -> Iterator[Any]:
    if isinstance(value, list):
        for item in value:
            yield from _at(item, path)
    elif not path:
        yield value
    elif isinstance(value, dict) and path[0] in value:
        yield from _at(value[path[0]], path[1:])


def _compare(have: Any, op: str, want: str) -> bool:
    if have is None or isinstance(have, dict):
        return False
    left: Any = str(have).lower() if isinstance(have, bool) else have
    right: Any = want
    if op == "==" and not isinstance(have, int | float):
        return bool(str(left) == right)
    numbers = _number(left), _number(right)
    left, right = numbers if None not in numbers else (str(left), right)
    match op:
        case "==":
            return bool(left == right)
        case ">":
            return bool(left > right)
        case "<":
            return bool(left < right)
        case ">=":
            return bool(left >= right)
        case _:
            return bool(left <= right)


def _folded(word: Any) -> str:
    return str(word).lower().replace("_", "")


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _order(orderby: str, fields: frozenset[str]) -> list[tuple[str, bool]]:
    """Field names and whether they sort downwards; a ``+`` may have arrived as a space."""
    order = []
    for part in filter(None, (p.strip() for p in orderby.split(","))):
        name = part.lstrip("+-").strip()
        if name.split(".")[0].removesuffix("[]") not in fields:
            raise errors.flow("FLOW-1452-400", "Invalid orderby", f"The field {name} is unknown")
        order.append((name, part.startswith("-")))
    return order


def _sort_key(listed: Listed, name: str) -> tuple[int, float, str]:
    path = tuple(part.removesuffix("[]") for part in name.split("."))
    value = next(_at(listed.having(path[0]), path), None)
    if value is None:
        return (0, 0.0, "")
    if isinstance(value, int | float) and not isinstance(value, bool):
        return (1, float(value), "")
    return (2, 0.0, str(value))


def _limit(text: str | None, switches: AepSwitches) -> int:
    if text is None:
        return switches.defaultPageSize
    limit = whole(text)
    if not limit:
        raise errors.flow("FLOW-1453-400", "Invalid limit", f"limit must be a positive number, not {text!r}")
    return min(limit, switches.maximumPageSize)


def _boolean(text: str | None) -> bool:
    if text is None or text.lower() == "false":
        return False
    if text.lower() == "true":
        return True
    raise errors.flow("FLOW-1453-400", "Invalid count", f"count must be true or false, not {text!r}")


def _token(query: Query, skip: int, now: float) -> str:
    content = {"p": query.filters, "o": query.orderby, "l": query.limit, "s": skip, "t": now}
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


def _continued(token: str, switches: AepSwitches, now: float) -> Query:
    try:
        content = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        issued = float(content["t"])
        query = Query(list(content["p"]), str(content["o"]), int(content["l"]), False, int(content["s"]))
    except (ValueError, KeyError, TypeError):
        raise errors.flow("FLOW-1454-400", "Invalid token", "The continuationToken is not valid") from None
    life = switches.pageTokenSeconds
    if life is not None and now - issued > life:
        raise errors.flow("FLOW-1454-400", "Invalid token", "The continuationToken has expired")
    return query
