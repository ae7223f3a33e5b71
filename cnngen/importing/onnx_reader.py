"""Reads an ONNX file as a foreign graph. Nothing in a file is run, and sizes are checked first.

`OPERATORS` is the whole reader: what each operator does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from cnngen.backend.model_access import Array
from cnngen.errors import ModelError, shorten
from cnngen.importing import foreign
from cnngen.importing.foreign import ForeignGraph, ForeignNode, Primitive, Unreadable
from cnngen.system.untrusted import read_bytes

LARGEST_FILE = 2**31
"""Bytes: Protocol Buffers take no more."""

LARGEST_WEIGHTS = 2**33
"""Bytes of a file that holds weights beside the model."""

DOMAINS = ("", "ai.onnx")

FLOATS = (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16)
INTEGERS = (onnx.TensorProto.INT64, onnx.TensorProto.INT32)


def read_onnx(path: str | Path) -> onnx.ModelProto:
    """A model with all weights inside. Raises `ModelError` for a file that is none."""
    try:
        model: onnx.ModelProto = onnx.ModelProto.FromString(read_bytes(path, LARGEST_FILE))
    except OSError as error:
        raise ModelError(f"{path} {error.strerror}") from None
    except Exception as error:  # protobuf's own, of several kinds
        raise ModelError(f"{path} is not an ONNX file: {shorten(str(error), 80)}") from None
    _take_in(model, Path(path).parent)
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, ValueError) as error:
        first = (str(error).strip() or "it is empty").splitlines()[0]
        raise ModelError(f"{path} is not a valid ONNX model: {shorten(first, 200)}") from None
    return model


def _take_in(model: onnx.ModelProto, folder: Path) -> None:
    """Put weights that lie in other files of the folder into the model."""
    files: dict[str, bytes] = {}
    for tensor in model.graph.initializer:
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            continue
        told = {entry.key: entry.value for entry in tensor.external_data}
        name = told.get("location", "")
        if not name or Path(name).name != name:
            raise ModelError(
                f"the weight '{shorten(tensor.name)}' lies in '{shorten(name)}', outside the "
                "model's folder"
            )
        try:
            if name not in files:
                files[name] = read_bytes(folder / name, LARGEST_WEIGHTS, root=folder)
            offset, length = int(told.get("offset", "0")), int(told.get("length", "-1"))
        except OSError as error:
            raise ModelError(f"{folder / name} {error.strerror}") from None
        except ValueError:
            raise ModelError(
                f"the weight '{shorten(tensor.name)}' has no readable place in '{name}'"
            ) from None
        end = offset + length if length >= 0 else len(files[name])
        if not 0 <= offset <= end <= len(files[name]):
            raise ModelError(f"{folder / name} is shorter than '{shorten(tensor.name)}' says")
        tensor.raw_data = files[name][offset:end]
        tensor.data_location = onnx.TensorProto.DEFAULT
        del tensor.external_data[:]


def onnx_graph(
    model: onnx.ModelProto, input_shape: tuple[int, int, int] | None = None
) -> ForeignGraph:
    """The graph of a model for images of a shape (height, width, channels), or of its own.

    Raises `ModelError` for a model without one input of images and one output.
    """
    graph = model.graph
    if not all(isinstance(name, str) for name in _names(graph)):
        raise ModelError("the model has a name that is not text in UTF-8")
    constants = {tensor.name: _array(tensor) for tensor in graph.initializer}
    if graph.sparse_initializer:
        raise ModelError("the model has sparse weights, which are not read")
    inputs = [value for value in graph.input if value.name not in constants]
    if len(inputs) != 1 or len(graph.output) != 1:
        raise ModelError(
            f"the model has {len(inputs)} inputs and {len(graph.output)} outputs; "
            "a network of the language has one of each"
        )
    (images,) = inputs
    readers = [node for node in graph.node if images.name in node.input]
    last = bool(readers) and all(_turns_first(node) for node in readers)
    shape = _image_shape(images, input_shape, last)
    found = ForeignGraph(images.name, shape, graph.output[0].name, channels_last=last)
    for node in graph.node:
        call = OnnxCall(node, constants)
        if node.op_type == "Constant" and node.domain in DOMAINS:
            constants[node.output[0]] = _constant(call)
            continue
        if node.op_type == "Identity" and node.input[0] in constants:
            constants[node.output[0]] = constants[node.input[0]]
            continue
        reads, name = tuple(call.computed), node.name or node.output[0]
        found.nodes.append(ForeignNode(_read(call), reads, node.output[0], name, node.op_type))
        for other in node.output[1:]:
            does = foreign.Unknown("only its first output can be read")
            found.nodes.append(ForeignNode(does, reads, other, name, node.op_type))
    return found


def _names(graph: onnx.GraphProto) -> Iterator[object]:
    """All names in a graph: bytes, where they are not UTF-8."""
    for value in (*graph.initializer, *graph.input, *graph.output):
        yield value.name
    for node in graph.node:
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        yield from (attribute.name for attribute in node.attribute)


def _turns_first(node: onnx.NodeProto) -> bool:
    """Whether a node turns maps with channels last into maps with channels first."""
    return node.op_type == "Transpose" and OnnxCall(node, {}).get("perm", []) == [0, 3, 1, 2]


def _image_shape(
    images: onnx.ValueInfoProto, wanted: tuple[int, int, int] | None, last: bool
) -> tuple[int, int, int]:
    kind = images.type.tensor_type
    axes = [axis.dim_value for axis in kind.shape.dim]
    if len(axes) != 4 or kind.elem_type != onnx.TensorProto.FLOAT:
        raise ModelError(
            f"the input '{shorten(images.name)}' is not a batch of images in float32 "
            f"(batch, channels, height, width)"
        )
    own = tuple(axes[1:]) if last else (*axes[2:], axes[1])
    if wanted is None:
        if not all(own):
            raise ModelError(
                "the model leaves the shape of its images open",
                hint="Say it: --input 32x32x3, or input_shape=(32, 32, 3).",
            )
        return own[0], own[1], own[2]
    if any(size and size != other for size, other in zip(own, wanted, strict=True)):
        told = "x".join(str(size or "?") for size in own)
        raise ModelError(f"the model is for images of {told}, not {'x'.join(map(str, wanted))}")
    return wanted


def _array(tensor: onnx.TensorProto) -> NDArray[Any]:
    """A constant, of whatever type; checked to hold as many numbers as it says."""
    shape = tuple(tensor.dims)
    if tensor.data_type not in (*FLOATS, *INTEGERS):
        return np.empty(0, np.int64)
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    held = len(tensor.raw_data) // dtype.itemsize
    if not tensor.HasField("raw_data"):
        held = max(len(tensor.float_data), len(tensor.double_data), len(tensor.int64_data),
                   len(tensor.int32_data))  # fmt: skip
    if any(size < 0 for size in shape) or prod(shape) != held:
        raise ModelError(
            f"the weight '{shorten(tensor.name)}' holds {held:,} numbers, not "
            f"{'x'.join(map(str, shape)) or '1'}"
        )
    array = onnx.numpy_helper.to_array(tensor)
    return array.astype(np.float32) if tensor.data_type in FLOATS else array.astype(np.int64)


def _constant(call: OnnxCall) -> NDArray[Any]:
    for name, dtype in (("value_float", np.float32), ("value_floats", np.float32),
                        ("value_int", np.int64), ("value_ints", np.int64)):  # fmt: skip
        if (value := call.get(name)) is not None:
            return np.array(value, dtype)
    tensor = call.get("value")
    return _array(tensor) if isinstance(tensor, onnx.TensorProto) else np.empty(0)


@dataclass(slots=True)
class OnnxCall:
    """A node with the constants among its inputs."""

    node: onnx.NodeProto
    constants: Mapping[str, NDArray[Any]]

    @property
    def computed(self) -> list[str]:
        """The names of the inputs that are not constants."""
        return [name for name in self.node.input if name and name not in self.constants]

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute."""
        for attribute in self.node.attribute:
            if attribute.name == name:
                value = onnx.helper.get_attribute_value(attribute)
                return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        return default

    def constant(self, position: int, what: str) -> NDArray[Any] | None:
        """The constant at an input; None where there is no input."""
        names = self.node.input
        if position >= len(names) or not names[position]:
            return None
        if names[position] not in self.constants:
            raise Unreadable(f"its {what} is computed, not a constant of the model")
        return self.constants[names[position]]

    def weight(self, position: int, what: str, axes: int) -> Array:
        """A weight with so many axes."""
        array = self.constant(position, what)
        if array is None or array.ndim != axes:
            raise Unreadable(f"its {what} does not have {axes} axes")
        return array

    def integers(self, name: str, position: int | None = None) -> list[int] | None:
        """Whole numbers from an attribute or, in newer operators, from a constant input."""
        value = self.get(name)
        if value is None and position is not None:
            array = self.constant(position, name)
            value = None if array is None else array.ravel().tolist()
        return None if value is None else [int(number) for number in value]

    def scalar(self, name: str, position: int, default: float) -> float:
        """A number from an attribute or a constant input."""
        value = self.get(name)
        if value is None and (array := self.constant(position, name)) is not None:
            value = array.ravel()[0] if array.size == 1 else None
        return default if value is None else float(value)


