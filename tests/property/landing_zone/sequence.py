"""One random sequence through the landing zone, and the checks at its end."""

from __future__ import annotations

import random

from tests.emulators.core.server import Emulators
from tests.property.bench import POLL_SECONDS
from tests.property.landing_zone.bench import RECORDS, LandingZoneBench
from tests.property.landing_zone.edits import EDITS, OFTEN
from tests.property.landing_zone.oracle import losses, violations
from tests.property.landing_zone.tenant import ZoneTenant
from tests.property.oracle import condition, observed_writes, writes
from tests.property.sequence import RESYNC_SECONDS, Outcome

_OFTEN_AS_WELL = OFTEN * 4
TICKS_SECONDS = 6 * 3600.0
"""Two of the longest interval, and until their runs show."""


async def run_landing_zone(emulators: Emulators, seed: int, length: int) -> Outcome:
    """Records, specs and what serves them change at random; in the end all is ingested once."""
    rng, outcome = random.Random(seed), Outcome(seed)
    bench = LandingZoneBench(emulators, rng)
    tenant = ZoneTenant(bench, rng)
    outcome.habits = bench.pick_habits(rng)
    await bench.grant()
    await bench.start()
    try:
        tenant.declare_connection()
        tenant.declare("contacts", replacementPolicy=rng.choice(("Automatic", None)))
        while len(outcome.steps) < length and not outcome.problems:
            name = rng.choice([*EDITS, *_OFTEN_AS_WELL])
            done = await EDITS[name](tenant)
            if done is None:
                continue
            outcome.steps.append(f"{name}: {done}")
            if rng.random() < 0.6:
                await _settle(tenant, outcome)
        if not outcome.problems:
            await _heal(tenant, outcome)
    finally:
        await bench.stop()
        await bench.close()
    return outcome


async def _settle(tenant: ZoneTenant, outcome: Outcome) -> None:
    if not await tenant.bench.settle(lambda: not violations(tenant)):
        outcome.problems += violations(tenant)
    outcome.problems += observed_writes(tenant)


async def _heal(tenant: ZoneTenant, outcome: Outcome) -> None:
    """In the end all is served again, what can't be had is set back, and time passes until all is ingested.
    Then Platform is left alone, and no Job is made.
    """
    tenant.bench.emulators.faults.clear()
    await _settle(tenant, outcome)
    tenant.declare_connection(paused=None)
    for name in tenant.declared:
        tenant.declare(name, paused=None, managementPolicy=None, ingestion={"enabled": None})
    await _settle(tenant, outcome)
    await tenant.bench.control("POST", RECORDS, {"count": 1, "now": True})  # who waits for a file gets one
    await tenant.bench.pass_time(3 * POLL_SECONDS)
    await _settle(tenant, outcome)
    for name in tenant.declared:
        earlier = list(tenant.history[name])
        while earlier and condition(tenant.object(name) or {}, "Stalled"):
            tenant.set_back(name, {**earlier.pop(), "ingestion": {}})
            await _settle(tenant, outcome)
    if outcome.problems:
        return
    outcome.problems += [
        f"{obj['metadata']['name']} is not Ready: {condition(obj, 'Ready')}"
        for _, obj in tenant.objects()
        if condition(obj, "Ready")["status"] != "True"
    ]
    await tenant.bench.pass_time(TICKS_SECONDS)
    mark, made = tenant.bench.emulators.recorder.count, len(tenant.bench.node.calls)
    await tenant.bench.pass_time(RESYNC_SECONDS + 2 * POLL_SECONDS)
    outcome.problems += writes(tenant.bench.emulators.recorder.since(mark))
    outcome.problems += [call for call in tenant.bench.node.calls[made:] if call == "create job"]
    outcome.problems += violations(tenant)
    outcome.problems += await losses(tenant)
