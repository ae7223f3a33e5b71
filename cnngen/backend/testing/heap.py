"""Training steps under the heap checks of the GNU C library: does a framework overrun memory?

An overrun that no check stops breaks whatever lies behind: the process dies later, or goes on
with wrong numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from cnngen.backend.mode_process import Mode, ModeError, ModeProcess
from cnngen.backend.model_access import Batch
from cnngen.backend.registry import get_backend
from cnngen.network import Network

LIBRARY = "libc_malloc_debug.so.0"
CHECKS = {
    "LD_PRELOAD": LIBRARY,
    "MALLOC_CHECK_": "3",
    "GLIBC_TUNABLES": "glibc.malloc.check=3",
    "OMP_NUM_THREADS": "1",
}
"""Settings with which `free` aborts where something was written behind the memory that it frees."""


def heap_faults(
    mode: Mode, networks: Iterable[Network], environment: Mapping[str, str] | None = None
) -> Iterator[tuple[Network, str]]:
    """The networks with which a mode's process dies, or raises, and how.

    Each is asked for the gradients of a batch, twice: what the first breaks, the second finds.
    `environment` is set beside the checks, such as ONEDNN_MAX_CPU_ISA.
    """
    with ModeProcess(mode, environment={**CHECKS, **(environment or {})}) as process:
        for network in networks:
            try:
                process.call(_steps, network)
            except ModeError as error:
                yield network, error.message


def _steps(backend: str, network: Network) -> bytes:
    chosen = get_backend(backend)
    chosen.prepare()
    runner = chosen.runner()
    model = runner.build(chosen.emit(network))
    numbers = np.random.default_rng(0)
    images = numbers.random((8, *network.input_shape), np.float32)
    labels = numbers.integers(network.output_shape[0], size=8)
    for _ in range(2):
        runner.gradients(model, Batch(images, labels))
    return b""
