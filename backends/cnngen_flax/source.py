"""A network as Flax source: one `nnx.Module`.

`LAYERS` is the whole backend: what each operation becomes. Tensors are (batch, height,
width, channels), windows are padded as TensorFlow pads them, as XLA does by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from cnngen import operations as ops
from cnngen.backend.program import WIDTH, Step, call, long_sum, remark
from cnngen.backend.renderer import LayerTable, Renderer, batch
from cnngen.backend.script import loading
from cnngen.errors import BackendError
from cnngen.operations import shapes
from cnngen.operations.shapes import Shape, same_padding
from cnngen_flax.script import LOAD, main_source


@dataclass(frozen=True, slots=True)
class Layer:
    """The code of an operation: an attribute of `Net`, if it has one, and a call.

    `module` makes the attribute from `parameters`. In `function` and `arguments`, `{0}` is the
    variable that the operation reads, `{sum}` and `{all}` are all of them with + and commas
    between, and `{name}` is the operation's name. Without arguments, `function` is an
    expression.
    """

    function: str = "self.{name}"
    arguments: tuple[str, ...] = ("{0}",)
    module: str = ""
    parameters: tuple[str, ...] = ()


IDENTITY = Layer("{0}", ())

ACTIVATIONS: dict[str, tuple[str, ...]] = {
    "relu": ("nnx.relu",),
    "selu": ("nnx.selu",),
    "tanh": ("nnx.tanh",),
    # JAX's own choice is the approximation by tanh.
    "gelu": ("nnx.gelu", "approximate=False"),
    "sigmoid": ("nnx.sigmoid",),
    "silu": ("nnx.silu",),
    "hardswish": ("nnx.hard_swish",),
    "hardsigmoid": ("nnx.hard_sigmoid",),
    "relu6": ("nnx.relu6",),
    "leaky_relu": ("nnx.leaky_relu",),
    "elu": ("nnx.elu",),
    "mish": ("jax.nn.mish",),
}

EXCITE = "SqueezeExcite"
EXCITE_SOURCE = '''
class SqueezeExcite(nnx.Module):
    """Scales each channel by a gate that the means of all channels decide."""

    def __init__(
        self,
        channels: int,
        squeezed: int,
        activation: Callable[[jax.Array], jax.Array],
        gate: Callable[[jax.Array], jax.Array],
        rngs: nnx.Rngs,
    ) -> None:
        glorot = nnx.initializers.glorot_uniform()
        self.squeeze = nnx.Linear(channels, squeezed, kernel_init=glorot, rngs=rngs)
        self.activation = activation
        self.excite = nnx.Linear(squeezed, channels, kernel_init=glorot, rngs=rngs)
        self.gate = gate

    def __call__(self, x: jax.Array) -> jax.Array:
        small = self.activation(self.squeeze(x.mean(axis=(1, 2))))
        return x * self.gate(self.excite(small))[:, None, None]

'''.splitlines()[1:]

PARTIALS = {
    "conv": "nnx.Conv, kernel_init=glorot, rngs=rngs",
    "norm": f"nnx.BatchNorm, momentum={ops.BATCH_NORM_MOMENTUM}, use_fast_variance=False, rngs=rngs",
    "linear": "nnx.Linear, kernel_init=glorot, rngs=rngs",
}
"""The modules under the names that they have in `Net.__init__`, with what all have in common.

