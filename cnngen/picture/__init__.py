"""Networks drawn as SVG and PNG, without a system program; and as PyTorch ran them."""

from cnngen.picture.png import to_png
from cnngen.picture.svg import to_svg
from cnngen.picture.tracing import trace, trace_picture

__all__ = ["to_png", "to_svg", "trace", "trace_picture"]
