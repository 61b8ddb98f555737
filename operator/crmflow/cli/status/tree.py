"""The report as people read it: a tree on a terminal, indented lines where it is piped on."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from crmflow.api.base import ConditionStatus, StatusCondition
from crmflow.api.crmdataflow import RecentRun, RunRetry, RunRetryState
from crmflow.cli.status.report import (
    ConnectionReport,
    DataflowReport,
    RequestedRunReport,
    ResourceReport,
    advice_of,
)
from crmflow.observability.redaction import sanitize
from crmflow.reconcile.run.conditions import FAILED

RUNS_SHOWN = 3
_LONGEST = 2000
_INDENT = "  "
_GOOD, _BAD, _OPEN, _DIM = "green", "bold red", "yellow", "dim"
_STYLES = {ConditionStatus.TRUE: _GOOD, ConditionStatus.FALSE: _BAD, ConditionStatus.UNKNOWN: _OPEN}
_RUN_STYLES = {"success": _GOOD, "partialSuccess": _OPEN, "failed": _BAD}
_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


@dataclass
class Node:
    """One line, and those below it."""

    text: Text
    children: list[Node] = field(default_factory=list)


def nodes(connections: Sequence[ConnectionReport], now: datetime, runs: int) -> list[Node]:
    """The report, with so many runs of each dataflow at the most."""
    return [_connection(one, now, runs) for one in connections]


def plain(found: Sequence[Node]) -> str:
    """Without anything that a program would stumble over."""
    return "\n".join(line.rstrip() for node in found for line in _lines(node, ""))


def drawn(found: Sequence[Node]) -> Tree:
    """With lines that join it."""
    root = Tree("", hide_root=True, guide_style=_DIM)
    for node in found:
        _draw(root, node)
    return root


def terminal() -> Console | None:
    """The terminal that standard output is; None if it is none, or can't draw."""
    encoding = (sys.stdout.encoding or "").lower().replace("-", "")
    if not sys.stdout.isatty() or os.environ.get("TERM") == "dumb" or not encoding.startswith("utf"):
        return None
    return Console(
        width=shutil.get_terminal_size().columns,
        markup=False,
        emoji=False,
        highlight=False,
        no_color="NO_COLOR" in os.environ,
    )


def age(seconds: float) -> str:
    """A span of time in its largest unit, as kubectl tells ages."""
    whole = max(0, int(seconds))
    unit, size = next(((unit, size) for unit, size in _UNITS if whole >= size), _UNITS[-1])
    return f"{whole // size}{unit}"


def _draw(parent: Tree, node: Node) -> None:
    branch = parent.add(node.text)
    for child in node.children:
        _draw(branch, child)


def _lines(node: Node, indent: str) -> Iterator[str]:
    yield indent + node.text.plain
    for child in node.children:
        yield from _lines(child, indent + _INDENT)


def _connection(connection: ConnectionReport, now: datetime, runs: int) -> Node:
    resource = connection.resource
    if connection.exists:
        node = _resource(resource, now)
    else:
        node = Node(_title(resource))
        node.text.append("  does not exist", _BAD)
    node.children += [_dataflow(one, now, runs) for one in connection.dataflows]
    return node


def _dataflow(dataflow: DataflowReport, now: datetime, runs: int) -> Node:
    node = _resource(dataflow.resource, now)
    if dataflow.next_run is not None:
        text = Text(f"Next run in {age((dataflow.next_run - now).total_seconds())}")
        node.children.append(Node(text.append(f", at {dataflow.next_run:%Y-%m-%dT%H:%M:%SZ}", _DIM)))
    waiting = [one for one in dataflow.retries if one.state is not RunRetryState.SUCCEEDED]
    node.children += [_retry(one, now) for one in waiting]
    going_on = [one for one in dataflow.requested if not one.has_ended]
    ended = [one for one in dataflow.requested if one.has_ended]
    node.children += [_requested_run(one, now) for one in [*going_on, *ended[:runs]]]
    node.children += [_run(one, now) for one in dataflow.runs[:runs]]
    return node


