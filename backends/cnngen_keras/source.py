"""A network as Keras source: the functional API, on any of Keras's engines.

`LAYERS` is the whole backend: what each operation becomes. Tensors are (batch, height,
width, channels); layers are named as the network's operations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cnngen.backend.program import (
    STEPS_NOTE,
    WIDTH,
    Block,
    Copy,
    Step,
    call,
    program,
    remark,
    steps_before,
    title,
)
from cnngen.errors import BackendError
from cnngen.network import Network, Node
from cnngen.operations import (
    BATCH_NORM_MOMENTUM,
    Activate,
    Add,
    BatchNorm,
    Concat,
    Conv2d,
    Dense,
    Dropout,
    Flatten,
    GlobalPool,
    Operation,
    Pool,
    Truncate,
    shapes,
)
from cnngen.operations.shapes import Shape, same_padding
from cnngen_keras.script import IMPORTS, main_source


def emit(network: Network, *, script: bool = False) -> str:
    """A file that defines `build() -> keras.Model`, and with `script` trains it when run.

    Raises `BackendError` for the script of a backbone, which has nothing to train on.
    """
    if script and network.is_backbone:
        raise BackendError(
            "a backbone cannot be trained, so it has no script",
            hint="Give the description a classification, or leave the script out.",
        )
    main = program(network)
    layers = {
        node.name: _layer(node, network.nodes[node.inputs[0]].shape) for node in network.nodes[1:]
    }
    lines: list[str] = []
    if any(layer.function == UNEVEN for layer in layers.values()):
        lines += UNEVEN_SOURCE
    for block in main.steps:
        if isinstance(block, Block):
            lines += [
                "",
                "",
                f"def merge{block.number}(x: keras.KerasTensor) -> keras.KerasTensor:",
                f'    """{block.summary}"""',
                *_body(block, network, layers, returns=True),
            ]
    height, width, channels = network.input_shape
    lines += [
        "",
        "",
        "def build() -> keras.Model:",
        *_docstring(network),
        *_recursion(network),
        "    # Whatever keras.json says: the layers below take it up.",
        '    keras.config.set_image_data_format("channels_last")',
        f'    inputs = x = keras.Input(({height}, {width}, {channels}), name="input")',
        *_body(main, network, layers),
        "    return keras.Model(inputs, x)",
    ]
    if script:
        lines += main_source(network)
    imports = [*_imports(network, script, layers), *_imported(layers)]
    return "\n".join(['"""' + "\n".join(title(network)), '"""', "", *imports, *lines, ""])


@dataclass(frozen=True, slots=True)
class Layer:
    """What an operation becomes: a layer applied to what it reads.

    `arguments` come before the layer's name. With `plain`, `function` takes the tensor as
    its first argument instead. A `stride` is taken before it, by a pooling of single pixels.
    """

    function: str
    arguments: tuple[str, ...] = ()
    plain: bool = False
    stride: str = ""
    notes: tuple[str, ...] = ()


POOLS = {"max": "MaxPooling2D", "avg": "AveragePooling2D"}
GLOBAL_POOLS = {"max": "GlobalMaxPooling2D", "avg": "GlobalAveragePooling2D"}


def _conv(op: Conv2d, shape: Shape) -> Layer:
    strided = steps_before(op, shape)
    arguments = [f"{op.filters}", _pair(op.kernel)]
    if not strided:
        arguments += _steps(op)
    if op.activation != "linear":
        arguments.append(f'activation="{op.activation}"')
    if not op.bias:
        arguments.append("use_bias=False")
    if strided:
        return Layer("Conv2D", tuple(arguments), stride=_pair(op.stride), notes=(STEPS_NOTE,))
    return Layer("Conv2D", tuple(arguments))


def _pool(op: Pool, shape: Shape) -> Layer:
    if op.pooling == "avg" and op.padding == "same":
        rows = same_padding(shape[0], op.size[0], op.stride[0])
        columns = same_padding(shape[1], op.size[1], op.stride[1])
        if rows[0] != rows[1] or columns[0] != columns[1]:
            arguments = (f"{op.size}", f"{op.stride}", f"({rows}, {columns})")
            return Layer(UNEVEN, arguments, plain=True)
    return Layer(POOLS[op.pooling], (_pair(op.size), *_steps(op)))


def _first(channels: int, shape: Shape) -> Layer:
    """A slice, by a layer that can be saved in each of Keras's formats."""
    if channels == shape[-1]:
        return Layer("Identity")
    # Of axes 2 and 3, whatever they mean.
    cut = f"((0, 0), (0, {shape[-1] - channels}))"
    return Layer("Cropping2D", (cut, 'data_format="channels_first"'))


