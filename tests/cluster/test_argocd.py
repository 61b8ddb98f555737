"""Argo CD's view of live objects: their health in each state, what its actions do, and that it never finds a
difference that the operator made.

``ARGOCD_TESTDATA=1`` writes the objects into the folders that the scripts' own tests read.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.install import ROOT
from hack.kubectl import Kubectl
from tests.argocd import sandbox
from tests.argocd.scripts import CUSTOMIZATIONS, script
from tests.cluster.support import manifests
from tests.cluster.support.cluster import Object
from tests.cluster.support.manifests import load, load_all
from tests.cluster.support.world import CONNECTION, DATAFLOW, World

EXAMPLE = ROOT / "deploy" / "argocd" / "example"
WAVE = "argocd.argoproj.io/sync-wave"
MANAGER = "argocd-controller"
FINALIZER = {".": {}, 'v:"crmflow.io/finalizer"': {}}
CHANGES: dict[str, tuple[str, Object]] = {
    "reconcile": (
        "healthy",
        {"metadata": {"annotations": {"crmflow.io/reconcile-requested-at": sandbox.NOW}}},
    ),
    "pause": ("healthy", {"spec": {"paused": True}}),
    "resume": ("paused", {"spec": {"paused": False}}),
    "disable": ("healthy", {"spec": {"ingestion": {"enabled": False}}}),
    "enable": ("disabled", {"spec": {"ingestion": {"enabled": True}}}),
}
"""The state that each action is tested in, and what it changes, as a merge patch."""

See = Callable[..., str]


@pytest.fixture
def see(world: World, kubectl: Kubectl) -> See:
    """The health of an object as it is now, recorded under the name of its state if that is asked for."""

    def look(kind: str, state: str, name: str | None = None) -> str:
        name = name or world.name_of(kind)
        text = kubectl("get", kind.lower(), name, f"--namespace={world.namespace}", "--output=yaml")
        if os.environ.get("ARGOCD_TESTDATA"):
            _record(kind, state, text.replace(world.namespace, "crm"))
        health: str = sandbox.health(script(kind, "health"), load(text))["status"]
        return health

    return look


def test_the_health_of_a_connection_through_its_life(world: World, see: See) -> None:
    world.operator.stop()
    world.apply_connection()
    assert see(CONNECTION, "unseen") == "Progressing"

    world.operator.start()
    world.wait_reason(CONNECTION, "Ready", "SecretNotFound")
    assert see(CONNECTION, "waiting") == "Progressing"

    world.control.fault(service="platform", path="/flowservice", times=None, status=503)
    world.apply_connection(displayName="Zoho CRM of Europe")
    world.apply_secrets()
    world.wait_reason(CONNECTION, "Ready", "ProgressingWithRetry")
    assert see(CONNECTION, "retrying") == "Progressing"

    world.control.delete("/faults")
    world.wait_ready(CONNECTION)
    assert see(CONNECTION, "healthy") == "Healthy"

    world.operator.stop()
    world.edit(CONNECTION, description="Not seen yet")
    assert see(CONNECTION, "edited") == "Progressing"

    world.operator.start()
    world.wait_ready(CONNECTION)
    world.edit(CONNECTION, paused=True)
    world.wait_reason(CONNECTION, "Ready", "Paused")
    assert see(CONNECTION, "paused") == "Suspended"

    world.edit(CONNECTION, paused=False)
    world.wait_ready(CONNECTION)
    world.cluster.apply(manifests.secret(world.namespace, manifests.PLATFORM_SECRET, {"clientId": "alone"}))
    world.wait_reason(CONNECTION, "Ready", "SecretKeyMissing")
    assert see(CONNECTION, "degraded") == "Degraded"

    world.apply_secrets()
    world.wait_ready(CONNECTION)
    assert see(CONNECTION, "healthy") == "Healthy"


def test_the_health_of_a_dataflow_through_its_life(world: World, see: See) -> None:
    world.operator.stop()
    world.apply_dataflow()
    assert see(DATAFLOW, "unseen") == "Progressing"

    world.operator.start()
    world.wait_reason(DATAFLOW, "Ready", "ConnectionNotFound")
    assert see(DATAFLOW, "waiting") == "Progressing"

    world.apply_secrets()
    world.apply_connection()
    world.wait_ready(CONNECTION)
    world.wait_ready(DATAFLOW)
    assert see(DATAFLOW, "healthy") == "Healthy"

    world.edit(DATAFLOW, ingestion={"enabled": False})
    world.wait_ready(DATAFLOW)
    assert see(DATAFLOW, "disabled") == "Healthy"

    world.operator.stop()
    world.edit(DATAFLOW, ingestion={"enabled": True})
    assert see(DATAFLOW, "edited") == "Progressing"

    world.operator.start()
    world.wait_ready(DATAFLOW)
    world.edit(DATAFLOW, paused=True)
    world.wait_reason(DATAFLOW, "Ready", "Paused")
    assert see(DATAFLOW, "paused") == "Suspended"

    world.apply_dataflow("nowhere", source={"table": "Nowhere"})
    world.cluster.wait_condition(DATAFLOW, "nowhere", world.namespace, "Stalled")
    assert see(DATAFLOW, "degraded", "nowhere") == "Degraded"


def test_the_actions_do_what_their_names_say(world: World, see: See) -> None:
    world.make_ready()
    for kind in (CONNECTION, DATAFLOW):
        _act(world, kind, "reconcile")
        annotations = world.get(kind)["metadata"]["annotations"]
        assert annotations["crmflow.io/reconcile-requested-at"] == sandbox.NOW
        _act(world, kind, "pause")
        world.wait_reason(kind, "Ready", "Paused")
        _act(world, kind, "resume")
        world.wait_ready(kind)

    _act(world, DATAFLOW, "disable")
    world.wait_ready(DATAFLOW)
    assert world.held("flows")[0]["state"] == "disabled"
    _act(world, DATAFLOW, "enable")
    world.wait_ready(DATAFLOW)
    assert world.held("flows")[0]["state"] == "enabled"


def test_the_example_becomes_healthy_and_is_never_out_of_sync(
    world: World, kubectl: Kubectl, tmp_path: Path
) -> None:
    desired = _example(world)
    synced = [world.cluster.apply(obj, manager=MANAGER) for obj in desired]
    applied = {obj["kind"]: obj for obj in synced if obj["kind"] != "Secret"}
    for kind in applied:
        world.wait_ready(kind)
        health = sandbox.health(script(kind, "health"), world.get(kind))
        assert health["status"] == "Healthy"

    _live_through_a_lot(world)
    for kind, obj in applied.items():
        live = world.get(kind)
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


def _example(world: World) -> list[Object]:
    """The example in the test's namespace and with credentials that work, in the order of its waves."""
    working = {
        secret["metadata"]["name"]: secret["data"]
        for secret in manifests.secrets(world.namespace, world.emulators.info)
    }
    objects = []
    for path in EXAMPLE.glob("*.yaml"):
        for obj in load_all(path.read_text()):
            obj["metadata"]["namespace"] = world.namespace
            if obj["kind"] == "Secret":
                obj["data"] = working[obj["metadata"]["name"]]
                assert obj.pop("stringData").keys() == obj["data"].keys()
            objects.append(obj)
    return sorted(objects, key=lambda obj: int(obj["metadata"]["annotations"][WAVE]))


