"""Training protocols and results, as immutable, serialisable values."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from math import cos, isfinite, pi, sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_type_hints

from cnngen.errors import CnnGenError, counted
from cnngen.system.untrusted import read_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Weights = Mapping[str, Mapping[str, NDArray[np.floating[Any]]]]
    """As `cnngen.backend.model_access.Weights`."""

Split = Literal["official", "pooled"]
Optimizer = Literal["adam", "adamw", "sgd"]
Precision = Literal["float32", "tf32", "bfloat16", "float16", "auto"]
"""What convolutions and products compute in; weights stay float32. `auto` is the device's fastest
that keeps to float32's range of results: see `docs/training.md`."""
Schedule = Literal["constant", "cosine"]
Augmentation = Literal["none", "flip_crop"]
Keep = Literal["last", "best"]
Status = Literal["ok", "nan", "out_of_memory", "time_budget", "dead", "error"]


@dataclass(frozen=True, slots=True, repr=False)
class Protocol:
    """Everything that determines a training except the network and the images.

    `split` is `official` to keep the data set's own test images, or `pooled` to pool all images
    and set `test_share` of them aside. `validation_share` is a share of the training images.
    `seed` determines the split, the initial weights, the order of the images, dropout and
    augmentation. `warmup` is in epochs, `time_budget` in seconds. `abort_dead` is the number of
    consecutive epochs with constant output after which training stops, or None. `keep` says whether
    the weights of the best epoch by validation accuracy are kept beside those of the last. `patience`
    is the number of epochs in a row without a lower validation loss after which training stops, or None. See
    `docs/training.md` for each field. Raises `CnnGenError` for invalid values.
    """

    name: str = "quick"
    epochs: int = 10
    batch: int = 64
    optimizer: Optimizer = "adam"
    learning_rate: float = 1e-3
    split: Split = "pooled"
    test_share: float = 0.2
    validation_share: float = 0.2
    precision: Precision = "float32"
    seed: int = 0
    time_budget: float | None = None
    schedule: Schedule = "constant"
    warmup: float = 0.0
    augmentation: Augmentation = "none"
    abort_dead: int | None = None
    keep: Keep = "last"
    patience: int | None = None

    def __repr__(self) -> str:
        own = ((one.name, getattr(self, one.name), one.default) for one in fields(self))
        given = (
            f"{name}={value!r}" for name, value, usual in own if name == "name" or value != usual
        )
        return f"Protocol({', '.join(given)})"

    def learning_rate_at(self, step: int, steps: int) -> float:
        """Return the learning rate of a step, counted from 0, with `steps` steps per epoch.

        It rises linearly to `learning_rate` at the end of the warm-up. Then it stays constant, or
        decays to 0 as half a cosine (Loshchilov and Hutter, 2017, without restarts).
        """
        warmup, total = self.warmup * steps, self.epochs * steps
        if step < warmup:
            return self.learning_rate * min(1.0, (step + 1) / warmup)
        if self.schedule == "constant":
            return self.learning_rate
        return self.learning_rate * (1 + cos(pi * (step - warmup) / (total - warmup))) / 2

    def __post_init__(self) -> None:
        fault = next(self._faults(), None)
        if fault is not None:
            raise CnnGenError(f"protocol '{self.name}' is not valid: {fault}")

    def _faults(self) -> Iterator[str]:
        if self.epochs < 1:
            yield f"it has {self.epochs} epochs, at least 1 is needed"
        if self.batch < 1:
            yield f"it has a batch of {self.batch} images, at least 1 is needed"
        if self.optimizer not in get_args(Optimizer):
            yield f"unknown optimizer '{self.optimizer}'; one of: {', '.join(get_args(Optimizer))}"
        if not (isfinite(self.learning_rate) and self.learning_rate > 0):
            yield f"its learning rate is {self.learning_rate}, it must be above 0"
        if self.split not in get_args(Split):
            yield f"unknown split '{self.split}'; one of: {', '.join(get_args(Split))}"
        if not 0 < self.test_share < 1:
            yield f"its test share is {self.test_share}, it must be between 0 and 1"
        if not 0 <= self.validation_share < 1:
            yield f"its validation share is {self.validation_share}, it must be from 0 to below 1"
        if self.precision not in get_args(Precision):
            yield (
                f"unknown precision '{self.precision}'; one of: {', '.join(get_args(Precision))}"
            )
        if not 0 <= self.seed < 2**63:
            yield f"its seed is {self.seed}, it must be from 0 to 2^63 - 1"
        if self.time_budget is not None and not (
            isfinite(self.time_budget) and self.time_budget > 0
        ):
            yield f"its time budget is {self.time_budget} s, it must be above 0"
        if self.schedule not in get_args(Schedule):
            yield f"unknown schedule '{self.schedule}'; one of: {', '.join(get_args(Schedule))}"
        if not 0 <= self.warmup < self.epochs:
            yield f"its warm-up is {self.warmup} of {self.epochs} epochs, it must be shorter"
        if self.augmentation not in get_args(Augmentation):
            yield f"unknown augmentation '{self.augmentation}'; one of: {', '.join(get_args(Augmentation))}"
        if self.abort_dead is not None and self.abort_dead < 1:
            yield f"it gives up after {self.abort_dead} dead epochs, at least 1 is needed"
        if self.patience is not None and self.patience < 1:
            yield f"its patience is {self.patience} epochs, at least 1 is needed"
        if self.patience is not None and not self.validation_share:
            yield "it has patience with a validation loss, for which it needs a validation share above 0"
        if self.keep not in get_args(Keep):
            yield f"it keeps '{self.keep}'; one of: {', '.join(get_args(Keep))}"
        if self.keep == "best" and not self.validation_share:
            yield "it keeps the best epoch, for which it needs a validation share above 0"


