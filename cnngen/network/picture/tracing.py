"""Traces the PyTorch model of a network with torchview, and draws the trace with Graphviz."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from typing import TYPE_CHECKING

from cnngen.errors import CnnGenError
from cnngen.network.network import Network

if TYPE_CHECKING:
    from torchview import ComputationGraph

BATCH = 2
"""Number of images in the traced batch; batch norm in training needs two."""


def trace_picture(network: Network) -> str:
    """Draw the operations that PyTorch runs for a network as SVG, with Graphviz.

    Raises `CnnGenError` if torch, torchview, the Python package graphviz or Graphviz's program
    `dot` is missing; its hint says how to install it.
    """
    graph = trace(network)
    if shutil.which("dot") is None:
        raise CnnGenError(
            "the traced picture is drawn by Graphviz, whose program `dot` is not on the path",
            hint="Install it, for example with `apt install graphviz` or `brew install graphviz`; "
            "`to_svg` works without it.",
        )
    return str(graph.visual_graph.pipe(format="svg", encoding="utf-8"))


def trace(network: Network) -> ComputationGraph:
    """Trace one run of the emitted PyTorch model with torchview. Does not need `dot`.

    Raises `CnnGenError` if torch, torchview or graphviz is missing.
    """
    missing = [name for name in ("torch", "torchview", "graphviz") if find_spec(name) is None]
    if missing:
        raise CnnGenError(
            f"tracing needs packages that are not installed: {', '.join(missing)}",
            hint="Install them with `pip install 'cnngen[trace]'`.",
        )
    from torchview import draw_graph

    # Safe to execute: this is our own source, whose names are identifiers by construction.
    module: dict[str, type] = {}
    exec(compile(network.to_source("torch"), "<network>", "exec"), module)
    height, width, channels = network.input_shape
    return draw_graph(
        module["Net"](),
        input_size=(BATCH, channels, height, width),
        graph_name=network.name or network.id,
        depth=1,
        device="cpu",
    )
