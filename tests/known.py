"""Networks with synthetic figures for predictors to learn."""

from __future__ import annotations

from functools import cache
from math import exp, tanh

from cnngen.network import Network
from cnngen.predict import Example, features
from cnngen.space.sampling import sample_many


@cache
def networks(count: int = 120) -> tuple[Network, ...]:
    return tuple(sample_many(count, "compact", input_shape=(8, 8, 1), seed=11))


@cache
def known(count: int = 120) -> tuple[Example, ...]:
    """Return examples whose figures depend on the network, plus a little noise from its id."""
    return tuple(map(example, networks(count)))


def example(network: Network, data: str = "digits") -> Example:
    seen = features.features(network)
    noise = int(network.id[:4], 16) / 2**16 - 0.5
    accuracy = 0.5 + 0.4 * tanh(seen["end_channels"] - 5) + 0.1 * noise
    seconds = exp(0.1 * seen["convolutions"] + 0.3 * seen["multiply_adds"] + 0.2 * noise)
    return Example(
        network,
        {
            "accuracy": accuracy,
            "time": seconds,
            "energy": seconds * 1e-6,
            "trainability": float(accuracy > 0.4),
        },
        data,
        setting=f"{data}, made up",
    )
