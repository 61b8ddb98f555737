"""Where the scripts and their test files are."""

from __future__ import annotations

from pathlib import Path

from hack.install import ROOT

CUSTOMIZATIONS = ROOT / "deploy" / "argocd" / "resource_customizations" / "crmflow.io"
KINDS = ("ZohoSourceConnection", "CRMDataflow")


def script(kind: str, name: str) -> Path:
    """A script of a kind: ``health``, ``actions/discovery`` or ``actions/NAME/action``."""
    return CUSTOMIZATIONS / kind / f"{name}.lua"
