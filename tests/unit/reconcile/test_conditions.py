"""How conditions are composed, and what holds of them after every outcome, for both kinds."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from crmflow.reconcile.core.conditions import Condition, Conditions, ConditionType, Finding, compose
from crmflow.reconcile.core.engine import step
from crmflow.reconcile.core.kind import ManagedKind
from crmflow.reconcile.core.outcome import DONE, Outcome, PassEndedError, bug, stalled, transient, waiting
from tests.unit.reconcile.harness import Harness

DECLARED = (ConditionType("First", "First is fine."), ConditionType("Second", "Second is fine."))
EARLIER, NOW = "2026-01-01T00:00:00Z", datetime(2026, 1, 2, tzinfo=UTC)
OK = Finding("True", "Succeeded", "fine")


def previous(*entries: tuple[str, str], generation: int = 1) -> Conditions:
    return Conditions(Condition(name, status, "R", "m", generation, EARLIER) for name, status in entries)


def test_conditions_have_one_order() -> None:
    summary = {"Stalled": OK, "Ready": OK, "Reconciling": OK}
    names = [entry.type for entry in compose(DECLARED, Conditions(), {}, summary, 1, NOW)]
    assert names == ["Ready", "Reconciling", "Stalled", "First", "Second"]
    written = Conditions(compose(DECLARED, Conditions(), {}, summary, 1, NOW))
    assert [entry.type for entry in written.of(DECLARED)] == names


def test_abnormal_conditions_are_removed_not_set_false() -> None:
    before = previous(("Ready", "False"), ("Stalled", "True"), ("Reconciling", "True"))
    names = [entry.type for entry in compose(DECLARED, before, {}, {"Ready": OK}, 1, NOW)]
    assert names == ["Ready", "First", "Second"]


@pytest.mark.parametrize(
    ("before", "expected"), [("True", EARLIER), ("False", "2026-01-02T00:00:00Z"), (None, None)]
)
def test_the_transition_time_moves_only_with_the_status(before: str | None, expected: str | None) -> None:
    conditions = previous(("Ready", before)) if before else Conditions()
    ready = compose((), conditions, {}, {"Ready": Finding("True", "Other", "text")}, 2, NOW)[0]
    assert ready.last_transition_time == (expected or "2026-01-02T00:00:00Z")
    assert (ready.reason, ready.message, ready.observed_generation) == ("Other", "text", 2)


def test_a_condition_that_was_not_reached_keeps_what_it_said_and_of_which_generation() -> None:
    before = previous(("First", "True"), ("Second", "False"))
    entries = compose(DECLARED, before, {"First": OK}, {"Ready": OK}, 2, NOW)
    assert [(entry.type, entry.status, entry.observed_generation) for entry in entries] == [
        ("Ready", "True", 2),
        ("First", "True", 2),
        ("Second", "False", 1),
    ]


def test_a_condition_that_was_never_reached_is_unknown() -> None:
    entries = compose(DECLARED, Conditions(), {}, {"Ready": OK}, 1, NOW)
    assert [(entry.status, entry.reason) for entry in entries[1:]] == [("Unknown", "Pending")] * 2


def test_conditions_of_other_writers_are_not_ours_to_write() -> None:
    before = previous(("Theirs", "True"), ("First", "True"))
    assert [entry.type for entry in before.of(DECLARED)] == ["First"]
    assert [entry.type for entry in compose(DECLARED, before, {}, {"Ready": OK}, 1, NOW)] == [
        "Ready",
        "First",
        "Second",
    ]


@pytest.mark.parametrize(
    "status", [{}, {"conditions": None}, {"conditions": "x"}, {"conditions": [None, {"type": "First"}]}]
)
def test_foreign_shapes_are_read_leniently(status: dict[str, object]) -> None:
    conditions = Conditions.from_status(status)
    assert conditions.get("Ready") is None
    assert not conditions.is_ready(1, 1)


def test_the_wire_form_reads_back() -> None:
    entry = Condition("First", "True", "R", "m", 3, EARLIER)
    assert Condition.from_wire(entry.to_wire()) == entry


@pytest.mark.parametrize(
    ("status", "generation", "observed", "expected"),
    [("True", 2, 2, True), ("True", 3, 2, False), ("True", 2, None, False), ("False", 2, 2, False)],
)
def test_ready_means_this_generation(
    status: str, generation: int, observed: int | None, expected: bool
) -> None:
    assert previous(("Ready", status)).is_ready(generation, observed) is expected


OUTCOMES = {
    "done": DONE,
    "waiting": waiting("SecretNotFound", "no Secret"),
    "transition": waiting("FlowSettling", "settling", transition=True),
    "transient": transient("Unavailable", "down"),
    "stalled": stalled("TableNotFound", "no table"),
    "bug": bug("oops"),
    "paused": None,
}


@pytest.mark.parametrize("kind", ["connection", "dataflow"])
@pytest.mark.parametrize(
    ("first", "then"),
    [pytest.param(*pair, id="→".join(pair)) for pair in itertools.product(OUTCOMES, repeat=2)],
)
async def test_the_invariants_hold_after_every_outcome(kind: str, first: str, then: str) -> None:
    """``visit`` asserts them. Each outcome in each step, then each other, with and without edits between."""
    for position in range(len(Harness().resource(kind).kind.conditions)):
        for edited in (False, True):
            resource = Harness().resource(kind)
            whole = resource.kind
            for name in (first, then, then):
                outcome = OUTCOMES[name]
                resource.spec["paused"] = outcome is None
                resource.kind = _ending_in(whole, position, outcome or DONE)
                await resource.visit()
                ready = resource.condition("Ready")
                assert (ready[0] == "True") is (name == "done") or name in ("transient", "paused")
                if edited:
                    resource.edit(lambda spec: None)


def _ending_in(kind: ManagedKind, index: int, outcome: Outcome) -> ManagedKind:
    """The same conditions and order, with every step done up to ``index``, which ends in ``outcome``."""

    async def reconcile(pass_: Any) -> None:
        for position, condition in enumerate(kind.conditions):

            @step(condition)
            async def run(_: Any, ends: bool) -> None:
                if ends:
                    raise PassEndedError(outcome)

            await run(pass_, position == index and not outcome.is_done)
            pass_.fulfill(condition)

    return replace(kind, reconcile=reconcile)
