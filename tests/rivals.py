"""A backend that trains nothing; each of its modes determines the time, energy and accuracy."""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

from cnngen.backend import Backend
from cnngen.backend.model_access import Weights
from cnngen.network import Network
from cnngen.training.data import Dataset
from cnngen.training.protocol import Epoch, Protocol, TrainingResult

MODES = ("steady", "slow", "worse", "crash", "hang", "raises", "absent", "rubbish")

if "pytest" not in sys.modules:
    # CodeCarbon takes seconds to start; without it a record says why it has no energy.
    sys.modules["codecarbon"] = None  # type: ignore[assignment]


def install(folder: Path) -> str:
    """Register the backend, as pip would, for processes with this folder in PYTHONPATH."""
    info = folder / "rivals-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: rivals\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[cnngen.backends]\nrivals = rivals:Rivals\n")
    tests = Path(__file__).parent
    return os.pathsep.join([str(folder), str(tests), str(tests.parent)])


class Rivals(Backend):
    name = "rivals"
    interface = 1
    install = "pip install rivals"
    capabilities = frozenset({"emit", "train"})
    modes: ClassVar[Mapping[str, Mapping[str, str]]] = {mode: {"RIVAL": mode} for mode in MODES}

    def version(self) -> str | None:
        mode = os.environ.get("RIVAL")
        return None if mode == "absent" else f"rivals 1.0, {mode}"

    def emit(self, network: Network, *, script: bool = False) -> str:
        return f"# {network.id}\n"

    def train(
        self,
        source: str,
        network: Network,
        data: Dataset,
        protocol: Protocol,
        on_epoch: Callable[[Epoch], None] | None = None,
        weights: Weights | None = None,
    ) -> TrainingResult:
        mode = os.environ["RIVAL"]
        told = hashlib.sha256()
        for name, own in sorted((weights or {}).items()):
            for part, array in sorted(own.items()):
                told.update(f"{name} {part} {array.shape}".encode() + array.tobytes())
        with Path(os.environ["RIVALS_LOG"]).open("a") as file:
            start = told.hexdigest()[:8]
            file.write(f"{os.getpid()} {mode} {network.id} {protocol.seed} {start}\n")
        if data.name != "digits":  # the warm-up goes well
            misbehave(mode)
        time.sleep(float(os.environ.get("RIVALS_SECONDS", "0")))
        seconds = (2.0 if mode == "slow" else 1.0) * (1 + 0.01 * (protocol.seed % 5))
        accuracy = (0.5 if mode == "worse" else 0.8) + 0.02 * (protocol.seed % 3)
        epochs = []
        for number in range(1, protocol.epochs + 1):
            epochs.append(Epoch(number, seconds / 10, 1.0, accuracy, 1.0, accuracy))
            if on_epoch is not None:
                on_epoch(epochs[-1])
        return TrainingResult("ok", None, tuple(epochs), seconds, 0.5, accuracy, "cpu", 1)


def misbehave(mode: str) -> None:
    match mode:
        case "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "hang":
            time.sleep(1000)
        case "raises":
            raise ZeroDivisionError("a bug of the backend")
        case "rubbish":
            print("\x1b[2Jrubbish " * 1000)