Flax's fast variance, E[x^2] - E[x]^2, loses its digits where the mean is far from zero.
"""


def _activated(activation: str, module: str, *parameters: str) -> Layer:
    if activation == "linear":
        return Layer(module=module, parameters=parameters)
    function, *options = ACTIVATIONS[activation]
    return Layer(function, ("self.{name}({0})", *options), module, parameters)


def _activate(op: ops.Activate, shape: Shape) -> Layer:
    if op.activation == "linear":
        return IDENTITY
    function, *options = ACTIVATIONS[op.activation]
    return Layer(function, ("{0}", *options))


def _function(activation: str) -> str:
    """An activation as an argument."""
    if activation == "linear":
        return "jax.nn.identity"
    function, *options = ACTIVATIONS[activation]
    return f"partial({', '.join((function, *options))})" if options else function


def _excite(op: ops.SqueezeExcite, shape: Shape) -> Layer:
    functions = _function(op.activation), _function(op.gate)
    parameters = (f"{shape[2]}", f"{op.squeezed}", *functions, "rngs=rngs")
    return Layer(module=EXCITE, parameters=parameters)


def _conv(op: ops.Conv2d, shape: Shape) -> Layer:
    parameters = [f"{shape[2]}", f"{op.filters}", f"{op.kernel}"]
    if op.stride != (1, 1):
        parameters.append(f"strides={op.stride}")
    if op.padding == "valid":
        parameters.append('padding="VALID"')
    if op.dilation != (1, 1):
        parameters.append(f"kernel_dilation={op.dilation}")
    if (groups := op.group_count(shape)) > 1:
        parameters.append(f"feature_group_count={groups}")
    if not op.bias:
        parameters.append("use_bias=False")
    return _activated(op.activation, "conv", *parameters)


def _pool(op: ops.Pool, shape: Shape) -> Layer:
    arguments = ["{0}", f"{op.size}"]
    if op.stride != (1, 1):
        arguments.append(f"strides={op.stride}")
    if op.padding == "same":
        arguments.append('padding="SAME"')
        axes = zip(shape[:2], op.size, op.stride, strict=True)
        if op.pooling == "avg" and any(same_padding(*axis) != (0, 0) for axis in axes):
            arguments.append("count_include_pad=False")
    return Layer(f"nnx.{op.pooling}_pool", tuple(arguments))


LAYERS: LayerTable[Layer] = ops.OperationTable(
    "the flax backend",
    {
        ops.Conv2d: _conv,
        ops.BatchNorm: lambda op, shape: Layer(
            module="norm", parameters=(f"{shape[2]}", f"epsilon={op.epsilon}")
        ),
        ops.Pool: _pool,
        ops.GlobalPool: lambda op, shape: Layer(
            "{0}.max" if op.pooling == "max" else "{0}.mean", ("axis=(1, 2)",)
        ),
        ops.Dropout: lambda op, shape: Layer(
            module="nnx.Dropout", parameters=(f"{op.rate}", "rngs=rngs")
        ),
        ops.Flatten: lambda op, shape: Layer("{0}.reshape", ("{0}.shape[0]", "-1")),
        ops.Dense: lambda op, shape: _activated(
            op.activation, "linear", f"{shape[0]}", f"{op.units}"
        ),
        ops.Add: lambda op, shape: Layer("{sum}", ()),
        ops.Concat: lambda op, shape: Layer("jnp.concatenate", ("[{all}]", "axis=-1")),
        ops.Activate: _activate,
        ops.Truncate: lambda op, shape: Layer(f"{{0}}[..., :{op.channels}]", ()),
        ops.SqueezeExcite: _excite,
    },
    BackendError,
)


class Source(Renderer[Layer]):
    """A file that defines `class Net(nnx.Module)`."""

    table = LAYERS
    merge = "    def merge{number}(self, x: jax.Array) -> jax.Array:"

    def lines(self) -> list[str]:
        excites = any(layer.module == EXCITE for layer in self.layers.values())
        lines = [*EXCITE_SOURCE, "", *self._class()] if excites else self._class()
        lines += self.merges()
        lines += ["", "    def __call__(self, x: jax.Array) -> jax.Array:"]
        lines += self.body(self.main)
        if self.weights:
            lines += loading(LOAD, self.weights)
        if self.script:
            lines += main_source(self.network)
        return [*self._imports(lines), "", "", *lines]

    def statement(self, assign: str, step: Step, layer: Layer) -> list[str]:
        """One operation with the shape it gives."""
        sources = step.sources
        if layer == IDENTITY and assign == f"{sources[0]} =":
            return []
        names = {"name": step.node.name, "sum": " + ".join(sources), "all": ", ".join(sources)}
        function, *arguments = (
            text.format(*sources, **names) for text in (layer.function, *layer.arguments)
        )
        return _statement(f"{assign} {function}", arguments, shapes.text(step.node.shape))

    def _imports(self, lines: list[str]) -> list[str]:
        standard = ["import argparse", "import time"] if self.script else []
        if any("Callable[" in line for line in lines):
            standard.append("from collections.abc import Callable")
        if any("partial(" in line for line in lines):
            standard.append("from functools import partial")
        if self.weights:
            standard.append("from pathlib import Path")
        imports = ["import jax"]
        if any("jnp." in line for line in lines):
            imports.append("import jax.numpy as jnp")
        if self.script or self.weights:
            imports.append("import numpy as np")
        if self.script:
            imports.append("import optax")
        return [*standard, *([""] if standard else []), *imports, "from flax import nnx"]

    def _class(self) -> list[str]:
        network = self.network
        what = "features" if network.is_backbone else "logits"
        lines = [
            "class Net(nnx.Module):",
            f'    """Images {batch(network.input_shape)} to {what} {batch(network.output_shape)}.',
            "",
            "    Shapes beside the code are height x width x channels of one image.",
            '    """',
            "",
            "    def __init__(self, rngs: nnx.Rngs) -> None:",
        ]
        modules = {layer.module for layer in self.layers.values()}
        if modules & {"conv", "linear"}:
            lines.append(f"{self.margin}glorot = nnx.initializers.glorot_uniform()")
        lines += [
            f"{self.margin}{name} = partial({given})"
            for name, given in PARTIALS.items()
            if name in modules
        ]
        made = [(name, layer) for name, layer in self.layers.items() if layer.module]
        for name, layer in made:
            lines += call(f"self.{name} = {layer.module}", layer.parameters, indent=8)
        return lines if made else [*lines, f"{self.margin}pass"]


emit = Source.emit


def _statement(before: str, arguments: list[str], comment: str) -> list[str]:
    """A call, or an expression alone, wrapped as `ruff format` does, with a comment."""
    line = f"        {before}({', '.join(arguments)})" if arguments else f"        {before}"
    if len(line) <= WIDTH:
        return remark(line, comment)
    if not arguments and " + " in before:
        start, *others = before.split(" + ")
        assign, _, first = start.rpartition(" ")
        return long_sum(assign, [first, *others], f"  # {comment}")
    if arguments and len(f"            {arguments[0]},") > WIDTH and arguments[0][0] == "[":
        items = arguments[0][1:-1].split(", ")
        arguments = ["[\n" + "".join(f"                {i},\n" for i in items) + "            ]"]
        arguments.append("axis=-1")
    return call(before, arguments, f"  # {comment}", indent=8)
