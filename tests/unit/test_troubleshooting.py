"""Every reason that a user can meet has its line in the troubleshooting page, and none of its lines is about
a reason that is gone.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "operator" / "crmflow"
PAGE = ROOT / "docs" / "guides" / "troubleshooting.md"

# Position of the reason in what makes an outcome, a finding or an error.
POSITIONS = {
    "stalled": 0,
    "waiting": 0,
    "transient": 0,
    "Outcome": 1,
    "Finding": 1,
    "find": 2,
    "Meaning": 1,
    "_terminal": 0,
    "_refused": 0,
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
                argument = node.args[position]
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    found.add(argument.value)
        elif isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple) and node.value.elts:
            first = node.value.elts[0]  # of (reason, message)
            if isinstance(first, ast.Constant):
                found.add(str(first.value))
    return {reason for reason in found if REASON.fullmatch(reason)}


def documented() -> set[str]:
    """The reasons in the first column of the page's tables."""
    first_cells = (line.split("|")[1] for line in PAGE.read_text().splitlines() if line.startswith("| `"))
    return {reason for cell in first_cells for reason in re.findall(r"`([A-Za-z]+)`", cell)}


def declared() -> set[str]:
    """Every reason in the package."""
    return {reason for path in PACKAGE.rglob("*.py") for reason in reasons_in(path.read_text())}


def test_each_reason_is_explained() -> None:
    assert declared() - documented() == set()


def test_no_line_is_about_a_reason_that_is_gone() -> None:
    code = "\n".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    assert {reason for reason in documented() if f'"{reason}"' not in code} == set()


def test_the_search_finds_reasons() -> None:
    assert {
        "SecretNotFound",
        "TableNotFound",
        "RefreshTokenRejected",
        "SourceWithdrawn",
        "Unreachable",
    } <= declared()
