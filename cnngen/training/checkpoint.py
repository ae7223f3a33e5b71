"""Checkpoints: what a training needs to go on where it was, to the last bit."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cnngen.system.files import write_file
from cnngen.system.untrusted import read_bytes

if TYPE_CHECKING:
    from cnngen.training.data import Dataset
    from cnngen.training.protocol import Protocol

MAX_FILE = 2**32
"""Most bytes of a checkpoint that are read."""

EVERY = 60.0
"""Seconds between checkpoints. Shorter trainings write none, unless `at_end`."""


@dataclass
class Checkpoint:
    """The file of a training's state, after an epoch that has ended.

    The content is the backend's own, of which nothing is executed when it is read. It is written
    after `every` seconds at the earliest, and after the last epoch if `at_end`, so that a longer
    training of the same network can go on from it.
    """

    folder: Path
    name: str
    every: float = EVERY
    at_end: bool = False
    _written: float = field(default_factory=time.monotonic, repr=False)

    @property
    def path(self) -> Path:
        return self.folder / self.name

    def read(self, most: int = MAX_FILE) -> bytes | None:
        """The state that is there, of at most so many bytes; None if there is none to be read."""
        try:
            return read_bytes(self.path, most, root=self.folder)
        except OSError:
            return None

    def is_due(self, *, last: bool) -> bool:
        """Whether the state is to be written now, after an epoch that may be the last."""
        return self.at_end if last else time.monotonic() - self._written >= self.every

    def write(self, state: bytes) -> None:
        """Write the state in the place of the former. Raises `StoreError` if that fails."""
        write_file(self.folder, self.name, state)
        self._written = time.monotonic()

    def remove(self) -> None:
        """Remove the state, if it is there."""
        self.path.unlink(missing_ok=True)


def identity(source: str, data: Dataset, protocol: Protocol) -> str:
    """A text that is equal for trainings of which one may go on where the other was: of the same file,
    on the same images, by the same protocol but for its name, time budget and number of epochs.

    Where the learning rate depends on the number of epochs, that must be the same, too.
    """
    given = asdict(protocol)
    for name in ("name", "time_budget", "abort_dead", "patience"):
        del given[name]
    if protocol.schedule == "constant":
        del given["epochs"]
    how = json.dumps([source, given, data.summary.digest], sort_keys=True)
    return hashlib.sha256(how.encode()).hexdigest()
