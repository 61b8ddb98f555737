"""A real Kubernetes control plane on loopback: etcd, kube-apiserver and kube-controller-manager, built
once from source.
"""

from hack.controlplane.assets import Assets, find_assets
from hack.controlplane.plane import ControlPlane

__all__ = ["Assets", "ControlPlane", "find_assets"]
