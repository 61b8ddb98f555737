"""``python -m tests.upgrade NAME``: record a stage with the operator of this work tree, or of a commit."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from hack.console import ToolError, say
from hack.controlplane import ControlPlane, find_assets
from hack.emulators import Emulators
from hack.install import NAMESPACE, ROOT, install, operator_kubeconfig
from hack.kubectl import Kubectl
from tests.kit import manifests
from tests.kit.cluster import Cluster
from tests.kit.operator import SourceOperator
from tests.kit.tenant import CONNECTION, DATAFLOW, Tenant
from tests.upgrade.stage import INSTANCE, STAGES, Stage

_RUN_SECONDS = 30.0


def main() -> int:
    """Record one stage."""
    parser = argparse.ArgumentParser(prog="python -m tests.upgrade", description=__doc__)
    parser.add_argument("name", help="of the stage")
    parser.add_argument("--commit", help="the last commit of the stage; else what is in this work tree")
    arguments = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as directory:
            if arguments.commit is None:
                _record(Stage(STAGES / arguments.name), ROOT, Path(directory))
            else:
                with _checked_out(arguments.commit, Path(directory) / "source") as source:
                    _record(Stage(STAGES / arguments.name), source, Path(directory))
    except (ToolError, AssertionError) as error:
        say(f"error: {error}")
        return 1
    return 0


@contextmanager
def _checked_out(commit: str, folder: Path) -> Iterator[Path]:
    """The repository's files at a commit."""
    git = ["git", "-C", str(ROOT), "worktree"]
    subprocess.run([*git, "add", "--quiet", "--detach", str(folder), commit], check=True)
    try:
        yield folder
    finally:
        subprocess.run([*git, "remove", "--force", str(folder)], check=True)


def _record(stage: Stage, source: Path, directory: Path) -> None:
    """Let the operator in ``source`` do the main job, on a real API server and today's emulators."""
    emulators = Emulators(directory)
    with ControlPlane(directory / "controlplane") as plane, emulators.running():
        kubectl = Kubectl(find_assets().binary("kubectl"), plane.kubeconfig)
        install(kubectl, source)
        identity = operator_kubeconfig(kubectl, directory / "operator.kubeconfig")
        settings = {
            **emulators.operator_settings(),
            "PYTHONPATH": str(source / "operator"),
            "CRMFLOW_INSTANCE": INSTANCE,
            "CRMFLOW_WATCH_NAMESPACES": stage.namespace,
            "CRMFLOW_POD_NAMESPACE": NAMESPACE,
            "CRMFLOW_LEADER_ELECTION": "true",
        }
        operator = SourceOperator(directory, identity, settings)
        with closing(Cluster(plane.kubeconfig)) as cluster, closing(operator):
            tenant = Tenant(cluster, emulators, operator, stage.namespace, lambda *_: None)
            _live(tenant, source)
            stage.save(cluster, NAMESPACE, emulators.control.get("/snapshot"))
    _copy_kinds(source, stage)


def _live(tenant: Tenant, source: Path) -> None:
    """The main job with the demo's resources, a run and an edit; then the operator is stopped in order."""
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": tenant.namespace}}
    tenant.cluster.create(namespace)
    tenant.operator.start()
    tenant.apply_secrets()
    for file in ("3-zohosourceconnection.yaml", "4-crmdataflow.yaml"):
        obj = manifests.load((source / "deploy" / "demo" / file).read_text())
        obj["metadata"]["namespace"] = tenant.namespace
        tenant.cluster.apply(obj)
    tenant.wait_ready(CONNECTION)
    flow = tenant.wait_ready(DATAFLOW)["status"]["flow"]["id"]
    tenant.control.finish_run(flow)
    deadline = time.monotonic() + _RUN_SECONDS
    while "lastRun" not in tenant.get(DATAFLOW)["status"]:
        assert time.monotonic() < deadline, "the dataflow's status does not tell of the run"
        time.sleep(0.2)
    tenant.edit(DATAFLOW, displayName="Contacts, edited once")
    tenant.wait_ready(DATAFLOW)
    tenant.operator.stop()


def _copy_kinds(source: Path, stage: Stage) -> None:
    stage.crds.mkdir(parents=True, exist_ok=True)
    for file in (source / "crds").iterdir():
        (stage.crds / file.name).write_text(file.read_text())


if __name__ == "__main__":
    sys.exit(main())
