"""Helm, built once from source like the control plane, and called on one cluster."""

from hack.helm.build import MODULE, find_helm
from hack.helm.command import Helm

__all__ = ["MODULE", "Helm", "find_helm"]
