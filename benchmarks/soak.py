"""Long check of dimension inference: every sampled network must build and run in PyTorch.

10,000 networks (or as many as you request) over four input shapes and both spaces are built from
their emitted source and run forward and backward, and every layer's actual output is compared with
the inferred shape. The baseline is the paper, which loses about 1 % of its networks.
"""

from __future__ import annotations

import argparse
import collections
import time

import torch

from cnngen.cli.output import tracked
from cnngen.network import Network
from cnngen.operations import Add, Concat, Flatten, GlobalPool, Input
from cnngen.space.sampling import sample
from cnngen_torch.train import load

SHAPES = [(8, 8, 1), (28, 28, 1), (32, 32, 3), (64, 48, 3)]
SPACES = ["paper", "compact"]
FUNCTIONS = (Input, Add, Concat, Flatten, GlobalPool)
"""Operations without a module in emitted files."""


def fault(network: Network) -> str | None:
    """Run a network; return the first fault, or None if everything is as inferred."""
    model = load(network.to_source("torch"))
    modules = dict(model.named_modules())
    wrong: list[str] = []
    expected = {node.name: node for node in network.nodes if type(node.operation) not in FUNCTIONS}
    if missing := expected.keys() - modules.keys():
        return f"no modules {missing}"
    seen: set[str] = set()
    for name, node in expected.items():

        def look(module: object, inputs: object, output: torch.Tensor, name=name, node=node):  # type: ignore[no-untyped-def]
            seen.add(name)
            shape = tuple(output.shape[1:])
            shape = (*shape[1:], shape[0]) if len(shape) == 3 else shape
            # A window may be followed by a crop of the padding that PyTorch cannot leave out.
            if shape != node.shape and not name.startswith("pool"):
                wrong.append(f"{name} gives {shape}, inferred {node.shape}")

        modules[name].register_forward_hook(look)
    height, width, channels = network.input_shape
    logits = model(torch.rand(2, channels, height, width))
    if tuple(logits.shape) != (2, *network.output_shape):
        return f"logits {tuple(logits.shape)}"
    torch.nn.functional.cross_entropy(logits, torch.tensor([0, 1])).backward()
    if unreached := [n for n, p in model.named_parameters() if p.grad is None]:
        return f"no gradient for {unreached}"
    weights = sum(p.numel() for p in model.parameters())
    if weights != network.cost.parameters:
        return f"{weights} weights, counted {network.cost.parameters}"
    if seen != expected.keys():
        return f"never ran: {expected.keys() - seen}"
    return wrong[0] if wrong else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cases = [(shape, space) for shape in SHAPES for space in SPACES]
    layers: collections.Counter[str] = collections.Counter()
    faults = 0
    began = time.perf_counter()

    def networks():  # type: ignore[no-untyped-def]
        for number in range(arguments.count):
            shape, space = cases[number % len(cases)]
            yield sample(space, input_shape=shape, seed=arguments.seed + number)

    for network in tracked(networks(), arguments.count, "Running"):
        try:
            wrong = fault(network)
        except Exception as error:
            wrong = f"{type(error).__name__}: {error}"
        layers["all"] += len(network)
        layers["most"] = max(layers["most"], len(network))
        if wrong:
            faults += 1
            print(f"{wrong}\n  {network.to_text()}")
    print(
        f"{arguments.count:,} networks, {layers['all'] / arguments.count:.0f} layers on average, "
        f"{layers['most']} at most: {faults} faults ({time.perf_counter() - began:.0f} s)"
    )
    raise SystemExit(faults > 0)


if __name__ == "__main__":
    main()
