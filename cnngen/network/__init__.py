"""The network: a frozen graph of operations with every shape inferred, its cost and its picture."""

from cnngen.network.network import Branch, Network, Node

__all__ = ["Branch", "Network", "Node"]
