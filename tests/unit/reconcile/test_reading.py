"""What a version makes of specs and statuses that it can't read."""

from __future__ import annotations

from typing import Any

import pytest

from crmflow.api.crmdataflow import CRMDataflowSpec, CRMDataflowStatus
from crmflow.api.zohosourceconnection import ZohoSourceConnectionSpec, ZohoSourceConnectionStatus
from crmflow.reconcile.core.reading import (
    NotUnderstoodError,
    Understanding,
    at,
    instant,
    read_spec,
    read_status,
    text_at,
    understand,
)
from tests.unit.reconcile.harness import connection_spec, dataflow_spec

INTENT = {"slot": "flow", "name": "Contacts", "time": "2026-01-01T00:00:00Z"}


def dataflow(status: Any = None, **spec: Any) -> Understanding:
    return understand(
        CRMDataflowSpec, CRMDataflowStatus, {"spec": {**dataflow_spec(), **spec}, "status": status}
    )


def connection(status: Any = None, **spec: Any) -> Understanding:
    obj = {"spec": {**connection_spec(), **spec}, "status": status}
    return understand(ZohoSourceConnectionSpec, ZohoSourceConnectionStatus, obj)


def message(understood: Understanding) -> str:
    outcome = understood.obstacle()
    assert outcome is not None
    assert outcome.reason == "SpecNotUnderstood"
    return outcome.message


def test_what_can_be_read_is_no_obstacle() -> None:
    status = {"flow": {"id": "f1"}, "intents": [INTENT], "newer": {"id": "x"}}
    understood = dataflow(status, newer=True)
    assert (understood.obstacle(), understood.obstacle_to_deletion()) == (None, None)
    assert understood.status.value.flow.id == "f1"


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"schedule": {"frequency": "Month", "interval": 1}}, "spec.schedule.frequency"),
        ({"schedule": None}, "spec.schedule"),
        ({"deletionPolicy": "Retain"}, "spec.deletionPolicy"),
        ({"managementPolicy": "Suggest"}, "spec.managementPolicy"),
        ({"resyncInterval": "1d"}, "spec.resyncInterval"),
        ({"mapping": [{"target": "a.b", "source": ["x"]}]}, "spec.mapping[0].source"),
        ({"paused": {}}, "spec.paused"),
    ],
)
def test_a_spec_that_can_not_be_read_is_told_by_field(spec: dict[str, Any], field: str) -> None:
    understood = dataflow(**spec)
    assert f"can't read {field} (" in message(understood)
    assert understood.obstacle_to_deletion() is None, "deletion needs the recorded ids only"


def test_only_the_first_fields_are_named() -> None:
    names = [f"spec.mapping[{number}].source" for number in range(5)]
    text = message(dataflow(mapping=[{"target": f"a.b{number}", "source": []} for number in range(5)]))
    assert [name in text for name in names] == [True, True, True, False, False]
    assert " more. " in text


def test_a_value_is_not_repeated() -> None:
    """Somebody may have put a secret where a number belongs."""
    assert "s3cr3t" not in message(dataflow(schedule={"frequency": "s3cr3t", "interval": "s3cr3t"}))


@pytest.mark.parametrize("value", [None, {}, [], "x"])
def test_without_a_spec_there_is_nothing_to_understand(value: Any) -> None:
    reading = read_spec(CRMDataflowSpec, {"spec": value})
    assert reading.problems
    with pytest.raises(NotUnderstoodError):
        _ = reading.value.schedule


def test_what_is_not_understood_is_never_taken_for_left_out() -> None:
    """The default of a policy may be the very opposite of what was written."""
    spec = dataflow(deletionPolicy="Retain", schedule={"frequency": "Month"}).spec.value
    with pytest.raises(NotUnderstoodError, match=r"spec\.deletionPolicy"):
        _ = spec.deletion_policy
    with pytest.raises(NotUnderstoodError, match=r"spec\.schedule"):
        _ = spec.schedule
    assert spec.connection_ref.name == "zoho-eu"
    assert not spec.paused, "left out"
    assert spec.adopts is None


def test_a_connection_gives_access_whatever_else_it_says() -> None:
    spec = connection(zoho={"dataCenter": "Mars"}, tokenPush="Sometimes").spec.value
    assert spec.platform.sandbox == connection_spec()["platform"]["sandbox"]


@pytest.mark.parametrize(
    ("status", "field", "holds_deletion"),
    [
        ({"flow": {"id": 7}}, "status.flow.id", True),
        ({"flow": [{"id": "f1"}]}, "status.flow", True),
        ({"sourceConnectionId": {"id": "s1"}}, "status.sourceConnectionId", True),
        ({"intents": [{**INTENT, "time": "soon"}]}, "status.intents[0].time", True),
        ({"dataset": {"id": ["d1"]}}, "status.dataset.id", False),
        ({"columns": "all"}, "status.columns", False),
        ("nothing that it should be", "status", True),
    ],
)
def test_a_status_that_can_not_be_read_holds_everything(
    status: Any, field: str, holds_deletion: bool
) -> None:
    understood = dataflow(status)
    assert f"can't read {field} (" in message(understood)
    assert (understood.obstacle_to_deletion() is not None) == holds_deletion


@pytest.mark.parametrize(
    "understood",
    [
        pytest.param(dataflow({"deletionPolicy": "Retain", "lastRun": {"id": 7}}), id="dataflow"),
        pytest.param(connection({"deletionPolicy": "Retain", "tables": "many"}), id="connection"),
        pytest.param(dataflow({"conditions": [{"type": "Ready", "status": "Perhaps"}]}), id="conditions"),
    ],
)
def test_what_every_pass_tells_anew_is_not_missed(understood: Understanding) -> None:
    assert understood.status.problems
    assert understood.obstacle() is None


def test_of_a_part_what_can_be_read_is_kept_if_it_is_complete() -> None:
    reading = read_status(
        CRMDataflowStatus, {"status": {"flow": {"id": "f1", "state": 1}, "gap": {"since": 1}}}
    )
    assert reading.value.flow is not None
    assert (reading.value.flow.id, reading.value.flow.state) == ("f1", None)
    assert reading.lost == {"gap"}


@pytest.mark.parametrize("raw", [None, [], "x", {"a": None}, {"a": [{"b": "c"}]}, {"a": {"b": 1}}])
def test_what_nobody_has_validated_may_be_anything(raw: Any) -> None:
    assert text_at(raw, "a", "b") is None
    assert text_at({"a": {"b": "c"}}, "a", "b") == "c"
    assert at({"a": {"b": 1}}, "a", "b") == 1


@pytest.mark.parametrize("text", [None, "", "soon", "2026-13-01T00:00:00Z"])
def test_an_instant_that_can_not_be_read_is_none(text: str | None) -> None:
    assert instant(text) is None
