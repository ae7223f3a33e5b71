"""From a description to a network: open hyper-parameters fixed, every shape inferred."""

from cnngen.resolve.lower import lower

__all__ = ["lower"]
