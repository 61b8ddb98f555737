"""The Pod template of transfers, for a local control plane whose node runs Jobs (``hack/node``)."""

from __future__ import annotations

import json
from pathlib import Path

IMAGE = "crmflow:local"
"""Matches the image that :func:`hack.node.crmflow_image` stands for."""


def write_transfer_template(file: Path, clock: str) -> str:
    """Write it into ``file``, and return its path: the value of ``CRMFLOW_TRANSFER_TEMPLATE``.

    ``clock`` is that of the operator (``CRMFLOW_CLOCK``); a Job with another one would find its token too old
    or its file too young.
    """
    container = {"image": IMAGE, "env": [{"name": "CRMFLOW_CLOCK", "value": clock}]}
    file.write_text(json.dumps({"spec": {"containers": [container]}}))
    return str(file)
