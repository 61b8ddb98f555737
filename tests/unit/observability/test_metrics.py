"""What the metrics say of themselves, and that the page says the same."""

from __future__ import annotations

import asyncio

from crmflow.observability import call_counter
from crmflow.observability.metrics import Metrics
from hack.generators.metrics import metrics_page


def families(metrics: Metrics) -> dict[str, str]:
    """Name and type of everything of ours that is registered."""
    return {
        family.name + ("_total" if family.type == "counter" else ""): family.type
        for family in metrics.registry.collect()
        if family.name.startswith("crmflow_")
    }


def test_each_metric_is_described() -> None:
    metrics = Metrics()
    assert {described.name: described.type for described in metrics.descriptions} == families(metrics)


def test_the_page_has_a_row_for_each_metric() -> None:
    rows = [line.split(" | ")[0] for line in metrics_page().splitlines() if line.startswith("| `crmflow_")]
    assert rows == sorted(f"| `{name}`" for name in families(Metrics()))


def test_gauges_are_brought_up_to_date_before_they_are_read() -> None:
    metrics = Metrics()
    metrics.before_scrape.append(lambda: metrics.orphans.labels("org", "prod", "c").set(7))
    assert b'crmflow_orphans{credential="c",organization="org",sandbox="prod"} 7.0' in metrics.text()


async def test_a_tally_counts_its_own_calls_and_those_of_its_tasks() -> None:
    metrics = Metrics()

    async def call(operation: str) -> None:
        metrics.remote_call("FlowService", operation, "200", 0.1)

    await call("before")
    with call_counter.counting() as outer:
        await asyncio.gather(call("flows.list"), asyncio.create_task(call("flows.list")))
        with call_counter.counting() as inner:
            await call("sandboxes")
    await call("after")
    assert outer == {"flows.list": 2}
    assert inner == {"sandboxes": 1}
