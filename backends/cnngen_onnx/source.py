"""A network as ONNX: Python that holds the graph in ONNX's own text and builds the model.

`NODES` is the whole backend: what each operation becomes. Tensors are (batch, channels,
height, width). Values are named as the operations that they come from, and so are nodes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from cnngen import operations as ops
from cnngen.backend.program import WIDTH, Block, Step, program
from cnngen.backend.renderer import LayerTable, file_text, layers
from cnngen.backend.script import loading
from cnngen.errors import BackendError
from cnngen.network import Network, Node
from cnngen.operations import shapes
from cnngen.operations.shapes import Shape, same_padding
from cnngen_onnx.build import BUILD, IMPORTS, LOAD, MAIN

OPSET, IR = 16, 8
"""The versions of ONNX's operators and of the file's format: old ones, which more programs read."""

NEWER = {"Gelu": (20, 9), "Mish": (18, 8)}
"""Operators that came later, with the versions that have them first."""


def emit(network: Network, *, weights: str = "") -> str:
    """A file with `build() -> onnx.ModelProto`, which writes the model when it is run.

    A model of ONNX is not trained, so this is all there is to a script, also of a backbone. With
    `weights`, the name of a file beside it, there is a function `load` too.
    """
    main = program(network)
    nodes = {name: _named(name, made) for name, made in layers(network, NODES).items()}
    _check_first_weights(network)
    names = [node.name for node in network.nodes]
    names[0] = "images"
    used = {node.operator for own in nodes.values() for node in own}
    opset, form = max([(OPSET, IR), *(NEWER[name] for name in used & NEWER.keys())])
    output = "features" if network.is_backbone else "logits"
    graph = [
        f'<ir_version: {form}, opset_import: ["" : {opset}]>',
        f"Net ({_tensor(network.input_shape)} images) => "
        f"({_tensor(network.output_shape)} {output})",
        "<",
        *_declarations(nodes.values()),
        ">",
        "{",
    ]
    for step in main.steps:
        if isinstance(step, Block):
            graph.append(f"    # Merge {step.number}. {step.summary}")
        for inner in step.steps if isinstance(step, Block) else [step]:
            if isinstance(inner, Step):
                graph += [f"    # {note}" for note in inner.notes]
                graph += _lines(inner.node, nodes[inner.node.name], names)
    graph += [f"    {output} = Identity ({names[-1]})", "}"]
    load = loading(LOAD, weights) if weights else []
    return file_text(network, [*IMPORTS, "", 'GRAPH = """', *graph, '"""', *BUILD, *load, *MAIN])


@dataclass(frozen=True, slots=True)
class OnnxNode:
    """A node of ONNX: an operator, its attributes and inputs.

    In `inputs`, `{0}` is the value that the operation reads, `{all}` are all of them with
    commas between, and `{name}` is the operation's name. The output of a node is named as the
    operation with `suffix`; the last node of an operation has none. `declared` are the
    weights that are to come and constants, as text.
    """

    operator: str
    attributes: tuple[str, ...] = ()
    inputs: str = "{0}"
    suffix: str = ""
    declared: tuple[str, ...] = ()


ACTIVATIONS = {
    "linear": "Identity",
    "relu": "Relu",
    "selu": "Selu",
    "tanh": "Tanh",
    "gelu": "Gelu",
    "sigmoid": "Sigmoid",
    "hardswish": "HardSwish",
    "elu": "Elu",
    "mish": "Mish",
}


def _activation(activation: str, reads: str = "{0}") -> list[OnnxNode]:
    """The nodes of an activation of the value `reads`."""
    match activation:
        case "silu":
            gate = OnnxNode("Sigmoid", inputs=reads, suffix="_gate")
            return [gate, OnnxNode("Mul", inputs=f"{reads}, {{name}}_gate")]
        case "relu6":
            ends = ("float {name}_least = {{0.0}}", "float {name}_most = {{6.0}}")
            return [OnnxNode("Clip", (), f"{reads}, {{name}}_least, {{name}}_most", "", ends)]
        case "hardsigmoid":
            return [OnnxNode("HardSigmoid", (f"alpha = {1 / 6}", "beta = 0.5"), reads)]
        case "leaky_relu":
            return [OnnxNode("LeakyRelu", ("alpha = 0.01",), reads)]
    return [OnnxNode(ACTIVATIONS[activation], inputs=reads)]


def _activated(activation: str, node: OnnxNode) -> list[OnnxNode]:
    """A node, with the nodes of its activation behind it if there is one."""
    if activation == "linear":
        return [node]
    before = OnnxNode(node.operator, node.attributes, node.inputs, "_linear", node.declared)
    return [before, *_activation(activation, "{name}_linear")]


def _conv(op: ops.Conv2d, shape: Shape) -> list[OnnxNode]:
    groups = op.group_count(shape)
    sizes = f"{op.filters}, {shape[2] // groups}, {op.kernel[0]}, {op.kernel[1]}"
    weights = [f"float[{sizes}] {{name}}_kernel"]
    inputs = "{0}, {name}_kernel"
    if op.bias:
        weights.append(f"float[{op.filters}] {{name}}_bias")
        inputs += ", {name}_bias"
    attributes = list(_slides(op, shape))
    if op.dilation != (1, 1):
        attributes.append(f"dilations = [{op.dilation[0]}, {op.dilation[1]}]")
    if groups > 1:
        attributes.append(f"group = {groups}")
    node = OnnxNode("Conv", tuple(attributes), inputs, declared=tuple(weights))
    return _activated(op.activation, node)


def _slides(op: ops.Windowed, shape: Shape) -> Iterator[str]:
    """Strides, and padding as TensorFlow's, which ONNX's `auto_pad` deprecates.

    `same` is written also where it pads nothing, so that an import tells it from `valid`.
    """
    kh, kw, sh, sw, padding = op.window()
    if (sh, sw) != (1, 1):
        yield f"strides = [{sh}, {sw}]"
    if padding == "same":
        top, bottom = same_padding(shape[0], kh, sh)
        left, right = same_padding(shape[1], kw, sw)
        yield f"pads = [{top}, {left}, {bottom}, {right}]"


def _pool(op: ops.Pool, shape: Shape) -> list[OnnxNode]:
    attributes = [f"kernel_shape = [{op.size[0]}, {op.size[1]}]", *_slides(op, shape)]
    if op.pooling == "avg" and attributes[-1].startswith("pads"):
        attributes.append("count_include_pad = 0")
    return [OnnxNode("MaxPool" if op.pooling == "max" else "AveragePool", tuple(attributes))]


def _batch_norm(op: ops.BatchNorm, shape: Shape) -> list[OnnxNode]:
    weights = ("{name}_scale", "{name}_shift", "{name}_mean", "{name}_variance")
    declared = tuple(f"float[{shape[2]}] {weight}" for weight in weights)
    inputs = ", ".join(["{0}", *weights])
    return [OnnxNode("BatchNormalization", (f"epsilon = {op.epsilon}",), inputs, "", declared)]


def _dense(op: ops.Dense, shape: Shape) -> list[OnnxNode]:
    declared = (
        f"float[{shape[0]}, {op.units}] {{name}}_kernel",
        f"float[{op.units}] {{name}}_bias",
    )
    node = OnnxNode("Gemm", (), "{0}, {name}_kernel, {name}_bias", "", declared)
    return _activated(op.activation, node)


def _global_pool(op: ops.GlobalPool, shape: Shape) -> list[OnnxNode]:
    operator = "GlobalMaxPool" if op.pooling == "max" else "GlobalAveragePool"
    return [OnnxNode(operator, suffix="_map"), OnnxNode("Flatten", inputs="{name}_map")]


def _flatten(op: ops.Flatten, shape: Shape) -> list[OnnxNode]:
    channels_last = OnnxNode("Transpose", ("perm = [0, 2, 3, 1]",), suffix="_last")
    return [channels_last, OnnxNode("Flatten", inputs="{name}_last")]


def _truncate(op: ops.Truncate, shape: Shape) -> list[OnnxNode]:
    constants = {"from": 0, "to": op.channels, "axis": 1}
    declared = tuple(f"int64[1] {{name}}_{own} = {{{{{n}}}}}" for own, n in constants.items())
    return [OnnxNode("Slice", (), "{0}, {name}_from, {name}_to, {name}_axis", "", declared)]


def _excite(op: ops.SqueezeExcite, shape: Shape) -> list[OnnxNode]:
    channels = shape[2]
    first = (
        f"float[{channels}, {op.squeezed}] {{name}}_kernel",
        f"float[{op.squeezed}] {{name}}_bias",
    )
    second = (
        f"float[{op.squeezed}, {channels}] {{name}}_kernel2",
        f"float[{channels}] {{name}}_bias2",
    )
    axes = ("int64[2] {name}_axes = {{2, 3}}",)
    small = _activation(op.activation, "{name}_squeezed")
    gate = _activation(op.gate, "{name}_excited")
    # The last node of an activation has no suffix: here it has one.
    small[-1] = replace(small[-1], suffix="_small")
    gate[-1] = replace(gate[-1], suffix="_gates")
    return [
        OnnxNode("GlobalAveragePool", suffix="_map"),
        OnnxNode("Flatten", inputs="{name}_map", suffix="_means"),
        OnnxNode("Gemm", (), "{name}_means, {name}_kernel, {name}_bias", "_squeezed", first),
        *small,
        OnnxNode("Gemm", (), "{name}_small, {name}_kernel2, {name}_bias2", "_excited", second),
        *gate,
        OnnxNode("Unsqueeze", (), "{name}_gates, {name}_axes", "_wide", axes),
        OnnxNode("Mul", inputs="{0}, {name}_wide"),
    ]


NODES: LayerTable[list[OnnxNode]] = ops.OperationTable(
    "the onnx backend",
    {
        ops.Conv2d: _conv,
        ops.BatchNorm: _batch_norm,
        ops.Pool: _pool,
        ops.GlobalPool: _global_pool,
        ops.Dropout: lambda op, shape: [
            # The identity after training; runtimes remove it.
            OnnxNode(
                "Dropout", (), "{0}, {name}_rate", "", (f"float {{name}}_rate = {{{{{op.rate}}}}}",)
            )
        ],
        ops.Flatten: _flatten,
        ops.Dense: _dense,
        ops.Add: lambda op, shape: [OnnxNode("Add", inputs="{all}")],
        ops.Concat: lambda op, shape: [OnnxNode("Concat", ("axis = 1",), "{all}")],
        ops.Activate: lambda op, shape: _activation(op.activation),
        ops.Truncate: _truncate,
        ops.SqueezeExcite: _excite,
    },
    BackendError,
)


FIRST = {"kernel": "glorot", "kernel2": "glorot", "scale": "ones", "variance": "ones"}
"""How `first_weight` of an emitted file begins a weight, by its name; all others are zero."""


def _check_first_weights(network: Network) -> None:
    """Raises `BackendError` for an operation with a weight whose first values would be others."""
    for node in network.nodes:
        for weight in node.operation.weights(*network.input_shapes(node)):
            if weight.first != FIRST.get(weight.name, "zeros"):
                raise BackendError(
                    f"the onnx backend has no first values for the weight '{weight.name}' of the "
                    f"operation {type(node.operation).__name__}"
                )


def _named(name: str, nodes: list[OnnxNode]) -> list[OnnxNode]:
    """The nodes of an operation, with its name in what they declare."""
    return [
        replace(node, declared=tuple(text.format(name=name) for text in node.declared))
        for node in nodes
    ]


def _tensor(shape: Shape) -> str:
    """The type of a batch of maps or vectors of this shape, channels first."""
    return f"float[{', '.join(map(str, ['batch', shape[-1], *shape[:-1]]))}]"


def _declarations(operations: Iterable[list[OnnxNode]]) -> Iterator[str]:
    """The weights and constants, an operation a line if they fit."""
    groups = [[text for one in made for text in one.declared] for made in operations]
    lines = []
    for group in groups:
        together = f"    {', '.join(group)}"
        lines += [together] if len(together) < WIDTH else [f"    {text}" for text in group]
    lines = [line for line in lines if line.strip()]
    yield from (f"{line}," for line in lines[:-1])
    yield from lines[-1:]


def _lines(node: Node, made: list[OnnxNode], names: list[str]) -> Iterator[str]:
    """The statements of an operation, the last with its shape."""
    sources = [names[source] for source in node.inputs]
    for one in made:
        inputs = one.inputs.format(*sources, name=node.name, all=", ".join(sources))
        # Add takes two inputs; runtimes fuse it, but not Sum, with a convolution before it.
        operator = "Sum" if one.operator == "Add" and len(sources) > 2 else one.operator
        parts = [f"{node.name}{one.suffix} = {operator}"]
        if one.attributes:
            parts.append(f"<{', '.join(one.attributes)}>")
        parts.append(f"({inputs})")
        if one is made[-1]:
            parts[-1] += f"  # {shapes.text(node.shape)}"
        line = "    " + " ".join(parts)
        yield line if len(line) <= WIDTH else "    " + "\n        ".join(parts)
