"""The card of a data set: README.md with the front matter that the Hugging Face hub reads,
and figures beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from cnngen.errors import printable
from cnngen.runs.parquet_index import FILE as INDEX
from cnngen.runs.store import load
from cnngen.system.files import write_file
from cnngen.system.untrusted import read_text

if TYPE_CHECKING:
    import pandas as pd

FILE = "README.md"
FIGURES = "figures"
MAX_FILE = 2**20
"""Most bytes of a card that CNNGen wrote; it writes some thousand."""
MARK = "# Written by CNNGen. Take this line out, and the file is left as it is."

SIZES = {10**3: "n<1K", 10**4: "1K<n<10K", 10**5: "10K<n<100K", 10**6: "100K<n<1M"}

HISTOGRAMS = {
    "accuracy": ("test_accuracy", 1.0, "test accuracy"),
    "energy": ("energy_total_energy", 1000.0, "energy of a training (Wh)"),
    "layers": ("layers", 1.0, "layers"),
}
"""Of each figure: the column, what it is multiplied by, and the axis."""


def write_card(folder: str | Path) -> Path | None:
    """Write the card of a folder of runs, and its figures; return its path.

    None where there is a README.md that somebody else wrote, which is left as it is. Raises
    `StoreError` where the folder cannot be read or written.
    """
    folder = Path(folder)
    try:
        if MARK not in read_text(folder / FILE, MAX_FILE, root=folder):
            return None
    except FileNotFoundError:
        pass
    except OSError:
        return None  # a link, a pipe, no text: not what CNNGen wrote
    table = load(folder).to_pandas()
    figures = []
    for name, (column, factor, axis) in HISTOGRAMS.items():
        values = table[column].dropna().astype(float) * factor
        if len(values):
            figure = f"{FIGURES}/{name}.svg"
            write_file(folder, figure, _histogram(values, axis))
            figures.append(f"![{axis}]({figure})")
    text = "\n".join([*_front(table), *_body(table, figures)])
    return write_file(folder, FILE, text.encode())


def _front(table: pd.DataFrame) -> Iterator[str]:
    size = next((text for most, text in SIZES.items() if len(table) < most), "1M<n<10M")
    yield from ("---", MARK)
    # A string of JSON is one of YAML, but for the escapes of pairs of surrogates.
    yield f"pretty_name: {json.dumps(printable(_title(table)), ensure_ascii=False)}"
    yield "tags: [cnngen, neural-architecture-search, energy, green-ai, tabular]"
    yield "task_categories: [tabular-regression]"
    yield f"size_categories: [{json.dumps(size)}]"
    yield "configs:"
    yield "- config_name: default"
    yield f"  data_files: {INDEX}"
    yield "---"


def _title(table: pd.DataFrame) -> str:
    data = ", ".join(sorted(set(table["data_name"])))
    return f"CNNGen: {len(table):,} networks" + (f" on {data}" if data else "")


def _body(table: pd.DataFrame, figures: list[str]) -> Iterator[str]:
    yield from (f"# {plain(_title(table))}", "")
    yield "Convolutional networks drawn by CNNGen, each trained and measured. A row of"
    yield f"`{INDEX}` is one training; the folder of its `key` holds the description"
    yield "`model.cnn`, the source that was trained, pictures, the adjacency matrix, and the"
    yield "whole record with every epoch, `record.json`."
    yield ""
    yield from ("```python", "import pandas, datasets, cnngen", "")
    yield f'pandas.read_parquet("{INDEX}")'
    yield f'datasets.load_dataset("parquet", data_files="{INDEX}")'
    yield 'cnngen.load(".").to_pandas()  # typed, and checked against the folders'
    yield from ("```", "")
    if not len(table):
        yield "There are no runs yet."
        return
    yield from ("## How they were trained", "")
    names = ["backend", "versions_framework", "data_name", "protocol_name", "protocol_epochs"]
    yield from _counts(table, [*names, "space", "hardware_cpu", "hardware_gpu"])
    yield from ("## What came of it", "")
    yield from _counts(table, ["status"])
    yield from _spread(table)
    yield from (*figures, "")
    yield from ("## What the energy figures are worth", "")
    yield "`measured` is from a counter of the machine, `modelled` a formula of time and load:"
    yield "such figures rank networks on one machine, but are not measurements. Where other programs"
    yield "kept the machine busy, times are longer, and energies not taken by process hold their load."
    yield ""
    names = ["energy_cpu_method", "energy_gpu_method", "energy_ram_method"]
    yield from _counts(table, [*names, "energy_tdp_origin", "energy_shared", "energy_mode"])


def _counts(table: pd.DataFrame, names: list[str]) -> Iterator[str]:
    """How many runs have which values."""
    counts = table.groupby(names, dropna=False, sort=True).size()
    yield "| " + " | ".join([*names, "runs"]) + " |"
    yield "|" + "---|" * len(names) + "---:|"
    for values, count in counts.items():
        row = values if isinstance(values, tuple) else (values,)
        yield "| " + " | ".join([*map(plain, row), f"{count:,}"]) + " |"
    yield ""


def _spread(table: pd.DataFrame) -> Iterator[str]:
    """Least, middle and most of the figures."""
    figures = {
        "test accuracy": table["test_accuracy"],
        "training time (s)": table["train_seconds"],
        "energy (Wh)": table["energy_total_energy"] * 1000,
        "CO2 (g)": table["energy_emissions"] * 1000,
        "other programs' load (%)": table["energy_others_during"] * 100,
        "layers": table["layers"],
        "weights": table["parameters"],
        "FLOPs an image": table["flops"],
    }
    yield "| | least | quarter | median | three quarters | most |"
    yield "|---|---:|---:|---:|---:|---:|"
    for name, values in figures.items():
        known = values.dropna().astype(float)
        if len(known):
            points = known.quantile([0, 0.25, 0.5, 0.75, 1])
            yield f"| {name} | " + " | ".join(f"{point:,.4g}" for point in points) + " |"
    yield ""


def plain(value: object) -> str:
    """A value that Markdown takes for nothing but text."""
    import pandas as pd

    if pd.isna(value):  # type: ignore[call-overload]
        return ""
    return re.sub(r"([\\`*_{}\[\]<>#|~&$])", r"\\\1", " ".join(printable(str(value)).split()))


def _histogram(values: pd.Series[float], axis: str) -> bytes:
    """A histogram as SVG, the same for the same values."""
    from io import BytesIO

    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.hashsalt": "cnngen", "svg.fonttype": "none"}):
        figure = Figure(figsize=(5, 2.6), layout="constrained")
        plot = figure.subplots()
        plot.hist(values, bins=min(40, max(5, len(values) // 3)), color="#4477aa")
        plot.set_xlabel(axis)
        plot.set_ylabel("networks")
        for side in ("top", "right"):
            plot.spines[side].set_visible(False)
        out = BytesIO()
        figure.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue()
