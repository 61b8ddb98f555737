"""The alert rules in Prometheus' own test of rules, over time that nobody has to wait for."""

from __future__ import annotations

import subprocess
from pathlib import Path

import yaml

from hack.prometheus import find_prometheus
from tests.chart.rendering import CHART

RULES = CHART / "files" / "alerts.yaml"
PLAYED = Path(__file__).with_name("alerts.test.yaml")


def promtool(*arguments: str) -> None:
    done = subprocess.run(
        [find_prometheus("promtool"), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_the_rules_and_finds_nothing_to_improve() -> None:
    promtool("check", "rules", "--lint=all", "--lint-fatal", str(RULES))


def test_each_alert_fires_once_its_cause_has_lasted_and_resolves_when_it_is_gone() -> None:
    promtool("test", "rules", str(PLAYED))


def test_each_alert_is_played() -> None:
    rules = [
        rule["alert"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
    ]
    played = yaml.safe_load(PLAYED.read_text())["tests"]
    assert [test["name"].partition(".")[0] for test in played] == rules
    for test, alert in zip(played, rules, strict=True):
        steps = [(step["expr"], bool(step["exp_samples"])) for step in test["promql_expr_test"]]
        assert all(f'alertname="{alert}"' in expr for expr, _ in steps)
        fires = [fires for _, fires in steps]
        assert (fires[0], any(fires), fires[-1]) == (False, True, False)
