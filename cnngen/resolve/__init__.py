"""From a description to a network: open hyper-parameters fixed, every shape inferred."""

from cnngen.resolve.lower import lower
from cnngen.resolve.resolve import resolve

__all__ = ["lower", "resolve"]
