"""Prove the path on an NVIDIA GPU: the same losses and accuracies, how fast, at what energy.

    python benchmarks/gpu.py [--minutes 8] [--only equality,parity] [--cifar DATA] [--out gpu.json]

| part | what it compares |
|---|---|
| equality | losses of an epoch: a CUDA graph and lower precisions against the loop, three networks against float64 on the CPU |
| parity | accuracies of float16 and bfloat16 against float32 and its other seeds |
| speed | images a second against a textbook loop in mixed precision, compiled too, and Keras; how long the GPU is busy |
| packing | models an hour of several workers on one card against one, and whether their losses are the same |
| energy | CodeCarbon's GPU energy against NVML's counter, idle and busy |
| cifar | networks of `paper` on CIFAR-10, 36 epochs in mixed precision, kept as runs |

Prints Markdown and writes JSON. A part ends early when its share of the minutes is over, and says
how far it came. Without a GPU, the first two run in a short form on the CPU.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from precision import parity as parity_of
from torch.nn import functional as F
from train import keras_fit, spread, subject, textbook

from cnngen import Bounds, Dataset, Network, Protocol, load_data, sample
from cnngen.runs.campaign.campaign import Watch, run_campaign
from cnngen.runs.campaign.executors import local
from cnngen.runs.campaign.plan import Plan
from cnngen.runs.record import Record
from cnngen.training.data import splits
from cnngen.training.energy import Meter
from cnngen.training.protocol import PROTOCOLS, batch_sizes
from cnngen_torch.optimizers import Adam
from cnngen_torch.stepping import Execution
from cnngen_torch.train import load
from cnngen_torch.train import train as train_torch

CUDA = torch.cuda.is_available()
DEVICE = torch.device("cuda" if CUDA else "cpu")

SHARES = {
    "equality": 0.25,
    "parity": 0.13,
    "speed": 0.2,
    "packing": 0.17,
    "energy": 0.12,
    "cifar": 0.13,
}
"""Of the minutes, at most. What a part does not need, the ones after it get."""

Figures = dict[str, Any]


@dataclass(frozen=True)
class Clock:
    """When a part has to end."""

    end: float

    @property
    def left(self) -> float:
        return self.end - time.monotonic()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--only", default=",".join(SHARES), help="parts, with commas between")
    parser.add_argument("--cifar", default="cifar10", help="a data set of 32x32 images")
    parser.add_argument("--out", type=Path, default=Path("gpu.json"))
    parser.add_argument("--runs", type=Path, help="a folder for the runs of `cifar`")
    arguments = parser.parse_args()
    wanted = [name for name in arguments.only.split(",") if CUDA or name in ("equality", "parity")]
    card = torch.cuda.get_device_name() if CUDA else None
    print(f"torch {torch.__version__}, {card or 'no GPU: a short form on the CPU'}\n")
    parts: dict[str, Callable[[Clock], Figures]] = {
        "equality": equality,
        "parity": parity,
        "speed": speed,
        "packing": packing,
        "energy": energy,
        "cifar": lambda clock: cifar(clock, arguments.cifar, arguments.runs),
    }
    figures: Figures = {"torch": torch.__version__, "gpu": card}
    end = time.monotonic() + 60 * arguments.minutes
    shares = sum(SHARES[name] for name in wanted)
    for name in wanted:
        began = time.monotonic()
        figures[name] = parts[name](Clock(began + (end - began) * SHARES[name] / shares))
        figures[name]["seconds"] = round(time.monotonic() - began, 1)
        shares -= SHARES[name]
        arguments.out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
        print(f"  {figures[name]['seconds']:g} s\n", flush=True)


def equality(clock: Clock) -> Figures:
    """Mean training losses of the first epoch on digits, from the same weights and batches.

    Deep networks magnify rounding: compare with the loop's own difference from itself.
    """
    data = load_data("digits")
    sizes = [9 + round(261 * number / 19) for number in range(20)] if CUDA else [9, 25]
    ways: dict[str, tuple[str, Execution | None]] = {
        "the loop again": ("float32", "eager"),
        "bfloat16": ("bfloat16", "eager"),
        "float16": ("float16", "eager"),
    }
    if CUDA:
        graphs: dict[str, tuple[str, Execution | None]] = {
            "graph": ("float32", "graph"),
            "as chosen": ("float32", None),
            "tf32": ("tf32", "eager"),
            "graph, bfloat16": ("bfloat16", "graph"),
            "graph, float16": ("float16", "graph"),
        }
        ways |= graphs
    sizes = sizes[::2] + sizes[1::2]  # so that large ones are there where the time is over
    off: dict[str, list[float]] = {way: [] for way in ways}
    chosen: list[str] = []
    reference: list[Figures] = []
    for number, layers in enumerate(sizes):
        if clock.left < 0:
            break
        network = sample(
            "paper",
            input_shape=data.input_shape,
            seed=number,
            bounds=Bounds(layers=(layers - 3, layers + 3)),
        )
        source = network.to_source("torch")
        loop = _first_loss(source, network, data, "float32", "eager")
        line = [f"  {network.cost.layers:3} layers: {loop[0]:.5f}"]
        for way, (precision, execution) in ways.items():
            loss, result = _first_loss(source, network, data, precision, execution)
            off[way].append(abs(loss - loop[0]) / loop[0])
            line.append(f"{way} {off[way][-1]:.1e}")
            if way == "as chosen":
                chosen.append(f"{result.execution}: {result.execution_cause}")
                line.append(chosen[-1])
        # Dropout draws other numbers on a CPU than on a GPU.
        if len(reference) < 3 and "Dropout" not in source:
            whole = _float64_loss(source, data)
            reference.append({"layers": network.cost.layers, "off": abs(loop[0] - whole) / whole})
            line.append(f"float64 on the CPU {reference[-1]['off']:.1e}")
        print("; ".join(line), flush=True)
    print("equality: relative difference of the loss from the loop's, median (most)")
    for way, figures in off.items():
        print(f"  {way}: {statistics.median(figures):.1e} ({max(figures):.1e})")
    return {"off": off, "chosen": chosen, "float64": reference}


FIRST = Protocol(epochs=1, validation_share=0.0, test_share=0.2)


def _first_loss(
    source: str, network: Network, data: Dataset, precision: Any, execution: Execution | None
) -> tuple[float, Any]:
    # More epochs, so that steps are left for which a trial pays.
    protocol = replace(FIRST, epochs=4 if execution is None else 1, precision=precision)
    result = train_torch(source, network, data, protocol, execution=execution)
    if not result.epochs:
        raise SystemExit(f"{network.id} {precision} {execution}: {result.status}, {result.cause}")
    return result.epochs[0].train_loss, result


def _float64_loss(source: str, data: Dataset) -> float:
    """The loss of the first epoch, as the trainer comes to it, in float64 on the CPU."""
    torch.manual_seed(FIRST.seed)
    shuffle = torch.Generator().manual_seed(FIRST.seed)
    model = load(source).double().train()
    optimizer = Adam(model.parameters())
    rows = torch.from_numpy(splits(data, FIRST).train)
    rows = rows[torch.randperm(len(rows), generator=shuffle)]
    images = torch.from_numpy(data.images[rows.numpy()]).permute(0, 3, 1, 2).double() / 255
    labels = torch.from_numpy(data.labels[rows.numpy()])
    sizes = batch_sizes(len(rows), FIRST.batch)
    total = 0.0
    for inputs, right in zip(images.split(sizes), labels.split(sizes), strict=True):
        loss = F.cross_entropy(model(inputs), right)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step(FIRST.learning_rate)
        total += loss.item() * len(right)
    return total / len(rows)


def parity(clock: Clock) -> Figures:
    """Accuracies on digits, as `benchmarks/precision.py` compares them."""
    if CUDA:
        return parity_of(30, 10, 20, ["bfloat16", "float16"], 2, lambda: clock.left < 0)
    return parity_of(2, 2, 12, ["bfloat16"], 2, lambda: clock.left < 0)


def speed(clock: Clock) -> Figures:
    """Images a second of the trainer and its rivals, which take turns on the same card."""
    found: Figures = {}
    names = ("LeNet, 32x32x3", "30 layers, 32x32x3", "100 layers, 32x32x3", "270 layers, digits")
    for number, name in enumerate(names):
        part = Clock(time.monotonic() + clock.left / (len(names) - number))
        network, data = subject(name)
        found[name] = _race(name, network, data, part)
    return found


def _race(name: str, network: Network, data: Dataset, clock: Clock) -> Figures:
    source = network.to_source("torch")
    protocol = Protocol(epochs=10_000, validation_share=0.0, test_share=0.05, precision="auto")

    def ours(rival: Rival, execution: Execution | None) -> None:
        train_torch(source, network, data, protocol, rival, execution=execution)

    def textbook_loop(rival: Rival, *, compiled: bool) -> None:
        textbook(network, data, protocol, rival, DEVICE.type, "bfloat16", compiled=compiled)

    entrants: dict[str, Callable[[Rival], None]] = {
        "ours": lambda rival: ours(rival, None),
        "our loop": lambda rival: ours(rival, "eager"),
        "textbook": lambda rival: textbook_loop(rival, compiled=False),
    }
    if network.cost.layers <= 12:  # 30 layers take torch.compile more than a minute
        entrants["textbook, compiled"] = lambda rival: textbook_loop(rival, compiled=True)
    if network.cost.layers <= 40 and find_spec("keras"):
        entrants["keras on torch"] = lambda rival: keras(network, data, protocol, rival)
    images = len(splits(data, protocol).train)
    rates: dict[str, list[float]] = {entrant: [] for entrant in entrants}
    first: dict[str, float] = {}
    busy: list[float] = []
    for _ in range(3):
        for entrant, runs in entrants.items():
            if clock.left < 0 and rates[entrant]:
                continue
            began = time.perf_counter()
            rival = Rival(2.0 if entrant == "ours" else 1.0)
            with _busy() as shares:
                try:
                    runs(rival)
                except Over:
                    whole = images - images % protocol.batch  # no other batch is compiled
                    each = whole if entrant == "textbook, compiled" else images
                    rates[entrant].append(each * rival.epochs / rival.seconds)
                except Exception as error:
                    print(f"  {entrant}: {type(error).__name__}: {str(error)[:200]}")
                    continue
            first.setdefault(entrant, time.perf_counter() - began)
            if entrant == "ours":
                busy += shares[4:]  # the first are of the start
    if not rates["ours"]:
        return {}
    fastest = statistics.median(rates["ours"])
    print(f"{name}: {spread(rates['ours'], ',.0f')} images a second, busy {spread(busy, '.0%')}")
    for entrant, own in rates.items():
        if own and entrant != "ours":
            ratio = [fastest / rate for rate in own]
            print(f"  against {entrant}: {spread(ratio, '.2f')}", flush=True)
    return {"images a second": rates, "busy": busy, "seconds of the first round": first}


class Over(Exception):
    """A round has lasted long enough."""


class Rival:
    """Called after each epoch of an endless training; ends it after so many seconds, of which the first
    epoch, which compiles, is none."""

    def __init__(self, most: float) -> None:
        self.most = most
        self.epochs = -1
        self.seconds = 0.0

    def __call__(self, *_: object) -> None:
        now = time.perf_counter()
        self.epochs += 1
        if self.epochs == 0:
            self.began = now
            return
        self.seconds = now - self.began
        if self.seconds > self.most:
            raise Over


def keras(network: Network, data: Dataset, protocol: Protocol, rival: Rival) -> None:
    os.environ["KERAS_BACKEND"] = "torch"
    from keras.mixed_precision import set_global_policy

    set_global_policy("mixed_bfloat16")
    keras_fit(network, data, protocol, rival)


@contextmanager
def _busy() -> Iterator[list[float]]:
    """The shares of time in which the GPU computed, by NVML; its samples cover a sixth of a second."""
    import pynvml  # type: ignore[import-untyped]

    pynvml.nvmlInit()
    handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    shares: list[float] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.2):
            shares.append(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield shares
    finally:
        over.set()
        thread.join()


class Ends(Watch):
    """When each training of a campaign ended, and its record."""

    def __init__(self) -> None:
        self.at: list[float] = []
        self.records: dict[str, Record] = {}

    def ended(self, record: Record, *, new: bool) -> None:
        self.at.append(time.monotonic())
        self.records[record.id] = record

    def an_hour(self, workers: int) -> float:
        """Models an hour after each worker's first, which has the start of the process."""
        later = self.at[workers - 1 :]
        return 3600 * (len(later) - 1) / (later[-1] - later[0])


