"""A network as Flax source: one `nnx.Module`.

`LAYERS` is the whole backend: what each operation becomes. Tensors are (batch, height,
width, channels), windows are padded as TensorFlow pads them, as XLA does by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cnngen.backend.program import WIDTH, Block, Copy, Step, call, program, remark, title
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
from cnngen_flax.script import main_source


def emit(network: Network, *, script: bool = False) -> str:
    """A file that defines `class Net(nnx.Module)`, and with `script` trains it when run.

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
            lines += ["", f"    def merge{block.number}(self, x: jax.Array) -> jax.Array:"]
            lines.append(f'        """{block.summary}"""')
            lines += _body(block, layers)
    lines += ["", "    def __call__(self, x: jax.Array) -> jax.Array:"]
    lines += _body(main, layers)
    if script:
        lines += main_source(network)
    return "\n".join(
        ['"""' + "\n".join(title(network)), '"""', "", *_imports(lines, script), "", "", *lines, ""]
    )


@dataclass(frozen=True, slots=True)
class Layer:
    """What an operation becomes: an attribute of `Net`, if it has one, and a call.

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
}

PARTIALS = {
    "conv": "nnx.Conv, kernel_init=glorot, rngs=rngs",
    "norm": f"nnx.BatchNorm, momentum={BATCH_NORM_MOMENTUM}, use_fast_variance=False, rngs=rngs",
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


def _activate(op: Activate, shape: Shape) -> Layer:
    if op.activation == "linear":
        return IDENTITY
    function, *options = ACTIVATIONS[op.activation]
    return Layer(function, ("{0}", *options))


def _conv(op: Conv2d, shape: Shape) -> Layer:
    parameters = [f"{shape[2]}", f"{op.filters}", f"{op.kernel}"]
    if op.stride != (1, 1):
        parameters.append(f"strides={op.stride}")
    if op.padding == "valid":
        parameters.append('padding="VALID"')
    if not op.bias:
        parameters.append("use_bias=False")
    return _activated(op.activation, "conv", *parameters)


def _pool(op: Pool, shape: Shape) -> Layer:
    arguments = ["{0}", f"{op.size}"]
    if op.stride != (1, 1):
        arguments.append(f"strides={op.stride}")
    if op.padding == "same":
        arguments.append('padding="SAME"')
        axes = zip(shape[:2], op.size, op.stride, strict=True)
        if op.pooling == "avg" and any(same_padding(*axis) != (0, 0) for axis in axes):
            arguments.append("count_include_pad=False")
    return Layer(f"nnx.{op.pooling}_pool", tuple(arguments))


LAYERS: dict[type[Operation], Callable[[Any, Shape], Layer]] = {
    Conv2d: _conv,
    BatchNorm: lambda op, shape: Layer(
        module="norm", parameters=(f"{shape[2]}", f"epsilon={op.epsilon}")
    ),
    Pool: _pool,
    GlobalPool: lambda op, shape: Layer(
        "{0}.max" if op.pooling == "max" else "{0}.mean", ("axis=(1, 2)",)
    ),
    Dropout: lambda op, shape: Layer(module="nnx.Dropout", parameters=(f"{op.rate}", "rngs=rngs")),
    Flatten: lambda op, shape: Layer("{0}.reshape", ("{0}.shape[0]", "-1")),
    Dense: lambda op, shape: _activated(op.activation, "linear", f"{shape[0]}", f"{op.units}"),
    Add: lambda op, shape: Layer("{sum}", ()),
    Concat: lambda op, shape: Layer("jnp.concatenate", ("[{all}]", "axis=-1")),
    Activate: _activate,
    Truncate: lambda op, shape: Layer(f"{{0}}[..., :{op.channels}]", ()),
}


def _layer(node: Node, shape: Shape) -> Layer:
    kind = type(node.operation)
    if kind not in LAYERS:
        raise BackendError(f"the flax backend has no entry for the operation {kind.__name__}")
    return LAYERS[kind](node.operation, shape)


def _imports(lines: list[str], script: bool) -> list[str]:
    standard = ["import argparse", "import time"] if script else []
    if any("= partial(" in line for line in lines):
        standard.append("from functools import partial")
    imports = ["import jax"]
    if any("jnp." in line for line in lines):
        imports.append("import jax.numpy as jnp")
    if script:
        imports += ["import numpy as np", "import optax"]
    return [*standard, *([""] if standard else []), *imports, "from flax import nnx"]


def _class(network: Network, layers: dict[str, Layer]) -> list[str]:
    what = "features" if network.is_backbone else "logits"
    lines = [
        "class Net(nnx.Module):",
        f'    """Images {_batch(network.input_shape)} to {what} {_batch(network.output_shape)}.',
        "",
        "    Shapes beside the code are height x width x channels of one image.",
        '    """',
        "",
        "    def __init__(self, rngs: nnx.Rngs) -> None:",
    ]
    margin = " " * 8
    modules = {layer.module for layer in layers.values()}
    if modules & {"conv", "linear"}:
        lines.append(f"{margin}glorot = nnx.initializers.glorot_uniform()")
    lines += [
        f"{margin}{name} = partial({given})" for name, given in PARTIALS.items() if name in modules
    ]
    made = [(name, layer) for name, layer in layers.items() if layer.module]
    for name, layer in made:
        lines += call(f"self.{name} = {layer.module}", layer.parameters, indent=8)
    return lines if made else [*lines, f"{margin}pass"]


def _batch(shape: Shape) -> str:
    return f"(batch, {', '.join(map(str, shape))})"


def _body(block: Block, layers: dict[str, Layer]) -> list[str]:
    """The statements of a method, an operation each with the shape it gives."""
    lines: list[str] = []
    margin = " " * 8
    last = block.steps[-1]
    for step in block.steps:
        match step:
            case Copy(target, source):
                lines.append(f"{margin}{target} = {source}")
                continue
            case Block():
                target, shape = "x", step.output.shape
                function, arguments = f"self.merge{step.number}", ["x"]
            case Step(node, target, sources, notes):
                layer, shape = layers[node.name], node.shape
                if layer == IDENTITY and target == sources[0] and step is not last:
                    continue
                lines += [f"{margin}# {note}" for note in notes]
                names = {"name": node.name, "sum": " + ".join(sources), "all": ", ".join(sources)}
                function, *arguments = (
                    text.format(*sources, **names) for text in (layer.function, *layer.arguments)
                )
        assign = "return" if step is last else f"{target} ="
        lines += _statement(f"{assign} {function}", arguments, shapes.text(shape))
    return lines


def _statement(before: str, arguments: list[str], comment: str) -> list[str]:
    """A call, or an expression alone, wrapped as `ruff format` does, with a comment."""
    line = f"        {before}({', '.join(arguments)})" if arguments else f"        {before}"
    if len(line) <= WIDTH:
        return remark(line, comment)
    return call(before, arguments, f"  # {comment}", indent=8)
