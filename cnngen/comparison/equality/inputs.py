"""The weights, images and labels that every framework is given for a network."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from cnngen.backend.definitions import cross_entropy, evaluate, random_weights, weights_of
from cnngen.backend.model_access import Array, Batch, Weights
from cnngen.network import Network
from cnngen.operations import Windowed
from cnngen.operations.shapes import Shape
from cnngen.training.protocol import Protocol

BATCH = 8
"""Images of a batch: enough for batch norms to have a variance on maps of one pixel."""

STEPS = 20
"""Steps of the training that is compared."""

BATCHES = 4
"""Different batches, which come up in turn: the loss falls as they become known."""

LEARNING = {
    "float32": Protocol(),
    "float64": Protocol("sgd", optimizer="sgd", learning_rate=1e-2),
}
"""The protocol of the compared training: in float32 that of the protocols, Adam, of which frameworks
have different forms; in float64 momentum, of which there is one, so that nothing can hide."""

DEFINITIONS = 200_000
"""Windows in all maps of a network up to which its definitions are computed: some 10 s."""


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """A network without dropout, the weights to give it, and batches to train on.

    The network is asked for outputs on the first batch's images, for the loss and gradients of
    that batch, and where it has classes for the losses of `steps` training steps.
    """

    network: Network
    weights: Weights
    batches: tuple[Batch, ...]
    steps: int = STEPS
    protocol: Protocol = LEARNING["float32"]

    def in_precision(self, dtype: str) -> Question:
        """The same numbers in another precision: none of them needs more than float32."""
        return replace(
            self,
            protocol=LEARNING[dtype],
            weights={
                name: {own: array.astype(dtype) for own, array in all.items()}
                for name, all in self.weights.items()
            },
            batches=tuple(Batch(images.astype(dtype), y) for images, y in self.batches),
        )

    @property
    def trained(self) -> dict[str, Shape]:
        """The shapes of the weights that have a gradient, by `conv1.kernel` and so on."""
        return {
            f"{name}.{weight.name}": weight.shape
            for name, own in weights_of(self.network).items()
            for weight in own
            if weight.trained
        }

    def training(self) -> list[Batch]:
        """The batches of the training steps."""
        return [self.batches[step % len(self.batches)] for step in range(self.steps)]


def ask(network: Network, *, seed: int = 0, steps: int = STEPS) -> Question:
    """A question about a network, the same for the same seed.

    Kernels are Glorot-uniform, biases and shifts small, scales near 1. The running statistics
    of batch norms are near those that a batch of the images has there, as after training: with
    others, values would grow or vanish from layer to layer, and hide errors or make them.
    """
    network = without_dropout(network)
    random = np.random.default_rng(seed)
    classes = network.classes or 1

    def batch() -> Batch:
        images = random.normal(size=(BATCH, *network.input_shape)).astype(np.float32)
        return Batch(images, random.integers(0, classes, BATCH))

    batches = tuple(batch() for _ in range(BATCHES if steps else 1))
    weights = random_weights(network, seed)
    if windows(network) <= DEFINITIONS:
        weights = _settled(network, weights, batches[0].images, random)
    return Question(network, weights, batches, steps)


def without_dropout(network: Network) -> Network:
    """The network with a rate of 0 in every dropout: no two frameworks drop the same values."""
    nodes = tuple(replace(node, operation=node.operation.deterministic()) for node in network.nodes)
    return replace(network, nodes=nodes)


@dataclass(frozen=True, slots=True, eq=False)
class Defined:
    """The results by the definitions of the operations, in NumPy in float64."""

    outputs: Array
    loss: float | None


def defined(question: Question) -> Defined | None:
    """The outputs and the loss in training by definition; None for a network that is too large."""
    network, (images, labels) = question.network, question.batches[0]
    if windows(network) > DEFINITIONS:
        return None
    outputs = evaluate(network, question.weights, images)[-1]
    if network.is_backbone:
        return Defined(outputs, None)
    logits = evaluate(network, question.weights, images, training=True)[-1]
    return Defined(outputs, cross_entropy(logits, labels))


def windows(network: Network) -> int:
    """How many windows are cut from maps, all operations together."""
    return sum(
        node.shape[0] * node.shape[1]
        for node in network.nodes
        if isinstance(node.operation, Windowed)
    )


def _settled(
    network: Network, weights: Weights, images: Array, random: np.random.Generator
) -> Weights:
    """The weights, with running statistics near those of the images."""
    values = evaluate(network, weights, images, training=True)
    settled = dict(weights)
    for node in network.nodes:
        found = node.operation.statistics([values[i] for i in node.inputs])
        if found:
            spread = np.sqrt(found["variance"])
            channels = len(spread)
            mean = found["mean"] + 0.1 * spread * random.normal(size=channels)
            variance = found["variance"] * random.uniform(0.8, 1.25, channels)
            settled[node.name] = {
                **weights[node.name],
                "mean": mean.astype(np.float32),
                "variance": variance.astype(np.float32),
            }
    return settled
