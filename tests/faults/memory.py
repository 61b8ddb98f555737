"""What the operator's memory is worth when others keep large Secrets beside its own."""

from __future__ import annotations

import base64
import os
import time
from dataclasses import dataclass
from pathlib import Path

from hack.console import Step
from tests.faults.bench import Kubeconfigs, running_bench
from tests.kit import manifests
from tests.kit.tenant import CONNECTION, Tenant

_SETTLE_SECONDS = 5.0
_MEBIBYTE = 2**20


@dataclass(frozen=True)
class Memory:
    """Resident memory in bytes: without unrelated Secrets, as they came, and after a start among them."""

    before: float
    watched: float
    listed: float
    stored: int
    """Bytes of unrelated Secrets."""

    def __str__(self) -> str:
        before, watched, listed, stored = (
            f"{value / _MEBIBYTE:.0f} MiB" for value in (self.before, self.watched, self.listed, self.stored)
        )
        return f"{before} alone, {watched} after {stored} of Secrets came, {listed} started among them"


def measure_memory(kubeconfigs: Kubeconfigs, directory: Path, secrets: int, kilobytes: int) -> Memory:
    """Keep ``secrets`` Secrets beside one connection that is Ready."""
    body = base64.b64encode(os.urandom(kilobytes * 1024 * 3 // 4)).decode()
    with running_bench(kubeconfigs, directory) as bench, bench.tenant() as tenant:
        tenant.apply_secrets()
        tenant.apply_connection()
        tenant.wait_ready(CONNECTION)
        before = _resident(tenant)
        with Step("Creating Secrets") as progress:
            for number in range(secrets):
                tenant.cluster.create(manifests.secret(tenant.namespace, f"other-{number}", {"data": body}))
                progress.update(f"{number} of {secrets}")
        watched = _resident(tenant)
        tenant.operator.restart()
        tenant.wait_polls(0)
        return Memory(before, watched, _resident(tenant), secrets * kilobytes * 1024)


def _resident(tenant: Tenant) -> float:
    time.sleep(_SETTLE_SECONDS)
    return tenant.metric("process_resident_memory_bytes")
