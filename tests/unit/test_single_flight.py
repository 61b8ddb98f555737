"""One call at a time for what many want at once."""

from __future__ import annotations

import asyncio

from crmflow.single_flight import SingleFlight


async def test_a_call_that_has_just_ended_is_not_waited_for() -> None:
    """Between the end of a task and its callbacks somebody else may come: waiting for what has ended gives
    the loop no turn, so the callbacks would never run.
    """

    async def answer() -> int:
        return 2

    flight = SingleFlight[int]()
    ended: asyncio.Task[int] = asyncio.create_task(asyncio.sleep(0, 1))
    await ended
    flight._calls["key"] = ended
    assert not flight.is_running("key")
    assert await flight.run("key", answer) == 2
