"""What the services allow: how much of it is used, and how few tokens many connections need."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from hack.console import ToolError, say
from tests.bench.distribution import Row
from tests.bench.load import (
    Watched,
    connection,
    create_all,
    create_namespace,
    create_secrets,
    dataflow,
    prepare,
)
from tests.bench.stage import Stage, stage

PER_MINUTE = 600
"""Requests that Platform allows; the emulator counts those of the last 60 seconds."""
RETRY_AFTER = ("seconds", "absent")
CONNECTIONS = 5000
_CONNECTIONS_OF_LIMITED = 10
_FULL_SECONDS = 90.0
"""After this long the first burst has left the window that the emulator counts."""
_MEASURED_SECONDS = 120.0
_BACK_SECONDS, _BACK_SPAN = 120.0, 5.0


def limited(directory: Path, flows: int, retry_after: str, latency: float) -> Row:
    """More dataflows at once than Platform allows calls for, with or without ``Retry-After``; then the limit
    goes.
    """
    with stage(directory) as place:
        place.answer_after(latency)
        place.start_operator()
        return asyncio.run(_limited(place, flows, retry_after))


async def _limited(place: Stage, flows: int, retry_after: str) -> Row:
    async with place.api() as session:
        await prepare(place, session, _CONNECTIONS_OF_LIMITED)
        watched = Watched()
        watch = asyncio.create_task(watched.follow(session, "crmdataflows"))
        place.control.switch("aep", rateLimitPerMinute=PER_MINUTE, retryAfter=retry_after)
        await create_all(session, (dataflow(number, _CONNECTIONS_OF_LIMITED) for number in range(flows)))
        await asyncio.sleep(_FULL_SECONDS)
        before, begun = _answers(place), time.monotonic()
        await asyncio.sleep(_MEASURED_SECONDS)
        after, seconds = _answers(place), time.monotonic() - begun
        if len(watched.ready_at) >= flows:
            raise ToolError(f"{flows} dataflows are too few to meet the limit for {_FULL_SECONDS:.0f} s")
        accepted, refused = after[0] - before[0], after[1] - before[1]
        place.control.switch("aep", rateLimitPerMinute=None)
        back = await _is_back(place)
        watch.cancel()
    row = {
        "flows": flows,
        "retryAfter": retry_after,
        "limit": PER_MINUTE,
        "used": accepted / (PER_MINUTE * seconds / 60),
        "refused": refused / max(1, accepted + refused),
        "back": back,
    }
    say(
        f"{PER_MINUTE} calls a minute, Retry-After {retry_after}: {row['used']:.0%} used, "
        f"{row['refused']:.1%} refused, back after {back:.0f} s"
    )
    return row


async def _is_back(place: Stage) -> float:
    """Seconds until twice as many calls come as were allowed."""
    begun = time.monotonic()
    while time.monotonic() - begun < _BACK_SECONDS:
        before = _answers(place)[0]
        await asyncio.sleep(_BACK_SPAN)
        if _answers(place)[0] - before >= 2 * PER_MINUTE * _BACK_SPAN / 60:
            break
    return time.monotonic() - begun


def _answers(place: Stage) -> tuple[int, int]:
    """Calls to Platform that were not refused, and that were."""
    answers = [one for one in place.control.get("/exchanges")["exchanges"] if one["service"] == "platform"]
    refused = sum(one["count"] for one in answers if one["status"] == 429)
    return sum(one["count"] for one in answers) - refused, refused


def one_credential(directory: Path, connections: int, latency: float) -> Row:
    """So many connections that share both Secrets, until all are Ready, and a restart with them."""
    with stage(directory) as place:
        place.answer_after(latency)
        place.start_operator()
        return asyncio.run(_one_credential(place, connections))


async def _one_credential(place: Stage, connections: int) -> Row:
    async with place.api() as session:
        await create_namespace(session)
        await create_secrets(place, session)
        watched = Watched()
        watch = asyncio.create_task(watched.follow(session, "zohosourceconnections"))
        before = await place.reading(session)
        begun = time.time()
        await create_all(session, map(connection, range(connections)))
        await watched.until(lambda: len(watched.ready_at) == connections, 3600)
        spent = before.until(await place.reading(session))
        seconds = max(watched.ready_at.values()) - begun
        tokens = _tokens(place)
        place.stop_operator()
        place.start_operator()
        await asyncio.sleep(20)
        renewed = _tokens(place) - tokens
        watch.cancel()
    row = {
        "connections": connections,
        "seconds": seconds,
        "calls": spent.remote.total() / connections,
        "tokens": tokens,
        "tokensAfterRestart": renewed,
        "memory": place.memory(),
    }
    say(f"{connections} connections of one credential: {seconds:.0f} s, {tokens} tokens, {renewed} anew")
    return row


def _tokens(place: Stage) -> int:
    """Requests for tokens, to Zoho and to Adobe."""
    answers = place.control.get("/exchanges")["exchanges"]
    ends = ("/ims/token/v3", "/oauth/v2/token")
    return sum(one["count"] for one in answers if one["path"].partition("?")[0].endswith(ends))
