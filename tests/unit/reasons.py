"""The reasons in the code and those in a page, for the tests that hold one to the other."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "operator" / "crmflow"

# Position of the reason in what makes an outcome, a finding or an error.
POSITIONS = {
    "stalled": 0,
    "waiting": 0,
    "StalledError": 0,
    "WaitingError": 0,
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
}
REASON = re.compile(r"[A-Z][A-Za-z]+")


def reasons_in(source: str) -> set[str]:
    """The literal reasons of a module."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            position = POSITIONS.get(name)
            if position is not None and len(node.args) > position:
                found |= _texts(node.args[position])
        elif isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple) and node.value.elts:
            first = node.value.elts[0]  # of (reason, message)
            if isinstance(first, ast.Constant):
                found.add(str(first.value))
    return {reason for reason in found if REASON.fullmatch(reason)}


def _texts(argument: ast.expr) -> set[str]:
    """The literal, or both of ``a if … else b``."""
    if isinstance(argument, ast.IfExp):
        return _texts(argument.body) | _texts(argument.orelse)
    return (
        {argument.value} if isinstance(argument, ast.Constant) and isinstance(argument.value, str) else set()
    )


def reasons_below(*paths: str) -> set[str]:
    """The reasons of modules, and of all modules of packages, below the operator's package."""
    files = [file for path in paths for file in _files(PACKAGE / path)]
    return {reason for file in files for reason in reasons_in(file.read_text())}


def _files(path: Path) -> list[Path]:
    return sorted(path.rglob("*.py")) if path.is_dir() else [path]


def documented_in(page: str) -> set[str]:
    """The reasons in the first column of a page's tables."""
    first_cells = (line.split("|")[1] for line in page.splitlines() if line.startswith("| `"))
    return {reason for cell in first_cells for reason in re.findall(r"`([A-Z][A-Za-z]+)`", cell)}
