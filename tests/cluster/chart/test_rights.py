"""With the chart's own rights the operator is refused nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.rights.trials import MODES, Site, Trials, trials


@pytest.fixture(scope="module")
def release(request: pytest.FixtureRequest, site: Site) -> Iterator[Trials]:
    """A release in the mode that the test asks for."""
    with trials(site, request.param) as prepared:
        yield prepared


@pytest.mark.parametrize("release", MODES, indirect=True)
def test_nothing_is_refused_in_a_complete_life_cycle(release: Trials) -> None:
    verdict = release.run()
    assert verdict.failure is None
    assert verdict.forbidden == []
