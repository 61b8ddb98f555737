"""What the operator calls itself, and what it says when it can't know."""

from __future__ import annotations

import pytest

from crmflow.runtime.app import Application
from crmflow.runtime.kube import Kubernetes, KubernetesError
from crmflow.settings import Settings
from tests.unit.runtime.fakes import JumpingClock


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
