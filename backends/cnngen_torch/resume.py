"""The state of a training after an epoch, from which it goes on to the same bits."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pickle import UnpicklingError

import torch
from torch import Tensor, nn

from cnngen.backend.model_access import Weights
from cnngen.backend.weights import flat
from cnngen.training.progress import TrainingProgress
from cnngen_torch.precision import Descent


@dataclass(frozen=True)
class Snapshot:
    """A state on its device, to which a training can go back once or more."""

    state: TrainingState
    tensors: list[Tensor]
    random: list[Tensor]
    scaling: dict[str, float | int]

    def restore(self) -> None:
        """Make weights, moments and random numbers what they were."""
        with torch.no_grad():
            for own, kept in zip(self.state.tensors, self.tensors, strict=True):
                own.copy_(kept)
        _set_random(self.random, self.state.device)
        self.state.descent.reset(self.scaling)


@dataclass(frozen=True)
class TrainingState:
    """All that an epoch of a training changes. `identity` is equal for trainings of which one may go on
    where the other was."""

    identity: str
    model: nn.Module
    descent: Descent
    shuffle: torch.Generator
    progress: TrainingProgress

    def to_bytes(self) -> bytes:
        """The state as a file of tensors and numbers."""
        file = BytesIO()
        torch.save(
            {
                "identity": self.identity,
                "weights": list(self.model.state_dict().values()),
                "moments": self.descent.optimizer.moments(),
                "scaler": self.descent.scaling,
                "shuffle": self.shuffle.get_state(),
                "random": _random(self.device),
                "progress": self.progress.reached(),
                "best": _tensors(self.progress.best),
            },
            file,
        )
        return file.getvalue()

    def restore(self, content: bytes, epochs: int) -> bool:
        """Go on from a state; False, and nothing is changed, if it is not one of this training, or
        has as many epochs as are asked for."""
        with suppress(
            RuntimeError, ValueError, KeyError, TypeError, AttributeError, EOFError, UnpicklingError
        ):
            state = torch.load(BytesIO(content), map_location=self.device, weights_only=True)
            pairs = [
                *zip(self.model.state_dict().values(), state["weights"], strict=True),
                *zip(self.descent.optimizer.moments(), state["moments"], strict=True),
            ]
            if state["identity"] != self.identity or not all(_alike(*pair) for pair in pairs):
                return False
            best = _arrays(state["best"], self.progress.weights)
            before = self.progress.reached()
            self.progress.go_on(state["progress"])
            if self.progress.number >= epochs:
                self.progress.go_on(before)
                return False
            self.progress.best = best
            self.shuffle.set_state(state["shuffle"].cpu())
            _set_random(state["random"], self.device)
            self.descent.reset(state["scaler"])
            with torch.no_grad():
                for own, kept in pairs:
                    own.copy_(kept)
            return True
        return False

    def snapshot(self) -> Snapshot:
        """What a step changes, as it is now."""
        tensors = [tensor.clone() for tensor in self.tensors]
        return Snapshot(self, tensors, _random(self.device), self.descent.scaling)

    @property
    def tensors(self) -> list[Tensor]:
        """The weights and statistics of the model, and the moments of the optimizer."""
        return [*self.model.state_dict().values(), *self.descent.optimizer.moments()]

    @property
    def most_bytes(self) -> int:
        """More bytes than a state has: weights, the best ones, moments, and numbers of epochs."""
        sizes: list[int] = [tensor.nbytes for tensor in self.tensors]
        return 4 * sum(sizes) + 2**24

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device


def _random(device: torch.device) -> list[Tensor]:
    """The states of the generators that a training draws from."""
    states = [torch.get_rng_state()]
    return [*states, torch.cuda.get_rng_state(device)] if device.type == "cuda" else states


def _set_random(states: list[Tensor], device: torch.device) -> None:
    torch.set_rng_state(states[0].cpu())
    if device.type == "cuda":
        torch.cuda.set_rng_state(states[1].cpu(), device)


def _tensors(weights: Weights | None) -> dict[str, dict[str, Tensor]] | None:
    if weights is None:
        return None
    return {
        name: {part: torch.from_numpy(array) for part, array in own.items()}
        for name, own in weights.items()
    }


def _arrays(kept: object, own: Callable[[], Weights] | None) -> Weights | None:
    """Weights from a state. Raises `ValueError` unless they have the names and shapes of our own."""
    if kept is None or own is None:
        return None
    wanted = {key: array.shape for key, array in flat(own()).items()}
    arrays = {
        name: {part: tensor.cpu().numpy() for part, tensor in parts.items()}
        for name, parts in kept.items()  # type: ignore[attr-defined]
    }
    if wanted != {key: array.shape for key, array in flat(arrays).items()}:
        raise ValueError("these are not weights of the model")
    return arrays


def _alike(own: Tensor, kept: object) -> bool:
    return isinstance(kept, Tensor) and (own.shape, own.dtype) == (kept.shape, kept.dtype)
