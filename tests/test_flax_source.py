from __future__ import annotations

from cnngen.testing import BackendConformance


class TestFlax(BackendConformance):
    backend = "flax"
    framework = ("flax", "jax", "optax")
    float64 = 1e-10
    every_window = 24
    random_networks = 2
