"""The record of one training: what was trained, on what, how, and what came out.

A record is a frozen value that writes itself as JSON and is checked in full when it is read.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from math import isfinite, nan
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from cnngen.errors import CnnGenError, StoreError
from cnngen.network.cost import short
from cnngen.system import markup
from cnngen.system.machine import cpu_name, usable_cores
from cnngen.system.ranges import check, is_within
from cnngen.training.data.summary import DataSummary, Text
from cnngen.training.energy import Energy
from cnngen.training.protocol import ADDED, Epoch, Protocol, Status, TrainingResult

if TYPE_CHECKING:
    from cnngen.network import Network
    from cnngen.training.data import Dataset

KEY = r"[0-9a-f]{16}-[a-z][a-z0-9_]{0,31}-[0-9a-f]{8}"
"""The pattern of a run's key: network id, backend, hash of protocol and data."""


def _nan_for_null(epoch: object) -> object:
    """JSON has no NaN; in an epoch, null stands for a figure that was not finite."""
    if not isinstance(epoch, dict):
        return epoch
    if any(value != value for value in epoch.values()):
        raise ValueError("NaN is not JSON; null stands for it")
    return {name: nan if value is None else value for name, value in epoch.items()}


@dataclass(frozen=True, slots=True)
class Versions:
    """Names and versions of the software that computed. `framework` is as its backend states it."""

    cnngen: str
    python: str
    framework: str
    codecarbon: str | None
    os: str


@dataclass(frozen=True, slots=True)
class Hardware:
    """The machine. `cores` are those this process may use; `memory` is in bytes;
    `threads` are those the framework computed with."""

    cpu: str
    cores: int
    memory: int
    gpu: str | None
    threads: int | None


COLUMNS = ("network", "layers", "weights", "FLOPs", "accuracy", "time", "energy", "CO2")
"""The columns of a table for people."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Record:
    """One training. `docs/records.md` tells every field with its unit.

    `schema` is the version of this form. `id` is the network's; `key` is the run's. Accuracies
    are shares from 0 to 1, training and validation figures those of the last epoch. A figure
    that was not reached, or is not finite, is None (NaN in the epochs), and `status` and
    `cause` say why.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    schema: Literal[1] = 1
    id: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    name: Text | None
    backend: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
    seed: int | None
    space: Text | None
    finished: Text
    versions: Versions
    hardware: Hardware
    protocol: Protocol
    data: DataSummary
    status: Status
    cause: str | None
    cause_epoch: int | None = None
    device: Text
    precision: Text | None = None
    skipped_steps: int | None = None
    execution: Text | None = None
    execution_cause: Text | None = None
    test_accuracy: float | None
    validation_accuracy: float | None
    train_accuracy: float | None
    test_loss: float | None
    validation_loss: float | None
    train_loss: float | None
    train_seconds: float
    epochs: int
    layers: int
    parameters: int
    multiply_adds: int
    flops: int
    energy: Energy | None
    energy_cause: str | None
    history: tuple[Annotated[Epoch, BeforeValidator(_nan_for_null)], ...]

    @property
    def key(self) -> str:
        """The run's key, and the name of its folder."""
        return record_id(self.id, self.backend, self.protocol, self.data)

    def __repr__(self) -> str:
        found: list[str] = [self.status]
        if self.test_accuracy is not None:
            found.append(f"accuracy {self.test_accuracy:.3f}")
        found.append(f"{self.train_seconds:.3g} s")
        if self.energy is not None:
            found.append(f"{self.energy.total_energy * 1000:.3g} Wh")
        return f"<Record {self.key}: {', '.join(found)}>"

    def _repr_html_(self) -> str:
        status = self.status if self.cause is None else f"{self.status}: {self.cause}"
        done = f"{self.epochs} of {self.protocol.epochs} epochs"
        trained = f"{self.backend} on {self.data.name}, {self.protocol.name}, {done}"
        rows = zip((*COLUMNS, "trained", "status"), (*self.cells(), trained, status), strict=True)
        return markup.notebook_table((), list(rows), texts=2)

    def cells(self) -> list[str]:
        """The cells of its row in a table for people, in the order of `COLUMNS`."""
        energy = self.energy
        return [
            f"{self.id[:8]} {self.name or ''}".strip(),
            str(self.layers),
            short(self.parameters),
            short(self.flops),
            "-" if self.test_accuracy is None else f"{self.test_accuracy:.1%}",
            f"{self.train_seconds:.1f} s",
            f"{energy.total_energy * 1000:.3f} Wh" if energy else "-",
            f"{energy.emissions * 1e6:.1f} mg" if energy else "-",
        ]

    def to_json(self) -> str:
        """The record as JSON text; figures that are not finite become null."""
        return _adapter().dump_json(self, indent=2).decode() + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Record:
        """Read a record from JSON text. Raises `StoreError` if it is not a complete record."""
        try:
            record = _adapter().validate_json(text)
        except ValidationError as error:
            raise StoreError(_fault(error)) from None
        except CnnGenError as error:
            raise StoreError(error.message) from None
        check(record)
        return record


