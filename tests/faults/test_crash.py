"""A few crashes of every kind, so that each change is tried; ``make crash`` tries them all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.bench import Kubeconfigs, running_controlplane
from tests.faults.campaign import run_campaign
from tests.faults.scenarios import scenario_named


@pytest.fixture(scope="module")
def kubeconfigs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubeconfigs]:
    """A control plane with a node."""
    with running_controlplane(tmp_path_factory.mktemp("controlplane"), node=True) as kubeconfigs:
        yield kubeconfigs


@pytest.mark.parametrize(
    ("scenarios", "every"),
    [
        pytest.param(["create"], 7, id="creation"),
        pytest.param(["transfer-first", "transfer-window", "transfer-delete"], 20, id="transfers"),
        pytest.param(["run-now", "run-again", "run-on-demand"], 36, id="runs"),
    ],
)
def test_a_crash_changes_nothing(
    kubeconfigs: Kubeconfigs, tmp_path: Path, scenarios: list[str], every: int
) -> None:
    tally = run_campaign(kubeconfigs, tmp_path, [scenario_named(name) for name in scenarios], every=every)
    assert tally.passed, "\n".join(f"{result.point}: {result.told}" for result in tally.results)
