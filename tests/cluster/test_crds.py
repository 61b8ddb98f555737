"""Each constraint of both CRDs, and that nothing valid is lost, on a real API server."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from kubernetes.client import ApiClient, ApiException, CoreV1Api, CustomObjectsApi
from kubernetes.config import new_client_from_config
from pydantic import ValidationError

from crmflow.api.base import Model
from crmflow.api.crmdataflow import MAX_PENDING_WINDOWS, MAX_UNDELIVERED_COLUMNS
from crmflow.api.kinds import CRM_DATAFLOW, GROUP, KINDS, VERSION, Kind
from crmflow.settings import parse_duration
from hack.controlplane import ControlPlane
from tests.cluster.crd_cases import OBJECT_RULES, SCALAR_RULES, SHARED_RULES, rule_cases
from tests.cluster.crd_constraints import Case, Constraint, constraints, generated_cases
from tests.cluster.crd_objects import MAXIMAL, ONCE, REMOVED, Resource, context, resource
from tests.cluster.crd_values import edits
from tests.upgrade.stage import store

NAMESPACE = f"crds-{uuid.uuid4().hex[:8]}"
STORED = "stored"
"""Name of the resource of each kind that exists throughout, without status."""

CONSTRAINTS = list(constraints())
RULE_MESSAGES = frozenset(constraint.value for constraint in CONSTRAINTS if constraint.keyword == "rule")


def cases_of(constraint: Constraint) -> list[Case]:
    return rule_cases(constraint) if constraint.keyword == "rule" else generated_cases(constraint)


CASES = [
    pytest.param(constraint, case, id=f"{constraint} #{number}")
    for constraint in CONSTRAINTS
    for number, case in enumerate(cases_of(constraint), start=1)
]


class Server:
    """Writes resources to the API server; strict about unknown fields, as kubectl is."""

    def __init__(self, client: ApiClient) -> None:
        self._objects = CustomObjectsApi(client)

    def create(
        self, kind: Kind, body: Resource, *, dry_run: bool = False, validation: str = "Strict"
    ) -> Resource:
        return self._objects.create_namespaced_custom_object(
            *self._of(kind), body, field_validation=validation, **_dry(dry_run)
        )

    def replace(self, kind: Kind, body: Resource, *, dry_run: bool = False) -> Resource:
        """Replace spec and metadata of the stored resource with the same name."""
        return self._objects.replace_namespaced_custom_object(
            *self._of(kind), *self._current(kind, body), field_validation="Strict", **_dry(dry_run)
        )

    def replace_status(
        self, kind: Kind, body: Resource, *, dry_run: bool = False, validation: str = "Strict"
    ) -> Resource:
        """Replace the status of the stored resource with the same name."""
        return self._objects.replace_namespaced_custom_object_status(
            *self._of(kind), *self._current(kind, body), field_validation=validation, **_dry(dry_run)
        )

    def get(self, kind: Kind, name: str) -> Resource:
        return self._objects.get_namespaced_custom_object(*self._of(kind), name)

    def _of(self, kind: Kind) -> tuple[str, str, str, str]:
        return GROUP, VERSION, NAMESPACE, kind.plural

    def _current(self, kind: Kind, body: Resource) -> tuple[str, Resource]:
        name = body["metadata"]["name"]
        return name, {**body, "metadata": self.get(kind, name)["metadata"]}


def _dry(dry_run: bool) -> dict[str, str]:
    return {"dry_run": "All"} if dry_run else {}


@pytest.fixture(scope="module")
def server(kubeconfig: Path) -> Iterator[Server]:
    client = new_client_from_config(str(kubeconfig))
    namespaces = CoreV1Api(client)
    namespaces.create_namespace({"metadata": {"name": NAMESPACE}})
    server = Server(client)
    for kind in KINDS:
        server.create(kind, resource(kind, STORED))
    yield server
    namespaces.delete_namespace(NAMESPACE)
    client.close()


def attempt(server: Server, constraint: Constraint, case: Case, *, rejected: bool) -> None:
    """Send the case to where its constraint is checked, without storing anything."""
    stored = case.transition or constraint.path.startswith("status")
    edits = (*context(constraint.kind, constraint.path), *(case.rejected if rejected else case.accepted))
    body = resource(constraint.kind, STORED if stored else "new", edits)
    if case.transition:
        server.replace(constraint.kind, body, dry_run=True)
    elif stored:
        server.replace_status(constraint.kind, body, dry_run=True)
    else:
        server.create(constraint.kind, body, dry_run=True)


def causes(error: ApiException) -> list[tuple[str, str]]:
    """Field and message of each cause that the API server gives."""
    assert error.status == 422, error
    return [(cause["field"], cause["message"]) for cause in json.loads(error.body)["details"]["causes"]]


@pytest.mark.parametrize(("constraint", "case"), CASES)
def test_constraint(server: Server, constraint: Constraint, case: Case) -> None:
    with pytest.raises(ApiException) as refused:
        attempt(server, constraint, case, rejected=True)
    found = causes(refused.value)
    assert any(field == case.field and case.text in message for field, message in found), found

    attempt(server, constraint, case, rejected=False)


def test_every_constraint_has_a_case() -> None:
    assert not [str(constraint) for constraint in CONSTRAINTS if not cases_of(constraint)]


def test_every_case_has_its_constraint() -> None:
    rules = [
        (constraint.path, constraint.value) for constraint in CONSTRAINTS if constraint.keyword == "rule"
    ]
    shared = {rule.message for rule in SHARED_RULES}
    assert shared <= {message for _, message in rules}
    assert SCALAR_RULES.keys() <= {path for path, message in rules if message not in shared}
    for path, beginning in OBJECT_RULES:
        found = [rule for rule in rules if rule[0] == path and rule[1].startswith(beginning)]
        assert len(found) == 1, (path, beginning)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_a_resource_with_every_field_is_stored_whole(server: Server, kind: Kind) -> None:
    body = resource(kind, "maximal")
    server.create(kind, body)
    server.replace_status(kind, body)
    stored = server.get(kind, "maximal")
    assert (stored["spec"], stored["status"]) == (body["spec"], body["status"])


def test_a_dataflow_that_runs_once_is_stored_whole(server: Server) -> None:
    body = resource(CRM_DATAFLOW, "once", ONCE)
    assert server.create(CRM_DATAFLOW, body)["spec"] == body["spec"]


def test_the_largest_dataflow_fits(server: Server) -> None:
    """All bounds used up at once: etcd and the API server take 1.5 and 2 MiB."""
    mapping = [{"target": f"{index:0256}", "expression": "x" * 4096} for index in range(183)]
    mapping += [{"target": f"{index:0256}", "source": "x" * 128} for index in range(183, 1000)]
    columns = ["id", *(f"{index:0128}" for index in range(999))]
    body = resource(CRM_DATAFLOW, "largest", (("spec.mapping", mapping), ("spec.source.columns", columns)))
    server.create(CRM_DATAFLOW, body)
    windows = MAXIMAL[CRM_DATAFLOW.kind]["status"]["pendingWindows"] * MAX_PENDING_WINDOWS
    status = (
        ("status.columns", columns),
        ("status.undeliveredColumns", columns[:MAX_UNDELIVERED_COLUMNS]),
        ("status.pendingWindows", windows),
    )
    server.replace_status(CRM_DATAFLOW, resource(CRM_DATAFLOW, "largest", status))
    assert server.get(CRM_DATAFLOW, "largest")["spec"]["mapping"] == mapping


@pytest.mark.parametrize(
    ("kind", "path", "default"),
    [
        (KINDS[0], ("zoho", "environment"), "Production"),
        (KINDS[0], ("paused",), False),
        (KINDS[0], ("managementPolicy",), "Manage"),
        (KINDS[0], ("transport",), "Auto"),
        (KINDS[1], ("ingestion",), {"enabled": True}),
        (KINDS[1], ("paused",), False),
        (KINDS[1], ("managementPolicy",), "Manage"),
        (KINDS[1], ("transport",), "Auto"),
        (KINDS[1], ("extract", "deletedRecords"), "Ignore"),
    ],
)
def test_defaults(server: Server, kind: Kind, path: tuple[str, ...], default: Any) -> None:
    created = server.create(
        kind, resource(kind, "default", ((".".join(("spec", *path)), REMOVED),)), dry_run=True
    )
    value = created["spec"]
    for step in path:
        value = value[step]
    assert value == default


def read(model: type[Model], value: Any) -> Any:
    """What the model makes of a value, as JSON; None if it can't read it."""
    try:
        parsed = model.model_validate(value)
    except ValidationError:
        return None
    return parsed.model_dump(mode="json", by_alias=True, exclude_unset=True)


