"""The reasons in the code and those in a page, for the tests that hold one to the other."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "operator" / "crmflow"

# Position of the reason in what makes an outcome, a finding or an error.
POSITIONS = {
    "stalled": 0,
    "waiting": 0,
    "StalledError": 0,
    "WaitingError": 0,
    "succeeded": 0,
    "failed": 0,
    "transient": 0,
    "Outcome": 1,
    "Finding": 1,
    "degraded": 0,
    "set_condition": 2,
    "Meaning": 1,
    "_Meaning": 1,
    "TransferError": 1,
    "_report": 1,
    "Treatment": 1,
    "_terminal": 0,
    "_refused": 0,
    "_spent": 0,
    "RemoteError": 3,
    "remote_error": 2,
    "_error": 1,
}
EVENTS = {"record_event": 0}
"""The same of what writes an event."""
ENUM = "Reason"
"""The name of an enum whose values are reasons."""
VARIABLE = "reason"
"""The name of a variable that holds one."""
REASON = re.compile(r"[A-Z][A-Za-z]+")


def reasons_in(source: str, positions: Mapping[str, int] = POSITIONS) -> set[str]:
    """The reasons that stand in a module, as literals or as constants of it."""
    module = ast.parse(source)
    constants = _constants(module)
    found = {
        text
        for node in ast.walk(module)
        for expression in _expressions(node, positions)
        for text in _texts(expression, constants)
    }
    return {reason for reason in found if REASON.fullmatch(reason)}


def _expressions(node: ast.AST, positions: Mapping[str, int]) -> Sequence[ast.expr]:
    """Where a reason may stand in a node."""
    match node:
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=arguments) if name in positions:
            return arguments[positions[name] : positions[name] + 1]
        case ast.Return(value=ast.Tuple(elts=[first, *_])):  # (reason, message)
            return [first]
        case ast.Assign(targets=[ast.Name(id=name)], value=value) if name == VARIABLE:
            return [value]
        case ast.ClassDef(name=name, body=body) if name == ENUM:
            return [statement.value for statement in body if isinstance(statement, ast.Assign)]
    return ()


def _constants(module: ast.Module) -> Mapping[str, str]:
    """The texts that a module gives names to."""
    return {
        statement.targets[0].id: statement.value.value
        for statement in module.body
        if isinstance(statement, ast.Assign)
        and isinstance(statement.targets[0], ast.Name)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    }


def _texts(argument: ast.expr, constants: Mapping[str, str]) -> set[str]:
    """The literal or the constant, or both of ``a if … else b``."""
    match argument:
        case ast.IfExp(body=body, orelse=orelse):
            return _texts(body, constants) | _texts(orelse, constants)
        case ast.Name(id=name) if name in constants:
            return {constants[name]}
        case ast.Constant(value=str() as text):
            return {text}
    return set()


def reasons_below(*paths: str, positions: Mapping[str, int] = POSITIONS) -> set[str]:
    """The reasons of modules, and of all modules of packages, below the operator's package."""
    files = [file for path in paths for file in _files(PACKAGE / path)]
    return {reason for file in files for reason in reasons_in(file.read_text(), positions)}


def _files(path: Path) -> list[Path]:
    return sorted(path.rglob("*.py")) if path.is_dir() else [path]


def documented_in(page: str) -> set[str]:
    """The reasons in the first column of a page's tables."""
    first_cells = (line.split("|")[1] for line in page.splitlines() if line.startswith("| `"))
    return {reason for cell in first_cells for reason in re.findall(r"`([A-Z][A-Za-z]+)`", cell)}
