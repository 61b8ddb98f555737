"""``kubectl crmflow approve``: what is shown, what is asked, and what is written."""

from __future__ import annotations

import asyncio
from copy import deepcopy
from typing import Any

import pytest

from crmflow.cli import approve as command
from crmflow.cli.api_server import ConflictError
from crmflow.cli.dataflow import Dataflow
from crmflow.cli.options import ApproveOptions
from crmflow.cli.problem import Problem

HASH, OTHER = "42a21acb6f85", "0123456789ab"
FLOW = "b2276523-fa0b-4db1-8a44-dc3234484b6a"


def dataflow(
    plan: dict[str, Any] | None = None,
    *,
    ready: tuple[str, str] = ("ReplacementRequired", "It can't be changed."),
    observed: int = 2,
    spec: dict[str, Any] | None = None,
    **metadata: Any,
) -> dict[str, Any]:
    """``team/contacts`` as the API server shows it."""
    reason, message = ready
    return {
        "metadata": {
            "namespace": "team",
            "name": "contacts",
            "generation": 2,
            "resourceVersion": "7",
            **metadata,
        },
        "spec": {
            "connectionRef": {"name": "zoho-eu"},
            "source": {"table": "Leads"},
            "target": {"schema": {"id": "https://ns.adobe.com/t/schemas/1"}, "dataset": {"id": "1"}},
            "mapping": [{"source": "Email", "target": "personalEmail.address"}],
            "schedule": {"frequency": "Hour", "interval": 1},
            "deltaColumn": {"name": "Modified_Time"},
            **(spec or {}),
        },
        "status": {
            "observedGeneration": observed,
            "conditions": [
                {
                    "type": "Ready",
                    "status": "False",
                    "reason": reason,
                    "message": message,
                    "observedGeneration": observed,
                    "lastTransitionTime": "2026-01-02T03:04:05Z",
                }
            ],
            **({"plan": plan} if plan else {}),
        },
    }


def plan(**changes: Any) -> dict[str, Any]:
    return {
        "hash": HASH,
        "fields": ["spec.source.table", "spec.deltaColumn"],
        "actions": [
            {"action": "Share", "object": "mapping set"},
            {"action": "Create", "object": "flow"},
            {"action": "Disable", "object": "flow", "id": FLOW},
            {"action": "Delete", "object": "flow", "id": FLOW},
        ],
        "reads": {"begin": "Beginning", "twice": "every record that it has already"},
        "state": "WaitingForApproval",
        **changes,
    }


class FakeCluster:
    """An API server with one dataflow, which shows its states one after the other."""

    def __init__(self, *states: dict[str, Any], conflicts: int = 0) -> None:
        self._states = list(states)
        self._conflicts = conflicts
        self.approved: list[str] = []

    async def dataflow(self, name: str) -> Dataflow:
        state = self._states.pop(0) if len(self._states) > 1 else self._states[0]
        assert state["metadata"]["name"] == name
        return Dataflow.of(deepcopy(state))

    async def approve_plan(self, dataflow: Dataflow, plan_hash: str) -> None:
        assert dataflow.resource_version == "7"
        if self._conflicts:
            self._conflicts -= 1
            raise ConflictError("the object has been modified")
        self.approved.append(plan_hash)

    async def close(self) -> None:
        """Nothing is open."""


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """The answers of a person at a terminal; empty it for standard input that is none."""
    answers = [True]
    monkeypatch.setattr(command, "can_ask", lambda: bool(answers))
    monkeypatch.setattr(command, "confirm", lambda _: answers[0])
    return answers


def run(cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch, *, yes: bool = False) -> bool:
    async def connect(_: object) -> FakeCluster:
        return cluster

    monkeypatch.setattr(command.Cluster, "connect", connect)
    return asyncio.run(command.approve(ApproveOptions("contacts", yes=yes)))


