"""What the demo shows at its end."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

from hack.console import ToolError
from hack.demo.environment import DIRECTORY, NAMESPACE, SHELL, Demo
from hack.demo.story import CONNECTION, DATAFLOW, FILES_DATAFLOW, get
from hack.install import ROOT

_ZOHO_TOKEN_SECONDS = 3600  # life of an access token (zoho.md 1.3)
REMOTE_TITLE = "What Adobe Experience Platform holds"
RUNS_TITLE = "What the last run of each dataflow ingested"
_RECORDS = ("read", "written", "skipped", "failed")
_REMOTE_KINDS = ("connections", "sourceConnections", "targetConnections", "mappingSets", "flows", "runs")


def print_result(demo: Demo, seconds_to_ready: float, *, keep: bool) -> None:
    """Resources, conditions, what was ingested, what Platform holds, the token's age, what to try next."""
    for kind in ("zohosourceconnections", "crmdataflows"):
        _heading(f"kubectl -n {NAMESPACE} get {kind}")
        print(demo.kubectl("get", kind, f"--namespace={NAMESPACE}"), end="")
    _print_conditions(demo)
    _heading(RUNS_TITLE)
    _print_table(["DATAFLOW", "TRANSPORT", "STATE", *map(str.upper, _RECORDS)], list(_runs(demo)))
    if not demo.runs_jobs:
        print("Left out: the landing zone, for which the demo runs Jobs on Linux, in a cluster of its own")
    state = demo.emulators.control.state()
    _heading(REMOTE_TITLE)
    _print_table(["KIND", "NAME", "STATE"], list(_remote_objects(state["aep"])))
    _heading("The Zoho access token")
    print(f"{_token_age(demo, state['zoho']):.0f} s old, valid for {_ZOHO_TOKEN_SECONDS} s")
    _heading(f"From the apply until both were Ready: {seconds_to_ready:.1f} s")
    if keep:
        _print_next_steps(demo)


def print_failure(demo: Demo) -> None:
    """The conditions and the end of the operator's log."""
    try:
        _print_conditions(demo)
    except ToolError as error:
        print(error)
    _heading("The end of build/demo/operator.log")
    print(demo.operator.log_tail())


def _print_conditions(demo: Demo) -> None:
    for name in (CONNECTION, *_dataflows(demo)):
        _heading(f"Conditions of {name}")
        conditions = get(demo.kubectl, name).get("status", {}).get("conditions", [])
        rows = [[entry[key] for key in ("type", "status", "reason", "message")] for entry in conditions]
        _print_table(["TYPE", "STATUS", "REASON", "MESSAGE"], rows)


def _dataflows(demo: Demo) -> tuple[str, ...]:
    return (DATAFLOW, FILES_DATAFLOW) if demo.runs_jobs else (DATAFLOW,)


def _runs(demo: Demo) -> Iterator[list[str]]:
    """By which way, how it ended, and how many records it handled."""
    for name in _dataflows(demo):
        status = get(demo.kubectl, name)["status"]
        run = status["lastRun"]
        counts = [str(run["records"].get(what, "")) for what in _RECORDS]
        yield [name.partition("/")[2], status["transport"], run["state"], *counts]


def _remote_objects(aep: Any) -> Iterator[list[str]]:
    """Kind, name and state of everything in the sandbox that a Zoho dataflow consists of."""
    sandbox = aep["sandboxes"]["prod"]
    for kind in _REMOTE_KINDS:
        for item in sandbox[kind]:
            yield [
                kind,
                str(item.get("name") or item["id"]),
                str(item.get("state") or item.get("status", "")),
            ]


def _token_age(demo: Demo, zoho: Any) -> float:
    now = time.time() + float(demo.emulators.clock.read_text() or 0)
    expiries = [float(token["expiresAt"]) for token in zoho["accessTokens"]]
    return now - (max(expiries) - _ZOHO_TOKEN_SECONDS)


def _print_next_steps(demo: Demo) -> None:
    control = demo.emulators.info["controlUrl"]
    resources = " ".join((*_dataflows(demo), CONNECTION))
    print(
        f"""
Everything goes on running. Try:
  . {SHELL.relative_to(ROOT)}
  kubectl get crmflow
  kubectl crmflow status
  kubectl crmflow explore zoho-eu Contacts
  kubectl describe {DATAFLOW}
  kubectl get events
  kubectl patch {DATAFLOW} --type=merge -p '{{"spec":{{"ingestion":{{"enabled":false}}}}}}'
  kubectl delete {resources}
  curl {control}/state
Logs and every exchange with the remote side: {DIRECTORY.relative_to(ROOT)}
Stop it: make demo-down"""
    )


def _heading(text: str) -> None:
    print(f"\n{text}", flush=True)


def _print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
