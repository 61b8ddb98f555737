"""Build the control plane's binaries from the Go modules that ``binaries/go.mod`` and ``go.sum`` pin.

The modules of Kubernetes refer to each other by a placeholder version, so the wrapper module replaces each
by the released one; ``go.sum`` holds what was downloaded to its hash. The result goes to a folder named
after everything that decides it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hack.console import Step, ToolError, say
from hack.controlplane.golang import find_go

_MODULE = Path(__file__).with_name("binaries")
_PACKAGES = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
    "kubectl": "k8s.io/kubernetes/cmd/kubectl",
}
_VERSION_VARIABLES = ("k8s.io/component-base/version.gitVersion", "k8s.io/client-go/pkg/version.gitVersion")


def cached_or_built() -> Path:
    """The folder with the binaries, built first if the cache has none. Builders wait for each other.

    Raises ToolError if the build fails.
    """
    cache = _cache_folder()
    folder = cache / f"{kubernetes_version()}-{_fingerprint()}"
    if folder.is_dir():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with _only_builder(cache / "build.lock"):
        if not folder.is_dir():  # another builder may have finished while this one waited
            _build(find_go(cache), folder)
    return folder


def kubernetes_version() -> str:
    """The version of ``k8s.io/kubernetes`` that the wrapper module requires, e.g. ``v1.36.3``."""
    found = re.search(r"k8s\.io/kubernetes (v\S+)", (_MODULE / "go.mod").read_text())
    if found is None:
        raise ToolError(f"{_MODULE / 'go.mod'} requires no k8s.io/kubernetes")
    return found[1]


def _cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "crmflow" / "controlplane"


def _fingerprint() -> str:
    """Changes with the pinned modules, the build's flags and the platform, and with nothing else."""
    inputs = [
        (_MODULE / "go.mod").read_text(),
        (_MODULE / "go.sum").read_text(),
        *_flags(),
        platform.system(),
        platform.machine(),
    ]
    return hashlib.sha256("\n".join(inputs).encode()).hexdigest()[:12]


@contextmanager
def _only_builder(lock: Path) -> Iterator[None]:
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another build of the control plane is running: waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(go: str, folder: Path) -> None:
    """Fill ``folder``, which appears only when it is complete."""
    say(
        f"Building a control plane of Kubernetes {kubernetes_version()} with {go}: "
        "about 5 minutes on 2 cores, once per version"
    )
    unfinished = folder.with_name(folder.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    with Step("Fetching the sources") as step:
        packages = _run(go, ["list", "-deps", *_PACKAGES.values()], step)
    with Step(f"Compiling up to {len(packages)} packages") as step:
        _run(go, ["build", *_flags(), "-v", "-o", f"{unfinished}/", *_PACKAGES.values()], step)
    (unfinished / "server").rename(unfinished / "etcd")  # Go names a command after its module's last element
    unfinished.rename(folder)


def _flags() -> list[str]:
    stamps = " ".join(f"-X {variable}={kubernetes_version()}" for variable in _VERSION_VARIABLES)
    return ["-trimpath", "-buildvcs=false", "-ldflags", f"-s -w {stamps}"]


def _run(go: str, arguments: list[str], step: Step) -> list[str]:
    """Run a Go command, show each line it prints as progress, and return the lines."""
    environment = {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOFLAGS": "-mod=readonly",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }
    command = [go, *arguments]
    lines = []
    with subprocess.Popen(
        command, cwd=_MODULE, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for line in process.stdout or ():
            lines.append(line.rstrip())
            step.update(f"{len(lines)}: {lines[-1]}")
    if process.returncode:
        raise ToolError("\n".join([*lines[-20:], f"{' '.join(command[:2])} failed: the lines above say why"]))
    return lines
