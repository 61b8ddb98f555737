"""Where the scripts and their test files are."""

from __future__ import annotations

from pathlib import Path

from hack.install import ROOT

CUSTOMIZATIONS = ROOT / "deploy" / "argocd" / "resource_customizations" / "crmflow.io"
KINDS = ("ZohoSourceConnection", "CRMDataflow")
"""Those that have actions."""
RUN = "CRMDataflowRun"
"""It has a health alone: it can't be changed."""
ALL_KINDS = (*KINDS, RUN)


def script(kind: str, name: str) -> Path:
    """A script of a kind: ``health``, ``actions/discovery`` or ``actions/NAME/action``."""
    return CUSTOMIZATIONS / kind / f"{name}.lua"