def packing(clock: Clock) -> Figures:
    """Models an hour of a campaign on digits, by the number of workers on the card."""
    data = load_data("digits")
    found: Figures = {}
    alone: dict[str, Record] = {}
    crowds = (1, 4, 8, 14)
    for number, workers in enumerate(crowds):
        part = Clock(time.monotonic() + clock.left / (len(crowds) - number))
        ends = Ends()
        _campaign(data, PROTOCOLS["quick"], workers, ends, part, 20 + 10 * workers)
        if len(ends.at) <= workers + 1:
            print(f"  {workers} workers: only {len(ends.at)} models")
            continue
        alone = alone or ends.records
        off = [
            abs(ends.records[key].history[0].train_loss - one.history[0].train_loss)
            for key, one in alone.items()
            if key in ends.records and one.history and ends.records[key].history
        ]
        failed = [one.cause for one in ends.records.values() if one.status not in ("ok", "dead")]
        rate = ends.an_hour(workers)
        found[str(workers)] = {
            "models an hour": rate,
            "models": len(ends.at),
            "off": off,
            "failed": failed,
        }
        base = found[str(crowds[0])]["models an hour"]
        print(
            f"  {workers} workers: {rate:,.0f} models an hour, {rate / base:.2f} times one's; losses of "
            f"the first epoch at most {max(off, default=0.0):.1e} off; {len(failed)} of {len(ends.at)} failed",
            flush=True,
        )
    return found


