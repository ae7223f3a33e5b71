"""Build the data set in `benchmarks/data` from a campaign's folder, or check it by retraining.

    .venv/bin/python benchmarks/dataset.py build runs/digits benchmarks/data/digits.parquet
    .venv/bin/python benchmarks/dataset.py retrain benchmarks/data/digits.parquet -n 20
    .venv/bin/python benchmarks/dataset.py retrain benchmarks/data/digits.parquet -n 80 --with 1

`build` writes the index's columns, with the resolved description last. `retrain` picks random
rows, rebuilds each network from its description alone, trains it by the row's protocol, and
compares the results. `--with` uses another training seed: other splits of the data, initial
weights and batches. The agreement of two trainings of one network bounds how well they can be
predicted.
"""

from __future__ import annotations

import argparse
import math
import os
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any


def build(folder: Path, out: Path) -> None:
    """Write one row per run, in the order of the keys; equal runs give equal files."""
    from pyarrow import parquet

    from cnngen.runs.parquet_index import FILE, write_index

    for name, reason in write_index(folder).items():
        raise SystemExit(f"{folder / name}: {reason}")
    table = parquet.read_table(folder / FILE).replace_schema_metadata(None)
    names = ["description" if name == "text" else name for name in table.column_names]
    table = table.rename_columns(names)
    out.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table, out, compression="zstd", compression_level=19)
    print(f"{out}: {table.num_rows:,} rows, {out.stat().st_size:,} bytes")


def retrain(
    file: Path, count: int, seed: int = 0, images: str | None = None, other: int | None = None
) -> None:
    """Retrain random rows, optionally with another seed, and print the differences."""
    import pandas as pd

    rows = pd.read_parquet(file)
    rows = rows.sample(min(count, len(rows)), random_state=seed)
    threads = str(int(rows["hardware_threads"].max()))
    # The number of threads changes the order of sums. PyTorch reads these when it is loaded.
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = threads
    import numpy as np

    from cnngen import load_data, parse, resolve, train
    from cnngen.predict import kendall

    load = cache(load_data)
    same = 0
    accuracies = []
    for key, row in zip(rows["key"], rows.to_dict("records"), strict=True):
        network = resolve(parse(row["description"]))
        assert network.id == row["id"], f"{key} is another network, {network.id}"
        data = load(images or row["data_name"])
        assert data.summary.digest == row["data_digest"], "these are other images"
        asked = protocol(row) if other is None else replace(protocol(row), seed=other)
        record = train(network, data, asked, backend=row["backend"]).record
        then, now = row["test_accuracy"], record.test_accuracy
        now = math.nan if now is None else now
        same += np.array_equal(then, now, equal_nan=True) and record.status == row["status"]
        accuracies.append((then, now))
        print(f"{key} {record.status:5} then {then:.4f} now {now:.4f}", flush=True)
    print(f"{same} of {len(rows)} the same to the last bit")
    both = np.array([pair for pair in accuracies if not np.isnan(pair).any()])
    if len(both):
        off = np.abs(both[:, 0] - both[:, 1])
        print(
            f"of {len(both)} with both accuracies tau {kendall(both[:, 0], both[:, 1]):.3f}, mean "
            f"difference {off.mean():.4f}, median {np.median(off):.4f}, largest {off.max():.4f}"
        )


def protocol(row: dict[str, Any]) -> Any:
    """Return the protocol stored in a row's columns."""
    import pandas as pd

    from cnngen.training.protocol import Protocol

    given = {field.name: row[f"protocol_{field.name}"] for field in fields(Protocol)}
    return Protocol(**{name: None if pd.isna(value) else value for name, value in given.items()})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    building = commands.add_parser("build")
    building.add_argument("folder", type=Path)
    building.add_argument("out", type=Path)
    training = commands.add_parser("retrain")
    training.add_argument("file", type=Path)
    training.add_argument("-n", "--count", type=int, default=20)
    training.add_argument("--seed", type=int, default=0, help="of which rows are taken")
    training.add_argument("-d", "--data", help="the images, if their name does not find them")
    training.add_argument("--with", dest="other", type=int, help="another seed of the training")
    options = parser.parse_args()
    if options.command == "build":
        build(options.folder, options.out)
    else:
        retrain(options.file, options.count, options.seed, options.data, options.other)
