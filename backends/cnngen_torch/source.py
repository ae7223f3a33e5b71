"""A network as PyTorch source.

`LAYERS` is the whole backend: what each operation becomes. Sizes are height and width;
tensors are (batch, channels, height, width).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cnngen.backend.program import (
    STEPS_NOTE,
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
from cnngen_torch.script import IMPORTS, main_source


def emit(network: Network, *, script: bool = False) -> str:
    """A file that defines `class Net(nn.Module)`, and with `script` trains it when run.

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
    lines = _class(network, layers)
    for block in main.steps:
        if isinstance(block, Block):
            lines += ["", f"    def merge{block.number}(self, x: torch.Tensor) -> torch.Tensor:"]
            lines.append(f'        """{block.summary}"""')
            lines += _body(block, layers)
    lines += ["", "    def forward(self, x: torch.Tensor) -> torch.Tensor:"]
    lines += _body(main, layers)
    if script:
        lines += main_source(network)
    imports = list(IMPORTS) if script else ["import torch"]
    if any(" F." in line for line in lines):
        imports.append("import torch.nn.functional as F")
    imports.append("from torch import nn")
    return "\n".join(['"""' + "\n".join(title(network)), '"""', "", *imports, "", "", *lines, ""])


@dataclass(frozen=True, slots=True)
class Layer:
    """What an operation becomes: an attribute of `Net`, if it has one, and an expression.

    In `output` and `padded`, `{0}` is the variable it reads, `{sum}` and `{all}` are all of
    them with + and commas between, and `{name}` is the operation's name. `padded` pads the
    input on a line of its own.
    """

    output: str = "self.{name}({0})"
    module: str = ""
    arguments: tuple[str, ...] = ()
    padded: str = ""
    notes: tuple[str, ...] = ()


FUNCTIONS = {
    "linear": "{0}",
    "relu": "F.relu({0})",
    "selu": "F.selu({0})",
    "tanh": "torch.tanh({0})",
    "gelu": "F.gelu({0})",
    "sigmoid": "torch.sigmoid({0})",
}
ACTIVATIONS = {name: text.format("self.{name}({0})") for name, text in FUNCTIONS.items()}

GLOBAL_POOLS = {
    # amax shares the gradient among equal maxima, as Keras does; adaptive pooling does not.
    "max": Layer("{0}.amax((2, 3))"),
    "avg": Layer("{0}.mean((2, 3))"),
}

MOMENTUM = round(1 - BATCH_NORM_MOMENTUM, 9)


def _conv(op: Conv2d, shape: Shape) -> Layer:
    arguments = [f"{shape[2]}", f"{op.filters}", _pair(op.kernel)]
    output = ACTIVATIONS[op.activation]
    notes: tuple[str, ...] = ()
    if steps := steps_before(op, shape):
        output = output.replace("{0}", f"{{0}}[..., {steps}]")
        notes = (STEPS_NOTE,)
    elif op.stride != (1, 1):
        arguments.append(f"stride={_pair(op.stride)}")
    padded = ""
    if op.padding == "same":
        # Not padding="same" of nn.Conv2d: it takes no strides, and copies for even kernels.
        top, bottom = same_padding(shape[0], op.kernel[0], op.stride[0])
        left, right = same_padding(shape[1], op.kernel[1], op.stride[1])
        if top != bottom or left != right:
            padded = f"F.pad({{0}}, ({left}, {right}, {top}, {bottom}))"
        elif top or left:
            arguments.append(f"padding={_pair((top, left))}")
    if not op.bias:
        arguments.append("bias=False")
    return Layer(output, "nn.Conv2d", tuple(arguments), padded, notes)


def _pool(op: Pool, shape: Shape) -> Layer:
    arguments = [_pair(op.size)]
    if op.stride != op.size:
        arguments.append(f"stride={_pair(op.stride)}")
    output = "self.{name}({0})"
    notes: tuple[str, ...] = ()
    if op.padding == "same":
        rows = _pool_padding(shape[0], op.size[0], op.stride[0])
        columns = _pool_padding(shape[1], op.size[1], op.stride[1])
        if rows.padding or columns.padding:
            arguments.append(f"padding={_pair((rows.padding, columns.padding))}")
        if rows.ceil or columns.ceil:
            arguments.append("ceil_mode=True")
        # With ceil_mode, too, where nothing is padded: else torch.compile divides the gradient of
        # the window that hangs over by all of its pixels (pytorch/pytorch#198119).
        if op.pooling == "avg" and (rows != _Padding(0) or columns != _Padding(0)):
            arguments.append("count_include_pad=False")
        if rows.drop or columns.drop:
            output += f"[..., {'1:' if rows.drop else ':'}, {'1:' if columns.drop else ':'}]"
            notes = ("An even window with stride 1 gives one too many: the first is dropped.",)
    module = "nn.MaxPool2d" if op.pooling == "max" else "nn.AvgPool2d"
    return Layer(output, module, tuple(arguments), notes=notes)


