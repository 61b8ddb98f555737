"""More flows vanish at once than can be an accident: nothing is made anew until a person says so."""

from __future__ import annotations

import random

from tests.emulators.core.server import Emulators
from tests.property.bench import POLL_SECONDS, Bench
from tests.property.oracle import condition, violations
from tests.property.sequence import Outcome
from tests.property.tenant import CONNECTION, CONNECTION_NAME, Tenant

_FLOWS = 8


async def run_mass_deletion(emulators: Emulators, seed: int) -> Outcome:
    """Eight dataflows, of which somebody deletes six flows or more."""
    rng, outcome = random.Random(seed), Outcome(seed)
    bench = Bench(emulators)
    bench.add_secrets()
    tenant = Tenant(bench, rng)
    await bench.start()
    try:
        tenant.declare_connection()
        for number in range(_FLOWS):
            tenant.declare(f"flow-{number}")
        await _settle(tenant, outcome)
        flows = tenant.held("flows")
        lost = rng.sample(flows, rng.randint(6, _FLOWS))
        for flow in lost:
            tenant.sandbox.stores["flows"].delete(flow, bench.clock.now())
        outcome.steps.append(f"delete flows: {len(lost)} of {_FLOWS}")
        await bench.pass_time(4 * POLL_SECONDS)
        left = len(tenant.held("flows"))
        if left != _FLOWS - len(lost):
            outcome.problems.append(f"{left} flows, though nobody has said that the loss is real")
        reasons = [condition(obj, "Ready")["reason"] for _, obj in tenant.objects()]
        if reasons.count("MassDeletion") != len(lost):
            outcome.problems.append(f"not all say MassDeletion: {reasons}")
        bench.server.annotate(
            bench.key(CONNECTION, CONNECTION_NAME), "crmflow.io/accept-loss", f"word-{seed}"
        )
        outcome.steps.append("accept the loss")
        await _settle(tenant, outcome)
    finally:
        await bench.stop()
    return outcome


async def _settle(tenant: Tenant, outcome: Outcome) -> None:
    if not await tenant.bench.settle(lambda: not violations(tenant)):
        outcome.problems += violations(tenant)
