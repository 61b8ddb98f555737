"""COQL: ``select … from … where … order by … limit …`` over the records (zoho.md 3.7).

The contract names the errors and limits, not the grammar; this is the documented language without aggregates
of groups: comparisons joined by ``and`` and ``or`` in explicit brackets, and lookups followed by a dot.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from . import access
from .call import Call
from .comparing import COMPARISONS, comparable, compared
from .errors import CrmError, invalid_data, mandatory_not_found
from .model import Module, Record
from .records import usable_module

MAX_CONDITIONS = 25
DEFAULT_ROWS = 200
_AGGREGATES: dict[str, Callable[[list[Any]], Any]] = {
    "COUNT": len,
    "SUM": sum,
    "AVG": lambda values: sum(values) / len(values) if values else None,
    "MIN": lambda values: min(values, default=None),
    "MAX": lambda values: max(values, default=None),
}
_TOKEN = re.compile(
    r"""\s*(?:(?P<text>'(?:[^'\\]|\\.)*')"""
    r"""|(?P<number>-?\d+(?:\.\d+)?(?![\w:.-]))"""
    r"""|(?P<symbol>!=|<>|<=|>=|[=<>(),])"""
    r"""|(?P<word>[\w.:+-]+))"""
)
_KEYWORDS = frozenset(
    """
    select from where order by limit and or not is null in like between as asc desc
    """.split()  # noqa: SIM905 - a list of so many words is read more easily so
)
Condition = Callable[[Record], bool]


@dataclass(frozen=True)
class _Column:
    """A field, or an aggregate of one, under the name that it has in the answer."""

    name: str
    field: str
    aggregate: str | None = None


@dataclass
class _Query:
    columns: list[_Column]
    module: str
    order: list[tuple[str, bool]] = field(default_factory=list)
    offset: int = 0
    count: int = DEFAULT_ROWS


def coql(call: Call) -> dict[str, Any] | None:
    """``POST /coql``; None (204) if no row fits."""
    text = call.body.get("select_query") if isinstance(call.body, dict) else None
    if text is None:
        raise mandatory_not_found("select_query")
    if not isinstance(text, str):
        raise invalid_data("select_query")
    return _Parser(call, text).answer()


def cost(call: Call) -> int:
    """Credits: 1 for up to 200 rows asked for, 2 for up to 1,000, 3 above (zoho.md 3.1)."""
    text = str(call.body.get("select_query", "")) if isinstance(call.body, dict) else ""
    limit = re.search(r"\blimit\s+(?:\d+\s*,\s*)?(\d+)\s*$", text, re.IGNORECASE)
    rows = int(limit[1]) if limit else DEFAULT_ROWS
    return 1 if rows <= 200 else 2 if rows <= 1000 else 3


