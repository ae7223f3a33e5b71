"""The texts and the colour of an operation's box, and how wide the texts are."""

from __future__ import annotations

from dataclasses import dataclass, fields

from cnngen.errors import CnnGenError
from cnngen.language.tree import value_text
from cnngen.network.adjacency import label
from cnngen.network.network import Node
from cnngen.operations import DEPTHWISE, Colour, Operation, Windowed, is_usual, shapes

SIZE = 11
SMALL = 9
"""Sizes of the font in pixels."""


_TITLES = {"BatchNormalisation": "batch norm"}

_WORDING = {
    "filters": "{} filters",
    "units": "{} units",
    "squeezed": "{} squeezed",
    "epsilon": "ε {}",
    "padding": "{}",
    "activation": "{}",
}


@dataclass(frozen=True, slots=True)
class Label:
    """The texts of a box: what it is in bold, its hyper-parameters small, its shape.

    The hyper-parameters stand on a second line, or beside the title where there is one.
    """

    title: str
    detail: str
    shape: str
    lines: int

    @property
    def width(self) -> int:
        """Pixels that the texts need from edge to edge of their box."""
        first = text_width(self.title, SIZE, bold=True) + text_width(self.shape, SIZE)
        second = text_width(self.detail, SMALL)
        if self.lines == 1 and self.detail:
            return round(first + second + 36)
        return round(max(first + 30, second + 18))


def box_label(node: Node) -> Label:
    """The texts of one operation's box."""
    operation = node.operation
    name = label(operation)
    title = _TITLES.get(name, name.replace("_", " "))
    window = None
    if isinstance(operation, Windowed):
        window = operation.window_name
        title += " " + times("x".join(map(str, getattr(operation, window))))
    details = [_detail(operation, f.name) for f in fields(operation) if f.name != window]
    details = [text for text in details if text]
    return Label(
        title, ", ".join(details), times(shapes.text(node.shape)), 2 if len(details) > 1 else 1
    )


def colour(operation: Operation) -> Colour:
    """The colour of an operation's kind. Raises `CnnGenError` for one that has none."""
    own: Colour | None = getattr(operation, "colour", None)
    if own is None:
        name = type(operation).__name__
        raise CnnGenError(
            f"the operation {name} has no colour for pictures",
            hint=f"Give the class {name} a `colour`.",
        )
    return own


def times(text: str) -> str:
    """`3x3` as 3×3."""
    return text.replace("x", "×") if text[:1].isdigit() else text


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """Pixels that a text takes in DejaVu Sans; Verdana, Arial and Helvetica take less."""
    widths = _BOLD if bold else _REGULAR
    thousandths: int = sum(widths.get(character, 1100) for character in text)
    return size * thousandths / 1000


def _detail(operation: Operation, name: str) -> str:
    value = getattr(operation, name)
    match name:
        case "shape" | "pooling":
            return ""  # The box says it already.
        case "bias":
            return "" if value else "no bias"
        case _ if is_usual(name, value):
            return ""
        case "groups" if value == DEPTHWISE:
            return DEPTHWISE
        case _:
            return _WORDING.get(name, name + " {}").format(times(value_text(value)))


# Advances of DejaVu Sans and DejaVu Sans Bold, in thousandths of the size (table `hmtx`).
_CHARACTERS = [*map(chr, range(32, 127)), *"×ε‖…"]
_REGULAR = dict(
    zip(
        _CHARACTERS,
        [
            *(318, 401, 460, 838, 636, 950, 780, 275, 390, 390, 500, 838, 318, 361, 318, 337),
            *(636, 636, 636, 636, 636, 636, 636, 636, 636, 636, 337, 337, 838, 838, 838, 531),
            *(1000, 684, 686, 698, 770, 632, 575, 775, 752, 295, 295, 656, 557, 863, 748, 787),
            *(603, 787, 695, 635, 611, 732, 684, 989, 685, 611, 685, 390, 337, 390, 838, 500),
            *(500, 613, 635, 550, 635, 615, 352, 635, 634, 278, 278, 579, 278, 974, 634, 612),
            *(635, 635, 411, 521, 392, 634, 592, 818, 592, 592, 525, 636, 337, 636, 838),
            *(838, 541, 500, 1000),
        ],
        strict=True,
    )
)
_BOLD = dict(
    zip(
        _CHARACTERS,
        [
            *(348, 456, 521, 838, 696, 1002, 872, 306, 457, 457, 523, 838, 380, 415, 380, 365),
            *(696, 696, 696, 696, 696, 696, 696, 696, 696, 696, 400, 400, 838, 838, 838, 580),
            *(1000, 774, 762, 734, 830, 683, 683, 821, 837, 372, 372, 775, 637, 995, 837, 850),
            *(733, 850, 770, 720, 682, 812, 774, 1103, 771, 724, 725, 457, 365, 457, 838, 500),
            *(500, 675, 716, 593, 716, 678, 435, 716, 712, 343, 343, 665, 343, 1042, 712, 687),
            *(716, 716, 493, 595, 478, 712, 652, 924, 645, 652, 582, 712, 365, 712, 838),
            *(838, 557, 500, 1000),
        ],
        strict=True,
    )
)
