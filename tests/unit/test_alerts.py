"""Alert rules, runbooks, dashboard and metrics fit together."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from crmflow.observability.metrics import Metrics
from hack.install import ROOT

FILES = ROOT / "charts" / "crmflow" / "files"
RUNBOOKS = ROOT / "docs" / "runbooks"
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((FILES / "alerts.yaml").read_text())["groups"] for rule in group["rules"]
]
DESCRIBED = {metric.name: metric for metric in Metrics().descriptions}
_METRIC = re.compile(r"\b(crmflow_\w+)(?:\{([^}]*)\})?")
_LABEL = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
_OF_TARGETS = {"namespace", "job", "instance", "pod"}


def used(expr: str) -> Iterator[tuple[str, set[str]]]:
    """The metrics of an expression, with the labels that select of them."""
    for name, selectors in _METRIC.findall(expr):
        yield name, set(_LABEL.findall(selectors))


def check_expression(expr: str) -> None:
    """It asks for metrics that there are, by labels that they have."""
    assert _METRIC.search(expr) or "process_" in expr
    for name, labels in used(expr):
        metric = DESCRIBED.get(name) or DESCRIBED[re.sub(r"_(bucket|sum|count)$", "", name)]
        assert labels <= {*metric.labels, "le", *_OF_TARGETS}, (name, labels)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_a_rule_asks_for_metrics_that_there_are_and_tells_what_to_do(rule: dict[str, Any]) -> None:
    check_expression(rule["expr"])
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
    page = RUNBOOKS / f"{rule['alert']}.md"
    assert rule["annotations"]["runbook_url"] == str(page.relative_to(ROOT))
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    assert headings == [rule["alert"], "Impact", "What to look at", "What to do"]


def test_each_page_is_of_an_alert_and_in_the_index() -> None:
    pages = {page.stem for page in RUNBOOKS.glob("*.md")} - {"README"}
    alerts = [rule["alert"] for rule in RULES]
    assert pages == set(alerts)
    index = (RUNBOOKS / "README.md").read_text()
    rows = re.findall(r"^\| \[(\w+)\]\((\w+)\.md\), (\w+) \|", index, re.MULTILINE)
    assert rows == [(rule["alert"], rule["alert"], rule["labels"]["severity"]) for rule in RULES]


BOARD = json.loads((FILES / "dashboard.json").read_text())
PANELS: list[dict[str, Any]] = [panel for panel in BOARD["panels"] if panel["type"] != "row"]


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_asks_for_metrics_that_there_are_and_says_what_it_shows(panel: dict[str, Any]) -> None:
    assert panel["description"].endswith(".")
    for target in panel["targets"]:
        check_expression(target["expr"])


def test_panels_have_numbers_of_their_own_and_do_not_overlap() -> None:
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])
    cells = [
        (x, y)
        for panel in BOARD["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert {x for x, _ in cells} == set(range(24))
