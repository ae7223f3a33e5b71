"""From bytes on the device to batches of pixels; all of it is compiled into the step."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def pixels(images: jax.Array) -> jax.Array:
    """Bytes as floats from 0 to 1."""
    return images.astype(jnp.float32) / 255


def flip_crop(images: jax.Array, chosen: jax.Array, key: jax.Array) -> jax.Array:
    """The chosen images, each flipped left to right or not and moved by at most an eighth of its
    size along each axis; what comes in at the border is its mirror image."""
    _, height, width, _ = images.shape
    flips, right, down = jax.random.split(key, 3)
    columns = _moved(width, len(chosen), right)
    flipped = jax.random.bernoulli(flips, shape=(len(chosen), 1))
    columns = jnp.where(flipped, width - 1 - columns, columns)
    rows = _moved(height, len(chosen), down)
    return images[chosen[:, None, None], rows[:, :, None], columns[:, None, :]]


def _moved(size: int, count: int, key: jax.Array) -> jax.Array:
    """(count, size) positions along an axis, each row moved and mirrored at both ends."""
    most = size // 8
    positions = jnp.abs(jnp.arange(size) + jax.random.randint(key, (count, 1), -most, most + 1))
    return size - 1 - jnp.abs(size - 1 - positions)
