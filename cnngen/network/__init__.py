"""Networks: immutable graphs of operations with all shapes inferred, their cost and pictures."""

from cnngen.network.network import Branch, Network, Node

__all__ = ["Branch", "Network", "Node"]
