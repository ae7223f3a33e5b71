"""Resolves descriptions into networks: fixes open hyper-parameters and infers all shapes."""

from cnngen.space.resolution.hyperparameters import resolve
from cnngen.space.resolution.lower import lower

__all__ = ["lower", "resolve"]
