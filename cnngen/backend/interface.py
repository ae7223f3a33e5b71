"""The interface between CNNGen and a framework.

A backend is a class in a package of its own, named in the entry-point group
`cnngen.backends`. It reads a `Network` and writes source code; it loads that source and
trains it. Nothing in `cnngen` names a backend.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from cnngen.errors import BackendError
from cnngen.system.plugins import BACKENDS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cnngen.backend.model_access import Runner, Weights
    from cnngen.backend.untrained import Signals
    from cnngen.network import Network
    from cnngen.training.checkpoint import Checkpoint
    from cnngen.training.data import Dataset
    from cnngen.training.protocol import Epoch, Protocol, TrainingResult

INTERFACE = BACKENDS.interface
"""Version of this interface. A backend made for another one is refused."""


class Backend(ABC):
    """One framework. Creating a backend must not import the framework."""

    name: ClassVar[str]
    """The name users type, a lower-case identifier."""

    interface: ClassVar[int]
    """The version of this interface that the backend was written for."""

    install: ClassVar[str]
    """The command that installs what the backend needs."""

    capabilities: ClassVar[frozenset[str]] = frozenset({"emit"})
    """Of `emit`, `script`, `train`, `resume`, `verify` and `signals`."""

    modes: ClassVar[Mapping[str, Mapping[str, str]]] = {}
    """Ways to run the framework, if there are several: for each, the environment variables that
    are set in a process of its own before the framework is loaded. See `cnngen.backend.mode_process`."""

    def __repr__(self) -> str:
        return f"<Backend {self.name}>"

    @abstractmethod
    def version(self) -> str | None:
        """Name and version of the framework, for records; None where it is missing.

        Reads the package's metadata; does not import the framework.
        """

    @abstractmethod
    def emit(self, network: Network, *, script: bool = False) -> str:
        """Python source of the network: standalone, formatted as `ruff format` would.

        With `script`, the file also trains by itself when it is run. Equal networks give
        equal text.
        """

    weights_suffix: ClassVar[str] = ""
    """How the name of a file of weights ends in the framework's own form, as `.pt`; empty where
    emitted files load none."""

    def emit_loading(self, network: Network, weights: str, *, script: bool = False) -> str:
        """As `emit`, with a function `load(path)` that gives the network with the weights of a file,
        by default the one of the name `weights` beside the source.

        The file has the form in which the runner's `save` writes it.
        """
        raise BackendError(f"files of the {self.name} backend load no weights")

    def prepare(self) -> None:  # noqa: B027 — most have nothing to do
        """Load the framework and wake its devices, so that no training is charged for it.

        Called before energy is measured; may be called often.
        """

    def devices(self) -> tuple[str, ...]:
        """Names of the devices that trainings can use, the one that they take first.

        Loads the framework. Empty where the backend cannot tell.
        """
        return ()

    def train(
        self,
        source: str,
        network: Network,
        data: Dataset,
        protocol: Protocol,
        on_epoch: Callable[[Epoch], None] | None = None,
        weights: Weights | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> TrainingResult:
        """Load emitted source, train and evaluate it; report each epoch as it ends.

        A failure of training (NaN, out of memory) is a status of the result, with its
        cause, and no exception. `weights`, passed only where they are given, are those to
        start from; else the protocol's seed decides them. `checkpoint` is passed only to a backend
        with the capability `resume`: it writes the state after epochs when that is due, and goes on
        from a state that it finds.
        """
        raise BackendError(f"the {self.name} backend cannot train")

    def runner(self) -> Runner[Any]:
        """A runner of emitted source, so that its results can be compared with other backends'.

        Loads the framework.
        """
        raise BackendError(f"the {self.name} backend cannot be verified")

    def signals(
        self,
        network: Network,
        images: NDArray[np.uint8],
        labels: NDArray[np.int64],
        seed: int = 0,
    ) -> Signals:
        """Signals of the network with its first weights on images (N, height, width, channels).

        `seed` decides the weights.
        """
        raise BackendError(f"the {self.name} backend has no signals")