LAYERS: dict[type[Operation], Callable[[Any, Shape], Layer]] = {
    Conv2d: _conv,
    BatchNorm: lambda op, shape: Layer(
        module="nn.BatchNorm2d",
        arguments=(f"{shape[2]}", f"eps={op.epsilon}", f"momentum={MOMENTUM}"),
    ),
    Pool: _pool,
    GlobalPool: lambda op, shape: GLOBAL_POOLS[op.pooling],
    Dropout: lambda op, shape: Layer(module="nn.Dropout", arguments=(f"{op.rate}",)),
    Flatten: lambda op, shape: Layer("{0}.permute(0, 2, 3, 1).flatten(1)"),
    Dense: lambda op, shape: Layer(
        ACTIVATIONS[op.activation], "nn.Linear", (f"{shape[0]}", f"{op.units}")
    ),
    Add: lambda op, shape: Layer("{sum}"),
    Concat: lambda op, shape: Layer("torch.cat([{all}], dim=1)"),
    Activate: lambda op, shape: Layer(FUNCTIONS[op.activation]),
    Truncate: lambda op, shape: Layer(f"{{0}}[:, :{op.channels}]"),
}


@dataclass(frozen=True, slots=True)
class _Padding:
    """How a pooling of PyTorch, which pads both sides alike, does `same` along one axis."""

    padding: int
    ceil: bool = False
    drop: bool = False


def _pool_padding(size: int, window: int, stride: int) -> _Padding:
    before, after = same_padding(size, window, stride)
    if before == after:
        return _Padding(before)
    if stride > 1:
        # The last window hangs over the end by a pixel, which ceil_mode allows.
        return _Padding(before, ceil=True)
    return _Padding(after, drop=True)


def _layer(node: Node, shape: Shape) -> Layer:
    kind = type(node.operation)
    if kind not in LAYERS:
        raise BackendError(f"the torch backend has no entry for the operation {kind.__name__}")
    return LAYERS[kind](node.operation, shape)


def _pair(extent: tuple[int, int]) -> str:
    """One number for a square, as PyTorch's authors write it."""
    return f"{extent[0]}" if extent[0] == extent[1] else f"({extent[0]}, {extent[1]})"


def _class(network: Network, layers: dict[str, Layer]) -> list[str]:
    height, width, channels = network.input_shape
    output = network.output_shape
    what = "logits" if network.classes else "features"
    sizes = [output[-1], *output[:-1]]
    lines = [
        "class Net(nn.Module):",
        f'    """Images (batch, {channels}, {height}, {width}) to '
        f"{what} (batch, {', '.join(map(str, sizes))}).",
        "",
        "    Shapes beside the code are height x width x channels of one image.",
        '    """',
        "",
        "    def __init__(self) -> None:",
        "        super().__init__()",
    ]
    for name, layer in layers.items():
        if layer.module:
            lines += call(f"self.{name} = {layer.module}", layer.arguments, indent=8)
    modules = {layer.module for layer in layers.values()}
    weighted = [module for module in ("nn.Conv2d", "nn.Linear") if module in modules]
    if weighted:
        kinds = weighted[0] if len(weighted) == 1 else f"({', '.join(weighted)})"
        lines += [
            "        for module in self.modules():",
            f"            if isinstance(module, {kinds}):",
            "                nn.init.xavier_uniform_(module.weight)",
            "                if module.bias is not None:",
            "                    nn.init.zeros_(module.bias)",
        ]
    return lines


def _body(block: Block, layers: dict[str, Layer]) -> list[str]:
    """The statements of a method, an operation a line with the shape it gives."""
    lines: list[str] = []
    margin = " " * 8
    last = block.steps[-1]
    for step in block.steps:
        match step:
            case Copy(target, source):
                lines.append(f"{margin}{target} = {source}")
                continue
            case Block():
                target, output, shape = "x", f"self.merge{step.number}(x)", step.output.shape
            case Step(node, target, sources, notes):
                layer = layers[node.name]
                lines += [f"{margin}# {note}" for note in (*notes, *layer.notes)]
                if layer.padded:
                    padded = f"{margin}{target} = {layer.padded.format(*sources)}"
                    lines += remark(padded, "left, right, top, bottom")
                    sources = (target,)
                together = {"sum": " + ".join(sources), "all": ", ".join(sources)}
                output = layer.output.format(*sources, name=node.name, **together)
                shape = node.shape
        assign = "return" if step is last else f"{target} ="
        lines += remark(f"{margin}{assign} {output}", shapes.text(shape))
    return lines
