"""Measure images per second in training, and compare CNNGen's PyTorch trainer with others: a
textbook DataLoader loop, Keras's `fit` on each engine, and the same step on one fixed batch.

Each competitor is a process of its own, all on one core, and they take turns: a round of one,
then of the next. `images a second` are by the CPU time of that process, which other load on
the machine changes little; the ratio of wall-clock times stands beside it. Both are without
the first epoch; `a run of ten epochs` has it, with building the model and compiling.

    python benchmarks/train.py [rounds [network …]]
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from cnngen import Bounds, Dataset, Network, Protocol, load_data, parse, resolve, sample
from cnngen.training.data import splits
from cnngen.training.protocol import batch_sizes

LENET = (
    "input conv(filters=6, kernel=5, stride=1, padding=same, activation=relu) "
    "max_pooling(size=2, stride=2) conv(filters=16, kernel=3, stride=1, padding=same, "
    "activation=relu) max_pooling(size=2, stride=2) flatten "
    "dense(units=120, activation=relu) dense(units=84, activation=relu) dense output"
)
DIGITS, COLOUR = (8, 8, 1), (32, 32, 3)
NETWORKS = {
    "LeNet, digits": (DIGITS, None),
    "30 layers, digits": (DIGITS, (29, 31)),
    "100 layers, digits": (DIGITS, (98, 102)),
    "270 layers, digits": (DIGITS, (260, 285)),
    "LeNet, 32x32x3": (COLOUR, None),
    "30 layers, 32x32x3": (COLOUR, (29, 31)),
    "100 layers, 32x32x3": (COLOUR, (90, 110)),
}
"""Input shape, and the bounds on the layers of a network of `paper` drawn with seed 1."""

TOO_DEEP_FOR_XLA = ("100 layers, digits", "270 layers, digits", "100 layers, 32x32x3")
"""Networks whose first epoch takes XLA many minutes to compile."""

ENGINES = {"tensorflow": "tensorflow", "torch": "torch", "jax": "jax"}
RIVALS = ("limit", "textbook", *(f"keras, {engine}" for engine in ENGINES))
SECONDS = 1.5
"""A round of a rival lasts at least about this long."""

Round = tuple[float, float, int]
"""Wall-clock and CPU seconds, and images."""


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    wanted = sys.argv[2:] or list(NETWORKS)
    core = max(os.sched_getaffinity(0))
    print(f"one core of {os.cpu_count()}, load {os.getloadavg()[0]:.1f}, {rounds} rounds")
    for name in wanted:
        rivals, first = {}, {}
        for rival in ("ours", *RIVALS):
            if there(rival) and not (rival == "keras, jax" and name in TOO_DEEP_FOR_XLA):
                rivals[rival] = Rival(name, rival, core)
                first[rival] = rivals[rival].round()
        for process in rivals.values():
            process.round()
        results: dict[str, list[Round]] = {rival: [] for rival in rivals}
        for _ in range(rounds):
            for rival, process in rivals.items():
                results[rival].append(process.round())
        for process in rivals.values():
            process.end()
        rates = [images / cpu for _, cpu, images in results["ours"]]
        print(f"{name}: {spread(rates, ',.0f')} images a second")
        for rival in rivals:
            if rival == "ours":
                continue
            pairs = list(zip(results["ours"], results[rival], strict=True))
            by_cpu = [(a[2] / a[1]) / (b[2] / b[1]) for a, b in pairs]
            by_wall = [(a[2] / a[0]) / (b[2] / b[0]) for a, b in pairs]
            run = ten_epochs(first[rival], results[rival]) / ten_epochs(
                first["ours"], results["ours"]
            )
            print(
                f"  against {rival}: ratio {spread(by_cpu, '.2f')}, wall clock "
                f"{spread(by_wall, '.2f')}; of a run of ten epochs {run:.2f}",
                flush=True,
            )
    print(f"load at the end {os.getloadavg()[0]:.1f}")


def there(rival: str) -> bool:
    engine = rival.removeprefix("keras, ")
    return engine == rival or find_spec(ENGINES[engine]) is not None


def spread(figures: list[float], form: str) -> str:
    """Format the median with the least and the most."""
    middle, least, most = statistics.median(figures), min(figures), max(figures)
    return f"{middle:{form}} ({least:{form}} to {most:{form}})"


def ten_epochs(first: Round, later: list[Round]) -> float:
    """Return the CPU seconds of ten epochs, including building and compiling the model."""
    return first[1] + 9 * first[2] * statistics.median(cpu / images for _, cpu, images in later)


class Rival:
    """A process that trains for one round per request."""

    def __init__(self, network: str, name: str, core: int) -> None:
        engine = name.removeprefix("keras, ")
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "TF_NUM_INTRAOP_THREADS": "1",
            "TF_NUM_INTEROP_THREADS": "1",
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "KERAS_BACKEND": engine if engine != name else "torch",
            "CUDA_VISIBLE_DEVICES": "",
        }
        self.process = subprocess.Popen(
            [sys.executable, __file__, "rival", network, name, str(core)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )

    def round(self) -> Round:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith("{"):
                told = json.loads(line)
                return told["wall"], told["cpu"], told["images"]
        raise SystemExit(f"a rival died: {self.process.args}")

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def rival(network: str, name: str, core: int) -> None:
    os.sched_setaffinity(0, {core})
    import_module("keras" if name.startswith("keras") else "cnngen_torch.train")
    net, data = subject(network)
    protocol = Protocol(epochs=1_000_000, validation_share=0.0, test_share=0.0027)
    after_epoch = Turns(len(splits(data, protocol).train))
    if name.startswith("keras"):
        keras_fit(net, data, protocol, after_epoch)
    {"ours": ours, "limit": limit, "textbook": textbook}[name](net, data, protocol, after_epoch)


class Turns:
    """Called after each epoch of an endless training; blocks until its next turn."""

    def __init__(self, images: int) -> None:
        self.images = images
        self.epochs = self.left = 1
        self.first = True
        self.wait()

    def wait(self) -> None:
        if not sys.stdin.readline():
            raise SystemExit
        self.began, self.cpu = time.perf_counter(), time.process_time()

    def __call__(self, *_: object) -> None:
        self.left -= 1
        if self.left:
            return
        wall, cpu = time.perf_counter() - self.began, time.process_time() - self.cpu
        told = {"wall": wall, "cpu": cpu, "images": self.images * self.epochs}
        print(json.dumps(told), flush=True)
        # The first epoch compiles, the second tells how many make a round.
        if not self.first and self.epochs == 1:
            self.epochs = max(1, round(SECONDS / cpu))
        self.first, self.left = False, self.epochs
        self.wait()


def subject(network: str) -> tuple[Network, Dataset]:
    shape, layers = NETWORKS[network]
    if shape == DIGITS:
        data = load_data("digits")
    else:
        random = np.random.default_rng(0)
        images = random.integers(0, 256, (1605, *shape), dtype=np.uint8)
        data = Dataset("random", images, random.integers(0, 10, 1605), tuple("abcdefghij"))
    if layers is None:
        return resolve(parse(LENET), space="compact", input_shape=shape, classes=10), data
    return sample("paper", input_shape=shape, seed=1, bounds=Bounds(layers=layers)), data


def ours(net: Network, data: Dataset, protocol: Protocol, after_epoch: Turns) -> None:
    from cnngen_torch.train import train

    result = train(net.to_source("torch"), net, data, protocol, after_epoch)
    raise SystemExit(f"{result.status}: {result.cause}")


def limit(net: Network, data: Dataset, protocol: Protocol, after_epoch: Turns) -> None:
    import torch
    from torch.nn import functional as F

    from cnngen_torch.batches import pixels
    from cnngen_torch.optimizers import Adam
    from cnngen_torch.train import load

    model = load(net.to_source("torch")).to(memory_format=torch.channels_last).train()
    optimizer = Adam(model.parameters())
    images = pixels(torch.from_numpy(data.images[: protocol.batch]))
    labels = torch.from_numpy(data.labels[: protocol.batch])
    steps = len(batch_sizes(after_epoch.images, protocol.batch))
    after_epoch.images = steps * protocol.batch
    while True:
        for _ in range(steps):
            F.cross_entropy(model(images), labels).backward()
            optimizer.step(protocol.learning_rate)
        after_epoch()


def textbook(
    net: Network,
    data: Dataset,
    protocol: Protocol,
    after_epoch: Callable[[], None],
    device: str = "cpu",
    precision: str = "float32",
    *,
    compiled: bool = False,
) -> None:
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset

    from cnngen_torch.precision import autocast
    from cnngen_torch.train import load

    place = torch.device(device)
    rows = splits(data, protocol).train
    images = torch.from_numpy(data.images[rows]).permute(0, 3, 1, 2).float().div(255).contiguous()
    dataset = TensorDataset(images, torch.from_numpy(data.labels[rows]))
    loader = DataLoader(
        dataset,
        batch_size=protocol.batch,
        shuffle=True,
        drop_last=compiled,
        pin_memory=device == "cuda",
    )
    model: Any = load(net.to_source("torch")).to(place).train()
    if compiled:
        torch.compiler.reset()
        model = torch.compile(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=protocol.learning_rate)
    criterion = nn.CrossEntropyLoss()
    while True:
        total, correct = 0.0, 0
        for batch, answers in loader:
            if len(answers) == 1:
                continue
            inputs, labels = batch.to(place), answers.to(place)
            optimizer.zero_grad()
            with autocast(precision, place):
                outputs = model(inputs)
                loss = criterion(outputs, labels)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(labels)
            correct += (outputs.argmax(1) == labels).sum().item()
        after_epoch()


def keras_fit(
    net: Network, data: Dataset, protocol: Protocol, after_epoch: Callable[..., None]
) -> None:
    import keras

    namespace: dict[str, Any] = {}
    exec(net.to_source("keras"), namespace)
    model = namespace["build"]()
    model.compile(
        optimizer=keras.optimizers.Adam(protocol.learning_rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    rows = splits(data, protocol).train
    model.fit(
        data.images[rows].astype("float32") / 255,
        data.labels[rows],
        batch_size=protocol.batch,
        epochs=protocol.epochs,
        verbose=0,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=after_epoch)],
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["rival"]:
        rival(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        main()
