"""With the chart's own rights the operator is refused nothing; without any one of them something fails."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml

from tests.chart.test_render import SNAPSHOTS
from tests.kit.bench import Bench
from tests.rights.permissions import Permission, permissions
from tests.rights.trials import MODES, Trials, trials


def _like(permission: Permission) -> str:
    """The same whatever the names of release and namespaces are, and whether the role is for all of them."""
    where = "home" if permission.role.endswith("-home") else "served"
    return f"{permission.verb}-{permission.resource}-{where}"


def _rendered(values: str) -> dict[str, None]:
    """The rights in a snapshot of the chart, each once."""
    objects = yaml.safe_load_all((SNAPSHOTS / f"{values}.yaml").read_text())
    return dict.fromkeys(_like(held) for held in sorted(permissions(obj for obj in objects if obj)))


def _trials() -> list[tuple[str, str]]:
    """Mode and right. ``make rbac`` tries all of both; here half of them, since each takes a life: of the
    first mode, and those of the second that the first has not.
    """
    everywhere, few = _rendered("default"), _rendered("namespaced")
    first = [(MODES[0], like) for like in everywhere]
    return (first + [(MODES[1], like) for like in few if like not in everywhere])[::2]


@pytest.fixture(scope="module")
def release(request: pytest.FixtureRequest, bench: Bench) -> Iterator[Trials]:
    """A release in the mode that the test asks for."""
    with trials(bench, request.param) as prepared:
        yield prepared


@pytest.mark.parametrize("release", MODES, indirect=True)
def test_nothing_is_refused_in_a_complete_life_cycle(release: Trials) -> None:
    verdict = release.run()
    assert verdict.failure is None
    assert verdict.forbidden == []


@pytest.mark.parametrize(("release", "like"), _trials(), indirect=["release"])
def test_without_any_one_of_them_something_fails(release: Trials, like: str) -> None:
    (taken,) = [held for held in release.permissions if _like(held) == like]
    verdict = release.run(without=taken)
    assert verdict.failure is not None, "nothing fails: the right is spare"
    assert any(taken.covers(asked) for asked in verdict.forbidden), "it fails for another reason"
