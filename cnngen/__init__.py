"""CNNGen: whole convolutional networks from one sentence each.

    network = cnngen.sample("paper", seed=7)
    network = cnngen.resolve(cnngen.read("lenet.cnn"))
    network.to_source("torch")

The names here are public, and what `docs/stability.md` lists; other modules may change.
Importing this package imports none of what it offers; each name is loaded when it is used.
"""

# `python -m cnngen` has the working folder first on its path. It may be a stranger's, with a
# `random.py` in it, so it goes before anything is imported that the interpreter has not loaded
# itself: even `__future__` would be looked for there. A checkout at work in itself needs it.
import os
import sys

if (
    sys.argv[:1] == ["-m"]  # while Python looks for the module
    and sys.orig_argv[-len(sys.argv)].partition(".")[0].endswith("cnngen")
    and not sys.flags.safe_path
    and os.path.exists(os.curdir)  # else it is not on the path
    and os.path.realpath(sys.path[0])
    != os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
):
    del sys.path[0]

from importlib import import_module
from typing import TYPE_CHECKING

from cnngen.system import moved

__version__ = "0.1.0"

if TYPE_CHECKING:
    from cnngen.backend import Backend, backend_names, get_backend
    from cnngen.comparison import Comparison, compare, read_comparison
    from cnngen.errors import CnnGenError
    from cnngen.importing import Imported, import_model
    from cnngen.language import Description, format, format_text, parse, read
    from cnngen.network import Network
    from cnngen.runs.record import Record
    from cnngen.runs.store import Runs, load, save
    from cnngen.runs.train import Trained, train
    from cnngen.search.benchmark import Benchmark, benchmark
    from cnngen.space import Space, load_space
    from cnngen.space.resolution import resolve
    from cnngen.space.sampling import Bounds, sample, sample_description, sample_many
    from cnngen.training.data import Dataset, load_data
    from cnngen.training.energy import Energy, Meter
    from cnngen.training.protocol import PROTOCOLS, Protocol

_HOMES = {
    "backend": ("Backend", "backend_names", "get_backend"),
    "comparison": ("Comparison", "compare", "read_comparison"),
    "errors": ("CnnGenError",),
    "importing": ("Imported", "import_model"),
    "language": ("Description", "format", "format_text", "parse", "read"),
    "network": ("Network",),
    "runs.record": ("Record",),
    "runs.store": ("Runs", "load", "save"),
    "runs.train": ("Trained", "train"),
    "search.benchmark": ("Benchmark", "benchmark"),
    "space": ("Space", "load_space"),
    "space.resolution": ("resolve",),
    "space.sampling": ("Bounds", "sample", "sample_description", "sample_many"),
    "training.data": ("Dataset", "load_data"),
    "training.energy": ("Energy", "Meter"),
    "training.protocol": ("PROTOCOLS", "Protocol"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "PROTOCOLS",
    "Backend",
    "Benchmark",
    "Bounds",
    "CnnGenError",
    "Comparison",
    "Dataset",
    "Description",
    "Energy",
    "Imported",
    "Meter",
    "Network",
    "Protocol",
    "Record",
    "Runs",
    "Space",
    "Trained",
    "backend_names",
    "benchmark",
    "compare",
    "format",
    "format_text",
    "get_backend",
    "import_model",
    "load",
    "load_data",
    "load_space",
    "parse",
    "read",
    "read_comparison",
    "resolve",
    "sample",
    "sample_description",
    "sample_many",
    "save",
    "train",
]


moved.install()


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'cnngen' has no attribute '{name}'")
    return getattr(import_module(f"cnngen.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
