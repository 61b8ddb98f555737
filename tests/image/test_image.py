"""What is in the image, and that the operator works from it under the restrictions of its manifests."""

from __future__ import annotations

import yaml

from hack.emulators import Emulators
from hack.install import ROOT
from tests.image.buildah import Buildah
from tests.image.pod import Pod
from tests.kit import manifests
from tests.kit.cluster import Cluster
from tests.kit.tenant import CONNECTION, DATAFLOW


def test_the_main_job_from_the_image_on_a_read_only_root(
    pod: Pod, cluster: Cluster, emulators: Emulators, namespace: str
) -> None:
    pod.start()
    for secret in manifests.secrets(namespace, emulators.info):
        cluster.apply(secret)
    cluster.apply(manifests.connection(namespace))
    cluster.apply(manifests.dataflow(namespace))
    cluster.wait_ready(CONNECTION, manifests.CONNECTION, namespace, seconds=60)
    cluster.wait_ready(DATAFLOW, manifests.DATAFLOW, namespace, seconds=60)

    status = pod.status()
    assert status["Uid"].split() == ["65532"] * 4
    assert status["Gid"].split() == ["65532"] * 4
    assert int(status["CapEff"], 16) == 0
    assert pod.stop() == 0
    assert "Traceback" not in pod.log


def test_nothing_can_be_written(pod: Pod) -> None:
    assert {path.lstat().st_uid for path in (pod.root / "opt/crmflow").rglob("*")} == {0}
    for path in ("/tmp/file", "/opt/crmflow/file"):
        tried = pod.run("/opt/crmflow/bin/python", "-c", f"open({path!r}, 'w')")
        assert "Read-only file system" in tried.stderr


def test_the_image_asks_for_what_the_manifests_enforce(buildah: Buildah, built: str) -> None:
    config = buildah.config(built)
    deployment = yaml.safe_load((ROOT / "deploy" / "base" / "deployment.yaml").read_text())
    pod_spec = deployment["spec"]["template"]["spec"]
    context = pod_spec["securityContext"]
    assert config["User"] == f"{context['runAsUser']}:{context['runAsGroup']}"
    assert config["Cmd"] == pod_spec["containers"][0]["args"]


def test_the_image_holds_the_locked_packages_and_no_tools(pod: Pod) -> None:
    listing = (
        "from importlib.metadata import distributions as d; print(*{f'{x.name}=={x.version}' for x in d()})"
    )
    found = {
        name.lower().replace("_", "-")
        for name in pod.run("/opt/crmflow/bin/python", "-c", listing).stdout.split()
    }
    locked = {
        line.split(" ")[0]
        for line in (ROOT / "requirements" / "runtime.txt").read_text().splitlines()
        if "==" in line and " ; " not in line
    }
    assert locked <= found
    assert {name.split("==")[0] for name in found - locked} <= {"crmflow"}
    for module in ("pip", "setuptools", "typer"):
        assert "No module named" in pod.run("/opt/crmflow/bin/python", "-m", module).stderr
    assert not (pod.root / "opt/crmflow/bin/kubectl-crmflow").exists()
