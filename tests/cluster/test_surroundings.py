"""The operator as a process that the system knows nothing of, as OpenShift starts a container: a UID without
an entry in passwd, no home, nothing that it may write.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from hack import loopback
from hack.emulators import Emulators
from hack.install import ROOT
from tests.kit import manifests
from tests.kit.cluster import Cluster
from tests.kit.tenant import CONNECTION, DATAFLOW

UID = 1000650000
"""Like those that OpenShift gives a namespace; its group is root's."""

_SETPRIV = (
    ["setpriv", f"--reuid={UID}", "--regid=0", "--clear-groups"]
    # The interpreter may be in somebody's home: it may be read, and nothing more.
    + [f"--{kind}-caps=+dac_read_search" for kind in ("inh", "ambient")]
)
_UNSHARE = ["unshare", "--user", f"--map-user={UID}", "--map-group=0"]


@pytest.fixture
def readable(operator_identity: Path) -> Iterator[Path]:
    """The operator's kubeconfig where every user may read it and nobody may write."""
    directory = Path(tempfile.mkdtemp())
    shutil.copy(operator_identity, directory / "kubeconfig")
    (directory / "kubeconfig").chmod(0o444)
    directory.chmod(0o555)
    yield directory / "kubeconfig"
    directory.chmod(0o755)
    shutil.rmtree(directory)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_it_does_its_work_and_ends_in_order(
    readable: Path, cluster: Cluster, emulators: Emulators, namespace: str, tmp_path: Path
) -> None:
    port = free_port()
    log = tmp_path / "log"
    with log.open("wb") as written:
        process = subprocess.Popen(
            [*(_UNSHARE if os.geteuid() else _SETPRIV), sys.executable, "-m", "crmflow", "run"],
            cwd="/",
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(ROOT / "operator"),
                "PYTHONDONTWRITEBYTECODE": "1",
                "TMPDIR": "/nonexistent",
                "KUBECONFIG": str(readable),
                **emulators.operator_settings(),
                "CRMFLOW_POD_NAMESPACE": "crmflow-system",
                "CRMFLOW_WATCH_NAMESPACES": namespace,
                "CRMFLOW_INSTANCE": "nobody",
                "CRMFLOW_LISTEN": f"127.0.0.1:{port}",
                "CRMFLOW_CLOCK": "",
            },
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=written,
        )
    try:
        deadline = time.monotonic() + 60
        while not is_ready(port):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        uids = Path(f"/proc/{process.pid}/status").read_text().partition("\nUid:")[2].split()[:4]
        assert set(uids) == {str(UID if os.geteuid() == 0 else os.geteuid())}  # seen from outside
        for secret in manifests.secrets(namespace, emulators.info):
            cluster.apply(secret)
        cluster.apply(manifests.connection(namespace))
        cluster.apply(manifests.dataflow(namespace))
        cluster.wait_ready(CONNECTION, manifests.CONNECTION, namespace, seconds=60)
        cluster.wait_ready(DATAFLOW, manifests.DATAFLOW, namespace, seconds=60)
        for kind, name in ((DATAFLOW, manifests.DATAFLOW), (CONNECTION, manifests.CONNECTION)):
            cluster.delete(kind, name, namespace)
            cluster.wait_gone(kind, name, namespace)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    finally:
        process.kill()
        process.wait()
    assert "Traceback" not in log.read_text()


def is_ready(port: int) -> bool:
    try:
        return loopback.get(f"http://127.0.0.1:{port}/readyz").is_success
    except httpx.HTTPError:
        return False
