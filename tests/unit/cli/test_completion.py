"""What kubectl is told when somebody presses Tab."""

from __future__ import annotations

import subprocess
import sys

import pytest

from hack.install import ROOT


def complete(*words: str) -> list[str]:
    """The lines for these words, the last of them being typed."""
    answer = subprocess.run(
        [sys.executable, "-c", "from crmflow.cli.completion import main; main()", *words],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT / "operator"), "PATH": "", "KUBECONFIG": "/nonexistent"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (answer.returncode, answer.stderr) == (0, "")
    return answer.stdout.splitlines()


def test_commands_with_what_they_do() -> None:
    *lines, directive = complete("")
    assert {line.split("\t")[0] for line in lines} == {
        "authorize",
        "explore",
        "allowlist",
        "doctor",
        "approve",
        "status",
        "errors",
        "plan",
        "import",
        "new",
    }
    assert all(len(line.split("\t")) == 2 for line in lines)
    assert directive == ":4"


@pytest.mark.parametrize(
    ("words", "completions", "directive"),
    [
        (("doc",), ["doctor"], ":4"),
        (("doctor", "--l"), ["--live"], ":4"),
        (("explore", "zoho-eu", "--output", ""), ["json", "yaml"], ":4"),
        (("doctor", "zoho-eu", "--report", "re"), [], ":0"),
        (("explore", "zo"), [], ":4"),  # no cluster to ask
        (("approve", "co"), [], ":4"),
        (("plan", "con"), [], ":4"),
        (("plan", "-f", "da"), [], ":0"),
        (("plan", "contacts", "-o", "m"), ["markdown"], ":4"),
        (("import", "-o", "ma"), [], ":0"),
        (("new", "data"), ["dataflow"], ":4"),
        (("new", "dataflow", "--connection", "zo"), [], ":4"),
        (("new", "dataflow", "--output", "co"), [], ":0"),
        (("explore", "it's", "--pre"), ["--preview"], ":4"),
    ],
)
def test_completions(words: tuple[str, ...], completions: list[str], directive: str) -> None:
    *lines, last = complete(*words)
    assert ([line.split("\t")[0] for line in lines if line], last) == (completions, directive)
