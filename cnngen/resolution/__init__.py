"""From a description to a network: open hyper-parameters fixed, every shape inferred."""

from cnngen.resolution.lower import lower
from cnngen.resolution.hyperparameters import resolve

__all__ = ["lower", "resolve"]