def _dense(op: Dense, shape: Shape) -> Layer:
    if op.activation == "linear":
        return Layer("Dense", (f"{op.units}",))
    return Layer("Dense", (f"{op.units}", f'activation="{op.activation}"'))


LAYERS: dict[type[Operation], Callable[[Any, Shape], Layer]] = {
    Conv2d: _conv,
    BatchNorm: lambda op, shape: Layer(
        "BatchNormalization", (f"momentum={BATCH_NORM_MOMENTUM}", f"epsilon={op.epsilon}")
    ),
    Pool: _pool,
    GlobalPool: lambda op, shape: Layer(GLOBAL_POOLS[op.pooling]),
    Dropout: lambda op, shape: Layer("Dropout", (f"{op.rate}",)),
    Flatten: lambda op, shape: Layer("Flatten"),
    Dense: _dense,
    Add: lambda op, shape: Layer("Add"),
    Concat: lambda op, shape: Layer("Concatenate"),
    Activate: lambda op, shape: Layer("Activation", (f'"{op.activation}"',)),
    Truncate: lambda op, shape: _first(op.channels, shape),
}

DEEP = 400
"""Layers from which on a network may exceed Python's default recursion limit of 1,000."""

UNEVEN = "average_pool"
UNEVEN_SOURCE = '''

def average_pool(
    x: keras.KerasTensor,
    size: tuple[int, int],
    strides: tuple[int, int],
    padding: tuple[tuple[int, int], tuple[int, int]],
    name: str,
) -> keras.KerasTensor:
    """The mean of each window's real pixels, with more padding on one side.

    Keras on PyTorch repeats the border there; its other engines do not. So: the mean
    with zeros as padding, times what each window is larger than its real part.
    """
    larger = []
    for length, k, s, (before, after) in zip(x.shape[1:3], size, strides, padding):
        starts = range(-before, length + after - k + 1, s)
        larger.append([k / (min(i + k, length) - max(i, 0)) for i in starts])
    mean = AveragePooling2D(size, strides, name=name)(ZeroPadding2D(padding)(x))
    return Rescaling(np.outer(*larger)[..., None])(mean)'''.splitlines()


def _imports(network: Network, script: bool, layers: dict[str, Layer]) -> list[str]:
    standard = ["import argparse"] if script else []
    if _recursion(network):
        standard.append("import sys")
    uneven = any(layer.function == UNEVEN for layer in layers.values())
    own = IMPORTS if script or uneven else ["import keras"]
    return [*standard, *([""] if standard else []), *own]


def _recursion(network: Network) -> list[str]:
    """What a network needs that is deeper than Python's default stack is sure to take."""
    if len(network) <= DEEP:
        return []
    return [
        "    # Keras follows the layers by recursion, a call for each.",
        f"    sys.setrecursionlimit({1000 + 4 * len(network)})",
    ]


