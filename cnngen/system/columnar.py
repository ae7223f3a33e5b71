"""Parquet files that may be a stranger's: looked through before memory is taken.

A text that repeats is stored once: a file of 7 kB may unfold to terabytes. So texts are read
folded, their lengths are added up, and only what fits is unfolded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from cnngen.errors import CnnGenError, counted
from cnngen.system.untrusted import opened

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

MAX_ROWS = 1_000_000
"""Most rows of a table that are read."""
MAX_BYTES = 2**29
"""Most bytes that the columns asked for may take, folded and unfolded."""
MAX_FILE = 2**40
BATCH = 2**14
"""Rows that are read together."""


@contextmanager
def parquet_file(path: str | Path) -> Iterator[BinaryIO]:
    """A file to be read as Parquet.

    Whatever Arrow makes of a broken one comes out as ValueError, but for `CnnGenError` and
    what the system says of a file that cannot be opened (OSError).
    """
    with opened(path, MAX_FILE) as file, reading():
        yield file


@contextmanager
def reading() -> Iterator[None]:
    """Turn what Arrow makes of a broken file into ValueError."""
    try:
        yield
    except CnnGenError:
        raise
    # There is no list of what Arrow raises over broken bytes.
    except Exception as error:
        raise ValueError(str(error) or type(error).__name__) from None


def read_columns(file: BinaryIO, names: Sequence[str]) -> pa.Table:
    """Columns of numbers, truth values and texts, of those in `names` that are there.

    Raises ValueError for other columns, for more than `MAX_ROWS` rows, and for more than
    `MAX_BYTES`; what Arrow raises over broken files is passed on.
    """
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    found = ParquetFile(file)
    schema, metadata = found.schema_arrow, found.metadata
    if metadata.num_rows > MAX_ROWS:
        raise ValueError(f"it has more than {MAX_ROWS:,} rows")
    there = [name for name in names if name in schema.names]
    kinds = {name: _plain(name, schema.field(name).type) for name in there}
    check_sizes(found, there)
    texts = [name for name, kind in kinds.items() if pa.types.is_string(kind)]
    folded = ParquetFile(file, metadata=metadata, read_dictionary=texts)
    rows = size = 0
    batches = []
    for batch in folded.iter_batches(BATCH, columns=there):
        rows += batch.num_rows
        size += sum(map(_unfolded, batch.columns))
        if rows > MAX_ROWS or size > MAX_BYTES:
            raise ValueError(f"its first {counted(rows, 'row')} take too much memory")
        batches.append(batch)
    wanted = pa.schema([(name, kinds[name]) for name in there])
    columns = [
        pa.chunked_array([_cast(batch.column(name), kinds[name]) for batch in batches], kinds[name])
        for name in there
    ]
    table = pa.table(columns, schema=wanted)
    table.validate(full=True)  # texts are UTF-8, and lie where they say
    return table


def check_sizes(file: ParquetFile, names: Sequence[str], most: int = MAX_BYTES) -> None:
    """Raise ValueError where columns say that they take more than `most` bytes, folded."""
    metadata = file.metadata
    size = 0
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        for column in map(group.column, range(group.num_columns)):
            if column.path_in_schema in names:
                size += max(column.total_uncompressed_size, column.total_compressed_size)
    if size > most:
        raise ValueError(f"its columns take {size:,} bytes, at most {most:,} are read")


def _plain(name: str, kind: pa.DataType) -> pa.DataType:
    """Return the type to read a column as. Raises ValueError unless it has numbers or texts."""
    import pyarrow as pa

    types = pa.types
    inner = kind.value_type if types.is_dictionary(kind) else kind
    if types.is_string(inner) or types.is_large_string(inner):
        return pa.string()
    if kind is inner and (
        types.is_integer(kind)
        or types.is_floating(kind)
        or types.is_boolean(kind)
        or types.is_decimal(kind)
        or types.is_null(kind)
    ):
        return kind
    raise ValueError(f"its column '{name}' is {kind!s:.40}, not of numbers or texts")


def _unfolded(column: pa.Array) -> int:
    """The size of a column, in bytes, once its dictionary is unfolded."""
    import pyarrow as pa
    from pyarrow import compute

    if not isinstance(column, pa.DictionaryArray):
        return int(column.nbytes)
    lengths = compute.binary_length(column.dictionary)
    texts = compute.sum(compute.take(lengths.cast(pa.int64()), column.indices)).as_py()
    return int(texts or 0) + 8 * len(column)


def _cast(column: pa.Array, kind: pa.DataType) -> pa.Array:
    return column if column.type == kind else column.cast(kind)
