"""Flux waits by kstatus, which reads conditions as they are: the recorded objects mean to it what they
should.
"""

from __future__ import annotations

import pytest

from hack.install import ROOT
from tests.argocd.scripts import ALL_KINDS, CUSTOMIZATIONS
from tests.kit.cluster import Object, condition
from tests.kit.manifests import load, load_all

MEANING = {
    "unseen": "Current",  # kstatus has nothing to go by; the first status comes before any slow call
    "waiting": "InProgress",
    "retrying": "InProgress",
    "healthy": "Current",
    "disabled": "Current",
    "edited": "InProgress",
    "paused": "InProgress",
    "degraded": "Failed",
    "planned": "Failed",
    "replacing": "InProgress",
    "running": "InProgress",
    "rolled-back": "InProgress",
}


def _kstatus(obj: Object) -> str:
    """The order of evaluation of kstatus's generic rules."""
    status = obj.get("status", {})
    if status.get("observedGeneration", obj["metadata"]["generation"]) != obj["metadata"]["generation"]:
        return "InProgress"
    for name, meaning in (("Reconciling", "InProgress"), ("Stalled", "Failed")):
        if (condition(obj, name) or {}).get("status") == "True":
            return meaning
    ready = condition(obj, "Ready")
    return "InProgress" if ready and ready["status"] != "True" else "Current"


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_what_the_states_of_a_resource_mean_to_flux(kind: str) -> None:
    states = {path.stem: load(path.read_text()) for path in (CUSTOMIZATIONS / kind / "testdata").glob("*")}
    assert states
    for state, obj in states.items():
        assert _kstatus(obj) == MEANING[state], state


def test_the_example_deploys_what_is_in_this_repository() -> None:
    objects = {
        obj["kind"]: obj["spec"]
        for path in (ROOT / "deploy" / "flux").glob("*.yaml")
        for obj in load_all(path.read_text())
    }
    assert objects.keys() == {"GitRepository", "HelmRelease", "Kustomization"}
    assert (ROOT / objects["Kustomization"]["path"]).is_dir()
    assert objects["Kustomization"]["wait"] is True


def test_nothing_of_the_example_is_pruned_unasked() -> None:
    """Neither what stands for something in the Platform, nor the Secrets that its deletion needs."""
    flow = load((ROOT / "deploy" / "flux" / "resources.yaml").read_text())["spec"]
    assert all("kustomize.toolkit.fluxcd.io~1prune" in patch["patch"] for patch in flow["patches"])
    targets = [patch["target"] for patch in flow["patches"]]
    for path in (ROOT / flow["path"]).glob("*.yaml"):
        for obj in load_all(path.read_text()):
            group = obj["apiVersion"].rpartition("/")[0]
            kept = ({"group": group}, {"kind": obj["kind"]})
            assert any(target in kept for target in targets), obj["kind"]
            assert obj["metadata"]["annotations"], "the patches add to what is there"
