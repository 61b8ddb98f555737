"""The probes over HTTP: each cause of ill health by itself, and what readiness waits for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from crmflow.observability.metrics import Metrics
from crmflow.reconcile.core.decide import Priority
from crmflow.runtime.controller.keys import Key
from crmflow.runtime.controller.queue import WorkQueue
from crmflow.runtime.controller.secrets import RECONNECT_SECONDS, SecretReader, SecretWatch
from crmflow.runtime.health import (
    LAG_LIMIT_SECONDS,
    QUEUE_LIMIT_SECONDS,
    TICK_SECONDS,
    WATCH_LIMIT_SECONDS,
    LoopLag,
    loop_is_prompt,
    queue_moves,
    watches_connect,
)
from crmflow.runtime.kubernetes.errors import KubernetesError
from crmflow.runtime.probes import ProbeServer
from tests.unit.runtime.fakes import FakeKubernetes, JumpingClock, serving, settle

FLOW, LEADS = Key("CRMDataflow", "crm", "contacts"), Key("CRMDataflow", "crm", "leads")


class Patient:
    """Everything that liveness looks at, on two clocks, behind a real listener."""

    def __init__(self) -> None:
        self.clock, self.steady, self.watching = JumpingClock(), JumpingClock(), JumpingClock()
        self.kubernetes = FakeKubernetes()
        self.lag = LoopLag(self.steady)
        self.queue = WorkQueue(self.clock)
        self.watch = SecretWatch(
            self.kubernetes.port,
            SecretReader(self.kubernetes.port),
            self.clock,
            self.watching,
            None,
            serving(),
            lambda *_: None,
        )
        self.waiting_for: str | None = None
        self.url = ""

    async def probe(self, path: str) -> tuple[int, str]:
        """Status and text of a probe."""
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.get(f"{self.url}{path}")
        return answer.status_code, answer.text


@pytest.fixture
async def patient(tmp_path: Path) -> AsyncIterator[Patient]:
    found = Patient()
    tasks = [asyncio.create_task(found.lag.run()), asyncio.create_task(found.watch.run())]
    probes = ProbeServer(
        "127.0.0.1:0",
        Metrics().text,
        lambda: found.waiting_for,
        [loop_is_prompt(found.lag), watches_connect([found.watch]), queue_moves(found.queue)],
    )
    await probes.start(str(tmp_path / "address"))
    found.url = f"http://{(tmp_path / 'address').read_text()}"
    await settle()
    yield found
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await probes.stop()


async def test_a_healthy_operator_is_alive_and_ready(patient: Patient) -> None:
    for _ in range(20):
        patient.steady.jump(TICK_SECONDS)
        await settle()
    assert await patient.probe("/healthz") == (200, "ok\n")
    assert await patient.probe("/readyz") == (200, "ok\n")


async def test_it_is_not_ready_while_something_is_waited_for_but_alive(patient: Patient) -> None:
    patient.waiting_for = "the CustomResourceDefinitions"
    assert await patient.probe("/readyz") == (503, "the CustomResourceDefinitions\n")
    assert await patient.probe("/healthz") == (200, "ok\n")


async def test_a_watch_that_does_not_connect_again_is_unhealthy(patient: Patient) -> None:
    patient.watching.jump(WATCH_LIMIT_SECONDS)
    assert (await patient.probe("/healthz"))[0] == 200
    patient.watching.jump(1)
    status, text = await patient.probe("/healthz")
    assert (status, text.count("\n")) == (503, 1)
    assert "the watch of Secrets" in text


async def test_tries_to_connect_that_fail_do_not_count_as_health(patient: Patient) -> None:
    patient.kubernetes.errors["watch_secret_metadata"] = [KubernetesError("down")] * 9
    patient.watching.jump(WATCH_LIMIT_SECONDS + 1)
    patient.clock.jump(RECONNECT_SECONDS[1])
    await settle()
    assert (await patient.probe("/healthz"))[0] == 503


async def test_a_key_that_no_worker_takes_is_unhealthy(patient: Patient) -> None:
    patient.queue.add(FLOW, Priority.CHANGE)
    patient.clock.jump(QUEUE_LIMIT_SECONDS + 1)
    status, text = await patient.probe("/healthz")
    assert (status, text.count("\n")) == (503, 1)
    assert "no worker" in text


async def test_a_long_queue_that_moves_is_healthy(patient: Patient) -> None:
    patient.queue.add(FLOW, Priority.POLL)
    patient.queue.add(LEADS, Priority.CHANGE)
    patient.clock.jump(QUEUE_LIMIT_SECONDS - 1)
    assert await patient.queue.get() == LEADS
    patient.clock.jump(QUEUE_LIMIT_SECONDS - 1)
    assert (await patient.probe("/healthz"))[0] == 200
    assert patient.queue.oldest_wait == 2 * QUEUE_LIMIT_SECONDS - 2


async def test_a_blocked_event_loop_is_unhealthy_until_it_is_prompt_again(patient: Patient) -> None:
    patient.steady.jump(TICK_SECONDS + LAG_LIMIT_SECONDS + 1)  # nothing ran meanwhile
    status, text = await patient.probe("/healthz")
    assert (status, text.count("\n")) == (503, 1)
    assert "event loop" in text
    patient.steady.jump(TICK_SECONDS)
    await settle()
    assert (await patient.probe("/healthz"))[0] == 200