def _imported(layers: dict[str, Layer]) -> list[str]:
    """The import of the layers in use, wrapped as `ruff` sorts and wraps it."""
    classes = {layer.function for layer in layers.values()}
    if any(layer.stride for layer in layers.values()):
        classes.add("MaxPooling2D")
    if UNEVEN in classes:
        classes = classes - {UNEVEN} | {"AveragePooling2D", "Rescaling", "ZeroPadding2D"}
    line = f"from keras.layers import {', '.join(sorted(classes))}"
    if len(line) <= WIDTH:
        return [line]
    return ["from keras.layers import (", *(f"    {name}," for name in sorted(classes)), ")"]


def _layer(node: Node, shape: Shape) -> Layer:
    kind = type(node.operation)
    if kind not in LAYERS:
        raise BackendError(f"the keras backend has no entry for the operation {kind.__name__}")
    return LAYERS[kind](node.operation, shape)


def _pair(extent: tuple[int, int]) -> str:
    """One number for a square, as Keras's authors write it."""
    return f"{extent[0]}" if extent[0] == extent[1] else f"({extent[0]}, {extent[1]})"


def _steps(op: Conv2d | Pool) -> list[str]:
    """Stride and padding, which Keras takes in this order; left out where they are its own."""
    given = [_pair(op.stride), f'"{op.padding}"']
    default = ["1" if isinstance(op, Conv2d) else _pair(op.size), '"valid"']
    while given and given[-1] == default[-1]:
        given.pop()
        default.pop()
    return given


def _docstring(network: Network) -> list[str]:
    shape = "Shapes beside the code, where they change, are height x width x channels."
    if network.is_backbone:
        ends, loss = "features", []
    else:
        ends = "logits"
        loss = [
            "    There is no softmax: the loss wants `from_logits=True`.",
        ]
    return [
        f'    """Images {_batch(network.input_shape)} to {ends} {_batch(network.output_shape)}.',
        "",
        *loss,
        f"    {shape}",
        '    """',
    ]


def _batch(shape: Shape) -> str:
    return f"(batch, {', '.join(map(str, shape))})"


def _body(
    block: Block, network: Network, layers: dict[str, Layer], *, returns: bool = False
) -> list[str]:
    """The statements of a function, an operation each, with its shape where that changes."""
    lines: list[str] = []
    last = block.steps[-1] if returns else None
    for step in block.steps:
        match step:
            case Copy(target, source):
                lines.append(f"    {target} = {source}")
            case Block():
                lines += remark(f"    x = merge{step.number}(x)", shapes.text(step.output.shape))
            case Step(node, target, sources, notes):
                layer = layers[node.name]
                lines += [f"    # {note}" for note in (*notes, *layer.notes)]
                if layer.stride:
                    # Not an index, which .h5 files cannot hold.
                    lines.append(f"    {target} = MaxPooling2D(1, {layer.stride})({sources[0]})")
                    sources = (target,)
                changed = node.shape != network.nodes[node.inputs[0]].shape
                lines += _statement(
                    "return" if step is last else f"{target} =",
                    layer,
                    node.name,
                    sources,
                    shapes.text(node.shape) if changed else "",
                )
    return lines


def _statement(
    assign: str, layer: Layer, name: str, sources: tuple[str, ...], comment: str
) -> list[str]:
    """One layer applied, wrapped as `ruff format` wraps it, with a comment beside or above."""
    arguments = [*layer.arguments, f'name="{name}"']
    read = sources[0] if len(sources) == 1 else f"[{', '.join(sources)}]"
    if layer.plain:
        arguments, after = [read, *arguments], ""
    else:
        after = f"({read})"
    before = f"{assign} {layer.function}"
    line = f"    {before}({', '.join(arguments)}){after}"
    if len(line) <= WIDTH:
        return remark(line, comment) if comment else [line]
    ending = f"{after}  # {comment}" if comment else after
    if after and len(line) - len(read) - 1 <= WIDTH:
        # Here ruff would rather break the brackets behind the layer, but for a comma.
        inner = [f"        {argument}," for argument in arguments]
        return [f"    {before}(", *inner, f"    ){ending}"]
    return call(before, arguments, ending)
