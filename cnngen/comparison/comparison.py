"""The results of a comparison, read from its folder of runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from cnngen.comparison.accuracy_agreement import Agreement
from cnngen.comparison.caveats import caveats
from cnngen.comparison.design import Design, mode_folder, read_design
from cnngen.comparison.measures import Measure, measure
from cnngen.comparison.verdicts import Verdict, agreements, verdicts
from cnngen.errors import StoreError, shorten
from cnngen.runs.record import Record
from cnngen.runs.run_folder import load_run

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False)
class Comparison:
    """The trainings of a design and their evaluation.

    `records` maps mode, network id and repeat to a record; a comparison that was stopped has
    only some of them. `faults` maps each mode that could not be compared to the reason, which
    includes the command that installs a missing framework.
    """

    design: Design
    records: Mapping[tuple[str, str, int], Record]
    faults: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        done = f"{len(self.records):,} of {len(self.design):,} trainings"
        return f"<Comparison of {shorten(', '.join(self.design.modes), 50)}: {done}>"

    @cached_property
    def measures(self) -> list[Measure]:
        """The figures of each training, in the order of modes, networks and repeats."""
        images = self.design.test_images
        return [
            measure(record, mode, repeat, images)
            for (mode, _, repeat), record in self.records.items()
        ]

    @cached_property
    def modes(self) -> tuple[str, ...]:
        """The modes with at least one finished training."""
        trained = {mode for mode, _, _ in self.records}
        return tuple(mode for mode in self.design.modes if mode in trained)

    @cached_property
    def verdicts(self) -> list[Verdict]:
        """Every pair of modes compared by every figure; see `cnngen.comparison.verdicts`."""
        return verdicts(self.measures, self.modes, space=self.design.space is not None)

    @cached_property
    def agreements(self) -> Mapping[tuple[str, str, str], Agreement]:
        """Whether the test accuracies agree, by network id and pair of modes."""
        return agreements(self.measures, self.modes)

    @cached_property
    def provenance(self) -> list[str]:
        """How the figures were measured, in sentences."""
        return caveats(self.records.values())

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per training: mode, network, repeat and the fields of `Measure`."""
        import pandas as pd

        names = {network.id: network.name for network in self.design.networks}
        rows = [
            {
                **asdict(measure),
                "energy_per_correct": measure.energy_per_correct,
                "name": names[measure.network],
            }
            for measure in self.measures
        ]
        return pd.DataFrame(rows)

    def to_json(self) -> dict[str, object]:
        """Return the whole comparison as JSON-compatible values."""
        names = {network.id: network.name for network in self.design.networks}
        return {
            "modes": list(self.design.modes),
            "faults": dict(self.faults),
            "networks": names,
            "repeats": self.design.repeats,
            "frameworks": self.frameworks,
            "provenance": self.provenance,
            "measures": [
                asdict(measure) | {"energy_per_correct": measure.energy_per_correct}
                for measure in self.measures
            ],
            "agreements": [
                {"network": network, "first": first, "second": second, **asdict(agreement)}
                | {"agrees": agreement.agrees}
                for (network, first, second), agreement in self.agreements.items()
            ],
            "verdicts": [
                asdict(verdict) | {"told_apart": verdict.told_apart, "text": str(verdict)}
                for verdict in self.verdicts
            ],
        }

    @property
    def frameworks(self) -> dict[str, str]:
        """The framework of each mode, with its version."""
        return {mode: record.versions.framework for (mode, _, _), record in self.records.items()}


def read_comparison(folder: str | Path, *, faults: Mapping[str, str] | None = None) -> Comparison:
    """Read the comparison in a folder, finished or not.

    Raises `StoreError` if the folder holds no comparison or one of its runs cannot be read.
    """
    design = read_design(folder)
    if design is None:
        raise StoreError(
            f"{folder} does not contain a comparison", hint="Create one with `cnngen compare`."
        )
    return Comparison(design, dict(_records(design, Path(folder))), faults or {})


def _records(design: Design, folder: Path) -> Iterator[tuple[tuple[str, str, int], Record]]:
    for mode in design.modes:
        for network in design.networks:
            for repeat in range(design.repeats):
                run = mode_folder(folder, mode) / design.key(network.id, mode, repeat)
                if run.exists():
                    yield (mode, network.id, repeat), load_run(run)
