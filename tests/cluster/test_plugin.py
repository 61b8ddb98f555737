"""kubectl and the installed plugin: found, run, and asked for completions."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from crmflow import __version__
from hack.kubectl import Kubectl
from tests.kit import manifests
from tests.kit.cluster import Cluster


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugin's two programs are on the PATH, as pip puts them there."""
    scripts = Path(sys.executable).parent
    monkeypatch.setenv("PATH", f"{scripts}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.usefixtures("installed")
def test_kubectl_finds_it(kubectl: Kubectl) -> None:
    assert run(kubectl, "crmflow", "--version") == f"kubectl-crmflow {__version__}\n"


@pytest.mark.usefixtures("installed")
def test_kubectl_completes_it(cluster: Cluster, kubectl: Kubectl, namespace: str, kubeconfig: Path) -> None:
    for name in ("zoho-eu", "zoho-us", "other"):
        cluster.apply(manifests.connection(namespace, name))
    chosen = ["-n", namespace, f"--kubeconfig={kubeconfig}"]
    assert completions(kubectl, "doc") == ["doctor"]
    names = ["zoho-eu", "zoho-us"]
    deadline = time.monotonic() + 60
    # A server that takes its time offers nothing: a person presses Tab again.
    while (found := completions(kubectl, "doctor", *chosen, "zoho")) != names:
        assert time.monotonic() < deadline, found
    assert completions(kubectl, "explore", "zoho-eu", *chosen, "--prev") == ["--preview"]


def completions(kubectl: Kubectl, *words: str) -> list[str]:
    """What kubectl's completion offers behind ``kubectl crmflow``."""
    *lines, directive = run(kubectl, "__complete", "crmflow", *words).splitlines()
    assert directive == ":4"
    return [line.split("\t")[0] for line in lines]


def run(kubectl: Kubectl, *words: str) -> str:
    """Standard output of kubectl, without options of ours: kubectl takes none before a plugin's name."""
    answer = subprocess.run([kubectl.binary, *words], capture_output=True, text=True, timeout=120, check=True)
    return answer.stdout