def _requested_run(run: RequestedRunReport, now: datetime) -> Node:
    node, verdict = Node(_title(run.resource)), run.verdict
    if verdict is None:
        node.text.append("  Unknown", _OPEN)
        return node
    if not run.has_ended:
        node.text.append(f"  {verdict.reason}", _OPEN).append(f" for {_since(verdict, now)}", _DIM)
    elif verdict.type == FAILED.name:
        node.text.append(f"  Failed: {verdict.reason}", _BAD).append(f" for {_since(verdict, now)}", _DIM)
    else:
        node.text.append("  Complete", _GOOD).append(f" for {_since(verdict, now)}", _DIM)
    node.children += _told(verdict)
    return node


def _retry(retry: RunRetry, now: datetime) -> Node:
    text = Text(f"Retry of {sanitize(retry.run)}  ").append(str(retry.state), _OPEN)
    text.append(f", asked for {retry.retries or 0} times", _DIM)
    if retry.retry_time is not None:
        text.append(f", next in {age((retry.retry_time - now).total_seconds())}", _DIM)
    return Node(text, [Node(Text(sanitize(retry.cause, _LONGEST)))] if retry.cause else [])


def _resource(resource: ResourceReport, now: datetime) -> Node:
    node, ready = Node(_title(resource)), resource.ready
    if ready is None:
        node.text.append("  Unknown", _OPEN)
    else:
        word = "Ready" if ready.status is ConditionStatus.TRUE else "not Ready"
        node.text.append(f"  {word}", _STYLES[ready.status]).append(f" for {_since(ready, now)}", _DIM)
    node.text.append(f"  {', '.join(sanitize(trait) for trait in resource.traits)}", _DIM)
    node.children += [Node(Text(note, _OPEN)) for note in resource.notes]
    if resource.holding:
        node.children.append(Node(Text(", ".join(resource.holding), _GOOD)))
    node.children += [_condition(one, now) for one in resource.open]
    return node


def _condition(condition: StatusCondition, now: datetime) -> Node:
    text = Text(condition.type, _STYLES[condition.status])
    text.append(f" {condition.status}: {condition.reason}", _STYLES[condition.status])
    text.append(f" for {_since(condition, now)}", _DIM)
    return Node(text, _told(condition))


def _told(condition: StatusCondition) -> list[Node]:
    """Its message, and what to do."""
    lines = [sanitize(condition.message, _LONGEST)]
    if todo := advice_of(condition):
        lines.append(f"What to do: {todo}")
    return [Node(Text(line)) for line in lines if line]


def _run(run: RecentRun, now: datetime) -> Node:
    state = sanitize(run.state or "unknown")
    text = Text(f"Run {sanitize(run.id)}  ").append(state, _RUN_STYLES.get(state, _OPEN))
    if run.start_time is not None:
        text.append(f"  {age((now - run.start_time).total_seconds())} ago", _DIM)
        if run.completion_time is not None:
            text.append(f", took {age((run.completion_time - run.start_time).total_seconds())}", _DIM)
    if counts := _counts(run):
        text.append(f"  {counts}")
    return Node(text, [Node(Text(sanitize(run.cause, _LONGEST)))] if run.cause else [])


def _counts(run: RecentRun) -> str:
    records = run.records
    if records is None:
        return ""
    told = (
        ("read", records.read),
        ("written", records.written),
        ("skipped", records.skipped or None),
        ("failed", records.failed or None),
        ("files", run.files),
    )
    return ", ".join(f"{count} {what}" for what, count in told if count is not None)


def _title(resource: ResourceReport) -> Text:
    return Text(f"{resource.kind.kind} ").append(f"{resource.namespace}/{resource.name}", "bold")


def _since(condition: StatusCondition, now: datetime) -> str:
    return age((now - condition.last_transition_time).total_seconds())