def problem(cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> str:
    with pytest.raises(Problem) as raised:
        run(cluster, monkeypatch)
    assert cluster.approved == []
    return f"{raised.value.message} {raised.value.advice}"


def test_what_is_shown_is_what_is_approved(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = FakeCluster(dataflow(plan()))
    assert run(cluster, monkeypatch)
    shown = capsys.readouterr()
    assert cluster.approved == [HASH]
    assert shown.out.splitlines() == [
        f"Plan {HASH} of CRMDataflow team/contacts",
        "Only another flow can have what the spec says: spec.source.table, spec.deltaColumn.",
        "",
        "ACTION          OBJECT        ID",
        "use or create   mapping set",
        "create          flow",
        f"disable         flow          {FLOW}",
        f"delete          flow          {FLOW}",
        "",
        "The new flow reads all records.",
        "The dataset may get twice every record that it has already.",
        "",
    ]
    assert shown.err == (
        f"Plan {HASH} is approved. The operator carries it out; follow it with: "
        "kubectl get crmdataflow contacts -n team -w\n"
    )


def test_what_is_lost_is_shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    reads = {"begin": "NextRun", "lost": "what changes until the first run of the new flow"}
    assert run(FakeCluster(dataflow(plan(reads=reads))), monkeypatch)
    assert "Nothing reads what changes until the first run of the new flow." in capsys.readouterr().out


def test_a_no_writes_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], terminal: list[bool]
) -> None:
    terminal[:] = [False]
    cluster = FakeCluster(dataflow(plan()))
    assert not run(cluster, monkeypatch)
    assert cluster.approved == []
    assert "is not approved. The flow goes on as it is." in capsys.readouterr().err


def test_without_a_terminal_only_yes_approves(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], terminal: list[bool]
) -> None:
    terminal.clear()
    cluster = FakeCluster(dataflow(plan()))
    assert "no terminal to ask at. Approve it with --yes." in problem(cluster, monkeypatch)
    assert HASH in capsys.readouterr().out
    assert run(cluster, monkeypatch, yes=True)
    assert cluster.approved == [HASH]


def test_a_plan_that_has_changed_while_it_was_read_is_not_approved(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = FakeCluster(dataflow(plan()), dataflow(plan(hash=OTHER)))
    assert f"Plan {HASH} is not approved: meanwhile it has become plan {OTHER}." in problem(
        cluster, monkeypatch
    )


def test_a_spec_that_was_edited_while_the_plan_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = FakeCluster(dataflow(plan()), dataflow(plan(), generation=3))
    assert "not looked at generation 3" in problem(cluster, monkeypatch)


@pytest.mark.parametrize("conflicts", [1, 4])
def test_other_changes_of_the_object_are_no_hindrance(
    monkeypatch: pytest.MonkeyPatch, conflicts: int
) -> None:
    cluster = FakeCluster(dataflow(plan()), conflicts=conflicts)
    assert run(cluster, monkeypatch)
    assert cluster.approved == [HASH]


def test_an_object_that_never_rests_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "has been modified" in problem(FakeCluster(dataflow(plan()), conflicts=99), monkeypatch)


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (
            dataflow(plan(), annotations={"crmflow.io/approve-plan": HASH}),
            "was approved before. The operator",
        ),
        (
            dataflow(
                plan(state="InProgress", approved="Annotation"),
                ready=("Replacing", "Waiting until flow 1 is disabled."),
                observed=1,
            ),
            "is in progress. Waiting until flow 1 is disabled.",
        ),
    ],
)
def test_what_was_approved_before_needs_no_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], state: dict[str, Any], said: str
) -> None:
    cluster = FakeCluster(state)
    assert run(cluster, monkeypatch)
    assert cluster.approved == []
    assert said in capsys.readouterr().err


def test_the_approval_of_another_plan_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = FakeCluster(dataflow(plan(), annotations={"crmflow.io/approve-plan": OTHER}))
    assert run(cluster, monkeypatch)
    assert cluster.approved == [HASH]


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (
            dataflow(ready=("Succeeded", "Flow 1 runs and is what the spec says.")),
            'no plan to approve for CRMDataflow "contacts". Succeeded: Flow 1 runs',
        ),
        (
            dataflow(ready=("TableNotFound", "Platform sees no table.")),
            "TableNotFound: Platform sees no table.",
        ),
        (dataflow(spec={"flowId": FLOW}), f"Flow {FLOW} was adopted by spec.flowId"),
        (dataflow(plan(), observed=1), "not looked at generation 2"),
        (dataflow(plan(), deletionTimestamp="2026-01-02T03:04:05Z"), "is being deleted"),
        (
            dataflow(
                plan(
                    state="RolledBack",
                    approved="Annotation",
                    failure="Platform refuses the schedule",
                    retryTime="2026-01-02T03:14:05Z",
                )
            ),
            "rolled back; the flow goes on as it is. Platform refuses the schedule. "
            "Remove the cause: the plan is tried again at 2026-01-02T03:14:05Z.",
        ),
    ],
)
def test_what_cannot_be_approved(monkeypatch: pytest.MonkeyPatch, state: dict[str, Any], said: str) -> None:
    assert said in problem(FakeCluster(state), monkeypatch)


def test_a_paused_dataflow_is_replaced_later(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(FakeCluster(dataflow(plan(), spec={"paused": True})), monkeypatch)
    assert "once spec.paused is false" in capsys.readouterr().err
