"""The control plane's binaries. The modules of Kubernetes refer to each other by a placeholder version, so
``binaries/go.mod`` replaces each by the released one.
"""

from __future__ import annotations

from pathlib import Path

from hack.golang import GoModule

MODULE = GoModule(
    name="controlplane",
    title="a control plane of Kubernetes",
    folder=Path(__file__).with_name("binaries"),
    versioned="k8s.io/kubernetes",
    packages={
        "etcd": "go.etcd.io/etcd/server/v3",
        "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
        "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
        "kubectl": "k8s.io/kubernetes/cmd/kubectl",
    },
    version_variables=("k8s.io/component-base/version.gitVersion", "k8s.io/client-go/pkg/version.gitVersion"),
    minutes="about 5 minutes",
)
