"""What an object that can't be read means."""

from __future__ import annotations

from typing import Any

import pytest

from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.reconcile.core.outcome import OutcomeClass, PassEndedError
from crmflow.reconcile.core.sandbox import SandboxClient, forbid_recreation
from crmflow.reconcile.external.base_connection import BASE_CONNECTION
from crmflow.reconcile.external.flow import FLOW
from crmflow.reconcile.external.remote_object import RemoteObject
from crmflow.reconcile.external.source_connection import SOURCE_CONNECTION
from crmflow.reconcile.external.target_connection import TARGET_CONNECTION
from crmflow.reconcile.ports import Absence
from tests.fakes.failing import remote_error
from tests.unit.reconcile.harness import Harness


@pytest.mark.parametrize("absence", [Absence.GONE, Absence.RESET])
def test_what_is_gone_may_be_made_anew(absence: Absence) -> None:
    forbid_recreation(absence, "flow f1")


@pytest.mark.parametrize(
    ("absence", "reason", "way_out"),
    [
        (Absence.HIDDEN, "HiddenByLabel", "role that label"),
        (Absence.MASS_DELETION, "MassDeletion", "crmflow.io/accept-loss"),
    ],
)
def test_what_may_come_back_is_waited_for_by_a_person(absence: Absence, reason: str, way_out: str) -> None:
    with pytest.raises(PassEndedError) as raised:
        forbid_recreation(absence, "flow f1")
    outcome = raised.value.outcome
    assert (outcome.outcome_class, outcome.reason) == (OutcomeClass.STALLED, reason)
    assert "flow f1" in outcome.message
    assert way_out in outcome.message


KINDS = [BASE_CONNECTION, SOURCE_CONNECTION, TARGET_CONNECTION, FLOW]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.slot)
async def test_an_object_is_read_once_there_is_an_id(kind: RemoteObject[Any]) -> None:
    harness = Harness()
    sandbox = SandboxClient(harness.platform, harness.inventory)
    assert await sandbox.read(kind, None) is None
    assert harness.timeline == []
    assert await sandbox.read(kind, "x-1") is None
    assert harness.timeline == [f"{kind.collection}.get"]
    harness.platform.fail(f"{kind.collection}.get", remote_error())
    with pytest.raises(RemoteError):
        await sandbox.read(kind, "x-1")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.slot)
@pytest.mark.parametrize(
    ("error_class", "counts"),
    [
        (None, True),
        (ErrorClass.NOT_FOUND, True),
        (ErrorClass.IN_USE, False),
        (ErrorClass.TRANSIENT, False),
        (ErrorClass.TERMINAL, False),
    ],
)
async def test_only_what_is_gone_counts_as_deleted(
    kind: RemoteObject[Any], error_class: ErrorClass | None, counts: bool
) -> None:
    harness = Harness()
    sandbox, call = SandboxClient(harness.platform, harness.inventory), f"{kind.collection}.delete"
    if error_class:
        harness.platform.fail(call, remote_error(error_class))
    else:
        held = kind.collection.model({"id": "x-1", "state": "enabled"})
        harness.platform.objects(kind.collection)["x-1"] = held
    if counts:
        await sandbox.delete(kind, "x-1")
    else:
        with pytest.raises(RemoteError):
            await sandbox.delete(kind, "x-1")
    assert harness.timeline == [call]
    assert harness.inventory.deletions == (["x-1"] if counts else [])
