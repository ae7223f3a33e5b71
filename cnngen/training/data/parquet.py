"""Loads data sets from Parquet files in the layout of Hugging Face."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cnngen.errors import DataError
from cnngen.system.columnar import MAX_FILE, check_sizes, reading
from cnngen.system.untrusted import opened
from cnngen.training.data.dataset import PARTS, Dataset, Labels, check_size, class_names, part_of
from cnngen.training.data.images import EncodedImage, decode_images
from cnngen.training.data.resize import Resizing

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

IMAGES = ("img", "image")
LABELS = ("label", "fine_label")

BATCH_BYTES = 2**28
"""Maximum size of a decompressed batch of rows, in bytes. Repeated values are stored once, so a
small file can hold terabytes.
"""


def load_parquet(path: Path, resizing: Resizing | None = None) -> Dataset:
    """Load a data set from one Parquet file, or a folder of `train*` and `test*.parquet`.

    A row has an image (column `img` or `image`: a struct with `bytes`, or the bytes) and a
    whole number `label`. Files of a validation part count as training images, because a protocol
    draws its own. Names of classes are read from the metadata, if present; files that list them
    in another order are renumbered. Raises `DataError` for files that do not have this layout.
    """
    train, test = _parts(path)
    name = path.stem if path.is_file() else path.resolve().name
    tables = [_Table(file) for file in train + test]
    names = next((table.class_names for table in tables if table.class_names), ())
    for table in tables:
        table.check_names(names)
    check_size(name, sum(table.rows for table in tables), (1, 1, 1))
    labels = np.concatenate([table.labels(names) for table in tables])
    images = decode_images(
        name, len(labels), (batch for table in tables for batch in table.images()), resizing
    )
    start = sum(table.rows for table in tables[: len(train)])
    return Dataset(
        name,
        images,
        labels,
        class_names(name, labels, names),
        start if test else None,
        str(resizing) if resizing else None,
    )


def _parts(path: Path) -> tuple[list[Path], list[Path]]:
    """Return the files of the training part and of the test part."""
    if path.is_file():
        return [path], []
    files = sorted(path.glob("*.parquet")) or sorted(path.glob("*/*.parquet"))
    parts: dict[str, list[Path]] = {part: [] for part in PARTS}
    for file in files:
        inside = file.relative_to(path)
        part = next(filter(None, map(part_of, inside.parts)), None)
        if part is None:
            raise DataError(
                f"{file}: not part of the data set",
                hint="Files must be named train*.parquet and test*.parquet; or pass a single file.",
            )
        parts[part].append(file)
    if not parts["train"]:
        raise DataError(
            f"{path}: has no training images", hint="They are read from train*.parquet."
        )
    return parts["train"] + parts["val"], parts["test"]


class _Table:
    """One file, with its columns located and their types checked."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.path = path
        with _reading(path):
            with opened(path, MAX_FILE):
                pass  # refuses pipes and devices
            self.file: pq.ParquetFile = pq.ParquetFile(path)
        self.schema: pa.Schema = self.file.schema_arrow
        self.rows: int = self.file.metadata.num_rows
        self.image = self._column(IMAGES)
        self.label = self._column(LABELS)
        kind = self.schema.field(self.image).type
        if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
            self.leaf, kind = f"{self.image}.bytes", kind.field("bytes").type
        else:
            self.leaf = self.image
        if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
            raise DataError(
                f"{path}: column '{self.image}' is {self.schema.field(self.image).type}",
                hint="It must hold encoded images: a struct with 'bytes', or binary.",
            )
        if not pa.types.is_integer(self.schema.field(self.label).type):
            raise DataError(
                f"{path}: column '{self.label}' is {self.schema.field(self.label).type}",
                hint="Labels must be whole numbers from 0.",
            )

    def _column(self, names: Sequence[str]) -> str:
        for name in names:
            if name in self.schema.names:
                return name
        raise DataError(
            f"{self.path}: the column {' or '.join(map(repr, names))} is missing",
            hint=f"Its columns are {', '.join(self.schema.names[:20])}.",
        )

    @property
    def class_names(self) -> tuple[str, ...]:
        """Return the names from Hugging Face's metadata, or from a plain list under `classes`."""
        metadata = self.schema.metadata or {}
        try:
            features = json.loads(metadata[b"huggingface"])["info"]["features"]
            names = features[self.label]["names"]
        except (KeyError, TypeError, ValueError, RecursionError):
            names = metadata.get(b"classes", b"").decode(errors="replace").split(",")
        if not isinstance(names, list) or not all(isinstance(n, str) and n for n in names):
            return ()
        return tuple(names)

    def check_names(self, names: tuple[str, ...]) -> None:
        """Raise `DataError` if this file does not name the same classes, in any order."""
        own = self.class_names
        if own and own != names and (sorted(own) != sorted(names) or len(set(own)) != len(own)):
            other = next(iter(sorted(set(own) - set(names))), None)
            said = f"has a class '{other}'" if other else f"names {len(own)} classes"
            raise DataError(
                f"{self.path}: {said}, unlike the files before",
                hint=f"All files must name the same classes; those before: {', '.join(names[:20])}.",
            )

    def labels(self, names: tuple[str, ...]) -> Labels:
        """Read the labels, renumbered to positions in `names` if this file names its classes."""
        with _reading(self.path):
            check_sizes(self.file, [self.label])
            column = self.file.read(columns=[self.label])[self.label]
        if column.null_count:
            row = column.is_null().to_pylist().index(True)
            raise DataError(f"{self.path}, row {row}: the label is missing")
        labels: Labels = column.to_numpy().astype(np.int64)
        own = self.class_names
        if not own or own == names:
            return labels
        odd = np.flatnonzero((labels < 0) | (labels >= len(own)))
        if len(odd):
            raise DataError(
                f"{self.path}, row {odd[0]}: has label {labels[odd[0]]}, "
                f"but there are {len(own)} classes"
            )
        places = {name: i for i, name in enumerate(names)}
        return np.array([places[name] for name in own], np.int64)[labels]

    def images(self) -> Iterator[list[EncodedImage]]:
        """Yield the encoded images, read in batches."""
        row = 0
        for group in range(self.file.num_row_groups):
            with _reading(self.path):
                for batch in self.file.iter_batches(
                    self._batch_rows(group), row_groups=[group], columns=[self.leaf]
                ):
                    column = batch.column(0)
                    if self.leaf != self.image:
                        column = column.field("bytes")
                    yield [self._encoded(row + i, x) for i, x in enumerate(column.to_pylist())]
                    row += batch.num_rows

    def _batch_rows(self, group: int) -> int:
        """Return a number of rows that cannot decompress to more than `BATCH_BYTES`."""
        facts = self.file.metadata.row_group(group)
        columns = map(facts.column, range(facts.num_columns))
        size = sum(c.total_uncompressed_size for c in columns if c.path_in_schema == self.leaf)
        return int(max(1, min(256, BATCH_BYTES // max(1, size))))

    def _encoded(self, row: int, data: bytes | None) -> EncodedImage:
        location = f"{self.path}, row {row}"
        if data is None:
            raise DataError(
                f"{location}: the image has no bytes",
                hint="Images must be stored in the file itself.",
            )
        return location, data


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Convert Arrow's errors for a broken file to `DataError`."""
    try:
        with reading():
            yield
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not a readable Parquet file ({error})") from None
