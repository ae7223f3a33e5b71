"""Networks drawn as SVG and PNG, without a system program."""

from cnngen.picture.png import to_png
from cnngen.picture.svg import to_svg
from cnngen.picture.trace import trace_picture

__all__ = ["to_png", "to_svg", "trace_picture"]
