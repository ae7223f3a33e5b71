"""From a description to a network: open hyper-parameters fixed, every shape inferred."""

from cnngen.resolution.hyperparameters import resolve
from cnngen.resolution.lower import lower

__all__ = ["lower", "resolve"]
