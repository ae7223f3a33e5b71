"""Records as a table: a row a record, its columns fixed by the record's type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Literal, Union, get_args, get_origin, get_type_hints

from cnngen.errors import StoreError
from cnngen.runs.record import Record
from cnngen.system.ranges import outside, range_of

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

LEFT_OUT = ("history",)
PASSED_OVER = ("provenance",)
"""Fields whose own fields are named as if they stood beside it."""

DTYPES: dict[object, str] = {str: "string", int: "Int64", float: "float64", bool: "boolean"}


def table(records: Sequence[Record]) -> pd.DataFrame:
    """One row a record, indexed by its key."""
    import pandas as pd

    rows = [cells(record) for record in records]
    index = pd.Index([record.key for record in records], dtype="string", name="key")
    return pd.DataFrame(
        {
            name: pd.Series([row.get(name) for row in rows], index, dtype)
            for name, dtype in columns().items()
        },
        index,
    )


def read_rows(file: Path, names: Sequence[str]) -> pa.Table:
    """The rows of a Parquet file, whoever wrote it: those columns of `names` that it has.

    Raises `StoreError` where it cannot be read, would take too much memory, or has a figure
    that no record could have.
    """
    from cnngen.system.columnar import parquet_file, read_columns

    try:
        with parquet_file(file) as opened:
            rows = read_columns(opened, names)
    except FileNotFoundError:
        raise StoreError(
            f"there is no {file}", hint="Name a folder of runs or a Parquet file."
        ) from None
    except OSError as error:
        raise StoreError(f"{file} {error.strerror}") from None
    except ValueError as error:
        raise StoreError(f"{file} cannot be read as a Parquet file: {error}") from None
    _check(rows, file)
    return rows


def _check(rows: pa.Table, file: Path) -> None:
    """Raise `StoreError` for a number that no record could have; NaN counts as missing."""
    import pyarrow as pa
    from pyarrow import compute, types

    for name, kind in columns().items():
        if name not in rows.column_names or kind not in ("Int64", "UInt64", "float64"):
            continue
        column = rows.column(name)
        if not any(
            of(column.type) for of in (types.is_integer, types.is_floating, types.is_decimal)
        ):
            continue
        low, high = range_of(name, whole=kind != "float64")
        values = column.cast(pa.float64(), safe=False)
        wrong = compute.or_(compute.less(values, float(low)), compute.greater(values, float(high)))
        at = compute.index(wrong, True).as_py()
        if at >= 0:
            value = column[at].as_py()
            percent = high == 1 and 1 < value <= 100
            raise StoreError(
                f"{file}, row {at + 1}: {name} {outside(name, value)}",
                hint="Divide percentages by 100." if percent else None,
            )


def cells(record: Record) -> dict[str, object]:
    """A record's cells by their columns; those of a part that it lacks are left out."""
    return {
        name: "x".join(map(str, value)) if isinstance(value, tuple) else value
        for name, value in flatten(asdict(record), "_")
        if name not in LEFT_OUT
    }


def flatten(tree: Mapping[str, object], separator: str) -> Iterator[tuple[str, object]]:
    """Flatten nested mappings: names of levels joined by a separator, with their values."""
    for name, value in tree.items():
        if isinstance(value, Mapping):
            prefix = "" if name in PASSED_OVER else name + separator
            yield from ((prefix + inner, leaf) for inner, leaf in flatten(value, separator))
        else:
            yield name, value


@cache
def columns() -> dict[str, str]:
    """Name and pandas type of each column."""
    return dict(_columns(Record))


def _columns(kind: type, prefix: str = "") -> Iterator[tuple[str, str]]:
    hints = get_type_hints(kind)
    for field in fields(kind):
        hint = hints[field.name]
        if get_origin(hint) in (Union, UnionType):
            (hint,) = (option for option in get_args(hint) if option is not NoneType)
        name = prefix + field.name
        if name in LEFT_OUT:
            continue
        if is_dataclass(hint) and isinstance(hint, type):
            yield from _columns(hint, prefix if field.name in PASSED_OVER else f"{name}_")
        elif get_origin(hint) is tuple:
            yield name, "string"
        elif name == "seed":
            yield name, "UInt64"
        else:
            plain = type(get_args(hint)[0]) if get_origin(hint) is Literal else hint
            yield name, DTYPES[plain]
