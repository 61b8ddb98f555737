"""The gate kills exactly once, exactly where it was told to."""

from __future__ import annotations

import pytest

from tests.faults.calls import Call, Caller
from tests.faults.gate import FaultError, Gate
from tests.faults.points import Fault, FaultPoint

CREATE = Call("platform", "POST", "/flows")
READ = Call("platform", "GET", "/flows/{id}")


class Victim:
    """Counts its deaths."""

    def __init__(self) -> None:
        self.deaths = 0
        self.killed = Caller.OPERATOR

    def kill(self, caller: Caller) -> None:
        self.deaths += 1
        self.killed = caller


@pytest.fixture
def victim() -> Victim:
    return Victim()


@pytest.fixture
def gate(victim: Victim) -> Gate:
    return Gate(victim.kill)


def _pass(gate: Gate, call: Call) -> None:
    occurrence = gate.enter(call)
    gate.committed(call, occurrence)
    gate.leave()


def test_it_records_what_passes(gate: Gate) -> None:
    gate.begin()
    for call in (CREATE, READ, READ):
        _pass(gate, call)
    assert gate.calls == [CREATE, READ, READ]


def test_counting_begins_anew(gate: Gate, victim: Victim) -> None:
    _pass(gate, CREATE)
    gate.begin(FaultPoint(CREATE, 2, Fault.KILLED_BEFORE))
    _pass(gate, CREATE)
    assert not gate.struck
    with pytest.raises(FaultError):
        gate.enter(CREATE)
    assert gate.struck
    assert victim.deaths == 1


def test_it_strikes_before_the_call(gate: Gate, victim: Victim) -> None:
    gate.begin(FaultPoint(CREATE, 1, Fault.KILLED_BEFORE))
    _pass(gate, READ)
    with pytest.raises(FaultError):
        gate.enter(CREATE)
    assert victim.deaths == 1


def test_it_strikes_after_the_commit(gate: Gate, victim: Victim) -> None:
    gate.begin(FaultPoint(CREATE, 1, Fault.KILLED_AFTER))
    occurrence = gate.enter(CREATE)
    assert victim.deaths == 0
    with pytest.raises(FaultError):
        gate.committed(CREATE, occurrence)
    assert victim.deaths == 1


def test_it_strikes_once(gate: Gate, victim: Victim) -> None:
    gate.begin(FaultPoint(CREATE, 1, Fault.KILLED_AFTER))
    with pytest.raises(FaultError):
        gate.committed(CREATE, 1)
    gate.committed(CREATE, 1)
    assert victim.deaths == 1


@pytest.mark.parametrize(("fault", "status"), [(Fault.UNAVAILABLE, 503), (Fault.REFUSED, 400)])
def test_a_call_fails_and_nobody_dies(gate: Gate, victim: Victim, fault: Fault, status: int) -> None:
    gate.begin(FaultPoint(CREATE, 1, fault))
    with pytest.raises(FaultError) as raised:
        gate.enter(CREATE)
    assert (raised.value.status, victim.deaths, gate.struck) == (status, 0, True)


def test_it_is_not_quiet_while_a_call_is_under_way(gate: Gate) -> None:
    assert gate.quiet_for(0)
    gate.enter(READ)
    assert not gate.quiet_for(0)
    gate.leave()
    assert gate.quiet_for(0)
    assert not gate.quiet_for(60)


def test_who_makes_the_call_is_killed(gate: Gate, victim: Victim) -> None:
    of_job = Call("platform", "POST", "/flows", Caller.JOB)
    gate.begin(FaultPoint(of_job, 1, Fault.KILLED_BEFORE))
    _pass(gate, CREATE)
    with pytest.raises(FaultError):
        gate.enter(of_job)
    assert victim.killed is Caller.JOB
