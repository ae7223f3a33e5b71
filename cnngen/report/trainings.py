"""The trainings of a study: folders of runs, or Parquet files of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnngen.errors import StoreError, counted, shorten
from cnngen.predict import TARGETS, Example, examples
from cnngen.predict.examples import COLUMNS, status_of, told_by
from cnngen.runs.trainings import Trainings, read_trainings

if TYPE_CHECKING:
    import pandas as pd

NUMBERS = (
    *("test_accuracy", "train_seconds", "energy_total_energy", "layers", "parameters", "flops"),
    *("data_classes", "data_images", "protocol_test_share", "protocol_epochs", "epochs"),
    "energy_others_during",
)
TEXTS = (
    *("status", "backend", "versions_framework", "data_name", "protocol_name", "space"),
    *(
        "hardware_cpu",
        "hardware_gpu",
        "energy_cpu_method",
        "energy_ram_method",
        "energy_gpu_method",
    ),
)
ENERGY = ("energy_cpu_method", "energy_ram_method", "energy_gpu_method")


@dataclass(frozen=True, repr=False)
class StudyData:
    """Trainings as a table, a row each, and as examples for predictors.

    There are no examples where the networks have no descriptions.
    """

    name: str
    table: pd.DataFrame
    examples: list[Example]

    def __len__(self) -> int:
        return len(self.table)

    def __repr__(self) -> str:
        return f"<StudyData {shorten(self.name)}: {counted(len(self), 'training')}>"

    @property
    def networks(self) -> int:
        """The number of networks, of which each may have been trained several times."""
        return len(self.examples) or len(self)

    def numbers(self, column: str) -> pd.Series[float]:
        """The figures of a column that are there."""
        return self.table[column].dropna()

    def counts(self, *columns: str) -> dict[tuple[Any, ...], int]:
        """Count the trainings by the values of columns, the most frequent first."""
        groups = self.table.groupby(list(columns), sort=False, dropna=False)
        counts = groups.size().sort_values(ascending=False)
        return {
            key if isinstance(key, tuple) else (key,): int(count) for key, count in counts.items()
        }

    def by_data(self) -> list[StudyData]:
        """The trainings of each data set for themselves, if there are several."""
        if self.table["data_name"].nunique() < 2:
            return []
        return [
            StudyData(str(name), rows, [one for one in self.examples if one.data == name])
            for name, rows in self.table.groupby("data_name", sort=False)
        ]

    @property
    def other_load(self) -> pd.Series[float]:
        """The share of the machine that other programs kept busy during each training, 0 to 1."""
        return self.numbers("energy_others_during")

    @property
    def energy_is_measured(self) -> bool:
        """Whether every energy figure is measured, none modelled."""
        return not (self.table[list(ENERGY)] == "modelled").to_numpy().any()


def read_study_data(
    *sources: str | Path,
    on_progress: Callable[[int, int], None] | None = None,
    on_broken: Callable[[Path, str], None] | None = None,
    networks: bool = True,
) -> StudyData:
    """Read folders of runs, or Parquet files with the columns of their index, as the data of one study;
    without `networks`, only the figures.

    Of what may come from a stranger, only the columns in `NUMBERS` and `TEXTS` are taken, as
    finite numbers and as texts. Raises `StoreError` where one cannot be read or holds nothing,
    and where a run is there twice.
    """
    import pandas as pd

    names = ("key", *NUMBERS, *TEXTS, *(COLUMNS if networks else ()))
    read = [read_trainings(source, names) for source in sources]
    tables = [_table(trainings) for trainings in read]
    keys = pd.Index([key for table in tables if table.index.name for key in table.index])
    if keys.has_duplicates:
        raise StoreError(
            f"run {shorten(str(keys[keys.duplicated()][0]))} was given twice",
            hint="Name folders or files that share no run.",
        )
    found = (
        [example for trainings in read for example in examples(trainings, on_progress, on_broken)]
        if networks
        else []
    )
    titles = [_title(trainings.source) for trainings in read]
    return StudyData(" and ".join(titles), pd.concat(tables), found)


def _title(source: Path) -> str:
    return source.absolute().name if source.is_dir() else source.stem


def _table(trainings: Trainings) -> pd.DataFrame:
    table = _clean(trainings.to_pandas(), str(trainings.source))
    if not len(table):
        raise StoreError(f"{trainings.source} holds no runs")
    return table


def _clean(table: pd.DataFrame, origin: str) -> pd.DataFrame:
    """The columns that are used, whatever was in them; no figure of a training that did not
    come to it. Raises `StoreError` for a status that there is not."""
    import numpy as np
    import pandas as pd

    columns: dict[str, object] = {}
    for name in NUMBERS:
        values = pd.to_numeric(table[name], errors="coerce") if name in table else np.nan
        columns[name] = pd.Series(values, table.index, dtype=float).replace(
            [np.inf, -np.inf], np.nan
        )
    for name in TEXTS:
        texts = pd.Series(table.get(name), table.index, dtype="string")
        columns[name] = texts.fillna("none").astype(str).str[:200]
    clean = pd.DataFrame(columns, table.index)
    rows = zip(clean["status"], clean["epochs"], clean["protocol_epochs"], strict=True)
    told = [
        told_by(status_of("" if status == "none" else status, origin), epochs, asked)
        for status, epochs, asked in rows
    ]
    for target, column in TARGETS.items():
        if column in clean:
            clean.loc[[target not in some for some in told], column] = np.nan
    return clean