def _read(call: OnnxCall) -> Primitive:
    reader = OPERATORS.get(call.node.op_type) if call.node.domain in DOMAINS else None
    if reader is None:
        return foreign.Unknown()
    if not call.computed:
        return foreign.Unknown("it computes a constant, which is not read")
    try:
        return reader(call)
    except Unreadable as reason:
        return foreign.Unknown(str(reason))
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        return foreign.Unknown("its attributes and weights do not go together")


def _two(values: list[int] | None, default: int, what: str) -> tuple[int, int]:
    values = [default, default] if values is None else values
    if len(values) != 2:
        raise Unreadable(f"its {what} has {len(values)} axes, not 2")
    return values[0], values[1]


def _padding(call: OnnxCall) -> Any:
    """The padding: pads, or the word `same` or `valid`."""
    match call.get("auto_pad", "NOTSET"):
        case "SAME_UPPER":
            return "same"
        case "VALID":
            return "valid"
        case "SAME_LOWER":
            raise Unreadable("it pads the odd pixel before the map (SAME_LOWER), `same` after it")
    pads = call.integers("pads") or [0, 0, 0, 0]
    if len(pads) != 4:
        raise Unreadable(f"it pads {len(pads) // 2} axes, not 2")
    return tuple(pads)


def _conv(call: OnnxCall) -> Primitive:
    kernel = call.weight(1, "kernel", 4)
    return foreign.Convolved(
        kernel.transpose(2, 3, 1, 0),
        call.weight(2, "bias", 1) if call.constant(2, "bias") is not None else None,
        _two(call.integers("strides"), 1, "stride"),
        _padding(call),
        _two(call.integers("dilations"), 1, "dilation"),
        int(call.get("group", 1)),
        stated=call.get("pads") is not None,
    )


