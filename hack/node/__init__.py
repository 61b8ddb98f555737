"""A Node of a local control plane, whose pods run as processes of this machine. Linux only."""

from hack.node.build import MODULE, find_node
from hack.node.image import Image, crmflow_image
from hack.node.node import Node

__all__ = ["MODULE", "Image", "Node", "crmflow_image", "find_node"]
