"""What keeps the tenants of one operator apart: namespaces, the tenancy list, and whom it calls."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.support import manifests
from tests.cluster.support.cluster import ApiError, Cluster, condition
from tests.cluster.support.operator import Operator
from tests.cluster.support.world import CONNECTION, DATAFLOW, NOTHING, ONE_OF_EACH, World


@pytest.fixture
def neighbour(world: World) -> Iterator[str]:
    """A second namespace that the same operator serves."""
    name = f"neighbour-{uuid.uuid4().hex[:8]}"
    world.cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    world.operator.stop()
    world.operator.start(CRMFLOW_WATCH_NAMESPACES=f"{world.namespace},{name}")
    yield name
    world.cluster.abandon_namespace(name)


def test_another_namespaces_secrets_and_connections_do_not_exist(world: World, neighbour: str) -> None:
    world.make_ready()
    mark = world.mark()
    world.cluster.apply(manifests.connection(neighbour, "own"))
    world.cluster.apply(manifests.dataflow(neighbour))  # its connection has the name of the other namespace's
    missing = world.cluster.wait_condition(CONNECTION, "own", neighbour, "Ready", "False", "SecretNotFound")
    assert f'namespace "{neighbour}"' in condition(missing, "Ready")["message"]
    world.cluster.wait_condition(
        DATAFLOW, manifests.DATAFLOW, neighbour, "Ready", "False", "ConnectionNotFound"
    )
    assert _changes(world, mark) == []
    assert world.counts() == ONE_OF_EACH


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        (CONNECTION, ("zoho", "credentialsSecretRef")),
        (CONNECTION, ("platform", "credentialsSecretRef")),
        (DATAFLOW, ("connectionRef",)),
    ],
)
def test_no_reference_can_name_another_namespace(
    cluster: Cluster, namespace: str, kind: str, path: tuple[str, ...]
) -> None:
    change: dict[str, Any] = {"namespace": "other"}
    for part in reversed(path):
        change = {part: change}
    manifest = (manifests.connection if kind == CONNECTION else manifests.dataflow)(namespace, **change)
    with pytest.raises(ApiError, match=rf'unknown field "spec\.{".".join(path)}\.namespace"'):
        cluster.create(manifest, dry_run=True)


@pytest.mark.parametrize(
    ("secret", "known"), [("zoho-oauth", ("clientId", "refreshToken")), ("adobe-platform", ("clientId",))]
)
def test_half_a_credential_opens_nothing_that_a_neighbour_has_opened(
    world: World, neighbour: str, secret: str, known: tuple[str, ...]
) -> None:
    """The operator holds tokens of just this credential; whoever can't prove the rest gets none of them."""
    world.make_ready()
    for whole in manifests.secrets(neighbour, world.emulators.info):
        if whole["metadata"]["name"] == secret:
            values = {name: "wrong" for name in whole["data"] if name not in known}
            guessed = manifests.secret(neighbour, secret, values)["data"]
            whole["data"] |= guessed
        world.cluster.apply(whole)
    world.cluster.apply(manifests.connection(neighbour))
    refused = world.cluster.wait_condition(CONNECTION, manifests.CONNECTION, neighbour, "Stalled")
    assert condition(refused, "Authorized")["status"] == "False"
    assert world.counts() == ONE_OF_EACH


@pytest.fixture
def tenancy(operator: Operator, tmp_path: Path) -> Path:
    """The file with the tenancy list, empty, and an operator that will read it."""
    path = tmp_path / "tenancy.json"
    allow(path)
    operator.settings["CRMFLOW_TENANCY"] = str(path)
    return path


def allow(path: Path, *entries: dict[str, list[str]]) -> None:
    """Exchange the list, as a kubelet exchanges a mounted file."""
    new = path.with_suffix(".new")
    new.write_text(json.dumps({"tenants": entries}))
    os.replace(new, path)


def test_a_sandbox_is_used_only_while_the_list_allows_it(tenancy: Path, world: World) -> None:
    world.apply_secrets()
    mark = world.mark()
    world.apply_connection()
    world.apply_dataflow()
    refused = world.wait_reason(CONNECTION, "Stalled", "SandboxNotAllowed", "True")
    assert f'namespace "{world.namespace}"' in condition(refused, "Ready")["message"]
    assert world.calls_since(mark) == []

    entry = {"namespaces": ["test-*"], "organizations": ["*@AdobeOrg"], "sandboxes": ["prod"]}
    allow(tenancy, entry)
    world.wait_ready(CONNECTION, seconds=40)
    world.wait_ready(DATAFLOW, seconds=40)

    allow(tenancy, {**entry, "sandboxes": ["dev"]})
    world.wait_reason(CONNECTION, "Stalled", "SandboxNotAllowed", "True")
    world.cluster.wait_condition(DATAFLOW, manifests.DATAFLOW, world.namespace, "Ready", "False")
    mark = world.mark()
    world.edit(DATAFLOW, displayName="Not to be written")
    world.cluster.wait_condition(DATAFLOW, manifests.DATAFLOW, world.namespace, "SourceReady", "False")
    assert _changes(world, mark) == []

    # What was made while it was allowed is not left behind.
    world.delete(DATAFLOW)
    world.delete(CONNECTION)
    world.wait_gone(DATAFLOW)
    world.wait_gone(CONNECTION)
    assert world.counts() == NOTHING


@pytest.mark.parametrize("service", ["zoho-accounts", "zoho-api", "ims", "platform"])
def test_a_redirect_leads_nowhere(world: World, service: str) -> None:
    """Whoever answers may not choose where credentials are sent next."""
    world.control.fault(
        service=service,
        times=None,
        status=307,
        headers={"Location": f"{world.emulators.info['platformUrl']}/elsewhere"},
    )
    world.apply_secrets()
    world.apply_connection()
    world.cluster.wait(
        CONNECTION,
        manifests.CONNECTION,
        world.namespace,
        lambda obj: (
            (condition(obj, "Authorized") or {}).get("reason") not in (None, "Pending", "SecretNotFound")
        ),
        what="an answer to the redirect",
    )
    assert [call for call in world.calls_since(0) if call["path"].endswith("/elsewhere")] == []
    world.control.delete("/faults")
    world.control.advance(301)
    world.cluster.annotate(CONNECTION, manifests.CONNECTION, world.namespace, reconcile_requested_at="now")
    world.wait_ready(CONNECTION)


def _changes(world: World, mark: int) -> list[Any]:
    return [
        call for call in world.calls_since(mark) if call["service"] == "platform" and call["method"] != "GET"
    ]
