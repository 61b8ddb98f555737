"""Kubeconfig files. Written as JSON, which is YAML too and needs no library."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def kubeconfig(cluster: Mapping[str, Any], user: str, token: str) -> str:
    """The text of a kubeconfig for one cluster (its ``server``, its certificate authority) and one user
    with a token.
    """
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "cluster", "cluster": cluster}],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": user, "context": {"cluster": "cluster", "user": user}}],
        "current-context": user,
    }
    return json.dumps(content, indent=2) + "\n"


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read: it holds a credential."""
    path.unlink(missing_ok=True)  # an existing file would keep its mode
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
