"""Completion, as kubectl asks a plugin for it: the program ``kubectl_complete-crmflow``.

kubectl runs it with the words typed so far, the last of them being the one to complete, and reads lines of
the form ``word<tab>description`` and a last one with a directive.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
from contextlib import redirect_stderr

import typer

_VARIABLE = "_CRMFLOW_COMPLETE"
_ANYTHING, _NO_FILES = ":0", ":4"
_TAKE_A_FILE = ("--kubeconfig", "--report", "--client-secret-file")
_SECONDS = 3.0


def main() -> int:
    """Complete ``sys.argv``; nothing is written but what completes."""
    # typer registers its shells only for an app with options that install completion, which kubectl does.
    from typer.completion import completion_init  # type: ignore[attr-defined]

    from crmflow.cli.main import app

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
        sys.stdout.write(f"{_ANYTHING if before and before[-1] in _TAKE_A_FILE else _NO_FILES}\n")
    return 0


def connections(context: typer.Context, incomplete: str) -> list[str]:
    """Names of the ZohoSourceConnections in the chosen namespace; none if they can't be found out."""
    from crmflow.cli.problem import Problem

    given = context.params
    try:
        names = asyncio.run(_names(given.get("kubeconfig"), given.get("context"), given.get("namespace")))
    except (Problem, TimeoutError):
        return []
    return [name for name in names if name.startswith(incomplete)]


async def _names(kubeconfig: str | None, context: str | None, namespace: str | None) -> list[str]:
    from crmflow.cli.cluster import Cluster

    async with asyncio.timeout(_SECONDS):
        cluster = await Cluster.connect(kubeconfig, context, namespace)
        try:
            return [connection.name for connection in await cluster.connections()]
        finally:
            await cluster.close()
