"""What keeps the tenants of one operator apart: namespaces, the tenancy list, and whom it calls."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kit import manifests
from tests.kit.cluster import ApiError, Cluster, condition
from tests.kit.operator import Operator
from tests.kit.tenant import CONNECTION, DATAFLOW, NOTHING, ONE_OF_EACH, Tenant


@pytest.fixture
def neighbor(tenant: Tenant) -> Iterator[str]:
    """A second namespace that the same operator serves."""
    name = f"neighbor-{uuid.uuid4().hex[:8]}"
    tenant.cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    tenant.operator.stop()
    tenant.operator.start(CRMFLOW_WATCH_NAMESPACES=f"{tenant.namespace},{name}")
    yield name
    tenant.cluster.abandon_namespace(name)


def test_another_namespaces_secrets_and_connections_do_not_exist(tenant: Tenant, neighbor: str) -> None:
    tenant.make_ready()
    mark = tenant.mark()
    tenant.cluster.apply(manifests.connection(neighbor, "own"))
    tenant.cluster.apply(manifests.dataflow(neighbor))  # its connection has the name of the other namespace's
    missing = tenant.cluster.wait_condition(CONNECTION, "own", neighbor, "Ready", "False", "SecretNotFound")
    assert f'namespace "{neighbor}"' in condition(missing, "Ready")["message"]
    tenant.cluster.wait_condition(
        DATAFLOW, manifests.DATAFLOW, neighbor, "Ready", "False", "ConnectionNotFound"
    )
    assert _changes(tenant, mark) == []
    assert tenant.counts() == ONE_OF_EACH


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
def test_half_a_credential_opens_nothing_that_a_neighbor_has_opened(
    tenant: Tenant, neighbor: str, secret: str, known: tuple[str, ...]
) -> None:
    """The operator holds tokens of just this credential; whoever can't prove the rest gets none of them."""
    tenant.make_ready()
    for whole in manifests.secrets(neighbor, tenant.emulators.info):
        if whole["metadata"]["name"] == secret:
            values = {name: "wrong" for name in whole["data"] if name not in known}
            guessed = manifests.secret(neighbor, secret, values)["data"]
            whole["data"] |= guessed
        tenant.cluster.apply(whole)
    tenant.cluster.apply(manifests.connection(neighbor))
    refused = tenant.cluster.wait_condition(CONNECTION, manifests.CONNECTION, neighbor, "Stalled")
    assert condition(refused, "Authorized")["status"] == "False"
    assert tenant.counts() == ONE_OF_EACH


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


def test_a_sandbox_is_used_only_while_the_list_allows_it(tenancy: Path, tenant: Tenant) -> None:
    tenant.apply_secrets()
    mark = tenant.mark()
    tenant.apply_connection()
    tenant.apply_dataflow()
    refused = tenant.wait_reason(CONNECTION, "Stalled", "SandboxNotAllowed", "True")
    assert f'namespace "{tenant.namespace}"' in condition(refused, "Ready")["message"]
    assert tenant.calls_since(mark) == []

    entry = {"namespaces": ["test-*"], "organizations": ["*@AdobeOrg"], "sandboxes": ["prod"]}
    allow(tenancy, entry)
    tenant.wait_ready(CONNECTION, seconds=40)
    tenant.wait_ready(DATAFLOW, seconds=40)

    allow(tenancy, {**entry, "sandboxes": ["dev"]})
    tenant.wait_reason(CONNECTION, "Stalled", "SandboxNotAllowed", "True")
    tenant.cluster.wait_condition(DATAFLOW, manifests.DATAFLOW, tenant.namespace, "Ready", "False")
    mark = tenant.mark()
    tenant.edit(DATAFLOW, displayName="Not to be written")
    tenant.cluster.wait_condition(DATAFLOW, manifests.DATAFLOW, tenant.namespace, "SourceReady", "False")
    assert _changes(tenant, mark) == []

    # What was made while it was allowed is not left behind.
    tenant.delete(DATAFLOW)
    tenant.delete(CONNECTION)
    tenant.wait_gone(DATAFLOW)
    tenant.wait_gone(CONNECTION)
    assert tenant.counts() == NOTHING


@pytest.mark.parametrize("service", ["zoho-accounts", "zoho-api", "ims", "platform"])
def test_a_redirect_leads_nowhere(tenant: Tenant, service: str) -> None:
    """Whoever answers may not choose where credentials are sent next."""
    tenant.control.fault(
        service=service,
        times=None,
        status=307,
        headers={"Location": f"{tenant.emulators.info['platformUrl']}/elsewhere"},
    )
    tenant.apply_secrets()
    tenant.apply_connection()
    tenant.cluster.wait(
        CONNECTION,
        manifests.CONNECTION,
        tenant.namespace,
        lambda obj: (
            (condition(obj, "Authorized") or {}).get("reason") not in (None, "Pending", "SecretNotFound")
        ),
        what="an answer to the redirect",
    )
    assert [call for call in tenant.calls_since(0) if call["path"].endswith("/elsewhere")] == []
    tenant.control.delete("/faults")
    tenant.control.advance(301)
    tenant.cluster.annotate(CONNECTION, manifests.CONNECTION, tenant.namespace, reconcile_requested_at="now")
    tenant.wait_ready(CONNECTION)


def _changes(tenant: Tenant, mark: int) -> list[Any]:
    return [
        call for call in tenant.calls_since(mark) if call["service"] == "platform" and call["method"] != "GET"
    ]
