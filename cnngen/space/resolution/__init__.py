"""From a description to a network: open hyper-parameters fixed, every shape inferred."""

from cnngen.space.resolution.hyperparameters import resolve
from cnngen.space.resolution.lower import lower

__all__ = ["lower", "resolve"]