def _json(value: Any) -> str:
    """The value so that 1, 1.0 and true differ."""
    return json.dumps(value, sort_keys=True)


@pytest.mark.parametrize("part", ["spec", "status"])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
@settings(max_examples=100, deadline=None, derandomize=True, database=None, phases=[Phase.generate])
@given(data=st.data())
def test_schema_and_model_agree(server: Server, kind: Kind, part: str, data: st.DataObject) -> None:
    """What the schema accepts, the model reads; what the model reads and writes back unchanged, the schema
    accepts, unless a rule of CEL refuses it: these stand in the schema alone.
    """
    change = data.draw(edits(kind, part))
    model = kind.spec if part == "spec" else kind.status
    body = resource(kind, STORED if part == "status" else "new", change)
    try:
        if part == "spec":
            stored = server.create(kind, body, dry_run=True, validation="Ignore")
        else:
            stored = server.replace_status(kind, body, dry_run=True, validation="Ignore")
    except ApiException as refused:
        if _json(read(model, body[part])) == _json(body[part]):
            messages = [message for _, message in causes(refused)]
            assert all(any(rule in message for rule in RULE_MESSAGES) for message in messages), messages
    else:
        assert read(model, stored[part]) is not None
        if part == "spec":
            assert parse_duration(stored["spec"].get("resyncInterval", "1h")) >= 600


def test_a_resource_that_is_older_than_a_rule_can_be_edited_and_healed(
    server: Server, controlplane: ControlPlane
) -> None:
    """The API server looks again at what an edit changes, and at nothing else: also below a spec that is
    owned as one.
    """
    schedule, start = ("spec.schedule", ONCE[0][1]), "2026-01-01T00:00:00+24:00"
    once = (schedule, *ONCE[1:])
    old = server.create(CRM_DATAFLOW, resource(CRM_DATAFLOW, "old", once))
    old["spec"]["schedule"]["startTime"] = start
    assert controlplane.etcd_url
    store(controlplane.etcd_url, old)

    edited = resource(CRM_DATAFLOW, "old", (*once, ("spec.schedule.startTime", start)))
    edited["spec"]["displayName"] = "Edited"
    assert server.replace(CRM_DATAFLOW, edited)["spec"]["schedule"]["startTime"] == start
    edited["spec"]["schedule"]["startTime"] = "2026-01-01T00:00:00+24:01"
    with pytest.raises(ApiException, match="must be a time from 1970 on"):
        server.replace(CRM_DATAFLOW, edited)
    healed = server.replace(CRM_DATAFLOW, resource(CRM_DATAFLOW, "old", once))
    assert healed["spec"]["schedule"] == ONCE[0][1]
