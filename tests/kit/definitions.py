"""The CustomResourceDefinitions of this version, and others in their place."""

from __future__ import annotations

import json
from typing import Any

import yaml

from hack.install import ROOT
from hack.kubectl import Kubectl


def definitions() -> dict[str, Any]:
    """Kind → its definition in this version; new objects each time."""
    crds = [yaml.safe_load(file.read_text()) for file in sorted((ROOT / "crds").glob("*.yaml"))]
    return {crd["spec"]["names"]["kind"]: crd for crd in crds}


def apply_definitions(kubectl: Kubectl, *crds: dict[str, Any]) -> None:
    """Have the API server take the definitions; it serves them a moment later."""
    for crd in crds:
        kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=json.dumps(crd))
