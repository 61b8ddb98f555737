"""The list of tenants among the chart's values reaches the operator."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from tests.kit.bench import Bench
from tests.kit.pod import Pod
from tests.kit.release import emulated, installed
from tests.kit.tenant import CONNECTION, NOTHING, Tenant


@pytest.mark.parametrize(("sandbox", "ready"), [("prod", True), ("dev", False)])
def test_a_sandbox_is_used_if_the_values_say_so(
    bench: Bench, namespace: str, tmp_path: Path, sandbox: str, ready: bool
) -> None:
    bench.emulators.control.reset()
    entry = {"namespaces": ["test-*"], "organizations": ["*@AdobeOrg"], "sandboxes": [sandbox]}
    values = emulated(bench.emulators, tmp_path) | {"tenancy": {"tenants": [entry]}}
    with installed(bench.helm, bench.kubectl, values) as release:
        pod = Pod(bench.kubectl, release.namespace, release.fullname, tmp_path, f"pod-{uuid.uuid4().hex[:6]}")
        tenant = Tenant(bench.cluster, bench.emulators, pod, namespace, lambda *_: None)
        try:
            pod.start()
            pod.wait_ready()
            tenant.apply_secrets()
            tenant.apply_connection()
            if ready:
                tenant.wait_ready(CONNECTION)
            else:
                tenant.wait_reason(CONNECTION, "Stalled", "SandboxNotAllowed", "True")
                assert tenant.counts() == NOTHING
        finally:
            pod.close()
