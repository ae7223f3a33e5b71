"""What keeps the tests of Flax short: JAX compiles each program, for seconds."""

from __future__ import annotations

from collections.abc import Iterator

import jax
import pytest


@pytest.fixture(scope="module", autouse=True)
def compiled_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Programs that are alike are compiled once, since most of these trainings differ in data
    alone; and hardly optimised, which takes half the time."""
    flags = pytest.MonkeyPatch()
    flags.setenv("XLA_FLAGS", "--xla_backend_optimization_level=0")  # read when JAX starts
    options = {
        "jax_compilation_cache_dir": str(tmp_path_factory.mktemp("programs")),
        "jax_persistent_cache_min_compile_time_secs": 0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    before = {name: getattr(jax.config, name) for name in options}
    for name, value in options.items():
        jax.config.update(name, value)
    yield
    flags.undo()
    for name, value in before.items():
        jax.config.update(name, value)
