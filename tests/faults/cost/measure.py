"""Let tenants of two sizes live through everything, both ways, and count."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.faults.bench import Bench, Kubeconfigs, running_bench
from tests.faults.cost.bill import Bill, Bills
from tests.faults.cost.landing_zone import LandingZoneLife, landing_zone_tenant
from tests.faults.cost.life import Life

WAYS = (Life.way, LandingZoneLife.way)


def measure(
    kubeconfigs: Kubeconfigs, directory: Path, connections: int, dataflows: int, ways: Sequence[str] = WAYS
) -> list[Bills]:
    """The bills of one connection with one dataflow, and of a tenant of the given size in one sandbox, with
    one credential, for each way. Raises ToolError.
    """
    lives = {Life.way: _live, LandingZoneLife.way: _live_through_the_landing_zone}
    with running_bench(kubeconfigs, directory) as bench:
        sizes = dict.fromkeys(((1, 1), (connections, dataflows)))
        return [Bills(*size, tuple(lives[way](bench, *size)), way) for way in ways for size in sizes]


def _live(bench: Bench, connections: int, dataflows: int) -> Iterator[Bill]:
    with bench.tenant() as tenant:
        life = Life(bench, tenant, connections, dataflows)
        for phase, act in life.phases:
            yield life.bill(phase, act)


def _live_through_the_landing_zone(bench: Bench, connections: int, dataflows: int) -> Iterator[Bill]:
    with landing_zone_tenant(bench) as (tenant, jobs):
        life = LandingZoneLife(bench, tenant, connections, dataflows, jobs)
        for phase, act in life.phases:
            yield life.bill(phase, act)
