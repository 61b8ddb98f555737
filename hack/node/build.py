"""Where the node's programs come from. They are built from the versions that the control plane is built from,
so that Go compiles what both have only once.
"""

from __future__ import annotations

import sys
from pathlib import Path

from hack.console import ToolError
from hack.golang import GoModule

MODULE = GoModule(
    name="node",
    title="a node of Kubernetes",
    folder=Path(__file__).with_name("program"),
    versioned="k8s.io/kubernetes",
    packages={
        "kubelet": "crmflow.io/node/kubelet",
        "containerinit": "crmflow.io/node/containerinit",
        "kube-scheduler": "k8s.io/kubernetes/cmd/kube-scheduler",
    },
    version_variables=("k8s.io/component-base/version.gitVersion", "k8s.io/client-go/pkg/version.gitVersion"),
    minutes="half a minute after the control plane, else 4 minutes",
)


def find_node() -> Path:
    """The folder in the user's cache, filled by a build if need be. Raises ToolError."""
    if sys.platform != "linux":
        raise ToolError("a node needs Linux: its pods run in namespaces of the kernel")
    return MODULE.cached_or_built()
