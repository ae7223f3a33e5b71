"""A network as PyTorch source.

`LAYERS` is the whole backend: what each operation becomes. Sizes are height and width;
tensors are (batch, channels, height, width).
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
    long_sum,
    remark,
    steps_before,
)
from cnngen.backend.renderer import LayerTable, Renderer, batch, pair
from cnngen.backend.script import loading
from cnngen.errors import BackendError
from cnngen.operations import shapes
from cnngen.operations.shapes import Shape, same_padding
from cnngen_torch.script import IMPORTS, LOAD, main_source


@dataclass(frozen=True, slots=True)
class Layer:
    """The code of an operation: an attribute of `Net`, if it has one, and an expression.

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
    "silu": "F.silu({0})",
    "hardswish": "F.hardswish({0})",
    "hardsigmoid": "F.hardsigmoid({0})",
    "relu6": "F.relu6({0})",
    "leaky_relu": "F.leaky_relu({0})",
    "elu": "F.elu({0})",
    "mish": "F.mish({0})",
}
ACTIVATIONS = {name: text.format("self.{name}({0})") for name, text in FUNCTIONS.items()}

MODULES = {
    "linear": "nn.Identity()",
    "relu": "nn.ReLU()",
    "selu": "nn.SELU()",
    "tanh": "nn.Tanh()",
    "gelu": "nn.GELU()",
    "sigmoid": "nn.Sigmoid()",
    "silu": "nn.SiLU()",
    "hardswish": "nn.Hardswish()",
    "hardsigmoid": "nn.Hardsigmoid()",
    "relu6": "nn.ReLU6()",
    "leaky_relu": "nn.LeakyReLU()",
    "elu": "nn.ELU()",
    "mish": "nn.Mish()",
}

EXCITE = "SqueezeExcite"
EXCITE_SOURCE = '''
class SqueezeExcite(nn.Module):
    """Scales each channel by a gate that the means of all channels decide."""

    def __init__(
        self, channels: int, squeezed: int, activation: nn.Module, gate: nn.Module
    ) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, squeezed)
        self.activation = activation
        self.excite = nn.Linear(squeezed, channels)
        self.gate = gate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        small = self.activation(self.squeeze(x.mean((2, 3))))
        return x * self.gate(self.excite(small))[:, :, None, None]

'''.splitlines()[1:]

GLOBAL_POOLS = {
    # amax shares the gradient among equal maxima, as Keras does; adaptive pooling does not.
    "max": Layer("{0}.amax((2, 3))"),
    "avg": Layer("{0}.mean((2, 3))"),
}

MOMENTUM = round(1 - ops.BATCH_NORM_MOMENTUM, 9)


def _conv(op: ops.Conv2d, shape: Shape) -> Layer:
    arguments = [f"{shape[2]}", f"{op.filters}", pair(op.kernel)]
    output = ACTIVATIONS[op.activation]
    notes: tuple[str, ...] = ()
    if steps := steps_before(op, shape):
        output = output.replace("{0}", f"{{0}}[..., {steps}]")
        notes = (STEPS_NOTE,)
    elif covered := covered_columns(op, shape):
        if covered < shape[1]:
            output = output.replace("{0}", f"{{0}}[..., :{covered}]")
        notes = (ONE_WIDE_NOTE,)
    elif op.stride != (1, 1):
        arguments.append(f"stride={pair(op.stride)}")
    padded = ""
    if op.padding == "same":
        # Not padding="same" of nn.Conv2d: it takes no strides, and copies for even kernels.
        height, width = op.window()[:2]
        top, bottom = same_padding(shape[0], height, op.stride[0])
        left, right = same_padding(shape[1], width, op.stride[1])
        if top != bottom or left != right:
            padded = f"F.pad({{0}}, ({left}, {right}, {top}, {bottom}))"
        elif top or left:
            arguments.append(f"padding={pair((top, left))}")
    if op.dilation != (1, 1):
        arguments.append(f"dilation={pair(op.dilation)}")
    if (groups := op.group_count(shape)) > 1:
        arguments.append(f"groups={groups}")
    if not op.bias:
        arguments.append("bias=False")
    return Layer(output, "nn.Conv2d", tuple(arguments), padded, notes)


def _pool(op: ops.Pool, shape: Shape) -> Layer:
    arguments = [pair(op.size)]
    if op.stride != op.size:
        arguments.append(f"stride={pair(op.stride)}")
    output = "self.{name}({0})"
    notes: tuple[str, ...] = ()
    if op.padding == "same":
        rows = _pool_padding(shape[0], op.size[0], op.stride[0])
        columns = _pool_padding(shape[1], op.size[1], op.stride[1])
        if rows.padding or columns.padding:
            arguments.append(f"padding={pair((rows.padding, columns.padding))}")
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


