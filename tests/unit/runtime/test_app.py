"""What the operator calls itself, and what it says when it can't know."""

from __future__ import annotations

import asyncio

import pytest

from crmflow.runtime import app
from crmflow.runtime.app import Application
from crmflow.runtime.controller.initial_sync import InitialSync
from crmflow.runtime.controller.served_namespaces import Operation, ServedNamespaces
from crmflow.runtime.kubernetes.client import Kubernetes
from crmflow.runtime.kubernetes.errors import KubernetesError
from crmflow.settings import Settings
from tests.unit.runtime.fakes import JumpingClock, serving, settle


class Cluster(Kubernetes):
    """An API server that answers one read."""

    def __init__(self, answer: str | KubernetesError) -> None:
        self.answer = answer

    async def namespace_uid(self, name: str) -> str:
        assert name == "kube-system"
        if isinstance(self.answer, KubernetesError):
            raise self.answer
        return self.answer


def application(**settings: str) -> Application:
    return Application(
        Settings.from_environment({f"CRMFLOW_{name}": text for name, text in settings.items()}),
        JumpingClock(),
    )


async def test_an_instance_that_is_set_needs_no_read() -> None:
    assert (
        await application(INSTANCE="crm-production").instance(Cluster(KubernetesError("never asked")))
        == "crm-production"
    )


async def test_the_default_is_the_uid_of_kube_system() -> None:
    assert await application().instance(Cluster("4f1c")) == "4f1c"


async def test_where_that_may_not_be_read_the_setting_is_asked_for() -> None:
    operator = application()
    assert await operator.instance(Cluster(KubernetesError("forbidden", 403))) is None
    assert "CRMFLOW_INSTANCE" in (operator.waiting_for or "")


async def test_an_api_server_that_does_not_answer_is_waited_for() -> None:
    with pytest.raises(KubernetesError):
        await application().instance(Cluster(KubernetesError("timed out")))


class Shelves(InitialSync):
    """An initial sync of one namespace, which may or may not be listed."""

    def __init__(self, served: ServedNamespaces) -> None:
        self.served = served
        self.refused = True
        self.taken = 0

    async def run(self) -> None:
        self.taken += 1
        if self.refused:
            self.served.note_refused("crm", Operation.LIST, KubernetesError("403 Forbidden: no", 403))
        else:
            self.served.note_allowed("crm", Operation.LIST)


async def test_a_standby_that_comes_to_lead_while_nothing_can_be_listed_is_ready_again_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(app, "RETRY_SECONDS", 0.0)
    operator, served = application(), serving("crm")
    initial_sync = Shelves(served)
    assert operator.waiting_for == "the API server"
    for _ in ("at the start", "once elected"):
        filling = asyncio.create_task(operator.fill(initial_sync, served))
        await settle()
        assert initial_sync.taken > 1
        assert "403 Forbidden: no" in (operator.waiting_for or "")
        initial_sync.refused = False
        assert await filling
        assert operator.waiting_for is None
        initial_sync.refused, initial_sync.taken = True, 0


class Part:
    """Runs for ever, or fails; at its end it writes something down, which takes a while."""

    def __init__(self, failure: Exception | None = None, last_write: float = 0.0) -> None:
        self.failure, self.last_write, self.wrote = failure, last_write, False

    async def run(self) -> None:
        try:
            if self.failure:
                raise self.failure
            await asyncio.Event().wait()
        finally:
            for _ in range(20):
                await asyncio.sleep(self.last_write)
            self.wrote = True


async def test_what_runs_together_has_ended_once_it_is_canceled() -> None:
    """Notes in the token store were lost at an orderly end, since others had ended sooner."""
    quick, slow = Part(), Part(last_write=0.001)
    running = asyncio.create_task(app.together(quick.run(), slow.run()))
    await settle()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (quick.wrote, slow.wrote) == (True, True)


async def test_what_runs_together_ends_with_the_first_that_fails() -> None:
    failing, slow = Part(RuntimeError("no more")), Part(last_write=0.001)
    with pytest.raises(RuntimeError, match="no more"):
        await app.together(failing.run(), slow.run())
    assert (failing.wrote, slow.wrote) == (True, True)
