"""The command line: it answers at once, and gives nothing away."""

from __future__ import annotations

import subprocess
import sys

import pytest

from hack.install import ROOT

# typer itself takes pydantic to the arguments; our models are what would be slow.
SLOW = ("kubernetes", "httpx", "rich", "aiohttp", "kopf", "structlog", "crmflow.api", "crmflow.zoho")
CODE = "1000.0123456789abcdef0123456789abcdef.0123456789abcdef0123456789abcdef"


def run(*arguments: str, interpreter: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *interpreter, "-m", "crmflow.cli", *arguments],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT / "operator"), "PATH": "", "COLUMNS": "100"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("arguments", [["--help"], ["authorize", "--help"], ["--version"], []])
def test_help_imports_nothing_slow(arguments: list[str]) -> None:
    answer = run(*arguments, interpreter=("-X", "importtime"))
    assert answer.returncode == 0
    imported = {line.split("|")[2].strip() for line in answer.stderr.splitlines() if line.count("|") == 2}
    assert "typer" in imported
    assert [name for name in sorted(imported) if f"{name}.".startswith(tuple(f"{s}." for s in SLOW))] == []


def test_help_tells_every_option() -> None:
    text = run("authorize", "--help").stdout
    for option in (
        "--namespace",
        "--kubeconfig",
        "--context",
        "--redirect-uri",
        "--paste",
        "--grant-token",
        "--print",
        "--scopes",
        "--client-id",
        "--client-secret-file",
        "--client-data-center",
        "--no-browser",
        "--timeout",
    ):
        assert option in text


def test_a_secret_typed_in_the_wrong_place_is_not_repeated() -> None:
    """``--grant-token`` takes no value: a value on the command line shows in the list of processes."""
    answer = run("authorize", "zoho-eu", "--grant-token", CODE)
    assert answer.returncode == 2
    assert answer.stderr
    assert CODE not in answer.stdout + answer.stderr


def test_what_is_wrong_goes_to_standard_error() -> None:
    answer = run("authorize", "zoho-eu", "--kubeconfig=/nonexistent")
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr.splitlines()[-2].startswith("error: No cluster")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--timeout=soon", "--timeout: must be a duration"),
        ("--scopes=,", "--scopes names no scope"),
    ],
)
def test_values_are_checked_before_anything_else(option: str, message: str) -> None:
    answer = run("authorize", "zoho-eu", "--kubeconfig=/nonexistent", option)
    assert answer.returncode == 1
    assert message in answer.stderr