class _Parser:
    """Reads a query from left to right, builds its condition, and answers it."""

    def __init__(self, call: Call, text: str) -> None:
        self._call = call
        self._text = text
        self._tokens = list(_scan(text))
        self._at = 0
        self._conditions = 0
        self._lookups: set[str] = set()
        self._module: Module | None = None

    def answer(self) -> dict[str, Any] | None:
        self._keyword("select")
        columns = self._columns()
        self._keyword("from")
        query = _Query(columns, self._name())
        self._module = module = self._usable(query.module)
        self._check_columns(columns)
        if not self._is_keyword("where"):
            raise _syntax_error(clause="where")
        self._at += 1
        condition = self._any()
        self._tail(query)
        self._check_joins()
        found = [record for record in self._call.state.visible(module).values() if condition(record)]
        for name, descending in reversed(query.order):
            found.sort(key=lambda record: _sortable(self._value(record, name)), reverse=descending)
        return self._rows(query, found)

    def _rows(self, query: _Query, found: list[Record]) -> dict[str, Any] | None:
        if any(column.aggregate for column in query.columns):
            rows = [{column.name: self._aggregate(column, found) for column in query.columns}]
            more = False
        else:
            shown = found[query.offset : query.offset + query.count]
            rows = [self._row(query.columns, record) for record in shown]
            more = query.offset + query.count < len(found)
        if not rows:
            return None
        return {"data": rows, "info": {"count": len(rows), "more_records": more}}

    def _row(self, columns: list[_Column], record: Record) -> Record:
        row = {column.name: self._shown(self._value(record, column.field)) for column in columns}
        return {**row, "id": record["id"]}

    @staticmethod
    def _shown(value: Any) -> Any:
        """A lookup shows its id alone."""
        return {"id": value["id"]} if isinstance(value, dict) and "id" in value else value

    def _aggregate(self, column: _Column, found: list[Record]) -> Any:
        values = [comparable(self._value(record, column.field)) for record in found]
        return _AGGREGATES[column.aggregate or ""]([value for value in values if value is not None])

    # --- the parts of a query ---------------------------------------------------------------------------

    def _columns(self) -> list[_Column]:
        columns = [self._column()]
        while self._symbol(","):
            columns.append(self._column())
        return columns

    def _column(self) -> _Column:
        name = self._name()
        aggregate = None
        if name.upper() in _AGGREGATES and self._symbol("("):
            aggregate, name = name.upper(), self._name()
            self._expect(")")
        shown = f"{aggregate}({name})" if aggregate else name
        if self._is_keyword("as"):
            self._at += 1
            shown = self._name()
            if not re.fullmatch(r"[A-Za-z]\w*", shown):
                raise CrmError(400, "INVALID_ALIAS", "the alias is not valid", {"alias": shown})
        return _Column(shown, name, aggregate)

    def _check_columns(self, columns: list[_Column]) -> None:
        names, fields = [column.name for column in columns], [(c.field, c.aggregate) for c in columns]
        if len(set(fields)) != len(fields):
            raise CrmError(400, "DUPLICATE_DATA", "a column is selected twice", {})
        if len(set(names)) != len(names):
            raise CrmError(400, "DUPLICATE_ALIAS", "an alias is given twice", {})
        if len(columns) > self._call.state.switches.coql_columns:
            raise _limit_exceeded()
        for column in columns:
            self._check_field(column.field)

    def _any(self) -> Condition:
        """Conditions with one operator between them; ``and`` beside ``or`` needs brackets."""
        conditions, joined_by = [self._one()], None
        while self._is_keyword("and") or self._is_keyword("or"):
            operator = self._next().lower()
            if joined_by not in (None, operator):
                raise _syntax_error(operator=operator, near=self._near())
            joined_by = operator
            conditions.append(self._one())
        decide = any if joined_by == "or" else all
        return lambda record: decide(condition(record) for condition in conditions)

    def _one(self) -> Condition:
        if self._symbol("("):
            inner = self._any()
            self._expect(")")
            return inner
        self._conditions += 1
        if self._conditions > MAX_CONDITIONS:
            raise _limit_exceeded()
        name = self._name()
        self._check_field(name)
        test = self._test()
        return lambda record: test(comparable(self._value(record, name)))

    def _test(self) -> Callable[[Any], bool]:
        if self._is_keyword("is"):
            self._at += 1
            negated = self._optional("not")
            self._keyword("null")
            return lambda value: (value is not None) is negated
        negated = self._optional("not")
        holds = self._membership() if negated else self._comparison() or self._membership()
        return lambda value: value is not None and holds(value) is not negated

    def _comparison(self) -> Callable[[Any], bool] | None:
        compare = COMPARISONS.get(self._peek())
        if compare is None:
            return None
        self._at += 1
        wanted = self._literal()
        return lambda value: compared(compare, value, wanted)

    def _membership(self) -> Callable[[Any], bool]:
        operator = self._next().lower()
        if operator == "in":
            self._expect("(")
            values = [self._literal()]
            while self._symbol(","):
                values.append(self._literal())
            self._expect(")")
            return lambda value: any(compared(COMPARISONS["="], value, wanted) for wanted in values)
        if operator == "like":
            pattern = ".*".join(map(re.escape, str(self._literal()).split("%")))
            return lambda value: re.fullmatch(pattern, str(value), re.IGNORECASE | re.DOTALL) is not None
        if operator == "between":
            low = self._literal()
            self._keyword("and")
            high = self._literal()
            return lambda value: (
                compared(COMPARISONS[">="], value, low) and compared(COMPARISONS["<="], value, high)
            )
        raise _syntax_error(operator=operator, near=self._near())

    def _tail(self, query: _Query) -> None:
        if self._is_keyword("order"):
            self._at += 1
            self._keyword("by")
            query.order = [self._sorting()]
            while self._symbol(","):
                query.order.append(self._sorting())
        if self._is_keyword("limit"):
            self._at += 1
            query.count = self._integer()
            if self._symbol(","):
                query.offset, query.count = query.count, self._integer()
        if self._at < len(self._tokens):
            raise self._unexpected()
        if not 1 <= query.count <= self._call.state.switches.coql_rows:
            raise _limit_exceeded()

    def _sorting(self) -> tuple[str, bool]:
        name = self._name()
        self._check_field(name)
        descending = self._is_keyword("desc")
        if descending or self._is_keyword("asc"):
            self._at += 1
        return name, descending

    # --- modules and fields -----------------------------------------------------------------------------

    def _usable(self, name: str) -> Module:
        module = usable_module(self._call, name)
        access.check_module(self._call.state, self._call.organization, self._call.user, name)
        return module

    def _check_field(self, name: str) -> None:
        module = self._module
        assert module is not None
        *lookups, last = name.split(".")
        for lookup in lookups:
            self._lookups.add(lookup)
            spec = module.fields.get(lookup)
            target = self._call.organization.modules.get(spec.lookup or "") if spec else None
            if target is None:
                raise _invalid_query(column_name=name)
            module = target
        if last != "id" and last not in module.fields:
            raise _invalid_query(column_name=name)

    def _check_joins(self) -> None:
        if len(self._lookups) > self._call.state.switches.coql_joins:
            raise _limit_exceeded()

    def _value(self, record: Record, name: str) -> Any:
        module, value = self._module, record
        *lookups, last = name.split(".")
        for lookup in lookups:
            assert module is not None
            reference, spec = value.get(lookup), module.fields[lookup]
            module = self._call.organization.modules.get(spec.lookup or "")
            found = module.records.get(reference["id"]) if module and reference else None
            if found is None:
                return None
            value = found
        return value.get(last)

    # --- tokens -----------------------------------------------------------------------------------------

    def _peek(self) -> str:
        return self._tokens[self._at].text if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        text = self._peek()
        if not text:
            raise self._unexpected()
        self._at += 1
        return text

    def _is_keyword(self, word: str) -> bool:
        return self._at < len(self._tokens) and self._peek().lower() == word

    def _optional(self, word: str) -> bool:
        there = self._is_keyword(word)
        self._at += there
        return there

    def _keyword(self, word: str) -> None:
        if not self._optional(word):
            raise self._unexpected()

    def _symbol(self, symbol: str) -> bool:
        there = self._peek() == symbol
        self._at += there
        return there

    def _expect(self, symbol: str) -> None:
        if not self._symbol(symbol):
            raise self._unexpected()

    def _name(self) -> str:
        if self._at >= len(self._tokens) or self._tokens[self._at].kind != "word":
            raise self._unexpected()
        if self._peek().lower() in _KEYWORDS:
            raise self._unexpected()
        return self._next()

    def _literal(self) -> Any:
        if self._at >= len(self._tokens):
            raise self._unexpected()
        token = self._tokens[self._at]
        if token.kind == "symbol":
            raise self._unexpected()
        self._at += 1
        return token.value

    def _integer(self) -> int:
        value = self._literal()
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise _invalid_query(limit=str(value))
        return value

    def _near(self) -> str:
        return self._peek()

    def _unexpected(self) -> CrmError:
        where = self._tokens[self._at].start if self._at < len(self._tokens) else len(self._text)
        before = self._text[:where]
        line = before.count("\n") + 1
        return _syntax_error(line=line, column=where - (before.rfind("\n") + 1) + 1, near=self._near())


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    start: int

    @property
    def value(self) -> Any:
        if self.kind == "text":
            return re.sub(r"\\(.)", r"\1", self.text[1:-1])
        if self.kind == "number":
            return float(self.text) if "." in self.text else int(self.text)
        return {"true": True, "false": False}.get(self.text.lower(), self.text)


def _scan(text: str) -> list[_Token]:
    tokens, at, end = [], 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            before = text[:at]
            raise _syntax_error(
                line=before.count("\n") + 1, column=at - before.rfind("\n"), near=text[at : at + 10].strip()
            )
        kind = str(match.lastgroup)
        tokens.append(_Token(kind, match[kind], match.start(kind)))
        at = match.end()
    return tokens


def _sortable(value: Any) -> tuple[bool, Any]:
    key = comparable(value)
    if key is None:
        return False, ""
    return True, key if isinstance(key, int | float) else str(key)


def _syntax_error(**details: Any) -> CrmError:
    return CrmError(400, "SYNTAX_ERROR", "error occurred while parsing the query", details)


def _invalid_query(**details: Any) -> CrmError:
    return CrmError(400, "INVALID_QUERY", "invalid query formed", details)


def _limit_exceeded() -> CrmError:
    return CrmError(400, "LIMIT_EXCEEDED", "the limit of the query is exceeded", {})
