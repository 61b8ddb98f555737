"""One random sequence: its steps, and the checks at its end."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.emulators.core.server import Emulators
from tests.property.bench import POLL_SECONDS, Bench
from tests.property.edits import EDITS
from tests.property.oracle import condition, observed_writes, violations, writes
from tests.property.tenant import Edit, Tenant

RESYNC_SECONDS = 3700.0


@dataclass
class Outcome:
    """What came of a sequence."""

    seed: int
    steps: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    habits: str = ""
    """Of Platform."""

    def __str__(self) -> str:
        lines = [f"seed {self.seed}: {self.habits}", *(f"  {step}" for step in self.steps)]
        return "\n".join([*lines, *(f"  ✗ {problem}" for problem in self.problems)])


async def run(
    emulators: Emulators, seed: int, length: int, *, remote: Sequence[tuple[str, Edit]] = ()
) -> Outcome:
    """Edit at random, let everything settle, and check. With ``remote`` edits, somebody else edits a tenant's
    objects in Platform instead, once it has settled.
    """
    rng, outcome = random.Random(seed), Outcome(seed)
    bench = Bench(emulators)
    bench.add_secrets()
    tenant = Tenant(bench, rng)
    outcome.habits = bench.pick_habits(rng)
    await bench.start()
    try:
        tenant.declare_connection()
        tenant.declare("contacts", replacementPolicy=rng.choice(("Automatic", None)))
        if remote:
            tenant.declare("people")
            await _settle(tenant, outcome)
        table = list(remote or EDITS.items())
        while len(outcome.steps) < length and not outcome.problems:
            name, edit = rng.choice(table)
            done = await edit(tenant)
            if done is None:
                continue
            outcome.steps.append(f"{name}: {done}")
            if remote or rng.random() < 0.4:
                await _settle(tenant, outcome)
        if not outcome.problems:
            await _heal(tenant, outcome)
    finally:
        await bench.stop()
    return outcome


async def _settle(tenant: Tenant, outcome: Outcome) -> None:
    if not await tenant.bench.settle(lambda: not violations(tenant)):
        outcome.problems += violations(tenant)
    outcome.problems += observed_writes(tenant)


async def _heal(tenant: Tenant, outcome: Outcome) -> None:
    """In the end nothing is paused or only observed, and what can't be had is set back: all is Ready, and
    left alone.
    """
    await _settle(tenant, outcome)
    for name in tenant.declared:
        tenant.declare(name, paused=None, managementPolicy=None)
    if tenant.connection is None and tenant.connection_lingers:
        await _let_it_go(tenant, outcome)
        tenant.declare("contacts")
    tenant.declare_connection(paused=None, managementPolicy=None)
    await _settle(tenant, outcome)
    for name in tenant.declared:
        earlier = list(tenant.history[name])
        while earlier and condition(tenant.object(name) or {}, "Stalled"):
            tenant.set_back(name, earlier.pop())
            await _settle(tenant, outcome)
    await end_replacements(tenant)
    await _settle(tenant, outcome)
    if outcome.problems:
        return
    outcome.problems += [
        f"{obj['metadata']['name']} is not Ready: {condition(obj, 'Ready')}"
        for _, obj in tenant.objects()
        if condition(obj, "Ready")["status"] != "True"
    ]
    await tenant.bench.pass_time(2 * POLL_SECONDS)
    mark = tenant.bench.emulators.recorder.count
    await tenant.bench.pass_time(RESYNC_SECONDS)
    outcome.problems += writes(tenant.bench.emulators.recorder.since(mark))
    outcome.problems += violations(tenant)


async def end_replacements(tenant: Tenant) -> None:
    """A flow that is replaced goes once its successor has run, or had the time to: Platform's flows run by
    themselves in no sequence. The longest period is 30 weeks, and a flow hands over at the end of one.
    """
    for days in (1, 7, 30, 210, 210, 210):
        if not any("predecessor" in tenant.status(name) for name in tenant.declared):
            return
        tenant.bench.clock.jump(days * 86400.0)
        await tenant.bench.pass_time(RESYNC_SECONDS)


async def _let_it_go(tenant: Tenant, outcome: Outcome) -> None:
    """A connection that is deleted goes after its dataflows, and after the flows that nobody stands for."""
    await _settle(tenant, outcome)
    for name in list(tenant.declared):
        tenant.withdraw(name)
    await _settle(tenant, outcome)
    for flow in tenant.left_flows():
        tenant.sandbox.stores["flows"].delete(flow, tenant.bench.clock.now())
    await _settle(tenant, outcome)
