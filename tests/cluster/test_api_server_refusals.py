"""What the API server refuses, and what it lets others take away: in the words of a real one."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from hack.kubectl import Kubectl
from tests.kit import manifests
from tests.kit.cluster import Object, condition
from tests.kit.tenant import CONNECTION, DATAFLOW, NOTHING, ONE_OF_EACH, Tenant

FINALIZER = "crmflow.io/finalizer"


@contextmanager
def policy(kubectl: Kubectl, tenant: Tenant, resource: str, expression: str) -> Iterator[str]:
    """A ValidatingAdmissionPolicy for updates of ``resource`` in the test's namespace; its words."""
    name = f"{tenant.namespace}-{resource.replace('/', '-')}"
    words = "only the platform team may do that"
    rule = {
        "apiGroups": ["crmflow.io"],
        "apiVersions": ["*"],
        "operations": ["UPDATE"],
        "resources": [resource],
    }
    selected = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": tenant.namespace}}}
    api = "admissionregistration.k8s.io/v1"
    objects = [
        {
            "apiVersion": api,
            "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": name},
            "spec": {
                "failurePolicy": "Fail",
                "matchConstraints": {**selected, "resourceRules": [rule]},
                "validations": [{"expression": expression, "message": words}],
            },
        },
        {
            "apiVersion": api,
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": name},
            "spec": {"policyName": name, "validationActions": ["Deny"]},
        },
    ]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    kubectl("apply", "-f", "-", stdin=text)
    try:
        yield words
    finally:
        kubectl("delete", "-f", "-", stdin=text)


def wait_in_force(tenant: Tenant, expected: str, **patch: object) -> None:
    """A policy takes effect a moment after it was made: wait until it refuses ``patch``."""

    def refused() -> bool:
        try:
            # Dry, since what is admitted before must not be there.
            tenant.cluster.patch(DATAFLOW, manifests.DATAFLOW, tenant.namespace, dict(patch), dry_run=True)
        except Exception as error:
            return expected in str(error)
        return False

    tenant.until(refused, "the policy is in force")


def events(tenant: Tenant, reason: str) -> list[Object]:
    return [event for event in tenant.cluster.list("Event", tenant.namespace) if event["reason"] == reason]


@pytest.mark.parametrize("kind", [CONNECTION, DATAFLOW])
def test_a_replaced_manifest_loses_no_finalizer(tenant: Tenant, kubectl: Kubectl, kind: str) -> None:
    """kubectl replace, as Argo CD does it with Replace=true: metadata is what the manifest says."""
    tenant.make_ready()
    manifest = (manifests.connection if kind == CONNECTION else manifests.dataflow)(tenant.namespace)
    before = tenant.get(kind)
    kubectl("replace", "-f", "-", stdin=json.dumps(manifest))
    restored = tenant.cluster.wait(
        kind,
        tenant.name_of(kind),
        tenant.namespace,
        lambda obj: (
            obj["metadata"]["resourceVersion"] != before["metadata"]["resourceVersion"]
            and FINALIZER in obj["metadata"].get("finalizers", [])
        ),
        what="the finalizer",
        seconds=5,
    )
    assert restored["metadata"]["generation"] == before["metadata"]["generation"]

    tenant.delete(DATAFLOW)
    tenant.delete(CONNECTION)
    tenant.wait_gone(DATAFLOW)
    tenant.wait_gone(CONNECTION)
    assert tenant.counts() == NOTHING


def test_a_paused_resource_gets_its_finalizer_back_too(tenant: Tenant, kubectl: Kubectl) -> None:
    tenant.make_ready()
    tenant.edit(DATAFLOW, paused=True)
    tenant.wait_reason(DATAFLOW, "Ready", "Paused")
    kubectl("replace", "-f", "-", stdin=json.dumps(manifests.dataflow(tenant.namespace, paused=True)))
    tenant.cluster.wait(
        DATAFLOW,
        manifests.DATAFLOW,
        tenant.namespace,
        lambda obj: FINALIZER in obj["metadata"].get("finalizers", []),
        what="the finalizer",
        seconds=5,
    )
    tenant.delete(DATAFLOW)
    tenant.wait_gone(DATAFLOW)
    assert tenant.counts() == {**NOTHING, "connections": 1}


