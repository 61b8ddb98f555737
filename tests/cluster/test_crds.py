"""Each constraint of both CRDs, and that nothing valid is lost, on a real API server."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client import ApiClient, ApiException, CoreV1Api, CustomObjectsApi
from kubernetes.config import new_client_from_config

from crmflow.api.kinds import CRM_DATAFLOW, GROUP, KINDS, VERSION, Kind
from tests.cluster.crd_cases import OBJECT_RULES, SCALAR_RULES, SHARED_RULES, rule_cases
from tests.cluster.crd_constraints import Case, Constraint, constraints, generated_cases
from tests.cluster.crd_objects import ONCE, REMOVED, Resource, context, resource

NAMESPACE = f"crds-{uuid.uuid4().hex[:8]}"
STORED = "stored"
"""Name of the resource of each kind that exists throughout, without status."""

CONSTRAINTS = list(constraints())


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

    def create(self, kind: Kind, body: Resource, *, dry_run: bool = False) -> Resource:
        return self._objects.create_namespaced_custom_object(
            *self._of(kind), body, field_validation="Strict", **_dry(dry_run)
        )

    def replace(self, kind: Kind, body: Resource, *, dry_run: bool = False) -> Resource:
        """Replace spec and metadata of the stored resource with the same name."""
        return self._objects.replace_namespaced_custom_object(
            *self._of(kind), *self._current(kind, body), field_validation="Strict", **_dry(dry_run)
        )

    def replace_status(self, kind: Kind, body: Resource, *, dry_run: bool = False) -> Resource:
        """Replace the status of the stored resource with the same name."""
        return self._objects.replace_namespaced_custom_object_status(
            *self._of(kind), *self._current(kind, body), field_validation="Strict", **_dry(dry_run)
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
    edits = (*context(constraint.path), *(case.rejected if rejected else case.accepted))
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
    mapping = [{"target": f"{index:0256}", "expression": "x" * 2048} for index in range(500)]
    columns = [f"{index:0128}" for index in range(500)]
    body = resource(CRM_DATAFLOW, "largest", (("spec.mapping", mapping), ("spec.source.columns", columns)))
    server.create(CRM_DATAFLOW, body)
    server.replace_status(CRM_DATAFLOW, resource(CRM_DATAFLOW, "largest", (("status.columns", columns),)))
    assert server.get(CRM_DATAFLOW, "largest")["spec"]["mapping"] == mapping


@pytest.mark.parametrize(
    ("kind", "path", "default"),
    [
        (KINDS[0], ("zoho", "environment"), "Production"),
        (KINDS[0], ("paused",), False),
        (KINDS[0], ("managementPolicy",), "Manage"),
        (KINDS[1], ("ingestion",), {"enabled": True}),
        (KINDS[1], ("paused",), False),
        (KINDS[1], ("managementPolicy",), "Manage"),
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