def _live_through_a_lot(world: World) -> None:
    """A repair, a loss and a restart: what makes the operator write again."""
    flow = world.held("flows")[0]["id"]
    world.control.patch(f"/aep/sandboxes/prod/flows/{flow}", body={"name": "Renamed"})
    _until(lambda: world.held("flows")[0]["name"] != "Renamed")
    world.control.delete(f"/aep/sandboxes/prod/flows/{flow}")
    _until(
        lambda: world.held("flows") and world.get(DATAFLOW)["status"].get("flow", {}).get("id", flow) != flow
    )
    world.wait_ready(DATAFLOW)
    world.operator.restart()
    world.wait_polls(2)


def _compared(obj: Object) -> Object:
    """What Argo CD compares, and the rest of the metadata that the operator could touch."""
    metadata = deepcopy(obj["metadata"])
    for changes_by_itself in ("managedFields", "resourceVersion"):
        del metadata[changes_by_itself]
    metadata["finalizers"] = sorted({*metadata.get("finalizers", [])} - {"crmflow.io/finalizer"})
    return {"metadata": metadata, "spec": obj["spec"]}


def _until(met: Callable[[], Any], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _written_by_us(obj: Object) -> Object:
    """The fields that the operator owns, by subresource: of the object all of them, of status the top."""
    ours = [entry for entry in obj["metadata"]["managedFields"] if entry["manager"] == "crmflow"]
    return {
        entry.get("subresource", ""): set(entry["fieldsV1"]) if "subresource" in entry else entry["fieldsV1"]
        for entry in ours
    }


def _act(world: World, kind: str, action: str) -> None:
    """Run an action on the live object, and send what it changed, as Argo CD does."""
    live = world.get(kind)
    assert {"name": action, "disabled": False} in sandbox.actions(script(kind, "actions/discovery"), live)
    wanted = sandbox.act(script(kind, f"actions/{action}/action"), live)
    annotations = wanted["metadata"].get("annotations", {})
    patch = {"metadata": {"annotations": annotations}, "spec": wanted["spec"]}
    world.cluster.patch(kind, live["metadata"]["name"], world.namespace, patch)


def _record(kind: str, state: str, text: str) -> None:
    """Write an object as it is, and what the actions that begin there should make of it."""
    folder = CUSTOMIZATIONS / kind
    (folder / "testdata" / f"{state}.yaml").write_text(text)
    for name, (begin, change) in CHANGES.items():
        if begin == state and script(kind, f"actions/{name}/action").exists():
            changed = manifests.merged(load(text), change)
            path = folder / "actions" / "testdata" / f"{name}.yaml"
            path.write_text(yaml.safe_dump(changed, width=1000))
