"""Argo CD's view of live objects: their health in each state, what its actions do, and that it never finds a
difference that the operator made.

``ARGOCD_TESTDATA=1`` writes the objects into the folders that the scripts' own tests read.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest
import yaml

from crmflow.api.kinds import APPROVE_PLAN
from hack.install import ROOT
from hack.kubectl import Kubectl
from tests.argocd import sandbox
from tests.argocd.scripts import CUSTOMIZATIONS, RUN, script
from tests.kit import manifests
from tests.kit.cluster import Object
from tests.kit.manifests import load, load_all
from tests.kit.runs import DataflowRuns
from tests.kit.tenant import CONNECTION, DATAFLOW, Tenant
from tests.kit.waiting import until

EXAMPLE = ROOT / "deploy" / "argocd" / "example"
WAVE = "argocd.argoproj.io/sync-wave"
MANAGER = "argocd-controller"
FINALIZER = {".": {}, 'v:"crmflow.io/finalizer"': {}}
CHANGES: dict[str, tuple[str, Object | Callable[[Object], Object]]] = {
    "reconcile": ("healthy", {}),
    "pause": ("healthy", {"spec": {"paused": True}}),
    "resume": ("paused", {"spec": {"paused": False}}),
    "disable": ("healthy", {"spec": {"ingestion": {"enabled": False}}}),
    "enable": ("disabled", {"spec": {"ingestion": {"enabled": True}}}),
    "approve": ("planned", lambda obj: _annotated({APPROVE_PLAN: obj["status"]["plan"]["hash"]})),
}
"""The state that each action is tested in, and what it changes, as a merge patch or what makes one of the
object; not what depends on the time of day, for Argo CD's own test has no clock of ours.
"""

See = Callable[..., str]


@pytest.fixture
def see(tenant: Tenant, kubectl: Kubectl) -> See:
    """The health of an object as it is now, recorded under the name of its state if that is asked for."""

    def look(kind: str, state: str, name: str | None = None) -> str:
        name = name or tenant.name_of(kind)
        text = kubectl("get", kind.lower(), name, f"--namespace={tenant.namespace}", "--output=yaml")
        if os.environ.get("ARGOCD_TESTDATA"):
            _record(kind, state, text.replace(tenant.namespace, "crm"))
        health: str = sandbox.health(script(kind, "health"), load(text))["status"]
        return health

    return look


def test_the_health_of_a_connection_through_its_life(tenant: Tenant, see: See) -> None:
    tenant.operator.stop()
    tenant.apply_connection()
    assert see(CONNECTION, "unseen") == "Progressing"

    tenant.operator.start()
    tenant.wait_reason(CONNECTION, "Ready", "SecretNotFound")
    assert see(CONNECTION, "waiting") == "Progressing"

    tenant.control.fault(service="platform", path="/flowservice", times=None, status=503)
    tenant.apply_connection(displayName="Zoho CRM of Europe")
    tenant.apply_secrets()
    tenant.wait_reason(CONNECTION, "Ready", "ProgressingWithRetry")
    assert see(CONNECTION, "retrying") == "Progressing"

    tenant.control.delete("/faults")
    tenant.wait_ready(CONNECTION)
    assert see(CONNECTION, "healthy") == "Healthy"

    tenant.operator.stop()
    tenant.edit(CONNECTION, description="Not seen yet")
    assert see(CONNECTION, "edited") == "Progressing"

    tenant.operator.start()
    tenant.wait_ready(CONNECTION)
    tenant.edit(CONNECTION, paused=True)
    tenant.wait_reason(CONNECTION, "Ready", "Paused")
    assert see(CONNECTION, "paused") == "Suspended"

    tenant.edit(CONNECTION, paused=False)
    tenant.wait_ready(CONNECTION)
    tenant.cluster.apply(manifests.secret(tenant.namespace, manifests.PLATFORM_SECRET, {"clientId": "alone"}))
    tenant.wait_reason(CONNECTION, "Ready", "SecretKeyMissing")
    assert see(CONNECTION, "degraded") == "Degraded"

    tenant.apply_secrets()
    tenant.wait_ready(CONNECTION)
    assert see(CONNECTION, "healthy") == "Healthy"


def test_the_health_of_a_dataflow_through_its_life(tenant: Tenant, see: See) -> None:
    tenant.operator.stop()
    tenant.apply_dataflow()
    assert see(DATAFLOW, "unseen") == "Progressing"

    tenant.operator.start()
    tenant.wait_reason(DATAFLOW, "Ready", "ConnectionNotFound")
    assert see(DATAFLOW, "waiting") == "Progressing"

    tenant.apply_secrets()
    tenant.apply_connection()
    tenant.wait_ready(CONNECTION)
    tenant.wait_ready(DATAFLOW)
    assert see(DATAFLOW, "healthy") == "Healthy"

    tenant.edit(DATAFLOW, ingestion={"enabled": False})
    tenant.wait_ready(DATAFLOW)
    assert see(DATAFLOW, "disabled") == "Healthy"

    tenant.operator.stop()
    tenant.edit(DATAFLOW, ingestion={"enabled": True})
    assert see(DATAFLOW, "edited") == "Progressing"

    tenant.operator.start()
    tenant.wait_ready(DATAFLOW)
    tenant.edit(DATAFLOW, paused=True)
    tenant.wait_reason(DATAFLOW, "Ready", "Paused")
    assert see(DATAFLOW, "paused") == "Suspended"

    tenant.apply_dataflow("nowhere", source={"table": "Nowhere"})
    tenant.cluster.wait_condition(DATAFLOW, "nowhere", tenant.namespace, "Stalled")
    assert see(DATAFLOW, "degraded", "nowhere") == "Degraded"


def test_the_health_of_a_dataflow_whose_flow_is_replaced(tenant: Tenant, see: See) -> None:
    tenant.make_ready()
    tenant.edit(DATAFLOW, source={"table": "Leads"})
    tenant.wait_reason(DATAFLOW, "Ready", "ReplacementRequired")
    assert see(DATAFLOW, "planned") == "Degraded"

    # Platform takes its time, and then refuses what the new flow is built on.
    tenant.control.fault(
        service="platform", method="POST", path="/sourceConnections$", times=None, delay=5, status=400
    )
    _act(tenant, DATAFLOW, "approve")
    tenant.wait_reason(DATAFLOW, "Ready", "Replacing")
    assert see(DATAFLOW, "replacing") == "Progressing"

    tenant.wait_reason(DATAFLOW, "Ready", "RolledBack")
    assert see(DATAFLOW, "rolled-back") == "Degraded"


def test_the_health_of_a_run_through_its_life(tenant: Tenant, see: See) -> None:
    runs = DataflowRuns(tenant)
    tenant.operator.stop()
    runs.create("november")
    assert see(RUN, "unseen", "november") == "Progressing"

    tenant.operator.start()
    runs.wait_reason("november", "DataflowNotFound")
    assert see(RUN, "waiting", "november") == "Progressing"

    tenant.make_ready(schedule={"frequency": "Once", "interval": None, "backfill": None}, deltaColumn=None)
    made = runs.wait_requested("november")
    assert see(RUN, "running", "november") == "Progressing"

    tenant.control.post("/aep/runs", runId=made, state="success")
    tenant.control.advance(60)
    runs.wait("november", "Complete", "Succeeded")
    assert see(RUN, "healthy", "november") == "Healthy"

    tenant.edit(DATAFLOW, ingestion={"enabled": False})
    tenant.wait_ready(DATAFLOW)
    runs.create("december")
    runs.wait("december", "Failed", "FlowDisabled")
    assert see(RUN, "degraded", "december") == "Degraded"


def test_the_actions_do_what_their_names_say(tenant: Tenant, see: See) -> None:
    tenant.make_ready()
    for kind in (CONNECTION, DATAFLOW):
        _act(tenant, kind, "reconcile")
        annotations = tenant.get(kind)["metadata"]["annotations"]
        assert annotations["crmflow.io/reconcile-requested-at"] == sandbox.NOW
        _act(tenant, kind, "pause")
        tenant.wait_reason(kind, "Ready", "Paused")
        _act(tenant, kind, "resume")
        tenant.wait_ready(kind)

    _act(tenant, DATAFLOW, "disable")
    tenant.wait_ready(DATAFLOW)
    assert tenant.held("flows")[0]["state"] == "disabled"
    _act(tenant, DATAFLOW, "enable")
    tenant.wait_ready(DATAFLOW)
    assert tenant.held("flows")[0]["state"] == "enabled"


def test_the_example_becomes_healthy_and_is_never_out_of_sync(
    tenant: Tenant, kubectl: Kubectl, tmp_path: Path
) -> None:
    desired = _example(tenant)
    synced = [tenant.cluster.apply(obj, manager=MANAGER) for obj in desired]
    applied = {obj["kind"]: obj for obj in synced if obj["kind"] != "Secret"}
    for kind in applied:
        tenant.wait_ready(kind)
        health = sandbox.health(script(kind, "health"), tenant.get(kind))
        assert health["status"] == "Healthy"

    _live_through_a_lot(tenant)
    for kind, obj in applied.items():
        live = tenant.get(kind)
        assert _compared(live) == _compared(obj)
        assert _written_by_us(live) == {
            "": {"f:metadata": {"f:finalizers": FINALIZER}},
            "status": {"f:status"},
        }

    # Client-side and server-side, as Argo CD's two ways to compare.
    manifest = tmp_path / "desired.yaml"
    manifest.write_text(yaml.safe_dump_all(desired))
    for way in ([], ["--server-side", f"--field-manager={MANAGER}"]):
        assert kubectl("diff", *way, f"--filename={manifest}") == ""


def test_self_heal_brings_the_mapping_back(tenant: Tenant) -> None:
    desired = _example(tenant)
    for obj in desired:
        tenant.cluster.apply(obj, manager=MANAGER)
    tenant.wait_ready(CONNECTION)
    used = tenant.wait_ready(DATAFLOW)["status"]["mappingSet"]
    [dataflow] = [obj for obj in desired if obj["kind"] == DATAFLOW]
    first, *rest = dataflow["spec"]["mapping"]
    tenant.edit(DATAFLOW, mapping=[{"target": first["target"], "value": "nobody"}, *rest])
    assert tenant.wait_ready(DATAFLOW)["status"]["mappingSet"] != used
    tenant.cluster.apply(dataflow, manager=MANAGER)
    assert tenant.wait_ready(DATAFLOW)["status"]["mappingSet"] == used
    [flow] = tenant.held("flows")
    assert used["id"] in str(flow["transformations"])


def test_the_fragment_leaves_the_rest_of_the_config_map(
    kubectl: Kubectl, namespace: str, tmp_path: Path
) -> None:
    path = ROOT / "deploy" / "argocd" / "argocd-cm.yaml"
    fragment = load(path.read_text())
    fragment["metadata"]["namespace"] = namespace
    patch = tmp_path / "patch.yaml"
    patch.write_text(yaml.safe_dump(fragment))
    kubectl("create", "configmap", "argocd-cm", f"--namespace={namespace}", "--from-literal=url=https://cd")
    kubectl("patch", "configmap", "argocd-cm", f"--namespace={namespace}", f"--patch-file={patch}")
    data = kubectl.json("get", "configmap", "argocd-cm", f"--namespace={namespace}")["data"]
    assert data == {"url": "https://cd", **fragment["data"]}


def _example(tenant: Tenant) -> list[Object]:
    """The example in the test's namespace and with credentials that work, in the order of its waves."""
    working = {
        secret["metadata"]["name"]: secret["data"]
        for secret in manifests.secrets(tenant.namespace, tenant.emulators.info)
    }
    objects = []
    for path in EXAMPLE.glob("*.yaml"):
        for obj in load_all(path.read_text()):
            obj["metadata"]["namespace"] = tenant.namespace
            if obj["kind"] == "Secret":
                obj["data"] = working[obj["metadata"]["name"]]
                assert obj.pop("stringData").keys() == obj["data"].keys()
            objects.append(obj)
    return sorted(objects, key=lambda obj: int(obj["metadata"]["annotations"][WAVE]))


