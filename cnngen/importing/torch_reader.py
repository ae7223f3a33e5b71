"""Reads an exported program of PyTorch (`torch.export`) as a foreign graph.

`OPERATORS` is the whole reader: what each operator of ATen does. Its arguments come by the names
of its schema, with the defaults filled in.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind

from cnngen.backend.model_access import Array
from cnngen.errors import ModelError
from cnngen.importing import foreign
from cnngen.importing.foreign import ENDLESS, ForeignGraph, ForeignNode, Primitive, Unreadable

Arguments = Mapping[str, Any]
"""Arguments by name: numbers, lists, arrays of weights, and `torch.fx.Node` for computed values."""


def torch_graph(program: ExportedProgram) -> ForeignGraph:
    """The graph of a program. Raises `ModelError` for one without one batch of images and one output."""
    signature = program.graph_signature
    constants: dict[str, Array] = {}
    images = []
    for spec in signature.input_specs:
        if spec.kind is InputKind.USER_INPUT:
            images.append(spec.arg.name)
        elif spec.target is not None:
            held = program.state_dict.get(spec.target, program.constants.get(spec.target))
            if isinstance(held, torch.Tensor):
                constants[spec.arg.name] = held.detach().cpu().numpy()
    outputs = [spec.arg.name for spec in signature.output_specs]
    if len(images) != 1 or len(outputs) != 1:
        raise ModelError(
            f"the model has {len(images)} inputs and {len(outputs)} outputs; "
            "a network of the language has one of each"
        )
    found = ForeignGraph(images[0], (1, 1, 1), outputs[0])
    # An operator that works in place changes what is read from then on.
    now: dict[str, str] = {}
    for node in program.graph.nodes:
        if node.name == images[0]:
            found.input_shape = _image_shape(node.meta["val"])
        if node.op != "call_function":
            continue
        values: list[str] = []
        does = _read(node, constants, values)
        reads = tuple(now.get(name, name) for name in values)
        name, own = _module(node), f"{node.target}".removesuffix(".default")
        found.nodes.append(ForeignNode(does, reads, node.name, name or node.name, own))
        if own.partition(".")[2].partition(".")[0].endswith("_") and values:
            changed = values[0]
            now |= {name: node.name for name, to in now.items() if to == now.get(changed, changed)}
            now[changed] = node.name
    found.output = now.get(found.output, found.output)
    return found


def _image_shape(value: Any) -> tuple[int, int, int]:
    sizes = list(value.shape) if isinstance(value, torch.Tensor) else []
    if len(sizes) != 4 or value.dtype is not torch.float32:
        raise ModelError(
            "the input is not a batch of images in float32 (batch, channels, height, width)"
        )
    _, channels, height, width = sizes
    if not all(isinstance(size, int) for size in (channels, height, width)):
        raise ModelError(
            "the program leaves the shape of its images open",
            hint="Export it for images of one height and width.",
        )
    return height, width, channels


def _module(node: torch.fx.Node) -> str:
    """The path of the module that an operator belongs to."""
    stack = [*node.meta.get("nn_module_stack", {}).values()]
    return str(stack[-1][0]) if stack else ""


def _read(node: torch.fx.Node, constants: Mapping[str, Array], values: list[str]) -> Primitive:
    """What an operator does; the computed values that it reads are appended to `values`."""
    for argument in node.all_input_nodes:
        if argument.name not in constants:
            values.append(argument.name)
    if node.target is operator.getitem:
        return foreign.Unknown("it takes one of several outputs")
    name = str(getattr(node.target, "_schema", None) and node.target._schema.name)  # type: ignore[union-attr]
    reader = OPERATORS.get(name.removeprefix("aten::").removesuffix("_"))
    if reader is None:
        return foreign.Unknown()
    if not values:
        return foreign.Unknown("it computes a constant, which is not read")
    arguments: dict[str, Any] = {}
    for position, argument in enumerate(node.target._schema.arguments):  # type: ignore[union-attr]
        given = node.kwargs.get(argument.name, argument.default_value)
        if position < len(node.args):
            given = node.args[position]
        if isinstance(given, torch.fx.Node) and given.name in constants:
            given = constants[given.name]
        arguments[argument.name] = given
    if (operands := _operands(arguments)) is not None:
        values[:] = operands
    try:
        return reader(arguments)
    except Unreadable as reason:
        return foreign.Unknown(str(reason))


def _operands(arguments: Arguments) -> list[str] | None:
    """The values that a join reads, in their order and as often as it reads them."""
    given = arguments.get("tensors")
    if given is None and "other" in arguments:
        given = [arguments["self"], arguments["other"]]
    if given is None:
        return None
    return [value.name for value in given if isinstance(value, torch.fx.Node)]


def _weight(arguments: Arguments, name: str) -> Array | None:
    """A weight; None where there is none."""
    value = arguments[name]
    if value is None:
        return None
    if not isinstance(value, np.ndarray):
        raise Unreadable(f"its {name} is computed, not a weight of the model")
    return value


def _needed(arguments: Arguments, name: str) -> Array:
    array = _weight(arguments, name)
    if array is None:
        raise Unreadable(f"it has no {name}")
    return array


def _two(value: Any, default: Any = None) -> tuple[int, int]:
    """Height and width from a number or a list of one or two."""
    numbers = [value] if isinstance(value, int) else [*(value or default or ())]
    if len(numbers) not in (1, 2) or not all(type(number) is int for number in numbers):
        raise Unreadable(f"it has {numbers} where the language has a height and a width")
    return numbers[0], numbers[-1]


def _conv(arguments: Arguments) -> Primitive:
    kernel, padding = _needed(arguments, "weight"), arguments["padding"]
    pads: Any
    match padding:
        case "valid":
            pads = "valid"
        case "same":
            pads = _alike(kernel.shape[2:], _two(arguments["dilation"]))
        case _:
            above, left = _two(padding)
            pads = (above, left, above, left)
    return foreign.Convolved(
        kernel.transpose(2, 3, 1, 0),
        _weight(arguments, "bias"),
        _two(arguments["stride"]),
        pads,
        _two(arguments["dilation"]),
        arguments["groups"],
        stated=pads != foreign.NO_PADS,
    )


def _alike(window: tuple[int, ...], dilation: tuple[int, int]) -> foreign.Pads:
    """PyTorch's `same`, which has stride 1."""
    down, across = ((size - 1) * step for size, step in zip(window, dilation, strict=True))
    return down // 2, across // 2, down - down // 2, across - across // 2


