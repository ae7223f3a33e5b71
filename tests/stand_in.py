"""A backend that pretends to train, instantly, so that tests can kill many campaigns.

Environment variables, which workers inherit, determine what it does with a network.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from cnngen.backend import Backend
from cnngen.network import Network
from cnngen.runs.campaign import Plan
from cnngen.training.data import Dataset
from cnngen.training.protocol import Epoch, Protocol, TrainingResult

NAME = "stand_in"

if "pytest" not in sys.modules:
    # CodeCarbon takes seconds to start; without it a record says why it has no energy.
    sys.modules["codecarbon"] = None  # type: ignore[assignment]


def install(folder: Path) -> str:
    """Register the backend, as pip would, for processes with this folder in PYTHONPATH."""
    info = folder / "stand_in-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stand-in\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[cnngen.backends]\nstand_in = stand_in:StandIn\n")
    tests = Path(__file__).parent
    return os.pathsep.join([str(folder), str(tests), str(tests.parent)])


@contextmanager
def installed_here(folder: Path, monkeypatch: Any) -> Iterator[None]:
    """Register the backend in this process, until the block ends."""
    from cnngen.system.plugins import _declared, _made

    def forget() -> None:
        _declared.cache_clear()
        _made.cache_clear()

    with monkeypatch.context() as patched:
        for place in install(folder).split(os.pathsep):
            patched.syspath_prepend(place)
        forget()
        try:
            yield
        finally:
            patched.undo()
            forget()


def images(name: str = "made up") -> Dataset:
    """Thirty images of three classes."""
    pixels = (np.arange(30 * 64) % 251).astype(np.uint8).reshape(30, 8, 8, 1)
    return Dataset(name, pixels, np.arange(30) % 3, ("a", "b", "c"))


def plan(count: int, **settings: Any) -> Plan:
    """Return the plan of a campaign of small networks that finishes instantly."""
    fixed: dict[str, Any] = {"space": "compact", "protocol": Protocol(epochs=2), "backend": NAME}
    return Plan(count=count, **fixed | settings)


class StandIn(Backend):
    name = NAME
    interface = 1
    install = "it is only here for tests"
    capabilities = frozenset({"emit", "train"})

    def version(self) -> str | None:
        return "stand_in 1.0"

    def emit(self, network: Network, *, script: bool = False) -> str:
        match how_to_fail(network):
            case "no-emit":
                raise ZeroDivisionError("nothing to emit")
            case "emit-None":
                return None  # type: ignore[return-value]
            case "emit-surrogate":
                return "# \ud800\n"
        return f"# {network.id}\n"

    def train(
        self,
        source: str,
        network: Network,
        data: Dataset,
        protocol: Protocol,
        on_epoch: Callable[[Epoch], None] | None = None,
    ) -> TrainingResult:
        if log := os.environ.get("STAND_IN_LOG"):
            with Path(log).open("a") as file:
                threads = os.environ.get("OMP_NUM_THREADS", "-")
                file.write(f"{os.getpid()} {network.id} {threads} {data.images.sum()}\n")
        time.sleep(float(os.environ.get("STAND_IN_SECONDS", "0")))
        card, _, mark = os.environ.get("STAND_IN_LOSES", "").partition(":")
        if mark and os.environ.get("CNNGEN_GPU") == card:
            Path(mark).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        how = how_to_fail(network)
        if how is not None:
            fail(how, network)
        if how == "tell-None" and on_epoch is not None:
            on_epoch(None)  # type: ignore[arg-type]
        if how is not None and how.startswith("give-"):
            return RUBBISH[how]  # type: ignore[return-value]
        epochs = []
        for number in range(1, protocol.epochs + 1):
            accuracy = number / (protocol.epochs + 1)
            epochs.append(Epoch(number, 0.0, 1.0, accuracy, 1.0, accuracy))
            if on_epoch is not None:
                on_epoch(epochs[-1])
        return TrainingResult("ok", None, tuple(epochs), 0.01, 0.5, 0.75, "cpu", 1)


def how_to_fail(network: Network) -> str | None:
    """Return how STAND_IN_FAILS tells a network to fail, if it does."""
    for word in os.environ.get("STAND_IN_FAILS", "").split():
        start, how = word.split(":")
        if network.id.startswith(start):
            return how
    return None


FEW = (Epoch(1, 0.0, 1.0, 0.5, 1.0, 0.5),)
RUBBISH = {
    "give-None": None,
    "give-too-much": TrainingResult("ok", None, FEW, 0.01, 0.5, 1.5, "cpu", 1),
    "give-nan": TrainingResult("ok", None, FEW, 0.01, 0.5, float("nan"), "cpu", 1),
    "give-text": TrainingResult("ok", None, ("an epoch",), 0.01, 0.5, 0.5, "cpu", 1),  # type: ignore[arg-type]
}


def fail(how: str, network: Network) -> None:
    match how:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "kill-once":
            mark = Path(os.environ["STAND_IN_LOG"] + f".{network.id}")
            if not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        case "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "exit":
            os._exit(3)
        case "hang":
            time.sleep(1000)
        case "memory":
            raise MemoryError("9 GB")
        case "bug":
            raise ZeroDivisionError("a bug of the backend")
        case "quit":
            sys.exit("bye")
        case "import":
            raise ImportError("no framework here")