def _live_through_a_lot(tenant: Tenant) -> None:
    """A repair, a loss and a restart: what makes the operator write again."""
    flow = tenant.held("flows")[0]["id"]
    tenant.control.patch(f"/aep/sandboxes/prod/flows/{flow}", body={"name": "Renamed"})
    until(lambda: tenant.held("flows")[0]["name"] != "Renamed")
    tenant.control.delete(f"/aep/sandboxes/prod/flows/{flow}")
    until(
        lambda: (
            tenant.held("flows") and tenant.get(DATAFLOW)["status"].get("flow", {}).get("id", flow) != flow
        )
    )
    tenant.wait_ready(DATAFLOW)
    tenant.operator.restart()
    tenant.wait_polls(2)


def _compared(obj: Object) -> Object:
    """What Argo CD compares, and the rest of the metadata that the operator could touch."""
    metadata = deepcopy(obj["metadata"])
    for changes_by_itself in ("managedFields", "resourceVersion"):
        del metadata[changes_by_itself]
    metadata["finalizers"] = sorted({*metadata.get("finalizers", [])} - {"crmflow.io/finalizer"})
    return {"metadata": metadata, "spec": obj["spec"]}


def _written_by_us(obj: Object) -> Object:
    """The fields that the operator owns, by subresource: of the object all of them, of status the top."""
    ours = [entry for entry in obj["metadata"]["managedFields"] if entry["manager"] == "crmflow"]
    return {
        entry.get("subresource", ""): set(entry["fieldsV1"]) if "subresource" in entry else entry["fieldsV1"]
        for entry in ours
    }


