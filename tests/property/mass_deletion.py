"""More flows vanish at once than can be an accident: nothing is made anew until a person says so."""

from __future__ import annotations

import random

from tests.emulators.core.server import Emulators
from tests.property.bench import POLL_SECONDS, Bench
from tests.property.oracle import condition, violations
from tests.property.sequence import Outcome, end_replacements
from tests.property.tenant import CONNECTION, CONNECTION_NAME, Tenant

_FLOWS = 8
_REPLACED = "flow-0"


async def run_mass_deletion(emulators: Emulators, seed: int) -> Outcome:
    """Eight dataflows, one of which has a flow that is being replaced; somebody deletes six or more, and
    that one with its successor.
    """
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
        tenant.declare(_REPLACED, replacementPolicy="Automatic", deltaColumn={"name": "Created_Time"})
        await _settle(tenant, outcome)
        status = tenant.status(_REPLACED)
        both = {status["flow"]["id"], status["predecessor"]["flow"]["id"]}
        flows = [flow for flow in tenant.held("flows") if flow.id not in both]
        lost = rng.sample(flows, rng.randint(5, _FLOWS - 1)) + [tenant.living("flows", one) for one in both]
        for flow in lost:
            tenant.sandbox.stores["flows"].delete(flow, bench.clock.now())
        outcome.steps.append(f"delete flows: {len(lost)} of {_FLOWS + 1}")
        await bench.pass_time(4 * POLL_SECONDS)
        left = len(tenant.held("flows"))
        if left != _FLOWS + 1 - len(lost):
            outcome.problems.append(f"{left} flows, though nobody has said that the loss is real")
        reasons = [condition(obj, "Ready")["reason"] for _, obj in tenant.objects()]
        if reasons.count("MassDeletion") != len(lost) - 1:
            outcome.problems.append(f"not all say MassDeletion: {reasons}")
        bench.server.annotate(
            bench.key(CONNECTION, CONNECTION_NAME), "crmflow.io/accept-loss", f"word-{seed}"
        )
        outcome.steps.append("accept the loss")
        await _settle(tenant, outcome)
        await end_replacements(tenant)
        await _settle(tenant, outcome)
        if len(tenant.held("flows")) != _FLOWS:
            outcome.problems.append(f"{len(tenant.held('flows'))} flows in the end")
    finally:
        await bench.stop()
    return outcome


async def _settle(tenant: Tenant, outcome: Outcome) -> None:
    if not await tenant.bench.settle(lambda: not violations(tenant)):
        outcome.problems += violations(tenant)
