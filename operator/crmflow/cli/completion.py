"""Completion, as kubectl asks a plugin for it: the program ``kubectl_complete-crmflow``.

kubectl runs it with the words typed so far, the last of them being the one to complete, and reads lines of
the form ``word<tab>description`` and a last one with a directive.
"""

from __future__ import annotations

import os
import shlex
import sys
from contextlib import redirect_stderr

from crmflow.environment import ensure_home

_VARIABLE = "_CRMFLOW_COMPLETE"
_ANYTHING, _NO_FILES = ":0", ":4"
_TAKE_A_FILE = (
    "--kubeconfig",
    "--certificate-authority",
    "--client-certificate",
    "--client-key",
    "--report",
    "--client-secret-file",
    "--filename",
    "-f",
)


_WRITE_FILES = ("import", "new")
"""The commands whose output goes into a file or a folder."""


def main() -> int:
    """Complete ``sys.argv``; nothing is written but what completes."""
    # typer registers its shells only for an app with options that install completion, which kubectl does.
    from typer.completion import completion_init  # type: ignore[attr-defined]

    from crmflow.cli.main import app

    ensure_home()
    completion_init()
    *before, last = sys.argv[1:] or [""]
    # fish is the shell whose lines are those that kubectl reads.
    os.environ[_VARIABLE] = "complete_fish"
    os.environ["_TYPER_COMPLETE_FISH_ACTION"] = "get-args"
    os.environ["_TYPER_COMPLETE_ARGS"] = f"{shlex.join(['kubectl-crmflow', *before])} {last}"
    os.environ["COLUMNS"] = "1000"  # a description is one line
    try:
        with redirect_stderr(None):
            app(args=[], prog_name="kubectl-crmflow", complete_var=_VARIABLE)
    except SystemExit:
        sys.stdout.write(f"{_ANYTHING if _takes_a_file(before) else _NO_FILES}\n")
    return 0


def _takes_a_file(before: list[str]) -> bool:
    """Whether a file is what the words so far ask for."""
    if before and before[0] in _WRITE_FILES and before[-1] in ("-o", "--output"):
        return True
    return bool(before) and before[-1] in _TAKE_A_FILE
