"""Draws networks as SVG and PNG without a system program, and traces of PyTorch models."""

from cnngen.network.picture.png import to_png
from cnngen.network.picture.svg import to_svg
from cnngen.network.picture.tracing import trace, trace_picture

__all__ = ["to_png", "to_svg", "trace", "trace_picture"]