def _general_conv(arguments: Arguments) -> Primitive:
    if arguments["transposed"]:
        raise Unreadable("it is a transposed convolution")
    return _conv(arguments)


def _norm(arguments: Arguments) -> Primitive:
    if arguments["training"]:
        raise Unreadable("it takes the statistics of the batch; export the model after .eval()")
    mean, variance = _needed(arguments, "running_mean"), _needed(arguments, "running_var")
    scale, shift = _weight(arguments, "weight"), _weight(arguments, "bias")
    return foreign.Normalised(
        np.ones_like(mean) if scale is None else scale,
        np.zeros_like(mean) if shift is None else shift,
        mean,
        variance,
        arguments["eps"],
    )


def _pool(arguments: Arguments, pooling: Any) -> Primitive:
    if pooling == "max" and _two(arguments["dilation"]) != (1, 1):
        raise Unreadable("its window is dilated, and the language's poolings are not")
    if arguments.get("divisor_override") is not None:
        raise Unreadable("it divides by another number than that of the window's pixels")
    size = _two(arguments["kernel_size"])
    above, left = _two(arguments["padding"])
    return foreign.Pooled(
        pooling,
        size,
        _two(arguments["stride"], size),
        (above, left, above, left),
        ceiled=arguments["ceil_mode"],
        counted=arguments.get("count_include_pad", False),
        stated=bool(above or left or arguments["ceil_mode"]),
    )


def _pool_to(arguments: Arguments, pooling: Any) -> Primitive:
    return foreign.PooledTo(pooling, _two(arguments["output_size"]))


def _reduced(arguments: Arguments, pooling: Any) -> Primitive:
    axes = arguments["dim"] or []
    if sorted(axis % 4 for axis in axes) != [2, 3] or arguments.get("dtype") is not None:
        raise Unreadable("it reduces other axes than the height and the width of a map")
    return foreign.PooledTo(pooling, (1, 1), keeps_axes=arguments["keepdim"])


def _clipped(arguments: Arguments) -> Primitive:
    low = arguments["min_val"] if "min_val" in arguments else arguments["min"]
    high = arguments["max_val"] if "max_val" in arguments else arguments["max"]
    if (low, high) == (0, 6):
        return foreign.Activated("relu6")
    if (low, high) == (0, None):
        return foreign.Activated("relu")
    raise Unreadable(f"it cuts off at {low} and {high}; the language has relu and relu6")


def _fixed(function: str, **wanted: float) -> Callable[[Arguments], Primitive]:
    """An activation whose arguments must have the language's values."""

    def read(arguments: Arguments) -> Primitive:
        for name, value in wanted.items():
            if abs(arguments[name] - value) > 1e-9:
                raise Unreadable(f"its {name} is {arguments[name]}, in the language it is {value}")
        return foreign.Activated(function)

    return read


def _gelu(arguments: Arguments) -> Primitive:
    if arguments["approximate"] != "none":
        raise Unreadable("it is gelu approximated by tanh; the language's is exact")
    return foreign.Activated("gelu")


def _linear(arguments: Arguments) -> Primitive:
    return foreign.Multiplied(_needed(arguments, "weight").T, _weight(arguments, "bias"))


def _addmm(arguments: Arguments) -> Primitive:
    if (arguments["alpha"], arguments["beta"]) != (1, 1):
        raise Unreadable("it scales what it multiplies")
    return foreign.Multiplied(_needed(arguments, "mat2"), _needed(arguments, "self"))


