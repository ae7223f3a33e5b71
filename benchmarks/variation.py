"""Variation: children a second against `sample`, and its laws over many children.

    python benchmarks/variation.py                  # speed, rounds of both interleaved
    python benchmarks/variation.py --laws 10000     # part of `make soak`

Every child must be inside its space, differ from its parent, and be what its text parses and
resolves to; every tenth is built in PyTorch and run.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import Counter

import torch

from cnngen.errors import SpaceError
from cnngen.language import parse
from cnngen.network import Network
from cnngen.space.resolution import resolve
from cnngen.space.sampling import sample, sample_many
from cnngen.space.variation import OPERATORS, cross, inside, vary
from cnngen_torch.train import load

SPACES = ("paper", "compact")
SHAPES = ((8, 8, 1), (28, 28, 1), (32, 32, 3), (64, 48, 3))
ROUNDS = 5
COUNT = 300
PARENTS = 30


def speed() -> None:
    """Print how many children a CPU second gives, and networks of `sample`."""
    for space in SPACES:
        parents = list(sample_many(PARENTS, space, seed=1))
        children, samples = [], []
        for number in range(ROUNDS):
            seeds = range(number * COUNT, (number + 1) * COUNT)
            began = time.process_time()
            for seed in seeds:
                vary(parents[seed % PARENTS], space, seed=seed)
            between = time.process_time()
            for seed in seeds:
                sample(space, seed=seed)
            children.append(COUNT / (between - began))
            samples.append(COUNT / (time.process_time() - between))
        ratios = [one / other for one, other in zip(children, samples, strict=True)]
        layers = statistics.mean(parent.cost.layers for parent in parents)
        print(
            f"{space}: {_spread(children)} children a CPU second of parents with {layers:.0f} layers "
            f"on average; `sample` {_spread(samples)}; ratio {_spread(ratios, 2)}"
        )


def _spread(figures: list[float], digits: int = 0) -> str:
    shown = [
        f"{figure:,.{digits}f}" for figure in (*[statistics.median(figures)], *sorted(figures))
    ]
    return f"{shown[0]} ({shown[1]}–{shown[-1]})"


def laws(count: int) -> int:
    """Check so many children of children; return the number of faults."""
    torch.set_num_threads(1)
    cases = [(space, shape) for space in SPACES for shape in SHAPES]
    population = {
        case: list(sample_many(PARENTS, case[0], input_shape=case[1], seed=2)) for case in cases
    }
    operators: Counter[str] = Counter()
    reopened = impossible = faults = 0
    for number in range(count):
        case = cases[number % len(cases)]
        parents = population[case]
        at = number // len(cases) % PARENTS
        parent, other = parents[at], parents[at - 1]
        name = OPERATORS[number // len(cases) % len(OPERATORS)]
        try:
            child = (
                cross(parent, other, case[0], seed=number)
                if name == "cross"
                else vary(parent, case[0], seed=number, operators=[name])
            )
        except SpaceError:
            impossible += 1
            child = vary(parent, case[0], seed=number)
        operators[child.operator] += 1
        reopened += bool(child.reopened)
        wrong = fault(child.network, parent, case[0], build=number % 10 == 0)
        if wrong:
            faults += 1
            print(f"{child.operator}: {wrong}\n  {parent.to_text()}\n  {child.network.to_text()}")
        # Children of children, but not for ever: a drift to the largest would be all there is.
        parents[at] = (
            child.network if number % 50 else sample(case[0], input_shape=case[1], seed=number)
        )
    print(
        f"{count:,} children, {reopened:,} with something reopened, {impossible:,} asked of an "
        f"operator that had nothing to do: {faults} faults; {dict(operators)}"
    )
    return faults


def fault(child: Network, parent: Network, space: str, build: bool) -> str | None:
    """The first law that a child breaks."""
    if (outside := inside(child, space)) is not None:
        return f"outside: {outside}"
    if child.id == parent.id:
        return "equal to its parent"
    again = resolve(parse(child.to_text()), seed=1)
    if again.id != child.id or again != child:
        return "its text gives another network"
    if build:
        height, width, channels = child.input_shape
        model = load(child.to_source("torch")).eval()
        if tuple(model(torch.rand(2, channels, height, width)).shape) != (2, *child.output_shape):
            return "its model gives another shape"
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--laws", type=int, metavar="COUNT", help="Check the laws, not the speed.")
    arguments = parser.parse_args()
    if arguments.laws:
        raise SystemExit(laws(arguments.laws) > 0)
    speed()


if __name__ == "__main__":
    main()
