"""A network as Keras source: the functional API, on any of Keras's engines.

`LAYERS` is the whole backend: what each operation becomes. Tensors are (batch, height,
width, channels); layers are named as the network's operations.
"""

from __future__ import annotations

from dataclasses import dataclass

from cnngen import operations as ops
from cnngen.backend.program import (
    ONE_WIDE_NOTE,
    STEPS_NOTE,
    WIDTH,
    Step,
    call,
    covered_columns,
    remark,
    steps_before,
)
from cnngen.backend.renderer import LayerTable, Renderer, batch, pair
from cnngen.backend.script import loading
from cnngen.errors import BackendError
from cnngen.operations import shapes
from cnngen.operations.shapes import Shape, same_padding
from cnngen_keras.script import IMPORTS, LOAD, main_source


@dataclass(frozen=True, slots=True)
class Layer:
    """The code of an operation: a layer applied to its inputs.

    `arguments` come before the layer's name. With `plain`, `function` takes the tensor as
    its first argument instead. The layers of `before` come before it, with their arguments.
    """

    function: str
    arguments: tuple[str, ...] = ()
    plain: bool = False
    before: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()


POOLS = {"max": "MaxPooling2D", "avg": "AveragePooling2D"}
GLOBAL_POOLS = {"max": "GlobalMaxPooling2D", "avg": "GlobalAveragePooling2D"}


OWN_NAMES = {"hardswish": "hard_silu", "hardsigmoid": "hard_sigmoid"}
LEAKY = "LeakyReLU(negative_slope=0.01)"
"""Keras's own slope is 0.2."""


def _activation(name: str) -> str:
    """An activation as an argument of a layer."""
    return LEAKY if name == "leaky_relu" else f'"{OWN_NAMES.get(name, name)}"'


def _conv(op: ops.Conv2d, shape: Shape) -> Layer:
    before, notes = _before(op, shape)
    arguments = [f"{op.filters}", pair(op.kernel)]
    if not notes:
        arguments += _steps(op, (1, 1))
    if op.dilation != (1, 1):
        arguments.append(f"dilation_rate={pair(op.dilation)}")
    if (groups := op.group_count(shape)) > 1:
        arguments.append(f"groups={groups}")
    if op.activation != "linear":
        arguments.append(f"activation={_activation(op.activation)}")
    if not op.bias:
        arguments.append("use_bias=False")
    return Layer("Conv2D", tuple(arguments), before=before, notes=notes)


def _before(op: ops.Conv2d, shape: Shape) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """The layers that take a convolution's stride and padding before it, and a note, if any.

    They are layers, not indices, which .h5 files cannot hold.
    """
    if steps_before(op, shape):
        return (("MaxPooling2D", f"1, {pair(op.stride)}"),), (STEPS_NOTE,)
    covered = covered_columns(op, shape)
    if covered is None:
        return (), ()
    before = []
    if covered < shape[1]:
        before.append(("Cropping2D", f"((0, 0), (0, {shape[1] - covered}))"))
    if op.padding == "same":
        height, width = op.window()[:2]
        rows = same_padding(shape[0], height, op.stride[0])
        columns = same_padding(shape[1], width, op.stride[1])
        if any((*rows, *columns)):
            before.append(("ZeroPadding2D", f"({rows}, {columns})"))
    return tuple(before), (ONE_WIDE_NOTE,)


def _pool(op: ops.Pool, shape: Shape) -> Layer:
    if op.pooling == "avg" and op.padding == "same":
        rows = same_padding(shape[0], op.size[0], op.stride[0])
        columns = same_padding(shape[1], op.size[1], op.stride[1])
        if rows[0] != rows[1] or columns[0] != columns[1]:
            arguments = (f"{op.size}", f"{op.stride}", f"({rows}, {columns})")
            return Layer(UNEVEN, arguments, plain=True)
    return Layer(POOLS[op.pooling], (pair(op.size), *_steps(op, op.size)))


def _excite(op: ops.SqueezeExcite, shape: Shape) -> Layer:
    functions = _activation(op.activation), _activation(op.gate)
    return Layer(EXCITE, (f"{op.squeezed}", *functions), plain=True)


def _first(channels: int, shape: Shape) -> Layer:
    """A slice, by a layer that can be saved in each of Keras's formats."""
    if channels == shape[-1]:
        return Layer("Identity")
    # Of axes 2 and 3, whatever they mean.
    cut = f"((0, 0), (0, {shape[-1] - channels}))"
    return Layer("Cropping2D", (cut, 'data_format="channels_first"'))


def _dense(op: ops.Dense, shape: Shape) -> Layer:
    if op.activation == "linear":
        return Layer("Dense", (f"{op.units}",))
    return Layer("Dense", (f"{op.units}", f"activation={_activation(op.activation)}"))


LAYERS: LayerTable[Layer] = ops.OperationTable(
    "the keras backend",
    {
        ops.Conv2d: _conv,
        ops.BatchNorm: lambda op, shape: Layer(
            "BatchNormalization", (f"momentum={ops.BATCH_NORM_MOMENTUM}", f"epsilon={op.epsilon}")
        ),
        ops.Pool: _pool,
        ops.GlobalPool: lambda op, shape: Layer(GLOBAL_POOLS[op.pooling]),
        ops.Dropout: lambda op, shape: Layer("Dropout", (f"{op.rate}",)),
        ops.Flatten: lambda op, shape: Layer("Flatten"),
        ops.Dense: _dense,
        ops.Add: lambda op, shape: Layer("Add"),
        ops.Concat: lambda op, shape: Layer("Concatenate"),
        ops.Activate: lambda op, shape: Layer("Activation", (_activation(op.activation),)),
        ops.Truncate: lambda op, shape: _first(op.channels, shape),
        ops.SqueezeExcite: _excite,
    },
    BackendError,
)

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