LAYERS: LayerTable[Layer] = ops.OperationTable(
    "the torch backend",
    {
        ops.Conv2d: _conv,
        ops.BatchNorm: lambda op, shape: Layer(
            module="nn.BatchNorm2d",
            arguments=(f"{shape[2]}", f"eps={op.epsilon}", f"momentum={MOMENTUM}"),
        ),
        ops.Pool: _pool,
        ops.GlobalPool: lambda op, shape: GLOBAL_POOLS[op.pooling],
        ops.Dropout: lambda op, shape: Layer(module="nn.Dropout", arguments=(f"{op.rate}",)),
        ops.Flatten: lambda op, shape: Layer("{0}.permute(0, 2, 3, 1).flatten(1)"),
        ops.Dense: lambda op, shape: Layer(
            ACTIVATIONS[op.activation], "nn.Linear", (f"{shape[0]}", f"{op.units}")
        ),
        ops.Add: lambda op, shape: Layer("{sum}"),
        ops.Concat: lambda op, shape: Layer("torch.cat([{all}], dim=1)"),
        ops.Activate: lambda op, shape: Layer(FUNCTIONS[op.activation]),
        ops.Truncate: lambda op, shape: Layer(f"{{0}}[:, :{op.channels}]"),
        ops.SqueezeExcite: lambda op, shape: Layer(
            module=EXCITE,
            arguments=(
                f"{shape[2]}",
                f"{op.squeezed}",
                MODULES[op.activation],
                MODULES[op.gate],
            ),
        ),
    },
    BackendError,
)


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


class Source(Renderer[Layer]):
    """A file that defines `class Net(nn.Module)`."""

    table = LAYERS
    merge = "    def merge{number}(self, x: torch.Tensor) -> torch.Tensor:"

    def lines(self) -> list[str]:
        excites = any(layer.module == EXCITE for layer in self.layers.values())
        lines = [*EXCITE_SOURCE, "", *self._class()] if excites else self._class()
        lines += self.merges()
        lines += ["", "    def forward(self, x: torch.Tensor) -> torch.Tensor:"]
        lines += self.body(self.main)
        if self.weights:
            lines += loading(LOAD, self.weights)
        if self.script:
            lines += main_source(self.network)
        imports = list(IMPORTS) if self.script else ["import torch"]
        if self.weights:
            place = imports.index("") if self.script else 0
            imports[place:place] = ["from pathlib import Path", *([] if self.script else [""])]
        if any(" F." in line for line in lines):
            imports.append("import torch.nn.functional as F")
        return [*imports, "from torch import nn", "", "", *lines]

    def statement(self, assign: str, step: Step, layer: Layer) -> list[str]:
        """One line with the shape it gives, and one before it that pads."""
        sources = step.sources
        lines = [f"{self.margin}# {note}" for note in layer.notes]
        if layer.padded:
            padded = f"{self.margin}{step.target} = {layer.padded.format(*sources)}"
            lines += remark(padded, "left, right, top, bottom")
            sources = (step.target,)
        together = {"sum": " + ".join(sources), "all": ", ".join(sources)}
        output = layer.output.format(*sources, name=step.node.name, **together)
        line, shape = f"{self.margin}{assign} {output}", shapes.text(step.node.shape)
        if len(line) > WIDTH and len(sources) > 2:
            return lines + self._join(assign, step.node.operation, sources, shape)
        return lines + remark(line, shape)

    def _join(
        self, assign: str, join: ops.Operation, sources: tuple[str, ...], shape: str
    ) -> list[str]:
        """A join of more branches than fit on a line, wrapped as `ruff format` wraps it."""
        margin, inner = self.margin, f"{self.margin}    "
        if join.joined == "added":
            return long_sum(assign, sources, f"  # {shape}", len(margin))
        together = f"{inner}[{', '.join(sources)}], dim=1"
        rows = [together]
        if len(together) > WIDTH:
            rows = [f"{inner}[", *(f"{inner}    {source}," for source in sources)]
            rows += [f"{inner}],", f"{inner}dim=1,"]
        return [f"{margin}{assign} torch.cat(", *rows, f"{margin})  # {shape}"]

    def _class(self) -> list[str]:
        height, width, channels = self.network.input_shape
        output = self.network.output_shape
        what = "features" if self.network.is_backbone else "logits"
        lines = [
            "class Net(nn.Module):",
            f'    """Images {batch((channels, height, width))} to '
            f"{what} {batch((output[-1], *output[:-1]))}.",
            "",
            "    Shapes beside the code are height x width x channels of one image.",
            '    """',
            "",
            "    def __init__(self) -> None:",
            "        super().__init__()",
        ]
        for name, layer in self.layers.items():
            if layer.module:
                lines += call(f"self.{name} = {layer.module}", layer.arguments, indent=8)
        if self.learns_kernels:
            modules = {
                self.layers[node.name].module
                for node in self.network.nodes
                if node.operation.learns_kernel
            }
            weighted = sorted({"nn.Linear" if name == EXCITE else name for name in modules})
            kinds = weighted[0] if len(weighted) == 1 else f"({', '.join(weighted)})"
            lines += [
                "        for module in self.modules():",
                f"            if isinstance(module, {kinds}):",
                "                nn.init.xavier_uniform_(module.weight)",
                "                if module.bias is not None:",
                "                    nn.init.zeros_(module.bias)",
            ]
        return lines


emit = Source.emit
