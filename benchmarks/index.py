"""Measure loading 100,000 records into pandas: from the index, and from the folders' JSON.

The folders are generated; the JSON is read for a part of them, and its time scaled up.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent.parent))

import cnngen
from cnngen.network.network import id_of_text
from cnngen.runs.parquet_index import read_index, update_index, write_index
from cnngen.runs.record import make_record
from cnngen.runs.table import table
from cnngen.training.energy import Component, Energy, Provenance
from cnngen.training.protocol import Epoch, Protocol, TrainingResult


def records(count: int) -> list[tuple[str, str, str]]:
    """Return key, JSON and description of synthetic runs.

    They are copies of a few real ones with other figures, and each with another number of
    classes, so that all networks are distinct.
    """
    data = cnngen.load_data("digits")
    history = tuple(Epoch(i, 1.0, 1 / i, 1 - 1 / i, 1 / i, 1 - 1 / i) for i in range(1, 37))
    result = TrainingResult("ok", None, history, 36.0, 0.5, 0.75, "cpu", 1)
    models = []
    for network in cnngen.sample_many(20, "paper", input_shape=(8, 8, 1)):
        record = make_record(
            network, data, Protocol("paper", 36), result,
            backend="torch", framework="torch 2.15.0", energy=energy(), space="paper", seed=1,
        )  # fmt: skip
        models.append((record, cnngen.format(network.description, long=True)))
    made = []
    for number in range(count):
        record, text = models[number % len(models)]
        classes = 10 + number
        own = text.replace("units=10, activation=linear", f"units={classes}, activation=linear")
        own = own.replace("output(10)", f"output({classes})")
        other = replace(record, id=id_of_text(own), test_accuracy=number % 1000 / 1000)
        made.append((other.key, other.to_json(), own))
    return made


def energy() -> Energy:
    """Return an energy with every figure set."""
    figures: dict[str, object] = dict.fromkeys(Energy.__dataclass_fields__, 1e-5)
    sources: dict[str, object] = dict.fromkeys(Provenance.__dataclass_fields__, 0.25)
    part = Component("modelled", "TDP x load")
    sources |= {"cpu": part, "gpu": part, "ram": part, "tdp_origin": "guessed"}
    sources |= {"mode": "process", "country_stated": True, "shared": True, "codecarbon": "3.3.2"}
    figures |= {"country_name": "France", "country_code": "FRA"}
    return Energy(**figures | {"provenance": Provenance(**sources)})  # type: ignore[arg-type]


def timed(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def show(name: str, seconds: list[float]) -> None:
    spread = f"{min(seconds):.2f} / {median(seconds):.2f} / {max(seconds):.2f} s"
    print(f"{name:<44} {spread}  (min / median / max)")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--part", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        whole, part = Path(temporary, "whole"), Path(temporary, "part")
        for number, (key, text, description) in enumerate(records(options.count)):
            for folder in (whole, part)[: 1 + (number < options.part)]:
                (folder / key).mkdir(parents=True)
                (folder / key / "record.json").write_text(text)
                (folder / key / "model.cnn").write_text(description)
        print(f"{options.count:,} runs; JSON read of {options.part:,} and scaled up")
        print(f"index made anew in {timed(lambda: write_index(whole)):.1f} s, ", end="")
        print(f"brought up to date in {timed(lambda: update_index(whole)):.2f} s, ", end="")
        print(f"{(whole / 'index.parquet').stat().st_size / 2**20:.1f} MiB")
        assert read_index(whole) is not None
        indexed, scaled = [], []
        for _ in range(options.rounds):
            indexed.append(timed(lambda: cnngen.load(whole).to_pandas()))
            scale = options.count / options.part
            scaled.append(timed(lambda: table(list(cnngen.load(part)))) * scale)
        show("cnngen.load(folder).to_pandas(), index", indexed)
        show("the folders' JSON (scaled)", scaled)
        ratios = [slow / fast for slow, fast in zip(scaled, indexed, strict=True)]
        print(f"ratio {min(ratios):.0f} / {median(ratios):.0f} / {max(ratios):.0f}")


if __name__ == "__main__":
    main()