@cache
def _adapter() -> TypeAdapter[Record]:
    return TypeAdapter(Record)


def _fault(error: ValidationError) -> str:
    """The first reason why a text is not a valid record, in one line."""
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(map(str, first["loc"]))
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{place + ': ' if place else ''}{first['msg']}{more}"


def record_id(network_id: str, backend: str, protocol: Protocol, data: DataSummary) -> str:
    """The key of a run: equal for equal networks trained the same way on the same images."""
    given = asdict(protocol)
    for field in fields(protocol):
        if field.name in ADDED and given[field.name] == field.default:
            del given[field.name]
    images = asdict(data)
    # The same by another name is the same, and the digest is that of the images as they were used.
    del given["name"], images["name"], images["prepared"]
    how = json.dumps([given, images], sort_keys=True)
    return f"{network_id}-{backend}-{hashlib.sha256(how.encode()).hexdigest()[:8]}"


def make_record(
    network: Network,
    data: Dataset,
    protocol: Protocol,
    result: TrainingResult,
    *,
    backend: str,
    framework: str,
    energy: Energy | None,
    energy_cause: str | None = None,
    seed: int | None = None,
    space: str | None = None,
) -> Record:
    """The record of a training that has just ended on this machine.

    `framework` is what the backend's `version()` says; `seed` and `space` are those the
    network was sampled with, if it was.
    """
    epochs = tuple(map(_within, result.epochs))
    last = epochs[-1] if epochs else None
    cost = network.cost
    try:
        check(energy, "energy.")
    except StoreError as error:  # a counter that ran over, say
        energy, energy_cause = None, f"no possible figure: {error.message}"
    return Record(
        id=network.id,
        name=network.name,
        backend=backend,
        seed=seed,
        space=space,
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=Versions(
            cnngen=_version("cnngen") or "unknown",
            python=platform.python_version(),
            framework=framework,
            codecarbon=_version("codecarbon"),
            os=platform.platform(),
        ),
        hardware=this_machine(gpu=result.gpu, threads=result.threads),
        protocol=protocol,
        data=data.summary,
        status=result.status,
        cause=result.cause,
        cause_epoch=result.cause_epoch,
        device=result.device,
        precision=result.precision,
        skipped_steps=result.skipped_steps,
        execution=result.execution,
        execution_cause=result.execution_cause,
        test_accuracy=_known("test_accuracy", result.test_accuracy),
        validation_accuracy=_known("validation_accuracy", last.validation_accuracy)
        if last
        else None,
        train_accuracy=_known("train_accuracy", last.train_accuracy) if last else None,
        test_loss=_known("test_loss", result.test_loss),
        validation_loss=_known("validation_loss", last.validation_loss) if last else None,
        train_loss=_known("train_loss", last.train_loss) if last else None,
        train_seconds=result.train_seconds,
        epochs=len(result.epochs),
        layers=cost.layers,
        parameters=cost.parameters,
        multiply_adds=cost.multiply_adds,
        flops=cost.flops,
        energy=energy,
        energy_cause=energy_cause,
        history=epochs,
    )


def this_machine(*, gpu: str | None = None, threads: int | None = None) -> Hardware:
    """The machine this process runs on."""
    import psutil  # type: ignore[import-untyped]

    return Hardware(cpu_name(), usable_cores(), psutil.virtual_memory().total, gpu, threads)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _known(name: str, figure: float | None) -> float | None:
    """A figure that is finite, and a loss that is possible; another accuracy than a share is a
    fault of the backend, which the record's check tells."""
    if figure is None or not isfinite(figure):
        return None
    return figure if is_within(name, figure) or not name.endswith("_loss") else None


def _within(epoch: Epoch) -> Epoch:
    """An epoch with NaN for each figure that is not known."""

    def known(name: str) -> float:
        figure = _known(name, getattr(epoch, name))
        return nan if figure is None else figure

    return replace(
        epoch,
        train_loss=known("train_loss"),
        train_accuracy=known("train_accuracy"),
        validation_loss=known("validation_loss"),
        validation_accuracy=known("validation_accuracy"),
    )


def best_first(records: Sequence[Record]) -> list[Record]:
    """Records by test accuracy; those that reached none come last."""
    return sorted(records, key=lambda r: -1 if r.test_accuracy is None else r.test_accuracy)[::-1]