def _annotated(annotations: Object) -> Object:
    return {"metadata": {"annotations": annotations}}


def _act(tenant: Tenant, kind: str, action: str) -> None:
    """Run an action on the live object, and send what it changed, as Argo CD does."""
    live = tenant.get(kind)
    assert {"name": action, "disabled": False} in sandbox.actions(script(kind, "actions/discovery"), live)
    wanted = sandbox.act(script(kind, f"actions/{action}/action"), live)
    annotations = wanted["metadata"].get("annotations", {})
    patch = {"metadata": {"annotations": annotations}, "spec": wanted["spec"]}
    tenant.cluster.patch(kind, live["metadata"]["name"], tenant.namespace, patch)


def _record(kind: str, state: str, text: str) -> None:
    """Write an object as it is, and what the actions that begin there should make of it."""
    folder = CUSTOMIZATIONS / kind
    (folder / "testdata" / f"{state}.yaml").write_text(text)
    for name, (begin, change) in CHANGES.items():
        if begin == state and script(kind, f"actions/{name}/action").exists():
            obj = load(text)
            changed = manifests.merged(obj, change(obj) if callable(change) else change)
            path = folder / "actions" / "testdata" / f"{name}.yaml"
            path.write_text(yaml.safe_dump(changed, width=1000))
