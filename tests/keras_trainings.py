"""Trains by the Keras backend under one engine, in a process of its own, and prints as JSON
what came out. Called with the engine's name; the cases are those of `test_keras_training.py`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict, replace

from cnngen import Dataset, Network, Protocol, get_backend, load_data, parse, resolve
from cnngen.backend.model_access import Weights
from cnngen.errors import BackendFault
from cnngen.training.protocol import Epoch

SMALL = """input(8x8x1)
    convbn(filters=4, kernel=3, stride=1, padding=same, activation=relu, bias=true, epsilon=1e-3)
    max_pooling(size=2, stride=2, padding=valid)
    flatten dropout(rate=0.2) dense output"""
EXACT = SMALL.replace("dropout(rate=0.2)", "")
WIDE = SMALL.replace("filters=4", "filters=16")
FEW = 400
EVERYTHING = Protocol(epochs=2, seed=5, augmentation="flip_crop", schedule="cosine", warmup=0.5)


def network(text: str) -> Network:
    return resolve(parse(text), space="compact", classes=10, seed=0)


def few() -> Dataset:
    """Images of digits in memory that cannot be written, as processes share it."""
    digits = load_data("digits")
    data = replace(digits, images=digits.images[:FEW], labels=digits.labels[:FEW])
    data.images.flags.writeable = False
    return data


def run(
    text: str,
    protocol: Protocol,
    data: Dataset | None = None,
    *,
    change: tuple[str, str] = ("", ""),
    on_epoch: Callable[[Epoch], None] | None = None,
    **start: Weights,
) -> dict:
    net = network(text)
    source = net.to_source("keras")
    assert change[0] in source
    changed = source.replace(*change) if change[0] else source
    result = get_backend("keras").train(changed, net, data or few(), protocol, on_epoch, **start)
    return asdict(replace(result, weights=None))


def exact(protocol: Protocol) -> dict:
    """A training, and the weights it started from."""
    from cnngen_keras.train import _seed, load

    net = network(EXACT)
    with _seed(protocol.seed):
        model = load(net.to_source("keras"))
    weights = {
        layer.name: [weight.tolist() for weight in layer.get_weights()] for layer in model.layers
    }
    return {"weights": weights, "result": run(EXACT, protocol)}


def started(protocol: Protocol) -> dict:
    """A training from the first weights of another, which were handed over."""
    from cnngen_keras.train import _seed

    runner = get_backend("keras").runner()
    with _seed(protocol.seed):
        weights = runner.weights(runner.build(network(EXACT).to_source("keras")))
    return run(EXACT, protocol, weights=weights)


def foreign() -> dict:
    """A training where the process is set up for something else."""
    import keras
    import torch

    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        keras.config.set_image_data_format("channels_first")
        keras.config.set_floatx("float16")
        keras.config.set_max_epochs(1)
        result = run(SMALL, EVERYTHING)
        kept = keras.config.image_data_format(), keras.config.floatx(), keras.config.max_epochs()
    keras.config.set_image_data_format("channels_last")
    keras.config.set_floatx("float32")
    keras.config.set_max_epochs(None)
    return result | {"kept": kept}


def decayed() -> list[float]:
    """What a step of AdamW takes off a weight of 2 beyond what Adam does, and what it should."""
    import keras

    from cnngen.training.protocol import WEIGHT_DECAY
    from cnngen_keras.train import _optimizer

    after = []
    for name in ("adam", "adamw"):
        weight = keras.Variable([2.0])
        optimizer = _optimizer(Protocol(optimizer=name, learning_rate=0.5), 1)  # type: ignore[arg-type]
        optimizer.apply([keras.ops.convert_to_tensor([0.3])], [weight])
        after.append(float(keras.ops.convert_to_numpy(weight)[0]))
    return [after[0] - after[1], 0.5 * WEIGHT_DECAY * 2.0]


def lost() -> str:
    """What is said of a file whose model is another one than its network's."""
    try:
        run(SMALL, Protocol(), change=("Conv2D(4, 3", "Conv2D(5, 3"))
    except BackendFault as error:
        return error.message
    return "nothing"


def raising() -> str:
    def stop(_: Epoch) -> None:
        raise ValueError("the window was closed")

    try:
        run(SMALL, Protocol(), on_epoch=stop)
    except ValueError as error:
        return str(error)
    return "nothing came out"


def trainings(engine: str) -> dict:
    seen: list[dict] = []
    digits = load_data("digits")
    results = {
        "version": get_backend("keras").version(),
        "learns": run(
            WIDE, Protocol(epochs=8), digits, on_epoch=lambda epoch: seen.append(asdict(epoch))
        ),
        "seen": seen,
        "once": run(SMALL, EVERYTHING),
        "again": run(SMALL, EVERYTHING),
        "adam": exact(Protocol(epochs=2, batch=32)),
        "late": run(SMALL, Protocol(epochs=100_000, time_budget=0.4)),
    }
    if engine != "jax":  # which compiles for a second or two whatever differs
        falling = Protocol(epochs=2, batch=32, optimizer="sgd", schedule="cosine", warmup=1)
        results |= {
            "sgd": exact(falling),
            "nan": run(SMALL, Protocol(epochs=5, optimizer="sgd", learning_rate=1e30)),
            "raised": raising(),
        }
    if engine == "torch":  # the fastest to start; these are Keras's own doing, or ours
        dead = ('name="dense1")(x)', 'name="dense1")(x * 0)')
        fails = "    raise MemoryError('all gone')\n    inputs"
        results |= {
            "started": started(Protocol(epochs=2, batch=32)),
            "other": run(SMALL, replace(EVERYTHING, seed=6)),
            "one step": run(SMALL, Protocol(epochs=100_000, batch=1000, time_budget=0.4)),
            "dead": run(SMALL, Protocol(epochs=4), change=dead),
            "dead, stopped": run(SMALL, Protocol(epochs=4, abort_dead=2), change=dead),
            "unvalidated": run(SMALL, Protocol(epochs=1, validation_share=0), change=dead),
            "foreign": foreign(),
            "lost": lost(),
            "decayed": decayed(),
            "half": run(SMALL, replace(EVERYTHING, precision="bfloat16")),
            "scaled": run(SMALL, replace(EVERYTHING, precision="float16")),
            "memory": run(SMALL, Protocol(), change=("    inputs", fails)),
            "fault": run(SMALL, Protocol(), change=("Flatten(", "Flotten(")),
        }
    results["loaded"] = [name for name in ("tensorflow", "torch") if name in sys.modules]
    return results


if __name__ == "__main__":
    os.environ["KERAS_BACKEND"] = sys.argv[1]
    print(json.dumps(trainings(sys.argv[1]), default=float))
