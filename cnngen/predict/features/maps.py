"""How the feature maps shrink on their way, and how little is left where it is narrowest."""

from __future__ import annotations

from math import log2, prod

from cnngen.network import Network
from cnngen.operations import Windowed
from cnngen.predict.features.groups import group, in_group


def maps(network: Network) -> dict[str, float]:
    """Sizes of maps along the main column, receptive field, bottlenecks.

    `area_25` … `area_75` are areas after so many per cent of the main column's windows.
    `first_point` is the share of the windows, in the order of the graph, that come before the
    first map of one pixel (1 where there is none). `bottleneck` counts the numbers that
    everything later can know of the image, where they are fewest; `main_bottleneck` those of
    the narrowest map of the main column; `peak` where they are most.
    """
    height, width, _ = network.input_shape
    windows = [node for node in network.nodes if isinstance(node.operation, Windowed)]
    areas = [prod(node.shape[:2]) for node in windows]
    main = [prod(node.shape[:2]) for node in windows if node.branch == 0]
    column = main or areas or [height * width]
    points = [area == 1 for area in areas]
    first = points.index(True) / len(points) if any(points) else 1.0
    heads = [
        network.nodes[node.inputs[0]].shape
        for node in in_group(network, "flatten", "global_pooling")
    ]
    end = heads[0] if heads else network.nodes[-1].shape
    fields, strides = receptive_field(network)
    cuts = _cuts(network)
    narrow = [prod(node.shape) for node in network.nodes if node.branch == 0]
    # The output is not a bottleneck: the logits are few by nature.
    hidden = narrow[:-1] if network.classes else narrow
    counted = cuts[:-1] if network.classes else cuts
    reducing = [max(node.operation.window()[2:4]) > 1 for node in in_group(network, "convolution")]
    return {
        "end_area": log2(prod(end[:2])),
        "end_channels": log2(end[2]),
        "end_numbers": log2(prod(end)),
        "mean_area": sum(map(log2, areas)) / max(1, len(areas)),
        **{f"area_{p}": log2(column[len(column) * p // 100]) for p in (25, 50, 75)},
        "first_point": first,
        "point_share": sum(points) / max(1, len(points)),
        "strided_convolutions": float(sum(reducing)),
        "total_stride": log2(prod(strides)),
        "receptive_field": log2(prod(fields)),
        "coverage": min(fields[0], height) / height * (min(fields[1], width) / width),
        "bottleneck": log2(min(counted, default=prod(network.input_shape))),
        "main_bottleneck": log2(min(hidden)),
        "peak": log2(max(cuts)),
    }


def receptive_field(network: Network) -> tuple[tuple[int, int], tuple[int, int]]:
    """Height and width of the pixels that one output of the last window can see, and of the
    step between neighbours.

    r' = r + (k - 1) j and j' = j s along a path, the largest where paths meet (Araujo, Norris
    and Sim, "Computing Receptive Fields of Convolutional Neural Networks", Distill 2019,
    doi:10.23915/distill.00021).
    """
    field: list[tuple[int, int]] = []
    jump: list[tuple[int, int]] = []
    seen = step = (1, 1)
    for node in network.nodes:
        (rh, rw), (jh, jw) = (1, 1), (1, 1)
        if node.inputs:
            rh, rw = (max(field[i][axis] for i in node.inputs) for axis in (0, 1))
            jh, jw = (max(jump[i][axis] for i in node.inputs) for axis in (0, 1))
        operation = node.operation
        if isinstance(operation, Windowed):
            kh, kw, sh, sw, _ = operation.window()
            rh, rw, jh, jw = rh + (kh - 1) * jh, rw + (kw - 1) * jw, jh * sh, jw * sw
        field.append((rh, rw))
        jump.append((jh, jw))
        if group(operation) not in ("dense", "flatten", "global_pooling"):
            seen, step = (rh, rw), (jh, jw)
    return seen, step


def _cuts(network: Network) -> list[int]:
    """For each node, how many numbers are held that later nodes read: a cut of the graph."""
    last = [len(network.nodes)] * len(network.nodes)
    for at, node in enumerate(network.nodes):
        for i in node.inputs:
            last[i] = at
    ends: dict[int, int] = {}
    held, cuts = 0, []
    for at, node in enumerate(network.nodes):
        numbers = prod(node.shape)
        held += numbers - ends.pop(at, 0)
        ends[last[at]] = ends.get(last[at], 0) + numbers
        cuts.append(held)
    return cuts
