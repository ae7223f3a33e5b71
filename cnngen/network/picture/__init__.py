"""Draws networks as SVG, PNG and PDF without a system program, and traces of PyTorch models."""

from cnngen.network.picture.pdf import to_pdf
from cnngen.network.picture.png import to_png
from cnngen.network.picture.svg import to_svg
from cnngen.network.picture.tracing import trace, trace_picture

__all__ = ["to_pdf", "to_png", "to_svg", "trace", "trace_picture"]