def _norm(call: OnnxCall) -> Primitive:
    if call.get("training_mode", 0):
        raise Unreadable("it takes the statistics of the batch, as in training")
    scale, shift, mean, variance = (
        call.weight(at, what, 1)
        for at, what in enumerate(("scale", "shift", "mean", "variance"), 1)
    )
    return foreign.Normalised(scale, shift, mean, variance, _short(call.get("epsilon", 1e-5)))


def _short(number: float) -> float:
    """The shortest decimal that is this number in float32, as which ONNX keeps attributes."""
    return float(str(np.float32(number)))


def _pool(call: OnnxCall, pooling: Any) -> Primitive:
    if call.integers("dilations") not in (None, [1, 1]):
        raise Unreadable("its window is dilated, and the language's poolings are not")
    if len(call.node.output) > 1 and call.node.output[1]:
        raise Unreadable("it also gives the places of the maxima")
    return foreign.Pooled(
        pooling,
        _two(call.integers("kernel_shape"), 1, "window"),
        _two(call.integers("strides"), 1, "stride"),
        _padding(call),
        ceiled=bool(call.get("ceil_mode", 0)),
        counted=bool(call.get("count_include_pad", 0)),
        stated=call.get("pads") is not None,
    )


def _reduced(call: OnnxCall, pooling: Any) -> Primitive:
    axes = call.integers("axes", 1)
    if axes is None or sorted(axis % 4 for axis in axes) != [2, 3]:
        raise Unreadable("it reduces other axes than the height and the width of a map")
    return foreign.PooledTo(pooling, (1, 1), keeps_axes=bool(call.get("keepdims", 1)))