def _campaign(
    data: Dataset,
    protocol: Protocol,
    workers: int,
    ends: Watch,
    clock: Clock,
    models: int,
    folder: Path | None = None,
) -> None:
    stop = threading.Event()
    timer = threading.Timer(max(0.0, clock.left), stop.set)
    timer.daemon = True
    timer.start()
    plan = Plan(count=models, protocol=protocol, bounds=Bounds(layers=(None, 120)))
    with tempfile.TemporaryDirectory() as runs:
        run_campaign(
            plan,
            data,
            folder or Path(runs) / "runs",
            executor=local(workers, gpus=["0"], say=print),
            watches=[ends],
            stop=stop,
        )
    timer.cancel()


def energy(clock: Clock) -> Figures:
    """CodeCarbon's GPU energy over NVML's own counter, in windows of several lengths."""
    meter = Meter()
    with meter.window("warm-up"):
        _load(1.0)
    found: Figures = {}
    for seconds in (1.0, 3.0, 10.0, 30.0):
        for what, work in (("busy", _load), ("idle", time.sleep)):
            if clock.left < seconds:
                continue
            with meter.window(what) as window:
                work(seconds)
            own = window.energy
            if own is None or not own.gpu_counter_energy:
                print(f"  {what}, {seconds:g} s: {window.cause or 'no counter'}")
                continue
            ratio = (own.gpu_energy or 0.0) / own.gpu_counter_energy
            watts = own.gpu_counter_energy * 3.6e6 / seconds
            share = own.provenance.gpu_share
            found[f"{what}, {seconds:g} s"] = {"ratio": ratio, "watts": watts, "share": share}
            print(
                f"  {what}, {seconds:g} s: CodeCarbon {ratio:.4f} of the counter, {watts:.0f} W by it, "
                f"own share {share}",
                flush=True,
            )
    return found


def _load(seconds: float) -> None:
    numbers = torch.randn(4096, 4096, device=DEVICE, dtype=torch.bfloat16)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for _ in range(20):
            torch.mm(numbers, numbers)
        torch.cuda.synchronize()


def cifar(clock: Clock, name: str, runs: Path | None) -> Figures:
    """As many networks as the time allows, four at a time."""
    try:
        data = load_data(name)
    except Exception as error:
        print(f"  {name}: {error}")
        return {}
    ends = Ends()
    began = time.monotonic()
    protocol = replace(PROTOCOLS["paper"], precision="auto", time_budget=max(30.0, clock.left))
    # What has begun is waited for, so nothing begins in the second half.
    half = Clock(began + clock.left / 2)
    _campaign(data, protocol, 4, ends, half, 200, runs)
    spent = time.monotonic() - began
    reached = [one.test_accuracy for one in ends.records.values() if one.test_accuracy]
    statuses = statistics.multimode(one.status for one in ends.records.values())
    print(f"  {len(ends.at)} networks in {spent:.0f} s, mostly {statuses}")
    if reached:
        print(f"  test accuracy {spread(reached, '.1%')}")
    return {"networks": len(ends.at), "spent": spent, "accuracies": reached}


if __name__ == "__main__":
    main()
