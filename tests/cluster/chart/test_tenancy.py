"""The list of tenants among the chart's values reaches the operator."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from tests.cluster.support.pod import Pod
from tests.cluster.support.release import emulated, installed
from tests.cluster.support.world import CONNECTION, NOTHING, World
from tests.rights.trials import Site


@pytest.mark.parametrize(("sandbox", "ready"), [("prod", True), ("dev", False)])
def test_a_sandbox_is_used_if_the_values_say_so(
    site: Site, namespace: str, tmp_path: Path, sandbox: str, ready: bool
) -> None:
    site.emulators.control.reset()
    entry = {"namespaces": ["test-*"], "organizations": ["*@AdobeOrg"], "sandboxes": [sandbox]}
    values = emulated(site.emulators, tmp_path) | {"tenancy": {"tenants": [entry]}}
    with installed(site.helm, site.kubectl, values) as release:
        pod = Pod(site.kubectl, release.namespace, release.fullname, tmp_path, f"pod-{uuid.uuid4().hex[:6]}")
        world = World(site.cluster, site.emulators, pod, namespace, lambda *_: None)
        try:
            pod.start()
            pod.wait_ready()
            world.apply_secrets()
            world.apply_connection()
            if ready:
                world.wait_ready(CONNECTION)
            else:
                world.wait_reason(CONNECTION, "Stalled", "SandboxNotAllowed", "True")
                assert world.counts() == NOTHING
        finally:
            pod.close()
