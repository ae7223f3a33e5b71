"""Keras's settings as CNNGen's files and trainers mean them, whatever its own file, the
environment or the process has set.

The engine must be settled before this module is imported, since it imports Keras.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

import keras


def _on_torch(float64: bool) -> AbstractContextManager[None]:
    from cnngen_torch.settings import own_settings

    return own_settings()


def _on_jax(float64: bool) -> AbstractContextManager[None]:
    from cnngen_flax.settings import own_settings

    return own_settings(float64=float64)


def _on_tensorflow(float64: bool) -> AbstractContextManager[None]:
    return nullcontext()


ENGINES: dict[str, Callable[[bool], AbstractContextManager[None]]] = {
    "tensorflow": _on_tensorflow,
    "torch": _on_torch,
    "jax": _on_jax,
}


@contextmanager
def own_settings(floatx: str = "float32", policy: str | None = None) -> Iterator[None]:
    """Channels last, a precision (`policy`: that of layers, if it is another one), and as many
    epochs and steps as were asked for; afterwards all is as it was."""
    config = keras.config
    wanted: list[tuple[Callable[[Any], None], object, object]] = [
        (config.set_floatx, config.floatx(), floatx),
        (config.set_dtype_policy, config.dtype_policy(), policy or floatx),
        (config.set_image_data_format, config.image_data_format(), "channels_last"),
        (config.set_max_epochs, config.max_epochs(), None),
        (config.set_max_steps_per_epoch, config.max_steps_per_epoch(), None),
    ]
    engine = ENGINES[config.backend()](floatx == "float64")
    with engine, ExitStack() as settings:
        for change, before, own in wanted:
            settings.callback(change, before)
            change(own)
        yield
