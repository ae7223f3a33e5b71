"""The part of an emitted file that builds the model, the same in every file."""

from __future__ import annotations

IMPORTS = (
    "import argparse",
    "from pathlib import Path",
    "",
    "import numpy as np",
    "import onnx",
)

LOAD = '''

def load(path: str | Path | None = None) -> onnx.ModelProto:
    """The model with the weights of a file."""
    with np.load(path or $WEIGHTS) as arrays:
        return build(dict(arrays))'''

BUILD = '''

def build(
    weights: dict[str, np.ndarray] | None = None, seed: int = 0
) -> onnx.ModelProto:
    """The model with these weights, or with first ones that are drawn from a seed.

    Weights go by operation and name, as `conv1.kernel`. The kernel of a convolution is
    (height, width, inputs, outputs), that of a dense layer (inputs, outputs).
    """
    model = onnx.parser.parse_model(GRAPH)
    graph = model.graph
    for node in graph.node:
        node.name = node.output[0]
    random = np.random.default_rng(seed)
    for declared in graph.value_info:
        operation, name = declared.name.rsplit("_", 1)
        shape = [axis.dim_value for axis in declared.type.tensor_type.shape.dim]
        if len(shape) == 4:
            shape = [*shape[2:], shape[1], shape[0]]
        if weights is None:
            weight = first_weight(name, shape, random)
        else:
            weight = weights[f"{operation}.{name}"]
        if list(weight.shape) != shape:
            raise ValueError(f"{operation}.{name} is {weight.shape}, not {shape}")
        if len(shape) == 4:
            weight = weight.transpose(3, 2, 0, 1)
        tensor = onnx.numpy_helper.from_array(weight.astype(np.float32), declared.name)
        graph.initializer.append(tensor)
    del graph.value_info[:]
    return model


def first_weight(
    name: str, shape: list[int], random: np.random.Generator
) -> np.ndarray:
    """Kernels Glorot-uniform, scales and variances one, all else zero."""
    if name in ("kernel", "kernel2"):
        *window, inputs, outputs = shape
        bound = np.sqrt(6 / (np.prod(window) * (inputs + outputs)))
        return random.uniform(-bound, bound, shape)
    return np.ones(shape) if name in ("scale", "variance") else np.zeros(shape)
'''.splitlines()
"""The lines of `build()`, with the blank lines before them."""

MAIN = '''

def main() -> None:
    """Write the model to a file."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("out", nargs="?", default=f"{Path(__file__).stem}.onnx")
    parser.add_argument("--weights", help="an .npz of arrays such as conv1.kernel")
    parser.add_argument("--seed", type=int, default=0, help="of weights, if none given")
    args = parser.parse_args()
    weights = None
    if args.weights:
        with np.load(args.weights) as arrays:
            weights = dict(arrays)
    model = build(weights, args.seed)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, args.out)
    print(f"{args.out}: {len(model.graph.node)} nodes")


if __name__ == "__main__":
    main()'''.splitlines()
"""The lines of `main()`, with the blank lines before them."""
