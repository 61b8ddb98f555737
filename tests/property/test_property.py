"""Both properties at small size, and that they can fail: the oracle sees whatever somebody else changes."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator

import pytest

from crmflow.preview.preview import NamespacePreview, ResourcePreview
from crmflow.reconcile.core.outcome import DONE
from crmflow.runtime.controller.keys import Key
from tests.emulators.core.server import Emulators
from tests.property import remote_edits
from tests.property.bench import Bench
from tests.property.campaign import DECLARED, FORESIGHT, MASS_DELETION, REMOTE, last_line, report, run_one
from tests.property.foresight import run_foresight
from tests.property.oracle import violations, writes
from tests.property.sequence import Outcome
from tests.property.tenant import Tenant

# A second mapping set of a name changes nothing that a flow uses.
NO_DIFFERENCE = {"a second mapping set of a name"}


@pytest.fixture
async def emulators() -> AsyncIterator[Emulators]:
    async with Emulators() as running:
        yield running


@pytest.mark.parametrize("kind", [DECLARED, REMOTE])
@pytest.mark.parametrize("seed", range(9000, 9008))
async def test_everything_settles(emulators: Emulators, kind: str, seed: int) -> None:
    outcome = await run_one(emulators, kind, seed, length=10)
    assert not outcome.problems, str(outcome)
    assert len(outcome.steps) == 10


@pytest.mark.parametrize("seed", range(9000, 9003))
async def test_what_is_planned_happens(emulators: Emulators, seed: int) -> None:
    outcome = await run_one(emulators, FORESIGHT, seed, length=5)
    assert not outcome.problems, str(outcome)
    assert len(outcome.steps) == 6


@pytest.mark.parametrize(
    "names",
    [
        ("dataflow flowId", "connection away or back", "delete a dataflow"),
        ("create a dataflow", "connection connectionId", "connection away or back", "delete a dataflow"),
        ("dataflow replacementPolicy", "dataflow source.columns", "dataflow schedule", "dataflow target"),
    ],
    ids=["its flow stays and is read through", "its connection is gone", "replaced without approval"],
)
@pytest.mark.parametrize("seed", [1, 2])
async def test_what_is_planned_happens_after(emulators: Emulators, names: tuple[str, ...], seed: int) -> None:
    outcome = await run_foresight(emulators, seed, 0, names=names)
    assert not outcome.problems, str(outcome)


async def test_what_is_planned_happens_on_the_way_to_the_landing_zone_and_back(emulators: Emulators) -> None:
    outcome = await run_foresight(emulators, 7, 0, with_zone=True, names=["dataflow transport"] * 2)
    assert not outcome.problems, str(outcome)
    assert [step.rpartition("'transport': ")[2] for step in outcome.steps[1:]] == [
        "'LandingZone'}",
        "'PlatformSource'}",
    ]


async def test_a_plan_that_differs_is_noticed(emulators: Emulators, monkeypatch: pytest.MonkeyPatch) -> None:
    async def sees_nothing(self: NamespacePreview, key: Key) -> ResourcePreview:
        return ResourcePreview(key, False, (), DONE)

    monkeypatch.setattr(NamespacePreview, "look", sees_nothing)
    outcome = await run_one(emulators, FORESIGHT, 9000, length=1)
    assert any("planned []" in problem for problem in outcome.problems)


async def test_a_mass_deletion_waits_for_a_person(emulators: Emulators) -> None:
    outcome = await run_one(emulators, MASS_DELETION, 9000, length=10)
    assert not outcome.problems, str(outcome)


@pytest.fixture
async def tenant(emulators: Emulators) -> Tenant:
    """Everything is Ready, and nobody looks any more."""
    bench = Bench(emulators)
    bench.add_secrets()
    tenant = Tenant(bench, random.Random(1))
    await bench.start()
    tenant.declare_connection(description="Ours")
    tenant.declare("contacts", description="Ours", ingestion={"errorDiagnostics": False})
    assert await bench.settle(lambda: not violations(tenant))
    await bench.stop()
    return tenant


@pytest.mark.parametrize("name", sorted(set(remote_edits.EDITS) - NO_DIFFERENCE))
async def test_the_oracle_sees_each_remote_edit(tenant: Tenant, name: str) -> None:
    assert await remote_edits.EDITS[name](tenant)
    assert violations(tenant)


async def test_the_oracle_sees_an_edit_that_was_not_carried_out(tenant: Tenant) -> None:
    tenant.declare("contacts", displayName="Another")
    assert violations(tenant)
    obj = tenant.object("contacts")
    assert obj is not None
    obj["status"]["observedGeneration"] = obj["metadata"]["generation"]
    assert any("text of flow" in violation for violation in violations(tenant))


async def test_a_write_is_noticed(tenant: Tenant) -> None:
    mark = tenant.bench.emulators.recorder.count
    await remote_edits.EDITS["rename flows"](tenant)
    await tenant.bench.start()
    assert await tenant.bench.settle(lambda: not violations(tenant))
    assert any(line.startswith("PATCH ") for line in writes(tenant.bench.emulators.recorder.since(mark)))
    await tenant.bench.stop()


def test_the_last_line_counts_sequences_steps_and_failures() -> None:
    done = [(DECLARED, Outcome(1, ["restart: x", "time: y"])), (REMOTE, Outcome(1, ["rename: z"], ["no"]))]
    assert last_line(done) == "2 sequences, 3 steps, 1 failures"
    page = "\n".join(report(done))
    assert f"| {DECLARED} | 1 | 2 | 0 |" in page
    assert page.endswith(last_line(done))
