"""Search spaces: sampling networks from them, and resolving descriptions into networks."""

from cnngen.space.space import Space, builtin_spaces, load_space

__all__ = ["Space", "builtin_spaces", "load_space"]