WEIGHT_DECAY = 0.01
"""AdamW's: each step takes this share, times the learning rate, off all weights (Loshchilov and
Hutter, 2019, Decoupled weight decay regularization)."""

ADDED: tuple[str, ...] = ("schedule", "warmup", "augmentation", "abort_dead", "keep", "patience")
"""Fields that later versions added. They are part of a run's key only if they differ from their
defaults, so that runs of older versions keep their keys.
"""

PROTOCOLS: dict[str, Protocol] = {
    "quick": Protocol(),
    "paper": Protocol("paper", epochs=36),
    "standard": Protocol("standard", epochs=36, split="official"),
    "amp": Protocol("amp", epochs=36, split="official", precision="auto"),
}
"""The named protocols. `amp` is `standard` in mixed precision where the device has it. `paper` pools all images and splits them 80/20, takes 20 % of the training
images for validation, and trains 36 epochs with Adam in batches of 64.
"""


AMPERE = (8, 0)
"""The compute capability of NVIDIA GPUs from which they have TF32 and bfloat16."""


def named_protocol(name: str) -> Protocol:
    """Return a protocol by its name. Raises `CnnGenError` for an unknown name."""
    if name not in PROTOCOLS:
        raise CnnGenError(f"unknown protocol '{name}'", hint=f"Known: {', '.join(PROTOCOLS)}.")
    return PROTOCOLS[name]


MAX_FILE = 2**16
"""Most bytes of a protocol's file."""


