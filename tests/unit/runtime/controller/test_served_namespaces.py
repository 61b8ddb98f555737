"""Which namespaces can be served: told once, shown for as long as it lasts, and over when it is over."""

from __future__ import annotations

import logging

import pytest

from crmflow.observability.metrics import Metrics
from crmflow.runtime.controller.served_namespaces import Operation, ServedNamespaces, is_refusal
from crmflow.runtime.kubernetes.errors import KubernetesError

FORBIDDEN = KubernetesError("403 Forbidden", 403)


class Harness:
    """Some namespaces, the metrics, and those that were told to be readable again."""

    def __init__(self, *names: str) -> None:
        self.metrics = Metrics()
        self.again: list[str | None] = []
        self.served = ServedNamespaces(names, self.metrics, self.again.append)

    def metric(self, namespace: str) -> float | None:
        return self.metrics.registry.get_sample_value("crmflow_namespace_served", {"namespace": namespace})


def test_all_namespaces_are_one() -> None:
    harness = Harness()
    assert harness.served.names == (None,)
    assert harness.metric("*") == 1


@pytest.mark.parametrize("asked", list(Operation))
def test_a_refusal_is_told_once_and_shown_until_it_is_over(
    asked: Operation, caplog: pytest.LogCaptureFixture
) -> None:
    harness = Harness("a", "b")
    for _ in range(3):
        harness.served.note_refused("b", asked, FORBIDDEN)
    (told,) = (record for record in caplog.records if record.name == "crmflow.served")
    assert told.levelno == logging.ERROR
    assert 'namespace "b" is not served' in told.getMessage()
    assert str(asked) in told.getMessage()
    assert "403 Forbidden" in told.getMessage()
    assert (harness.metric("a"), harness.metric("b")) == (1, 0)
    assert harness.again == []

    for _ in range(2):
        harness.served.note_allowed("b", asked)
    assert harness.metric("b") == 1
    assert harness.again == ["b"]


def test_it_is_served_again_once_nothing_is_refused() -> None:
    harness = Harness("a")
    harness.served.note_refused("a", Operation.LIST, FORBIDDEN)
    harness.served.note_refused("a", Operation.SECRETS, FORBIDDEN)
    harness.served.note_allowed("a", Operation.LIST)
    assert (harness.metric("a"), harness.again) == (0, [])
    harness.served.note_allowed("a", Operation.SECRETS)
    assert (harness.metric("a"), harness.again) == (1, ["a"])


def test_there_is_a_fault_only_if_no_namespace_can_be_served() -> None:
    harness = Harness("a", "b")
    harness.served.note_refused("a", Operation.LIST, FORBIDDEN)
    assert harness.served.fault is None
    harness.served.note_refused("b", Operation.SECRETS, FORBIDDEN)
    assert harness.served.fault is None
    harness.served.note_refused("b", Operation.WATCH, FORBIDDEN)
    assert harness.served.fault is not None
    assert "403 Forbidden" in harness.served.fault


@pytest.mark.parametrize(
    ("error", "refused"),
    [
        (KubernetesError("403", 403), True),
        (KubernetesError("404", 404), True),
        (KubernetesError("500", 500), False),
        (KubernetesError("unreachable"), False),
        (RuntimeError("mistake"), False),
    ],
)
def test_what_is_a_fault_of_one_namespace(error: Exception, refused: bool) -> None:
    assert is_refusal(error) is refused


def test_what_is_seen_is_what_is_to_be_served_and_can_be() -> None:
    harness = Harness("a", "b")
    harness.served.note_refused("b", Operation.LIST, FORBIDDEN)
    assert [harness.served.sees(name) for name in ("a", "b", "c")] == [True, False, False]
    harness.served.note_allowed("b", Operation.LIST)
    harness.served.note_refused("b", Operation.SECRETS, FORBIDDEN)
    assert harness.served.sees("b")


def test_where_all_are_served_all_are_seen_unless_that_is_refused() -> None:
    harness = Harness()
    assert harness.served.sees("any")
    harness.served.note_refused(None, Operation.WATCH, FORBIDDEN)
    assert not harness.served.sees("any")
