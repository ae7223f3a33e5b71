"""The settings of JAX that CNNGen's files and trainers expect, whatever the process has set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import jax


@contextmanager
def own_settings(*, float64: bool = False) -> Iterator[None]:
    """JAX as it starts without configuration, with 64 bits only where they are asked for.

    Each of these may come from an environment variable, and changes the weights that a seed
    gives, the precision, or what is an error. The former settings are restored afterwards.
    """
    with ExitStack() as settings:
        for setting in (
            jax.enable_x64(float64),
            jax.numpy_dtype_promotion("standard"),
            jax.numpy_rank_promotion("allow"),
            jax.default_matmul_precision(None),
            jax.default_prng_impl("threefry2x32"),
            jax.threefry_partitionable(True),
            jax.debug_nans(False),
            jax.debug_infs(False),
            jax.disable_jit(False),
            jax.transfer_guard("allow"),
            jax.default_device(None),
        ):
            settings.enter_context(setting)
        yield