def _clip(call: OnnxCall) -> Primitive:
    low, high = call.scalar("min", 1, -np.inf), call.scalar("max", 2, np.inf)
    if low == 0.0 and high == 6.0:
        return foreign.Activated("relu6")
    if low == 0.0 and high == np.inf:
        return foreign.Activated("relu")
    raise Unreadable(f"it cuts off at {low:g} and {high:g}; the language has relu and relu6")


def _fixed(function: str, **wanted: float) -> Callable[[OnnxCall], Primitive]:
    """An activation whose attributes must have the language's values."""

    def read(call: OnnxCall) -> Primitive:
        for name, value in wanted.items():
            default = DEFAULTS[function][name]
            given = float(call.get(name, default))
            if abs(given - value) > 1e-6:
                raise Unreadable(f"its {name} is {given:g}, in the language it is {value:g}")
        return foreign.Activated(function)

    return read


DEFAULTS = {
    "leaky_relu": {"alpha": 0.01},
    "elu": {"alpha": 1.0},
    "selu": {"alpha": 1.6732632423543772, "gamma": 1.0507009873554805},
    "hardsigmoid": {"alpha": 0.2, "beta": 0.5},
}
"""What ONNX takes where an attribute is not given."""


def _gelu(call: OnnxCall) -> Primitive:
    if call.get("approximate", "none") != "none":
        raise Unreadable("it is gelu approximated by tanh; the language's is exact")
    return foreign.Activated("gelu")


def _gemm(call: OnnxCall) -> Primitive:
    if call.get("transA", 0) or call.get("alpha", 1.0) != 1.0 or call.get("beta", 1.0) != 1.0:
        raise Unreadable("it scales or transposes what it multiplies")
    kernel = call.weight(1, "matrix", 2)
    bias = call.constant(2, "bias")
    if call.get("transB", 0):
        kernel = kernel.T
    if bias is not None:
        bias = np.broadcast_to(bias, (1, kernel.shape[1]))[0] if bias.size != 0 else None
    return foreign.Multiplied(kernel, bias)


def _matmul(call: OnnxCall) -> Primitive:
    return foreign.Multiplied(call.weight(1, "matrix", 2))


def _sum(call: OnnxCall) -> Primitive:
    if len(call.computed) == len(call.node.input):
        return foreign.Summed()
    (constant,) = (call.constants[name] for name in call.node.input if name in call.constants)
    return foreign.Shifted(constant)


def _product(call: OnnxCall) -> Primitive:
    if len(call.computed) == 2:
        return foreign.Product()
    (constant,) = (call.constants[name] for name in call.node.input if name in call.constants)
    return foreign.Scaled(constant)


