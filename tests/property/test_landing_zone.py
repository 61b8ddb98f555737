"""A small share of the sequences through the landing zone, and that their oracle sees what is wrong."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.emulators.core.server import Emulators
from tests.property.campaign import LANDING_ZONE, run_one
from tests.property.landing_zone.bench import RECORDS, LandingZoneBench
from tests.property.landing_zone.oracle import losses, violations
from tests.property.landing_zone.sequence import TICKS_SECONDS
from tests.property.landing_zone.tenant import ZoneTenant


@pytest.fixture
async def emulators() -> AsyncIterator[Emulators]:
    async with Emulators() as running:
        yield running


@pytest.mark.parametrize("seed", range(9000, 9005))
async def test_every_record_is_ingested_once(emulators: Emulators, seed: int) -> None:
    outcome = await run_one(emulators, LANDING_ZONE, seed, length=10)
    assert not outcome.problems, str(outcome)
    assert len(outcome.steps) == 10


Wrong = Callable[[ZoneTenant], Awaitable[None]]


async def _forget_a_row(tenant: ZoneTenant) -> None:
    _rows(tenant).pop()


async def _ingest_a_row_twice(tenant: ZoneTenant) -> None:
    _rows(tenant).append(_rows(tenant)[0])


async def _change_unseen(tenant: ZoneTenant) -> None:
    record = next(iter((await tenant.bench.control("GET", RECORDS))["records"]))
    await tenant.bench.control("PATCH", f"{RECORDS}/{record['id']}", {"Description": "Told anew."})


async def _leave_a_secret(tenant: ZoneTenant) -> None:
    await tenant.bench.node.apply_secret("crmflow-contacts-0", {"metadata": {}})


def _rows(tenant: ZoneTenant) -> list[object]:
    (dataset,) = [rows for rows in tenant.sandbox.lake.values() if rows]
    return dataset  # type: ignore[return-value]


async def test_the_oracle_sees_what_was_lost_doubled_and_left(emulators: Emulators) -> None:
    rng = random.Random(1)
    bench = LandingZoneBench(emulators, rng)
    bench.pick_habits(rng)
    tenant = ZoneTenant(bench, rng)
    await bench.grant()
    await bench.start()
    tenant.declare_connection()
    tenant.declare("contacts")
    assert await bench.settle(lambda: not violations(tenant))
    await bench.pass_time(TICKS_SECONDS)
    assert not [*violations(tenant), *await losses(tenant)]
    await bench.stop()
    for wrong, seen in {
        _leave_a_secret: "is left",
        _ingest_a_row_twice: "ingested twice",
        _change_unseen: "are missing",
        _forget_a_row: "are missing",
    }.items():
        await wrong(tenant)
        assert any(seen in problem for problem in await losses(tenant)), wrong
    await bench.close()
