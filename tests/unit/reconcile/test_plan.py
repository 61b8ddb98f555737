"""Plans as data: what is done before what, and how the differences are called."""

from __future__ import annotations

from typing import Any

import pytest

from crmflow.aep.models import BaseConnection
from crmflow.reconcile.core.plan import Action, Effect, Plan, patch
from crmflow.reconcile.external.base_connection import BASE_CONNECTION
from crmflow.reconcile.external.flow import FLOW
from crmflow.reconcile.external.mapping_set import MAPPING_SET
from crmflow.reconcile.external.remote_object import DESCRIPTION, NAME, RemoteObject, body
from crmflow.reconcile.external.source_connection import SOURCE_CONNECTION
from crmflow.reconcile.external.target_connection import TARGET_CONNECTION

CREATE, PATCH, DELETE, RECORD = Effect.CREATE, Effect.PATCH, Effect.DELETE, Effect.RECORD
SHARE, SET_STATE = Effect.SHARE, Effect.SET_STATE
PARTS = {"source", "target"}
REMOTE = BaseConnection("bc-1", "etag-1", "Zoho", "", "enabled", "spec", "auth", {})


def plan(*actions: tuple[Effect, RemoteObject[Any]]) -> Plan:
    return Plan(tuple(Action(effect, kind) for effect, kind in actions))


@pytest.mark.parametrize(
    ("actions", "waves"),
    [
        pytest.param((), [], id="nothing"),
        pytest.param(
            ((CREATE, FLOW), (CREATE, SOURCE_CONNECTION), (CREATE, TARGET_CONNECTION)),
            [PARTS, {"flow"}],
            id="what is built on something is created after it",
        ),
        pytest.param(
            ((DELETE, TARGET_CONNECTION), (DELETE, FLOW), (DELETE, SOURCE_CONNECTION)),
            [{"flow"}, PARTS],
            id="and goes before it",
        ),
        pytest.param(((CREATE, FLOW),), [{"flow"}], id="what exists is not waited for"),
        pytest.param(
            ((PATCH, FLOW), (PATCH, SOURCE_CONNECTION), (PATCH, TARGET_CONNECTION)),
            [{"flow", *PARTS}],
            id="patches go side by side",
        ),
        pytest.param(
            ((CREATE, SOURCE_CONNECTION), (DELETE, SOURCE_CONNECTION), (RECORD, FLOW)),
            [{"flow"}, {"source"}, {"source"}],
            id="what does not fit goes before its successor is made",
        ),
        pytest.param(
            ((SET_STATE, FLOW), (CREATE, FLOW), (SHARE, MAPPING_SET)),
            [{"mappingSet"}, {"flow"}, {"flow"}],
            id="what is shared comes before what uses it, and a state comes last",
        ),
        pytest.param(
            ((SET_STATE, FLOW), (PATCH, SOURCE_CONNECTION)),
            [{"source"}],
            id="after a patch the state waits for another plan",
        ),
    ],
)
def test_a_plan_is_done_in_waves(
    actions: tuple[tuple[Effect, RemoteObject[Any]], ...], waves: list[set[str]]
) -> None:
    assert [{action.kind.slot for action in wave} for wave in plan(*actions).waves()] == waves


def test_what_differs_becomes_one_patch_that_knows_what_it_was_compared_with() -> None:
    [action] = patch(BASE_CONNECTION, {NAME: "Zoho EU", DESCRIPTION: ""}, REMOTE)
    assert (action.effect, action.remote_id, action.etag) == (PATCH, "bc-1", "etag-1")
    assert action.fields == (NAME,)
    assert [(operation.op, operation.path) for operation in action.operations] == [("replace", NAME)]


def test_what_is_as_it_should_be_and_what_is_not_owned_needs_nothing() -> None:
    assert patch(BASE_CONNECTION, {NAME: "Zoho"}, REMOTE) == ()
    assert patch(BASE_CONNECTION, {}, REMOTE) == ()


def test_differences_are_named_once_by_the_spec_where_it_decides() -> None:
    fields = ("/params/tableName", "/name")
    of_source = Plan(
        (Action(PATCH, SOURCE_CONNECTION, fields),),
        needs_replacement=("spec.source.table",),
        others=("spec.mapping",),
    )
    assert of_source.differences == ("spec.source.table", "source.name", "spec.mapping")


def test_no_value_and_no_operation_is_shown() -> None:
    action = Action(CREATE, BASE_CONNECTION, values={"/auth/params": "secret"})
    assert "secret" not in repr(action)


def test_values_by_pointer_are_the_body_of_a_create() -> None:
    assert body({"/name": "n", "/auth/specName": "s", "/auth/params": {"a": 1}}) == {
        "name": "n",
        "auth": {"specName": "s", "params": {"a": 1}},
    }


def test_a_later_slot_is_a_place_of_its_own() -> None:
    later = FLOW.at(2)
    assert (FLOW.slot, later.slot) == ("flow", "flow.2")
    assert (later.slot.name, later.slot.revision) == ("flow", 2)
    assert later.collection is FLOW.collection
    assert FLOW.at(0).slot == FLOW.slot