def test_what_was_deleted_without_its_finalizer_is_named_and_can_be_taken_back(
    tenant: Tenant, kubectl: Kubectl
) -> None:
    tenant.make_ready()
    tenant.operator.stop()
    kubectl("replace", "-f", "-", stdin=json.dumps(manifests.dataflow(tenant.namespace)))
    tenant.delete(DATAFLOW)
    tenant.wait_gone(DATAFLOW)
    tenant.operator.start()
    tenant.control.advance(70)  # what is younger may be a create whose answer was lost
    tenant.until(lambda: len(events(tenant, "OrphanFound")) == 3, "each object is named")
    assert "create the resource again" in events(tenant, "OrphanFound")[0]["note"]

    tenant.apply_dataflow()
    tenant.wait_ready(DATAFLOW)
    assert tenant.counts() == ONE_OF_EACH
    tenant.delete(DATAFLOW)
    tenant.delete(CONNECTION)
    tenant.wait_gone(CONNECTION)
    assert tenant.counts() == NOTHING


def test_a_policy_against_the_finalizer_is_told_and_backed_off_and_heals(
    tenant: Tenant, kubectl: Kubectl
) -> None:
    expression = "has(oldObject.metadata.finalizers) || !has(object.metadata.finalizers)"
    tenant.apply_secrets()
    tenant.apply_connection()
    tenant.wait_ready(CONNECTION)
    with policy(kubectl, tenant, "crmdataflows", expression) as words:
        # A paused one that has nothing yet is not held: it is there to try the policy on.
        tenant.apply_dataflow(paused=True)
        tenant.wait_reason(DATAFLOW, "Ready", "Paused")
        wait_in_force(tenant, words, metadata={"finalizers": ["test.example.com/one"]})
        tenant.edit(DATAFLOW, paused=False)
        stalled = tenant.wait_reason(DATAFLOW, "Stalled", "FinalizerRefused", "True")
        message = condition(stalled, "Ready")["message"]
        assert words in message
        assert "exempt the operator" in message
        begun, before = time.monotonic(), tenant.metric("crmflow_kubernetes_refusals_total")
        tenant.until(lambda: time.monotonic() > begun + 4, "four seconds")
        assert tenant.metric("crmflow_kubernetes_refusals_total") - before <= 5
        assert len(events(tenant, "FinalizerRefused")) == 1
        assert words in tenant.operator.log
        assert tenant.counts() == {**NOTHING, "connections": 1}
    tenant.wait_ready(DATAFLOW, seconds=40)


def test_a_policy_against_the_status_is_told_by_an_event_and_heals(tenant: Tenant, kubectl: Kubectl) -> None:
    tenant.make_ready()
    with policy(kubectl, tenant, "crmdataflows/status", "!has(object.status.observedGeneration)") as words:
        # Any edit is a reason to write the status; it is made until the policy is in force.
        names = iter(range(1000))

        def told() -> bool:
            tenant.edit(DATAFLOW, displayName=f"Name {next(names)}")
            return bool(events(tenant, "StatusRefused"))

        tenant.until(told, "an Event")
        assert words in events(tenant, "StatusRefused")[0]["note"]
        assert words in tenant.operator.log
    tenant.wait_ready(DATAFLOW, seconds=40)


def test_a_quota_for_the_token_store_is_told_in_its_own_words(
    tenant: Tenant, home: str, kubectl: Kubectl
) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "few-secrets", "namespace": home},
        "spec": {"hard": {"count/secrets": "0"}},
    }
    kubectl("apply", "-f", "-", stdin=json.dumps(quota))
    # What the quota controller counts, which does not run here.
    counted = {"status": {"hard": {"count/secrets": "0"}, "used": {"count/secrets": "0"}}}
    patch = ("--subresource=status", "--type=merge", "-p", json.dumps(counted))
    kubectl("patch", "resourcequota", "few-secrets", "-n", home, *patch)
    tenant.apply_secrets()
    tenant.apply_connection()
    refused = tenant.wait_reason(CONNECTION, "Ready", "TokenStoreForbidden")
    message = condition(refused, "Ready")["message"]
    assert "exceeded quota: few-secrets" in message
    assert "ServiceAccount" not in message
    kubectl("delete", "quota", "-n", home, "few-secrets")
    tenant.wait_ready(CONNECTION, seconds=40)


def test_a_missing_right_to_the_token_store_names_the_right(
    tenant: Tenant, home: str, kubectl: Kubectl
) -> None:
    role = kubectl.json("get", "rolebinding", "-n", home)
    kubectl("delete", "rolebinding", "-n", home, "--all")
    tenant.apply_secrets()
    tenant.apply_connection()
    refused = tenant.wait_reason(CONNECTION, "Ready", "TokenStoreForbidden")
    message = condition(refused, "Ready")["message"]
    assert 'resource "secrets"' in message
    assert "ServiceAccount the rights" in message
    for binding in role["items"]:
        binding["metadata"] = {"name": binding["metadata"]["name"], "namespace": home}
    kubectl("apply", "-f", "-", stdin=json.dumps(role))
    tenant.wait_ready(CONNECTION, seconds=40)
