"""Control planes: several at once, each ended exactly, none left behind."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from hack.console import ToolError
from hack.controlplane import ControlPlane, find_assets
from hack.processes import ProcessRecord
from tests.kit.cluster import Cluster


def _processes(plane: ControlPlane) -> list[ProcessRecord]:
    records = json.loads((plane.directory / "processes.json").read_text())
    return [ProcessRecord(**record) for record in records]


def test_a_second_one_is_apart_and_ends_alone(
    controlplane: ControlPlane, cluster: Cluster, tmp_path: Path
) -> None:
    with ControlPlane(tmp_path) as second:
        processes = _processes(second)
        assert [process.name for process in processes] == [
            "etcd",
            "kube-apiserver",
            "kube-controller-manager",
        ]
        other = Cluster(second.kubeconfig)
        other.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "only-here"}})
        other.close()
        assert cluster.find("Namespace", "only-here") is None
        with pytest.raises(ToolError, match="already runs"):
            second.start()
    assert not any(process.alive() for process in processes)
    assert not second.running
    assert controlplane.running
    assert cluster.get("Namespace", "kube-system")


def test_a_stopped_one_is_found_by_its_folder_whose_other_content_stays(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    processes = _processes(ControlPlane(tmp_path).start())
    ControlPlane(tmp_path).stop()
    assert not any(process.alive() for process in processes)
    ControlPlane(tmp_path).stop()  # harmless
    assert (tmp_path / "precious").read_text() == "mine"


def test_a_failed_start_says_why_and_leaves_nothing_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assets = tmp_path / "assets"
    shutil.copytree(find_assets().folder, assets, copy_function=os.symlink)
    (assets / "kube-apiserver").unlink()
    (assets / "kube-apiserver").write_text("#!/bin/sh\necho no such flag >&2\nexit 1\n")
    (assets / "kube-apiserver").chmod(0o755)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(assets))
    plane = ControlPlane(tmp_path / "plane")
    with pytest.raises(ToolError, match=r"(?s)kube-apiserver ended at its start.*no such flag"):
        plane.start()
    assert not plane.running
    assert not (plane.directory / "processes.json").exists()


def test_only_the_owner_reads_its_credentials(controlplane: ControlPlane) -> None:
    for name in ("kubeconfig", "tokens.csv", "certificates/apiserver.key"):
        assert (controlplane.directory / name).stat().st_mode & 0o077 == 0
