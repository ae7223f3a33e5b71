"""Explore which traits distinguish a data set's good networks from its bad ones.

    .venv/bin/python benchmarks/look.py benchmarks/data/digits.parquet \\
        --longer benchmarks/data/digits-20-epochs.parquet --plots docs/images

Prints tables in Markdown: outcomes, then accuracy by traits of the networks. With `--longer`, also
how similarly the same networks rank when trained for more epochs.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from pathlib import Path

import numpy as np
import pandas as pd

from cnngen.network import Network
from cnngen.operations import Activate, BatchNorm, Conv2d, Dense, Dropout, GlobalPool
from cnngen.predict import examples, kendall
from cnngen.report.plots import BLUE, RED, axes
from cnngen.report.spread import Outcomes
from cnngen.report.trainings import read_study_data
from cnngen.system.files import write_file


@dataclass(frozen=True, slots=True)
class Trait:
    """A property of a network; `ends` are the upper ends of groups for a continuous number."""

    title: str
    of: Callable[[Network], float | str]
    ends: tuple[float, ...] = ()


def of_kind(network: Network, *kinds: type) -> list:
    return [node for node in network.nodes if isinstance(node.operation, kinds)]


def one_pixel(network: Network) -> float:
    """Return the percentage of convolutions whose output maps have one pixel."""
    convs = of_kind(network, Conv2d)
    return 100 * sum(prod(node.shape[:2]) == 1 for node in convs) / len(convs)


def narrowest(network: Network) -> float:
    """Return the size of the smallest map of the main column, except the logits."""
    return min(prod(node.shape) for node in network.nodes[:-1] if node.branch == 0)


def dropout(network: Network) -> float:
    return max((node.operation.rate for node in of_kind(network, Dropout)), default=0.0)


def head_dropout(network: Network) -> float:
    dropouts = [node for node in of_kind(network, Dropout) if len(node.shape) == 1]
    return max((node.operation.rate for node in dropouts), default=0.0)


def normalised(network: Network) -> float:
    return 100 * len(of_kind(network, BatchNorm)) / len(of_kind(network, Conv2d))


def interstice(network: Network) -> str:
    pools = of_kind(network, GlobalPool)
    return f"global {pools[-1].operation.pooling}" if pools else "flatten"


def activation(network: Network) -> str:
    return of_kind(network, Conv2d, Activate)[0].operation.activation


TRAITS = (
    Trait("narrowest place of the main way (numbers)", narrowest, (4, 8, 16, 32, 1e9)),
    Trait("convolutions on one-pixel maps (%)", one_pixel, (0, 25, 50, 75, 99, 100)),
    Trait("height of the first convolution's map", lambda n: of_kind(n, Conv2d)[0].shape[0]),
    Trait("dense layers", lambda n: len(of_kind(n, Dense))),
    Trait("largest dropout rate", dropout),
    Trait("largest dropout rate between dense layers", head_dropout),
    Trait("batch norms per convolution (%)", normalised, (33, 50, 67, 80, 1000)),
    Trait("activation", activation),
    Trait("before the dense layers", interstice),
    Trait("layers", len, (15, 25, 40, 70, 120, 1e9)),
    Trait("weights (thousands)", lambda n: n.cost.parameters / 1e3, (10, 30, 100, 300, 1000, 1e9)),
)


def groups(table: pd.DataFrame, trait: Trait) -> pd.Series:
    """Return the group of each network."""
    if not trait.ends:
        return table[trait.title]
    names = [f"{low:,g}–{high:,g}" for low, high in pairwise(trait.ends)]
    names = [f"up to {trait.ends[0]:,g}", *names[:-1], f"over {trait.ends[-2]:,g}"]
    return pd.cut(table[trait.title], (-1, *trait.ends), labels=names)


def by_trait(table: pd.DataFrame, trait: Trait) -> pd.DataFrame:
    """Return count, median accuracy, and fractions at chance and above 90 % of each group."""
    grouped = table.groupby(groups(table, trait), observed=True)
    return pd.DataFrame(
        {
            "networks": grouped.size(),
            "median": grouped["accuracy"].median(),
            "at chance": grouped["at chance"].mean(),
            "above 90 %": grouped["above 90 %"].mean(),
        }
    )


def plot(table: pd.DataFrame, trait: Trait) -> bytes:
    """Plot accuracy by groups of a trait: box plots, and each network as a point."""
    shown = by_trait(table, trait)
    values = groups(table, trait)
    random = np.random.default_rng(0)
    with axes(trait.title, "test accuracy (%)") as (drawn, picture):
        for at, name in enumerate(shown.index):
            own = 100 * table["accuracy"][values == name].to_numpy()
            drawn.plot(at + random.uniform(-0.2, 0.2, len(own)), own, ".", color=BLUE, ms=2.5)
            drawn.boxplot(
                own, positions=[at], widths=0.6, showfliers=False, medianprops={"color": RED}
            )
        drawn.set_xticks(range(len(shown)), [f"{name}\n{n}" for name, n in shown.networks.items()])
    return picture.svg


def row(cells: object) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("--longer", type=Path, nargs="*", default=[])
    parser.add_argument("--plots", type=Path)
    options = parser.parse_args()

    data = read_study_data(options.source)
    found, outcomes = data.examples, Outcomes.of(data)
    print(f"{outcomes.count:,} networks: {outcomes.statuses}")
    print(f"ended well but at chance {outcomes.at_chance}, above 90 % {outcomes.above_90}\n")
    table = pd.DataFrame(
        {
            "id": [example.network.id for example in found],
            "accuracy": [example.targets["accuracy"] for example in found],
            "at chance": [example.targets["trainability"] == 0 for example in found],
        }
        | {trait.title: [trait.of(example.network) for example in found] for trait in TRAITS}
    ).dropna(subset="accuracy")
    table["above 90 %"] = table["accuracy"] > 0.9
    for trait in TRAITS:
        print(row((trait.title, "networks", "median", "at chance", "above 90 %")))
        print("|---|---:|---:|---:|---:|")
        for name, (count, *shares) in by_trait(table, trait).iterrows():
            print(row((name, f"{count:.0f}", *(f"{share:.1%}" for share in shares))))
        if not isinstance(table[trait.title].iloc[0], str):
            tau = kendall(table[trait.title].to_numpy(float), table["accuracy"].to_numpy())
            print(f"\nKendall's tau with accuracy: {tau:.2f}")
        print()
    known = table.set_index("id")["accuracy"]
    for path in options.longer:
        longer = {e.network.id: e.targets["accuracy"] for e in examples(path)}
        both = [i for i in known.index if longer.get(i) is not None]
        now, then = known[both].to_numpy(), np.array([longer[i] for i in both])
        print(
            f"{path.stem}: {len(both)} networks in both, tau {kendall(now, then):.3f}, medians "
            f"{np.median(now):.1%} and {np.median(then):.1%}, mean gain {(then - now).mean():.1%}"
        )
    if options.plots:
        for name, trait in {"narrowest": TRAITS[0], "one-pixel": TRAITS[1]}.items():
            print(write_file(options.plots, f"study-{name}.svg", plot(table, trait)))
