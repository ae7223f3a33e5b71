"""Spaces of networks: what is drawn from them, and how a description becomes a network."""

from cnngen.space.space import Space, builtin_spaces, load_space

__all__ = ["Space", "builtin_spaces", "load_space"]
