"""The index of a folder of runs: one Parquet file that opens a hundred thousand at once.

A row a run: the columns of the table, first the run's key and last its resolved text, which is
null for a network that no sentence stands for. The columns are plain numbers and strings, so
that any reader of Parquet has them. The file's metadata says of which runs it was made and when
each was written, by which it is known to be up to date, and has a seal, by which it is known to
be made from the records here and not by a stranger.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cnngen.errors import StoreError
from cnngen.runs.record import KEY
from cnngen.runs.run_folder import DESCRIPTION, RECORD, load_network, load_run
from cnngen.runs.table import cells, columns
from cnngen.system.files import write_file
from cnngen.system.seal import BLANK, is_sealed, seal
from cnngen.system.untrusted import read_bytes

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

FILE = "index.parquet"
MISSING = (-1, -1)
MAX_FILE = 2**30
"""Most bytes of an index that are read."""

FIGURES = 4
Stamps = dict[str, tuple[int, ...]]
"""When the record of each run was written, in ns since 1970, and how many bytes it has; the
same of its description. MISSING if there is none. In the order of the names."""

Broken = dict[str, str]
"""The runs that cannot be read, each with the reason."""


def write_index(folder: str | Path) -> Broken:
    """Rebuild the index from the runs of a folder; return those that cannot be read.

    Raises `StoreError` where the folder cannot be read or the index not be written.
    """
    return _write(Path(folder), None)


def update_index(folder: str | Path) -> Broken:
    """Update the index quickly: only runs that are new or have changed are read."""
    return _write(Path(folder), _Index.of(Path(folder)))


def read_index(folder: str | Path) -> pd.DataFrame | None:
    """Read the table of a folder's runs from its index, the same as `Runs.to_pandas` makes.

    None if there is no index, or if runs were added, removed or changed since. Raises
    `StoreError` where the folder cannot be read.
    """
    import pandas as pd
    import pyarrow as pa

    index = _Index.of(Path(folder))
    if index is None or index.stamps != _stamps(Path(folder)):
        return None
    kinds = {
        pa.string(): pd.StringDtype(),
        pa.int64(): pd.Int64Dtype(),
        pa.uint64(): pd.UInt64Dtype(),
        pa.bool_(): pd.BooleanDtype(),
    }
    rows = index.rows(["key", *columns()])
    table: pd.DataFrame = rows.to_pandas(types_mapper=kinds.get).set_index("key")
    return table


@cache
def schema() -> pa.Schema:
    """Name and Arrow type of each column."""
    import pyarrow as pa

    types = {
        "string": pa.string(),
        "Int64": pa.int64(),
        "UInt64": pa.uint64(),
        "float64": pa.float64(),
        "boolean": pa.bool_(),
    }
    kinds = {"key": "string", **columns(), "text": "string"}
    return pa.schema([(name, types[kind]) for name, kind in kinds.items()])


@dataclass(frozen=True, slots=True)
class _Index:
    """An index that this user's CNNGen made, and the runs that it was made of."""

    content: bytes
    stamps: Stamps
    broken: Broken

    @classmethod
    def of(cls, folder: Path) -> _Index | None:
        """None where there is none that this version wrote, for this user: what others wrote
        may say anything of the runs."""
        import pyarrow as pa
        from pyarrow import parquet

        try:
            content = read_bytes(folder / FILE, MAX_FILE, root=folder)
            if not is_sealed(content):
                return None
            with parquet.ParquetFile(pa.BufferReader(content)) as file:
                if not file.schema_arrow.equals(schema(), check_metadata=False):
                    return None
                metadata = file.schema_arrow.metadata or {}
                broken = dict(json.loads(metadata[b"cnngen.broken"]))
                keys = file.read(["key"]).column("key").to_pylist()
            stamps = np.frombuffer(metadata[b"cnngen.stamps"], np.int64).reshape(-1, FIGURES)
            names = sorted([*keys, *broken])
            return cls(content, dict(zip(names, map(tuple, stamps.tolist()), strict=True)), broken)
        except (OSError, ValueError, TypeError, KeyError, pa.ArrowException):
            return None

    def rows(self, names: list[str]) -> pa.Table:
        import pyarrow as pa
        from pyarrow import parquet

        return parquet.read_table(pa.BufferReader(self.content), columns=names)


def _write(folder: Path, old: _Index | None) -> Broken:
    import pyarrow as pa
    from pyarrow import compute, parquet

    # Taken first: a run that is replaced while it is read has another stamp afterwards.
    stamps = _stamps(folder)
    known = old.stamps if old is not None else {}
    same = {name for name, stamp in stamps.items() if known.get(name) == stamp}
    broken = {name: why for name, why in old.broken.items() if name in same} if old else {}
    rows = []
    for name in stamps.keys() - same:
        try:
            rows.append(_row(folder / name))
        except StoreError as error:
            broken[name] = error.message
    table = pa.Table.from_pylist(rows, schema())
    if old is not None:
        kept = old.rows(schema().names)
        kept = kept.filter(compute.is_in(kept["key"], pa.array(sorted(same), pa.string())))
        table = pa.concat_tables([kept.cast(schema()), table])
    metadata = {
        "pandas": _pandas_types(),
        "cnngen.stamps": np.array(list(stamps.values()), np.int64).tobytes(),
        "cnngen.broken": json.dumps(broken),
        "cnngen.seal": BLANK,
    }
    table = table.sort_by("key").replace_schema_metadata(metadata)
    sink = pa.BufferOutputStream()
    parquet.write_table(table, sink, compression="zstd")
    write_file(folder, FILE, seal(sink.getvalue().to_pybytes()))
    return dict(sorted(broken.items()))


def _pandas_types() -> str:
    """The types of the columns in pandas: integers stay so where some are missing."""
    import pandas as pd

    kinds = {"key": "string", **columns(), "text": "string"}
    empty = pd.DataFrame({name: pd.Series([], dtype=kind) for name, kind in kinds.items()})
    import pyarrow as pa

    metadata: dict[bytes, bytes] = pa.Schema.from_pandas(empty, preserve_index=False).metadata
    return metadata[b"pandas"].decode()


def _row(run: Path) -> dict[str, object]:
    record = load_run(run)
    network = load_network(run, record)
    text = None if network is None else network.to_text()
    return {"key": record.key, **cells(record), "text": text}


def _stamps(folder: Path) -> Stamps:
    try:
        names = sorted(name for name in os.listdir(folder) if re.fullmatch(KEY, name))
    except OSError as error:
        raise StoreError(f"{folder} cannot be read: {error.strerror}") from None
    return {
        name: _stamp(f"{folder}/{name}/{RECORD}") + _stamp(f"{folder}/{name}/{DESCRIPTION}")
        for name in names
    }


def _stamp(path: str) -> tuple[int, int]:
    try:
        status = os.lstat(path)
    except OSError:
        return MISSING
    return status.st_mtime_ns, status.st_size