EXCITE = "squeeze_excite"
EXCITE_LAYERS = {"Dense", "GlobalAveragePooling2D", "Multiply"}
EXCITE_SOURCE = '''

def squeeze_excite(
    x: keras.KerasTensor,
    squeezed: int,
    activation: str | keras.Layer,
    gate: str,
    name: str,
) -> keras.KerasTensor:
    """Scales each channel by a gate that the means of all channels decide."""
    means = GlobalAveragePooling2D(keepdims=True, name=f"{name}_means")(x)
    small = Dense(squeezed, activation=activation, name=f"{name}_squeeze")(means)
    gates = Dense(x.shape[-1], activation=gate, name=f"{name}_excite")(small)
    return Multiply(name=name)([x, gates])'''.splitlines()


def _steps(op: ops.Conv2d | ops.Pool, default: tuple[int, int]) -> list[str]:
    """Stride and padding, which Keras takes in this order; left out where they are its own."""
    if op.padding != "valid":
        return [pair(op.stride), f'"{op.padding}"']
    return [pair(op.stride)] if op.stride != default else []


class Source(Renderer[Layer]):
    """A file that defines `build() -> keras.Model`."""

    table = LAYERS
    merge = "def merge{number}(x: keras.KerasTensor) -> keras.KerasTensor:"
    called = "merge{number}(x)"
    between = 2

    def lines(self) -> list[str]:
        height, width, channels = self.network.input_shape
        lines = [
            *self._imports(),
            *self._layer_imports(),
            *(UNEVEN_SOURCE if self._uneven else ()),
            *(EXCITE_SOURCE if self._excites else ()),
            *self.merges(),
            "",
            "",
            "def build() -> keras.Model:",
            *self._docstring(),
            *self._recursion(),
            "    # Whatever keras.json says: the layers below take it up.",
            '    keras.config.set_image_data_format("channels_last")',
            f'    inputs = x = keras.Input(({height}, {width}, {channels}), name="input")',
            *self.body(self.main, returns=False),
            "    return keras.Model(inputs, x)",
        ]
        if self.weights:
            lines += loading(LOAD, self.weights)
        if self.script:
            lines += main_source(self.network)
        return lines

    def statement(self, assign: str, step: Step, layer: Layer) -> list[str]:
        """One operation, with its shape where that changes."""
        sources, node = step.sources, step.node
        lines = [f"{self.margin}# {note}" for note in layer.notes]
        for function, arguments in layer.before:
            lines.append(f"{self.margin}{step.target} = {function}({arguments})({sources[0]})")
            sources = (step.target,)
        changed = node.shape != self.network.nodes[node.inputs[0]].shape
        comment = shapes.text(node.shape) if changed else ""
        return lines + _statement(assign, layer, node.name, sources, comment)

    @property
    def _uneven(self) -> bool:
        return any(layer.function == UNEVEN for layer in self.layers.values())

    @property
    def _excites(self) -> bool:
        return any(layer.function == EXCITE for layer in self.layers.values())

    def _imports(self) -> list[str]:
        standard = ["import argparse"] if self.script else []
        if self._recursion():
            standard.append("import sys")
        if self.weights:
            standard.append("from pathlib import Path")
        own = IMPORTS if self.script or self._uneven else ["import keras"]
        return [*standard, *([""] if standard else []), *own]

    def _layer_imports(self) -> list[str]:
        """The import of the layers in use, wrapped as `ruff` sorts and wraps it."""
        classes = {layer.function for layer in self.layers.values()}
        classes.update(name for layer in self.layers.values() for name, _ in layer.before)
        if any(LEAKY in part for layer in self.layers.values() for part in layer.arguments):
            classes.add(LEAKY.partition("(")[0])
        if UNEVEN in classes:
            classes = classes - {UNEVEN} | {"AveragePooling2D", "Rescaling", "ZeroPadding2D"}
        if EXCITE in classes:
            classes = classes - {EXCITE} | EXCITE_LAYERS
        line = f"from keras.layers import {', '.join(sorted(classes))}"
        if len(line) <= WIDTH:
            return [line]
        return ["from keras.layers import (", *(f"    {name}," for name in sorted(classes)), ")"]

    def _recursion(self) -> list[str]:
        """The statement for a network too deep for Python's default stack."""
        if len(self.network) <= DEEP:
            return []
        return [
            "    # Keras follows the layers by recursion, a call for each.",
            f"    sys.setrecursionlimit({1000 + 4 * len(self.network)})",
        ]

    def _docstring(self) -> list[str]:
        network = self.network
        ends = "features" if network.is_backbone else "logits"
        loss = ["    There is no softmax: the loss wants `from_logits=True`."]
        return [
            f'    """Images {batch(network.input_shape)} to {ends} {batch(network.output_shape)}.',
            "",
            *([] if network.is_backbone else loss),
            "    Shapes beside the code, where they change, are height x width x channels.",
            '    """',
        ]


emit = Source.emit


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
    if len(sources) == 1 and after and len(line) - len(read) - 1 <= WIDTH:
        # A trailing comma keeps ruff from breaking the brackets behind the layer.
        inner = [f"        {argument}," for argument in arguments]
        return [f"    {before}(", *inner, f"    ){ending}"]
    if len(sources) > 1:
        # Many branches: the layer keeps its line, their list is broken.
        rows = [f"        [{', '.join(sources)}]"]
        if len(rows[0]) > WIDTH:
            rows = ["        [", *(f"            {source}," for source in sources), "        ]"]
        made = f"    {before}({', '.join(arguments)})("
        return [made, *rows, f"    )  # {comment}" if comment else "    )"]
    return call(before, arguments, ending)
