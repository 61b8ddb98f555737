"""Resources that an older version left are taken over by this one without a word to the remote side.

``tests/upgrade`` holds the CRDs as they stood at the end of each stage before. The objects are brought back
to such a stage: its CRD prunes what it did not know, from spec and status alike.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.install import ROOT, install
from hack.kubectl import Kubectl
from tests.cluster.support.cluster import Object
from tests.cluster.support.manifests import load
from tests.cluster.support.world import CONNECTION, DATAFLOW, ONE_OF_EACH, World

STAGES = sorted(path for path in (ROOT / "tests" / "upgrade").iterdir() if path.is_dir())


@pytest.fixture
def todays_kinds(kubectl: Kubectl) -> Iterator[None]:
    """Whatever happens, the next test finds the CRDs of this version."""
    yield
    install(kubectl)


@pytest.mark.parametrize("stage", STAGES, ids=[stage.name for stage in STAGES])
def test_an_upgrade_writes_nothing_remote(
    world: World, kubectl: Kubectl, stage: Path, todays_kinds: None
) -> None:
    world.make_ready()
    world.operator.stop()
    remote = _remote(world)
    before = _go_back(world, kubectl, stage)

    mark = world.mark()
    install(kubectl)
    world.operator.start()
    for kind in (CONNECTION, DATAFLOW):
        _wait_taken_over(world, kind)
        after = world.get(kind)
        assert before[kind]["spec"].items() <= after["spec"].items()  # the rest are new defaults
        assert after["metadata"]["generation"] == before[kind]["metadata"]["generation"]
    world.wait_polls(2)
    written = [
        call for call in world.calls_since(mark) if call["service"] == "platform" and call["method"] != "GET"
    ]
    assert written == []
    assert _remote(world) == remote
    assert world.counts() == ONE_OF_EACH


def test_there_is_one_stored_version(kubectl: Kubectl) -> None:
    """So nothing has to be migrated, and a rollback can read what this version wrote."""
    for crd in kubectl.json("get", "customresourcedefinitions")["items"]:
        if crd["spec"]["group"] == "crmflow.io":
            assert crd["status"]["storedVersions"] == ["v1alpha1"]
            assert [version["name"] for version in crd["spec"]["versions"] if version["storage"]] == [
                "v1alpha1"
            ]


def _go_back(world: World, kubectl: Kubectl, stage: Path) -> dict[str, Object]:
    """Install the CRDs of a stage and store both objects in their form; the objects."""
    objects = {kind: world.get(kind) for kind in (CONNECTION, DATAFLOW)}
    kubectl("apply", "--server-side", "--force-conflicts", "-f", str(stage))
    deadline = time.monotonic() + 10
    while True:  # a new schema holds within milliseconds, and no answer says when
        for kind, obj in objects.items():
            plural = f"{kind.lower()}s"
            merge = ["--type=merge", f"--namespace={world.namespace}", plural, obj["metadata"]["name"]]
            kubectl("patch", *merge, "--subresource=status", '--patch={"status":{"observedGeneration":0}}')
            generation = obj["metadata"]["generation"]
            patch = f'--patch={{"status":{{"observedGeneration":{generation}}}}}'
            kubectl("patch", *merge, "--subresource=status", patch)
        stored = {kind: world.get(kind) for kind in objects}
        known = [_known(stage, kind) for kind in objects]
        if all(set(stored[kind]["status"]) <= fields for kind, fields in zip(objects, known, strict=True)):
            return stored
        assert time.monotonic() < deadline, stored


def _known(stage: Path, kind: str) -> set[str]:
    """The fields of a status at that stage."""
    crd = load((stage / f"crmflow.io_{kind.lower()}s.yaml").read_text())
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return set(schema["properties"]["status"]["properties"])


def _remote(world: World) -> dict[str, list[tuple[str, str]]]:
    """Id and etag of every remote object: an etag changes with each write."""
    return {
        collection: [(held["id"], held["etag"]) for held in world.held(collection)]
        for collection in ONE_OF_EACH
    }


def _wait_taken_over(world: World, kind: str) -> None:
    deadline = time.monotonic() + 30
    while not world.metric("crmflow_reconcile_total", kind=kind, outcome="Done"):
        assert time.monotonic() < deadline, world.get(kind).get("status")
        time.sleep(0.05)
    world.wait_ready(kind)
