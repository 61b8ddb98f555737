"""A few crashes of every kind, so that each change is tried; ``make crash`` tries them all."""

from __future__ import annotations

from pathlib import Path

from tests.faults.bench import running_controlplane
from tests.faults.campaign import run_campaign
from tests.faults.scenarios import scenario_named

EVERY = 7


def test_a_crash_during_creation_changes_nothing(tmp_path: Path) -> None:
    with running_controlplane(tmp_path / "controlplane") as kubeconfigs:
        tally = run_campaign(kubeconfigs, tmp_path, [scenario_named("create")], every=EVERY)
    assert tally.passed, "\n".join(f"{result.point}: {result.told}" for result in tally.results)