def _quotient(call: OnnxCall) -> Primitive:
    divisor = call.constant(1, "divisor")
    assert divisor is not None
    with np.errstate(divide="ignore"):
        return foreign.Scaled((1 / divisor.astype(np.float64)).astype(np.float32))


def _flatten(call: OnnxCall) -> Primitive:
    if call.get("axis", 1) != 1:
        raise Unreadable("it flattens the batch too")
    return foreign.Reshaped((0, -1))


def _reshape(call: OnnxCall) -> Primitive:
    shape = call.integers("shape", 1)
    if shape is None or call.get("allowzero", 0):
        raise Unreadable("its shape is not a constant")
    return foreign.Reshaped(tuple(shape))


def _squeeze(call: OnnxCall) -> Primitive:
    axes = call.integers("axes", 1)
    if axes is None or sorted(axis % 4 for axis in axes) != [2, 3]:
        raise Unreadable("it leaves out other axes than the height and the width")
    return foreign.Reshaped((0, -1))


def _pad(call: OnnxCall) -> Primitive:
    pads = call.integers("pads", 1) or []
    if call.get("mode", "constant") != "constant" or call.scalar("value", 2, 0.0) != 0.0:
        raise Unreadable("it pads with other values than zeros")
    if call.constant(3, "axes") is not None or len(pads) != 8 or any(pads[:2] + pads[4:6]):
        raise Unreadable("it pads other axes than the height and the width")
    return foreign.Padded((pads[2], pads[3], pads[6], pads[7]))


def _slice(call: OnnxCall) -> Primitive:
    starts, stops = call.integers("starts", 1), call.integers("ends", 2)
    axes, steps = call.integers("axes", 3), call.integers("steps", 4)
    if starts is None or stops is None or len(starts) != 1:
        raise Unreadable("it cuts more than one axis")
    return foreign.Sliced((axes or [0])[0], starts[0], stops[0], (steps or [1])[0])


OPERATORS: dict[str, Callable[[OnnxCall], Primitive]] = {
    "Conv": _conv,
    "BatchNormalization": _norm,
    "MaxPool": lambda call: _pool(call, "max"),
    "AveragePool": lambda call: _pool(call, "avg"),
    "GlobalMaxPool": lambda call: foreign.PooledTo("max", (1, 1)),
    "GlobalAveragePool": lambda call: foreign.PooledTo("avg", (1, 1)),
    "ReduceMax": lambda call: _reduced(call, "max"),
    "ReduceMean": lambda call: _reduced(call, "avg"),
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Add": _sum,
    "Sum": _sum,
    "Mul": _product,
    "Div": _quotient,
    "Concat": lambda call: foreign.Joined(int(call.get("axis", 1))),
    "Dropout": lambda call: foreign.Dropped(_short(call.scalar("ratio", 1, 0.5))),
    "Identity": lambda call: foreign.Kept(),
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "Transpose": lambda call: foreign.Permuted(tuple(call.integers("perm") or ())),
    "Pad": _pad,
    "Slice": _slice,
    "Clip": _clip,
    "Relu": lambda call: foreign.Activated("relu"),
    "Tanh": lambda call: foreign.Activated("tanh"),
    "Sigmoid": lambda call: foreign.Activated("sigmoid"),
    "HardSwish": lambda call: foreign.Activated("hardswish"),
    "Mish": lambda call: foreign.Activated("mish"),
    "Softplus": lambda call: foreign.Activated("softplus"),
    "Erf": lambda call: foreign.Activated("erf"),
    "Gelu": _gelu,
    "Selu": _fixed("selu", **DEFAULTS["selu"]),
    "Elu": _fixed("elu", alpha=1.0),
    "LeakyRelu": _fixed("leaky_relu", alpha=0.01),
    "HardSigmoid": _fixed("hardsigmoid", alpha=1 / 6, beta=0.5),
    "Softmax": lambda call: foreign.Unknown("the language's networks give logits, without softmax"),
}