def _constant(value: Any) -> Array | None:
    """A constant operand; None for a computed one."""
    if isinstance(value, torch.fx.Node):
        return None
    return np.asarray(value, np.float32)


def _sum(arguments: Arguments) -> Primitive:
    if arguments["alpha"] != 1:
        raise Unreadable("it scales one of what it adds")
    for side in ("self", "other"):
        if (by := _constant(arguments[side])) is not None:
            return foreign.Shifted(by)
    return foreign.Summed()


def _product(arguments: Arguments) -> Primitive:
    for side in ("self", "other"):
        if (by := _constant(arguments[side])) is not None:
            return foreign.Scaled(by)
    return foreign.Product()


def _flatten(arguments: Arguments) -> Primitive:
    if (arguments["start_dim"], arguments["end_dim"]) not in ((1, -1), (1, 3)):
        raise Unreadable("it flattens other axes than those of a map")
    return foreign.Reshaped((0, -1))


def _reshaped(arguments: Arguments) -> Primitive:
    shape = arguments["size"] if "size" in arguments else arguments["shape"]
    sizes = [size if type(size) is int else -1 for size in shape]
    # A batch of open size is the first axis; then the second is not to be worked out.
    return foreign.Reshaped(tuple(sizes))


def _squeezed(arguments: Arguments) -> Primitive:
    dim = arguments.get("dim")
    if isinstance(dim, int):
        raise Unreadable("it leaves out one axis; flatten(1) leaves out both")
    if sorted(axis % 4 for axis in dim or []) != [2, 3]:
        raise Unreadable("it leaves out other axes than the height and the width")
    return foreign.Reshaped((0, -1))


def _padded(arguments: Arguments) -> Primitive:
    pad = list(arguments["pad"])
    if arguments.get("mode", "constant") != "constant" or arguments["value"] not in (None, 0):
        raise Unreadable("it pads with other values than zeros")
    pad += [0] * (4 - len(pad))
    left, right, above, below = pad[:4]
    if any(pad[4:]):
        raise Unreadable("it pads other axes than the height and the width")
    return foreign.Padded((above, left, below, right))


def _sliced(arguments: Arguments) -> Primitive:
    start, stop = arguments["start"] or 0, arguments["end"]
    stop = ENDLESS if stop is None else stop
    if not all(type(number) is int for number in (start, stop, arguments["step"])):
        raise Unreadable("it cuts where the size of the batch says")
    return foreign.Sliced(arguments["dim"], start, stop, arguments["step"])


def _kept(arguments: Arguments) -> Primitive:
    return foreign.Kept()


def _dropped(arguments: Arguments) -> Primitive:
    if arguments["train"]:
        raise Unreadable("it drops at random; export the model after .eval()")
    return foreign.Dropped(arguments["p"])


OPERATORS: dict[str, Callable[[Arguments], Primitive]] = {
    "conv2d": _conv,
    "convolution": _general_conv,
    "batch_norm": _norm,
    "max_pool2d": lambda given: _pool(given, "max"),
    "avg_pool2d": lambda given: _pool(given, "avg"),
    "adaptive_max_pool2d": lambda given: _pool_to(given, "max"),
    "adaptive_avg_pool2d": lambda given: _pool_to(given, "avg"),
    "mean": lambda given: _reduced(given, "avg"),
    "amax": lambda given: _reduced(given, "max"),
    "linear": _linear,
    "addmm": _addmm,
    "add": _sum,
    "mul": _product,
    "cat": lambda given: foreign.Joined(given["dim"]),
    "concat": lambda given: foreign.Joined(given["dim"]),
    "dropout": _dropped,
    "feature_dropout": _dropped,
    "flatten": _flatten,
    "view": _reshaped,
    "reshape": _reshaped,
    "squeeze": _squeezed,
    "permute": lambda given: foreign.Permuted(tuple(given["dims"])),
    "pad": _padded,
    "constant_pad_nd": _padded,
    "slice": _sliced,
    "contiguous": _kept,
    "clone": _kept,
    "detach": _kept,
    "alias": _kept,
    "relu": _fixed("relu"),
    "tanh": _fixed("tanh"),
    "sigmoid": _fixed("sigmoid"),
    "silu": _fixed("silu"),
    "hardswish": _fixed("hardswish"),
    "hardsigmoid": _fixed("hardsigmoid"),
    "mish": _fixed("mish"),
    "selu": _fixed("selu"),
    "relu6": _fixed("relu6"),
    "softplus": _fixed("softplus", beta=1, threshold=20),
    "leaky_relu": _fixed("leaky_relu", negative_slope=0.01),
    "elu": _fixed("elu", alpha=1, scale=1, input_scale=1),
    "gelu": _gelu,
    "hardtanh": _clipped,
    "clamp": _clipped,
    "softmax": lambda given: foreign.Unknown(
        "the language's networks give logits, without softmax"
    ),
}
