"""Computes the responses to the page's requests, in worker processes.

Results are plain values that JSON can represent. Errors are `CnnGenError`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from cnngen.editor import TextSettings, diagnostics
from cnngen.editor.analysis import analyse, parse_result
from cnngen.editor.completion import completions
from cnngen.editor.diagnostics import Severity
from cnngen.editor.studio import requests as queries
from cnngen.editor.studio.limits import Limits
from cnngen.errors import CnnGenError
from cnngen.language import Description, format, parse
from cnngen.network import Network
from cnngen.network.picture import to_svg
from cnngen.network.picture.labels import box_label
from cnngen.operations import shapes
from cnngen.space.resolution import resolve


@dataclass(frozen=True, slots=True)
class TextFault:
    """A mistake, with a half-open range of characters if it has a position."""

    message: str
    hint: str | None
    start: int | None
    end: int | None
    severity: Severity = "error"


@dataclass(frozen=True, slots=True)
class LayerRow:
    """An operation and its cost for one image. `start` and `end` are its range in the text."""

    name: str
    kind: str
    detail: str
    shape: str
    parameters: int
    flops: int
    activations: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class NetworkSummary:
    """The figures of a network; see `Network` and `Cost`. `output` is classes or a shape."""

    id: str
    name: str | None
    input: str
    output: str
    backbone: bool
    layers: int
    parameters: int
    flops: int
    activations: int


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The faults of a text, and its network with its layers and drawing.

    If `whole` is true, no fault is an error; otherwise the network, if any, is made of the valid
    parts of the text. `svg` is None if the network is too large to draw while typing.
    """

    faults: list[TextFault]
    whole: bool = False
    network: NetworkSummary | None = None
    layers: list[LayerRow] | None = None
    svg: str | None = None


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A word that may come next. What is already written of it begins at `start`."""

    text: str
    kind: str
    start: int
    detail: str


@dataclass(frozen=True, slots=True)
class NamedText:
    """A description for the editor, with a file name."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of source code."""

    name: str
    code: str


def check_text(query: queries.Check, limits: Limits) -> CheckResult:
    """Check a text: its diagnostics as in the language server, its picture and its cost."""
    text = query.text
    if len(text) > limits.characters:
        return CheckResult([fault(_too_long(text, limits))])
    settings = _settings(query, parse_result(text).description)
    faults = [
        TextFault(found.message, found.hint, found.span.start, found.span.end, found.severity)
        for found in diagnostics(text, settings)
    ]
    whole = all(fault.severity != "error" for fault in faults)
    network = analyse(text, settings).network
    if network is None:
        return CheckResult(faults, whole)
    svg = to_svg(network) if len(network) <= limits.drawn else None
    return CheckResult(faults, whole, network_summary(network), list(layer_rows(network)), svg)


def complete(query: queries.Complete, limits: Limits) -> list[Suggestion]:
    """Return the words that may come next at an offset."""
    if len(query.text) > limits.characters:
        return []
    settings = _settings(query, None)
    found = completions(query.text, query.offset, settings)
    return [Suggestion(word.text, word.kind, word.span.start, word.detail) for word in found]


def generate_source(query: queries.Generate, limits: Limits) -> SourceFile:
    """Generate the source code of a text's network."""
    network = network_of(query, limits)
    code = network.to_source(query.backend, script=query.script)
    return SourceFile(f"{(network.name or network.id).lower()}_{query.backend}.py", code)


def sample_text(query: queries.Sample, limits: Limits) -> NamedText:
    """Sample a network, as a text with all hyper-parameters."""
    from cnngen.space.resolution.hyperparameters import DEFAULT_CLASSES, DEFAULT_INPUT
    from cnngen.space.sampling import Bounds
    from cnngen.space.sampling import sample as draw

    network = draw(
        query.space,
        input_shape=query.input_shape or DEFAULT_INPUT,
        classes=query.classes or DEFAULT_CLASSES,
        seed=query.seed,
        bounds=Bounds(query.layers, query.parameters, query.flops),
    )
    text = format(network.description, long=True)
    if len(text) > limits.characters:
        raise CnnGenError(
            f"the network's text has {len(text):,} characters, more than {limits.characters:,}",
            hint="Bound the layers, or use another seed.",
        )
    return NamedText(f"{network.id}.cnn", text)


def network_of(query: queries.Check, limits: Limits) -> Network:
    """Resolve a text to its network. Raises `CnnGenError` if it is not valid."""
    if len(query.text) > limits.characters:
        raise _too_long(query.text, limits)
    description = parse(query.text)
    settings = _settings(query, description)
    return resolve(
        description,
        space=settings.space,
        input_shape=settings.input_shape,
        classes=settings.classes,
        seed=settings.seed,
    )


def _settings(query: queries.NetworkQuery, description: Description | None) -> TextSettings:
    """Return the settings of a query, without those that the description itself fixes."""
    shape, classes = query.input_shape, query.classes
    if description is not None:
        head = description.head
        shape = None if description.input_shape else shape
        classes = (
            None if description.classes or (head and "units" in head[-1].parameters) else classes
        )
    return TextSettings(shape, classes, query.space, query.seed)


def _too_long(text: str, limits: Limits) -> CnnGenError:
    return CnnGenError(
        f"the text has {len(text):,} characters, more than the studio's limit of {limits.characters:,}",
        hint="The command line accepts longer texts.",
    )


def fault(error: CnnGenError) -> TextFault:
    """Convert an error for the page."""
    span = error.span
    start, end = (span.start, span.end) if span else (None, None)
    return TextFault(error.message, error.hint, start, end)


def network_summary(network: Network) -> NetworkSummary:
    """Return the figures of a network."""
    cost = network.cost
    output = (
        f"{network.classes:,} classes" if network.classes else shapes.text(network.output_shape)
    )
    return NetworkSummary(
        network.id,
        network.name,
        shapes.text(network.input_shape),
        output,
        network.is_backbone,
        cost.layers,
        cost.parameters,
        cost.flops,
        cost.activations,
    )


def layer_rows(network: Network) -> Iterator[LayerRow]:
    """Yield the operations of a network, in its own order."""
    for node in network.nodes:
        inputs = network.input_shapes(node)
        label = box_label(node)
        yield LayerRow(
            node.name,
            label.title,
            label.detail,
            shapes.text(node.shape),
            node.operation.parameters(*inputs),
            2 * node.operation.multiply_adds(*inputs),
            prod(node.shape),
            node.span.start,
            node.span.end,
        )
