"""How the parts are told of each other, where that decides something."""

from __future__ import annotations

import pytest

from crmflow.http.client import HttpClient
from crmflow.http.pool import SpreadTransport
from crmflow.observability.metrics import Metrics
from crmflow.runtime.controller.served_namespaces import Operation
from crmflow.runtime.kubernetes.errors import KubernetesError
from crmflow.runtime.wiring import Components
from crmflow.settings import Settings
from tests.unit.runtime.fakes import FakeKubernetes, JumpingClock, make_object


def components(**settings: str) -> Components:
    clock, metrics = JumpingClock(), Metrics()
    given = Settings.from_environment({f"CRMFLOW_{name}": text for name, text in settings.items()})
    http = HttpClient(SpreadTransport(), clock, metrics.remote_call)
    return Components(given, clock, metrics, given.instance or "4f1c", FakeKubernetes().port, http)


@pytest.mark.parametrize(
    ("settings", "all_are_seen"),
    [
        ({}, True),
        ({"INSTANCE": "crm"}, True),
        ({"INSTANCE": "crm", "WATCH_NAMESPACES": "one,two"}, True),
        ({"WATCH_NAMESPACES": "one,two"}, False),
    ],
)
def test_who_has_the_clusters_name_and_serves_a_part_does_not_see_all_that_bears_it(
    settings: dict[str, str], all_are_seen: bool
) -> None:
    """Another installation's objects in the same sandbox would be called orphans, to be deleted by hand."""
    assert components(**settings).sees_all() is all_are_seen


def test_all_are_seen_again_once_no_namespace_is_refused() -> None:
    operator = components(INSTANCE="crm", WATCH_NAMESPACES="one,two")
    operator.served.note_refused("two", Operation.LIST, KubernetesError("no", 403))
    assert not operator.sees_all()
    operator.served.note_allowed("two", Operation.LIST)
    assert operator.sees_all()


async def test_the_end_of_a_job_has_its_dataflow_reconciled() -> None:
    operator = components()
    operator.handler.seen(make_object(uid="uid-7"))
    operator.queue.open()
    key = await operator.queue.get()
    assert key is not None
    operator.queue.done(key)
    for uid in ("uid-7", "uid-8"):
        operator._wake(uid)
    assert operator.queue.depth == 1
    assert await operator.queue.get() == key
    operator.handler.gone(make_object(uid="uid-7"))
    assert operator.cache.with_uid("uid-7") is None
