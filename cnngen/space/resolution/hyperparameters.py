"""`resolve`: fixes the open hyper-parameters of a description and builds its network."""

from __future__ import annotations

import random as random_module
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import pairwise
from math import prod
from pathlib import Path

from cnngen.errors import ResolveError
from cnngen.language import parse, sentence
from cnngen.language.tree import Description, Layer, Merge, MergeMode, Value, filled, gather
from cnngen.language.values import LARGEST
from cnngen.network import Network
from cnngen.operations import WINDOW_NAMES, WORDS, shapes
from cnngen.space.resolution.channels import choose_filters
from cnngen.space.resolution.draw_windows import draw_windows
from cnngen.space.resolution.lower import lower
from cnngen.space.resolution.reach import Item
from cnngen.space.space import Random, Space, load_space

DEFAULT_INPUT = (32, 32, 3)
DEFAULT_CLASSES = 10

SQUEEZE, LEAST_SQUEEZED = 16, 8
"""By how much squeeze-and-excitation narrows channels unless told (Hu et al., 2018, section 6.1),
and the units that it keeps of few channels."""


def resolve(
    description: Description | str,
    *,
    space: str | Path | Space = "paper",
    input_shape: tuple[int, int, int] | None = None,
    classes: int | None = None,
    seed: int = 0,
) -> Network:
    """Resolve a description, or its text, into a network: keep what is given, draw what is open.

    Open hyper-parameters are drawn from `space` (a name, a TOML file or a `Space`) with `seed`.
    `input_shape` (height, width, channels) and `classes` are used where the description leaves
    these open, by default 32x32x3 and 10. The same arguments give the same network on every
    machine. For a resolved description, the seed has no effect.

    Raises `DescriptionError` for a tree that does not follow the grammar, `ResolveError` if the
    description contradicts itself or the arguments, and `SpaceError` for an invalid space.
    """
    if isinstance(description, str):
        description = parse(description)
    items = sentence.walk(description)
    return _resolve(description, items, load_space(space), input_shape, classes, seed)


def resolve_sentence(
    description: Description,
    *,
    space: str | Path | Space = "paper",
    input_shape: tuple[int, int, int] | None = None,
    classes: int | None = None,
    seed: int = 0,
) -> Network:
    """Resolve a description that is known to follow the grammar, without checking it."""
    items = description.walk()
    return _resolve(description, items, load_space(space), input_shape, classes, seed)