def read_protocol(path: str | Path) -> Protocol:
    """Read a protocol from a TOML file: fields by name, those left out as in the protocol `base`.

        base = "quick"
        optimizer = "sgd"
        learning_rate = 0.05

    Without a `name`, its name is the file's. Raises `CnnGenError` for a file that cannot be read or is
    no protocol.
    """
    path = Path(path)
    try:
        given = tomllib.loads(read_text(path, MAX_FILE))
    except OSError as error:
        raise CnnGenError(f"{path}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise CnnGenError(f"{path}: not valid TOML: {error}") from None
    try:
        base = given.pop("base", "quick")
        if not isinstance(base, str):
            raise CnnGenError(f"'base' is {base!r}, not the name of a protocol")
        return with_settings(named_protocol(base), {"name": path.stem[:64], **given})
    except CnnGenError as error:
        raise CnnGenError(f"{path}: {error.message}", hint=error.hint) from None


def with_settings(protocol: Protocol, settings: Mapping[str, object]) -> Protocol:
    """Return a protocol with other values of some fields; texts are read as the field's type.

    Raises `CnnGenError` for an unknown field and for a value that it cannot have.
    """
    types = get_type_hints(Protocol)
    values: dict[str, Any] = {}
    for name, value in settings.items():
        if name not in types:
            near = get_close_matches(name, types, 1)
            meant = f"Did you mean {near[0]}? " if near else ""
            raise CnnGenError(
                f"a protocol has no '{name}'", hint=f"{meant}It has {', '.join(types)}."
            )
        values[name] = _value_of(name, value, types[name])
    return replace(protocol, **values)


def _value_of(name: str, value: object, kind: object) -> object:
    """A value of a field: a number, a word, or None."""
    kinds = get_args(kind) or (kind,)
    if value in ("none", None) and type(None) in kinds:
        return None
    for wanted in (int, float):
        if wanted in kinds and not isinstance(value, bool):
            try:
                number = wanted(value)  # type: ignore[arg-type, call-overload]
            except (TypeError, ValueError, OverflowError):
                continue
            if not (isinstance(value, float) and number != value):
                return number
    if isinstance(value, str) and not {int, float} & set(kinds):
        return value
    raise CnnGenError(f"'{value}' is not a value of {name}")


def repeated(protocol: Protocol, repeats: int) -> list[Protocol]:
    """Return a protocol for each of several trainings of a network: with its seed, and those after."""
    return [replace(protocol, seed=protocol.seed + number) for number in range(repeats)]


def precision_on(asked: Precision, capability: tuple[int, int] | None) -> Precision:
    """Return the precision that a protocol's stands for on a device; never `auto`.

    `capability` is the compute capability of the GPU, None for a CPU. `auto` is bfloat16 from
    Ampere on, float16 on GPUs before, and float32 on a CPU. `tf32` is float32 where there is none.
    """
    modern = capability is not None and capability >= AMPERE
    match asked:
        case "auto" if capability is not None:
            return "bfloat16" if modern else "float16"
        case "auto":
            return "float32"
        case "tf32" if not modern:
            return "float32"
    return asked


def batch_sizes(images: int, batch: int) -> list[int]:
    """Return the size of each batch of an epoch, in every backend.

    A single remaining image joins the batch before it: batch normalisation has no variance for
    one image on a map of 1x1.
    """
    sizes = [batch] * (images // batch)
    rest = images % batch
    if rest == 1 and sizes:
        sizes[-1] += 1
    elif rest:
        sizes.append(rest)
    return sizes


def evaluation_batch(numbers: int, activations: int) -> int:
    """Return the batch size for evaluation, from 64 to 4,096, that keeps all outputs of the
    network together within a limit. `activations` is the number of output values per image.
    """
    return max(64, min(4096, numbers // activations))


def chance(class_counts: Sequence[int]) -> float:
    """Return the accuracy that is still explained by chance, given the number of images per class:
    that of always predicting the commonest class, plus three standard errors.
    """
    total = sum(class_counts)
    share = max(class_counts) / total
    return share + 3 * sqrt(share * (1 - share) / total)


@dataclass(frozen=True, slots=True)
class Epoch:
    """One pass over the training images. Accuracies are shares from 0 to 1."""

    number: int
    seconds: float
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float


@dataclass(frozen=True, slots=True, repr=False)
class TrainingResult:
    """The result of a training. Figures that were not reached are None.

    `cause_epoch` is the epoch, from 1, in which the cause arose. `threads` is the number of
    threads of the framework; `gpu` is the name of the GPU, if one was used. `precision` is what
    convolutions and products computed in, never `auto`. `skipped_steps` counts the steps that loss
    scaling left out because float16 gradients ran over; None without loss scaling. `execution` is
    how a backend ran the steps where it had a choice, and `execution_cause` why. The first
    `resumed_epochs` were those of an earlier training, from whose checkpoint this one went on.
    `weights` gives copies of the trained ones, by operation; None where there are none.
    `best_weights` are those of the best epoch by validation, if the protocol keeps them.
    """

    status: Status
    cause: str | None
    epochs: tuple[Epoch, ...]
    train_seconds: float
    test_loss: float | None
    test_accuracy: float | None
    device: str
    threads: int | None = None
    gpu: str | None = None
    cause_epoch: int | None = None
    precision: str | None = None
    skipped_steps: int | None = None
    execution: str | None = None
    execution_cause: str | None = None
    resumed_epochs: int = 0
    weights: Callable[[], Weights] | None = field(default=None, compare=False, repr=False)
    best_weights: Weights | None = field(default=None, compare=False, repr=False)

    def __repr__(self) -> str:
        epochs = counted(len(self.epochs), "epoch")
        return f"<TrainingResult {self.status}: {epochs} in {self.train_seconds:.3g} s>"
