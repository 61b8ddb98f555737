"""The image on a stand-in for its base, and a pod of it beside the fixtures of the tests on a real API
server.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack import image
from hack.emulators import Emulators
from tests.cluster.conftest import (  # noqa: F401 - fixtures
    _emulators,
    cluster,
    controlplane,
    emulators,
    kubeconfig,
    kubectl,
    namespace,
    operator_identity,
)
from tests.image.base import make_base
from tests.image.buildah import Buildah
from tests.image.pod import Pod

TAG = "localhost/crmflow:test"


@pytest.fixture(scope="session")
def buildah(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Buildah]:
    """buildah with an empty storage."""
    tool = Buildah(tmp_path_factory.mktemp("buildah"))
    yield tool
    tool.close()


@pytest.fixture(scope="session")
def built(buildah: Buildah) -> str:
    """The image as ``make image`` builds it, on Debian's Python; its name."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "crmflow" / "image"
    line = image.command(["buildah", "build"], TAG, make_base(buildah, cache))
    subprocess.run(line, env=buildah.environment, check=True)
    return TAG


@pytest.fixture
def pod(
    buildah: Buildah,
    built: str,
    operator_identity: Path,  # noqa: F811
    emulators: Emulators,  # noqa: F811
    namespace: str,  # noqa: F811
    tmp_path: Path,
) -> Iterator[Pod]:
    """A pod of the image that serves the test's namespace. Not started yet."""
    settings = {**emulators.operator_settings(), "CRMFLOW_WATCH_NAMESPACES": namespace}
    del settings["CRMFLOW_CLOCK"]  # no such file in there; the emulators' time is the real one
    container = buildah("from", built)
    root = Path(buildah("mount", container))
    running = Pod(root, buildah.config(built), operator_identity, tmp_path, settings)
    yield running
    running.close()
    buildah("rm", container)
