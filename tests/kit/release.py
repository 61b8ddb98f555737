"""The chart, installed in a cluster with the emulators as its remote side."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from hack.emulators import Emulators
from hack.helm import Helm
from hack.install import ROOT
from hack.kubectl import Kubectl
from tests.kit.cluster import Object

CHART = ROOT / "charts" / "crmflow"


@dataclass(frozen=True)
class Release:
    """An installed release."""

    helm: Helm
    name: str
    namespace: str

    @property
    def fullname(self) -> str:
        """The name of its objects."""
        return f"{self.name}-crmflow"

    def objects(self) -> list[Object]:
        """What Helm has installed."""
        text = self.helm("get", "manifest", self.name, f"--namespace={self.namespace}")
        return [obj for obj in yaml.safe_load_all(text) if obj]


@contextmanager
def installed(
    helm: Helm, kubectl: Kubectl, values: Mapping[str, object], chart: Path = CHART
) -> Iterator[Release]:
    """A release in a namespace of its own, for the block. The kinds are there already."""
    suffix = uuid.uuid4().hex[:6]
    release = Release(helm, f"rights-{suffix}", f"operator-{suffix}")
    given = [f"--set-json={key}={json.dumps(value)}" for key, value in values.items()]
    helm(
        "install",
        release.name,
        str(chart),
        f"--namespace={release.namespace}",
        "--create-namespace",
        "--set=crds.enabled=false",
        *given,
    )
    try:
        yield release
    finally:
        helm("uninstall", release.name, f"--namespace={release.namespace}")
        kubectl("delete", "namespace", release.namespace, "--wait=false")


def emulated(emulators: Emulators, directory: Path) -> dict[str, object]:
    """Values that lead the operator to the emulators and give it a port of its own on this machine."""
    settings = emulators.operator_settings()
    return {
        "settings": {
            "platformUrl": settings["CRMFLOW_PLATFORM_URL"],
            "imsUrl": settings["CRMFLOW_IMS_URL"],
            "zohoAccountsUrl": settings["CRMFLOW_ZOHO_ACCOUNTS_URL"],
            "zohoApiUrl": settings["CRMFLOW_ZOHO_API_URL"],
            "pollInterval": "500ms",
        },
        # A process of this machine has no Pod whose image could be taken.
        "transfer": {
            "image": "crmflow:1",
            "extraEnv": [{"name": "CRMFLOW_CLOCK", "value": settings["CRMFLOW_CLOCK"]}],
        },
        "extraEnv": [
            {"name": "CRMFLOW_CLOCK", "value": settings["CRMFLOW_CLOCK"]},
            {"name": "CRMFLOW_LISTEN", "value": "127.0.0.1:0"},
            # Each Pod has a name of its own.
            {"name": "CRMFLOW_LISTEN_FILE", "value": f"{directory}/$(CRMFLOW_POD_NAME).address"},
        ],
    }