def _resolve(
    description: Description,
    walk: Iterable[Item],
    space: Space,
    input_shape: tuple[int, int, int] | None,
    classes: int | None,
    seed: int,
) -> Network:
    random = random_module.Random(seed).random
    shape = _input_shape(description, input_shape)
    classes = _classes(description, classes)
    items = [_closed(item, space, random) for item in walk]
    activation = space.convolution.activations.draw(random)
    mode: MergeMode = space.merge.modes.draw(random)
    items = [
        replace(item, mode=item.mode or mode) if isinstance(item, Merge) else item for item in items
    ]
    drawn = draw_windows(items, description, space, shape[:2], random)
    filters, squeezed, channels = choose_filters(
        items, description, space, shape[2], drawn.reducing
    )

    features = 0
    for position, item in enumerate(items):
        if not isinstance(item, Layer):
            continue
        known: dict[str, Value] = dict(item.parameters)
        if position in drawn.windows:
            window = drawn.windows[position]
            known |= {
                WINDOW_NAMES[item.kind]: window.extent,
                "stride": window.stride,
                "padding": window.padding,
            }
        if position in filters:
            known["filters"] = filters[position]
        if position in squeezed:
            known.setdefault("squeezed", max(LEAST_SQUEEZED, squeezed[position] // SQUEEZE))
        match item.kind:
            case "flatten":
                features = prod(drawn.end) * channels
            case "global_avg_pooling" | "global_max_pooling":
                features = channels
            case "dense" if position == len(items) - 1:
                assert classes is not None
                known.setdefault("units", classes)
                known.setdefault("activation", "linear")
            case "dense":
                units = known.get("units") or _hidden_units(features, space, random)
                assert isinstance(units, int)
                features = known["units"] = units
        items[position] = _filled(item, known, activation, space, random)

    nodes = gather(items)
    end = len(nodes) - len(description.head)
    head = tuple(node for node in nodes[end:] if isinstance(node, Layer))
    return lower(
        replace(description, features=nodes[:end], head=head, input_shape=shape, classes=classes)
    )


def _input_shape(
    description: Description, wanted: tuple[int, int, int] | None
) -> tuple[int, int, int]:
    own = description.input_shape
    if wanted and not (len(wanted) == 3 and all(1 <= size <= LARGEST for size in wanted)):
        raise ResolveError(
            f"an image cannot have the shape {wanted}",
            hint=f"Give height, width and channels, each from 1 to {LARGEST:,}.",
        )
    if own and wanted and own != wanted:
        raise ResolveError(
            f"the description is for {shapes.text(own)} images, these are {shapes.text(wanted)}",
            hint="Change one, or write `input` alone.",
            source=description.source,
            span=description.input_span if description.source else None,
        )
    return own or wanted or DEFAULT_INPUT


def _classes(description: Description, wanted: int | None) -> int | None:
    """Return the number of classes; None for a backbone."""
    if wanted is not None and not 1 <= wanted <= LARGEST:
        raise ResolveError(
            f"the number of classes cannot be {wanted}", hint=f"It must be from 1 to {LARGEST:,}."
        )
    if description.is_backbone:
        return None
    last = description.head[-1]
    units = last.parameters.get("units")
    assert units is None or isinstance(units, int)
    said = (
        (units, "the last dense layer has", last.parameter_spans.get("units", last.span)),
        (description.classes, "the output has", description.output_span),
        (wanted, "the data have", description.output_span),
    )
    found = [(count, who, span) for count, who, span in said if count is not None]
    for (first, who, span), (second, other, _) in pairwise(found):
        if first != second:
            raise ResolveError(
                f"{who} {first:,} classes, {other} {second:,}",
                hint="The last dense layer has one unit for each class.",
                source=description.source,
                span=span if description.source else None,
            )
    return found[0][0] if found else DEFAULT_CLASSES


def _closed(item: Item, space: Space, random: Random) -> Item:
    """Replace an open word such as `pooling` with one of the words it stands for."""
    if isinstance(item, Layer) and WORDS[item.kind].choice:
        return replace(item, kind=space.draw_kind(item.kind, random))
    return item


def _hidden_units(features: int, space: Space, random: Random) -> int:
    """Draw the units of a hidden dense layer: a share of its inputs, even and at least 2."""
    head = space.classification
    if features >= 1000:
        units = min(int(features * head.wide), head.wide_limit)
    else:
        low, high = head.narrow
        units = int(features * (low + (high - low) * random()))
    return max(2, units // 2 * 2)


def _filled(
    layer: Layer, known: Mapping[str, Value], activation: str, space: Space, random: Random
) -> Layer:
    """Return a layer with all its hyper-parameters, in canonical order."""
    parameters: dict[str, Value] = {}
    word = WORDS[layer.kind]
    for name in word.parameter_names:
        if name in word.optional and known.get(name, word.optional[name]) == word.optional[name]:
            continue
        if name in known:
            parameters[name] = known[name]
            continue
        match name:
            case "activation":
                parameters[name] = activation
            case "bias":
                # Batch norm cancels a bias, unless an activation lies between them.
                parameters[name] = layer.kind != "convbn" or (
                    parameters["activation"] != "linear" and known.get("order") != "conv_norm_act"
                )
            case "epsilon":
                parameters[name] = space.batch_norm_epsilons.draw(random)
            case "rate":
                parameters[name] = space.dropout_rates.draw(random)
            case _:
                raise AssertionError(f"{layer.kind} still has an open {name}")
    return filled(layer, parameters)
