"""At which calls of a run a fault could matter."""

from __future__ import annotations

from tests.faults.calls import KUBERNETES, Call
from tests.faults.points import FAILURES, Fault, FaultPoint, points_of

READ = Call("platform", "GET", "/flows/{id}")
CREATE = Call("platform", "POST", "/flows")
WRITE = Call(KUBERNETES, "PATCH", "/status")


def test_a_remote_write_has_two_and_everything_else_one() -> None:
    assert points_of([READ, CREATE, WRITE]) == [
        FaultPoint(READ, 1, Fault.KILLED_BEFORE),
        FaultPoint(CREATE, 1, Fault.KILLED_BEFORE),
        FaultPoint(CREATE, 1, Fault.KILLED_AFTER),
        FaultPoint(WRITE, 1, Fault.KILLED_BEFORE),
    ]


def test_a_remote_write_fails_in_three_ways_a_read_in_one_and_kubernetes_in_none() -> None:
    assert points_of([READ, CREATE, WRITE], FAILURES) == [
        FaultPoint(READ, 1, Fault.UNAVAILABLE),
        FaultPoint(CREATE, 1, Fault.UNAVAILABLE),
        FaultPoint(CREATE, 1, Fault.REFUSED),
        FaultPoint(CREATE, 1, Fault.LOST),
    ]


def test_calls_of_a_kind_are_counted_among_themselves() -> None:
    points = points_of([WRITE, READ, WRITE, READ])
    assert [(point.call, point.occurrence) for point in points] == [
        (WRITE, 1),
        (READ, 1),
        (WRITE, 2),
        (READ, 2),
    ]
