"""A small reader of Data Prep expressions: paths, literals, function calls and operators."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.emulators.aep.dataprep import functions

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>\d{1,15}(?:\.\d{1,15})?)
      | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | \$\{(?P<quoted>[^{}]+)\}
      | (?P<name>[A-Za-z_$][\w$]*(?:(?:\.|\\\.)[A-Za-z_$][\w$]*|\[\d*\*?\])*)
      | (?P<operator>\|\||&&|==|!=|<=|>=|[-+*/%<>!(),])
    )""",
    re.VERBOSE,
)
_LITERALS = {"null": None, "true": True, "false": False}
_PRECEDENCE = (
    {"||", "or"},
    {"&&", "and"},
    {"==", "!="},
    {"<", "<=", ">", ">="},
    {"+", "-"},
    {"*", "/", "%"},
)
_DEEPEST = 50


class ExpressionError(Exception):
    """The expression cannot be read, or not computed."""


class NotEmulatedError(ExpressionError):
    """A function of Data Prep that has no body here."""


@dataclass(frozen=True)
class Unreadable:
    """In the place of an expression that cannot be read."""

    reason: str


@dataclass(frozen=True)
class Literal:
    """A constant."""

    value: Any


@dataclass(frozen=True)
class Path:
    """A column, or a member of a structured one."""

    name: str


@dataclass(frozen=True)
class Call:
    """A function with its arguments; operators are calls too."""

    name: str
    arguments: tuple[Node, ...]


Node = Literal | Path | Call | Unreadable


def parse(text: str) -> Node:
    """The tree of an expression; raises ExpressionError, also for a function that Data Prep does not have."""
    reader = _Reader(list(_tokens(text)))
    node = reader.binary(0)
    reader.expect_end()
    return node


def is_path(text: str) -> bool:
    """Whether the text is the path of an attribute and nothing else."""
    try:
        return isinstance(parse(text), Path)
    except ExpressionError:
        return False


def paths(node: Node) -> Iterator[str]:
    """Every column that the expression reads."""
    if isinstance(node, Path):
        yield node.name
    elif isinstance(node, Call):
        for argument in node.arguments:
            yield from paths(argument)


def evaluate(node: Node, row: Mapping[str, Any]) -> Any:
    """The value for one row; raises ExpressionError."""
    if isinstance(node, Literal):
        return node.value
    if isinstance(node, Path):
        return lookup(node.name, row)
    if isinstance(node, Unreadable):
        raise ExpressionError(node.reason)
    values = [evaluate(argument, row) for argument in node.arguments]
    function = _OPERATIONS.get(node.name) or functions.IMPLEMENTED.get(node.name.lower())
    if function is None:
        raise NotEmulatedError(f"{node.name} cannot be previewed here")
    try:
        return function(*values)
    except (TypeError, ValueError, ZeroDivisionError, re.error) as error:
        raise ExpressionError(f"{node.name}: {error}") from None


def lookup(path: str, row: Mapping[str, Any]) -> Any:
    """The value at a path of a row, None if there is none."""
    if path in row:
        return row[path]
    value: Any = row
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    position = 0
    while text[position:].strip():
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise ExpressionError(f"unexpected character at {position}")
        yield match.lastgroup, match[match.lastgroup]
        position = match.end()


class _Reader:
    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._next = 0
        self._depth = 0

    def binary(self, level: int) -> Node:
        if level == len(_PRECEDENCE):
            return self._unary()
        node = self.binary(level + 1)
        while self._peek()[1] in _PRECEDENCE[level] and self._peek()[0] != "string":
            name = self._take()[1]
            node = Call(name, (node, self.binary(level + 1)))
        return node

    def expect_end(self) -> None:
        if self._next < len(self._tokens):
            raise ExpressionError(f"unexpected {self._peek()[1]}")

    def _unary(self) -> Node:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ExpressionError("nested too deeply")
        try:
            if self._peek() in (("operator", "-"), ("operator", "!")):
                name = self._take()[1]
                return Call(f"unary{name}", (self._unary(),))
            return self._primary()
        finally:
            self._depth -= 1

    def _primary(self) -> Node:
        kind, text = self._take()
        if kind == "number":
            return Literal(float(text) if "." in text else int(text))
        if kind == "string":
            return Literal(re.sub(r"\\(.)", r"\1", text[1:-1]))
        if kind == "quoted":
            return Path(text)
        if (kind, text) == ("operator", "("):
            node = self.binary(0)
            self._expect(")")
            return node
        if kind != "name" or text in ("and", "or"):
            raise ExpressionError(f"unexpected {text or 'end'}")
        if self._peek() == ("operator", "("):
            return self._call(text)
        return Literal(_LITERALS[text]) if text in _LITERALS else Path(text)

    def _call(self, name: str) -> Node:
        if name.lower() not in functions.NAMES:
            raise ExpressionError(f"unknown function {name}")
        self._take()
        arguments: list[Node] = []
        if self._peek() != ("operator", ")"):
            arguments.append(self.binary(0))
            while self._peek() == ("operator", ","):
                self._take()
                arguments.append(self.binary(0))
        self._expect(")")
        return Call(name, tuple(arguments))

    def _expect(self, symbol: str) -> None:
        if self._take() != ("operator", symbol):
            raise ExpressionError(f"{symbol} expected")

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._next] if self._next < len(self._tokens) else ("end", "")

    def _take(self) -> tuple[str, str]:
        token = self._peek()
        self._next += 1
        return token


def _plus(a: Any, b: Any) -> Any:
    if isinstance(a, str) or isinstance(b, str):
        return functions.IMPLEMENTED["concat"](a, b)
    return a + b


def _arithmetic(operation: Callable[[Any, Any], Any]) -> functions.Function:
    """For numbers only: Python would repeat and format strings."""

    def compute(a: Any, b: Any) -> Any:
        if not (isinstance(a, int | float) and isinstance(b, int | float)):
            raise TypeError("numbers are expected")
        return operation(a, b)

    return compute


_OPERATIONS: dict[str, functions.Function] = {
    "+": _plus,
    "-": _arithmetic(operator.sub),
    "*": _arithmetic(operator.mul),
    "/": _arithmetic(operator.truediv),
    "%": _arithmetic(operator.mod),
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "&&": lambda a, b: bool(a and b),
    "and": lambda a, b: bool(a and b),
    "||": lambda a, b: bool(a or b),
    "or": lambda a, b: bool(a or b),
    "unary-": lambda a: -a,
    "unary!": lambda a: not a,
}
