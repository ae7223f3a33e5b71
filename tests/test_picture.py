import hashlib
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import combinations, pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
import resvg_py
from PIL import Image, ImageChops, ImageFont, ImageStat

from cnngen.backend.testing.random_networks import random_branches
from cnngen.errors import CnnGenError
from cnngen.language import parse
from cnngen.network import Network
from cnngen.network.picture import to_pdf, to_png, to_svg
from cnngen.network.picture.labels import text_width
from cnngen.network.picture.png import MAX_PIXELS, font_folder
from cnngen.network.picture.scene import MAX_NODES, scene
from cnngen.operations import OPERATIONS, Add, BatchNorm, Concat, Conv2d, Dense, GlobalPool
from cnngen.space.resolution import lower, resolve
from cnngen.space.sampling import Bounds, sample, sample_many

SVG = "{http://www.w3.org/2000/svg}"
CONV = "conv(filters=4, kernel=3, stride=1, padding=same, activation=relu, bias=true)"
NORM = "convbn(filters=4, kernel=3, stride=1, padding=same, activation=relu, bias=true, epsilon=1)"


def network(features: str) -> Network:
    return lower(parse(f"input(8x8x4) {features} output"))


def skips(depth: int, right: str = "Empty", left: str = CONV) -> str:
    return f"[add ( {left} " * depth + f" , {right} ) ]" * depth


NETWORKS = {
    "one layer": network(CONV),
    "three bodies": network(f"[add ( {CONV} , {NORM} ) ( {CONV} , {CONV} ) ( {NORM} , Empty ) ]"),
    "bodies that all skip": network("[concat " + f"( {CONV} , Empty )" * 4 + " ]"),
    "nested from the start": network("[add ( " * 5 + CONV + f" , {CONV} ) ]" * 5),
    "a wide nest low beside a short right side": network(
        f"[add ( {CONV} {CONV} {CONV} {CONV} {skips(4, CONV)} {CONV} , {CONV} )"
        f" ( {CONV} {CONV} {skips(3, NORM)} , {CONV} {CONV} ) ( {CONV} , {CONV} ) ]"
    ),
    "a long right side": network(f"[add ( {CONV} , {' '.join([NORM] * 40)} ) ]"),
    "a long chain": network(" ".join([NORM] * 70)),
    "cut in a deep nest": network(skips(25, CONV, f"{CONV} {NORM}")),
    "branches": network(
        f"[concat {CONV} | {CONV} {CONV} | Empty | {NORM} {CONV} ] {CONV} [add Empty | {CONV} ]"
    ),
    "nested branches": network(
        f"[add [add ({CONV}, Empty) ({CONV}, {CONV})] | [add {CONV} | [add Empty | {CONV} | {NORM} ]"
        f" {CONV} | {CONV} [add {CONV} {CONV} | Empty | {CONV} ] ] | [add ({CONV}, {CONV}) ({CONV},"
        f" {CONV})] {CONV} [add ({CONV}, Empty) ({CONV}, Empty)] | {CONV} ]"
    ),
    "branches cut into strips": network(
        f"[add {CONV} | [add {' '.join([CONV] * 50)} | {NORM} {skips(9)} | Empty ] | {CONV} ]"
    ),
    **{f"random branches {seed}": random_branches(seed) for seed in range(30)},
    **{f"sampled {seed}": sample("paper", seed=seed) for seed in range(12)},
}
every_network = pytest.mark.parametrize("net", NETWORKS.values(), ids=NETWORKS)

Point = tuple[float, float]


@dataclass(frozen=True)
class Frame:
    """A rectangle, from its left upper to its right lower corner."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: "Frame") -> bool:
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )

    def holds(self, other: "Frame", margin: float = 0) -> bool:
        return (
            self.left + margin <= other.left
            and other.right <= self.right - margin
            and self.top + margin <= other.top
            and other.bottom <= self.bottom - margin
        )


@dataclass(frozen=True)
class Picture:
    """What an SVG shows, read back from its text."""

    page: Frame
    boxes: list[Frame]
    texts: list[list[Frame]]
    paths: dict[tuple[int, int], list[Point]]


@cache
def font(bold: bool) -> ImageFont.FreeTypeFont:
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(font_folder() / name), 1000)


def frame_of_text(text: ElementTree.Element) -> Frame:
    """Where a text stands, measured with the font itself."""
    assert text.text is not None
    size = int(text.get("font-size", "11"))
    bold = text.get("font-weight") == "bold"
    width = font(bold).getlength(text.text) * size / 1000
    x, y = float(text.get("x", "nan")), float(text.get("y", "nan"))
    left = x - {"start": 0, "middle": width / 2, "end": width}[text.get("text-anchor", "start")]
    return Frame(left, y - 0.76 * size, left + width, y + 0.24 * size)


def frame_of_box(node: ElementTree.Element) -> Frame:
    rectangle = node.find(SVG + "rect")
    if rectangle is not None:
        x, y, width, height = (
            float(rectangle.get(k, "nan")) for k in ("x", "y", "width", "height")
        )
        return Frame(x, y, x + width, y + height)
    circle = node.find(SVG + "circle")
    assert circle is not None
    x, y, radius = (float(circle.get(k, "nan")) for k in ("cx", "cy", "r"))
    return Frame(x - radius, y - radius, x + radius, y + radius)


def points(path: str) -> list[Point]:
    """The ends of a path and the corners of its arcs, moved as their group is."""
    found: list[Point] = []
    for command, numbers in re.findall(r"([MLQ])([-\d. ]+)", path):
        values = [float(number) + 0.5 for number in numbers.split()]
        if command != "L":
            found.append((values[0], values[1]))
    return [*found, (values[-2], values[-1])]


@cache
def read(svg: str) -> Picture:
    root = ElementTree.fromstring(svg)
    left, top, width, height = map(float, root.get("viewBox", "").split())
    nodes = [g for g in root.iter(SVG + "g") if g.get("class") == "node"]
    assert [g.get("data-index") for g in nodes] == [str(i) for i in range(len(nodes))]
    paths = {}
    (lines,) = (g for g in root.iter(SVG + "g") if g.get("transform") == "translate(0.5 0.5)")
    for path in lines.iter(SVG + "path"):
        if edge := path.get("data-edge"):
            source, target = map(int, edge.split())
            paths[source, target] = points(path.get("d", ""))
    return Picture(
        Frame(left, top, left + width, top + height),
        [frame_of_box(g) for g in nodes],
        [[frame_of_text(t) for t in g.iter(SVG + "text")] for g in nodes],
        paths,
    )


def pieces(path: list[Point]) -> Iterator[Frame]:
    for (x, y), (to_x, to_y) in pairwise(path):
        yield Frame(min(x, to_x), min(y, to_y), max(x, to_x), max(y, to_y))


# ---- SVG


@every_network
def test_every_node_has_a_box_with_its_name_and_every_edge_a_path(net: Network) -> None:
    root = ElementTree.fromstring(to_svg(net))
    names = [g.get("data-node") for g in root.iter(SVG + "g") if g.get("class") == "node"]
    assert names == [node.name for node in net.nodes]
    edges = {(i, at) for at, node in enumerate(net.nodes) for i in node.inputs}
    assert set(read(to_svg(net)).paths) == edges


@every_network
def test_no_two_boxes_and_no_texts_beside_them_overlap(net: Network) -> None:
    picture = read(to_svg(net))
    taken = [
        [box, *(text for text in texts if not box.holds(text))]
        for box, texts in zip(picture.boxes, picture.texts, strict=True)
    ]
    for one, other in combinations(taken, 2):
        assert not any(a.meets(b) for a in one for b in other)


@every_network
def test_texts_stay_in_their_box_and_off_each_other(net: Network) -> None:
    picture = read(to_svg(net))
    for node, box, texts in zip(net.nodes, picture.boxes, picture.texts, strict=True):
        assert not any(one.meets(other) for one, other in combinations(texts, 2))
        if isinstance(node.operation, Add | Concat):
            sign, *texts = texts
            assert box.holds(sign)
        else:
            assert all(box.holds(text, margin=1) for text in texts)
        assert all(picture.page.holds(text, margin=8) for text in texts)


@every_network
def test_everything_is_on_the_page(net: Network) -> None:
    picture = read(to_svg(net))
    frames = [*picture.boxes, *(piece for path in picture.paths.values() for piece in pieces(path))]
    assert all(picture.page.holds(frame, margin=8) for frame in frames)
    header = [
        frame_of_text(text) for text in ElementTree.fromstring(to_svg(net)).findall(SVG + "text")
    ]
    assert len(header) == 2
    assert all(picture.page.holds(text, margin=8) for text in header)
    assert not any(text.meets(frame) for text in header for frame in frames)


@every_network
def test_a_line_goes_from_its_source_to_its_target_and_is_upright_or_level(net: Network) -> None:
    picture = read(to_svg(net))
    drawn: dict[int, list[Frame]] = {}
    for (source, target), path in picture.paths.items():
        assert all(p.left == p.right or p.top == p.bottom for p in pieces(path))
        (x, y), (end_x, end_y) = path[0], path[-1]
        box, goal = picture.boxes[source], picture.boxes[target]
        at_box = (x, y) == ((box.left + box.right) / 2, box.bottom)
        at_line = any(
            piece.left <= x <= piece.right and piece.top <= y <= piece.bottom
            for piece in drawn.get(source, [])
        )
        assert at_box or at_line
        from_above = end_x == (goal.left + goal.right) / 2 and 0 <= goal.top - end_y <= 4
        from_right = end_y == (goal.top + goal.bottom) / 2 and 0 <= end_x - goal.right <= 4
        first, *others = net.nodes[target].inputs
        assert (source in others and from_right) or (source == first and from_above)
        drawn.setdefault(source, []).extend(pieces(path))


@every_network
def test_lines_of_different_outputs_never_touch_and_none_goes_through_a_box(net: Network) -> None:
    """Further branches alone share the line into their join, at its height."""
    picture = read(to_svg(net))
    lines: dict[int, list[tuple[Frame, int]]] = {}
    for (source, target), path in picture.paths.items():
        lines.setdefault(source, []).extend((piece, target) for piece in pieces(path))
    for one, other in combinations(lines.values(), 2):
        for a, target in one:
            for b, goal in other:
                apart = a.right < b.left or b.right < a.left or a.bottom < b.top or b.bottom < a.top
                box = picture.boxes[target]
                level = (box.top + box.bottom) / 2
                together = target == goal and max(a.top, b.top) == level
                assert apart or together, (a, b)
    for piece in (piece for line in lines.values() for piece, _ in line):
        thick = Frame(piece.left - 1, piece.top, piece.right + 1, piece.bottom)
        assert not any(thick.meets(box) for box in picture.boxes)


def test_the_right_side_of_a_merge_goes_straight_on_beside_three_bodies() -> None:
    net = NETWORKS["three bodies"]
    picture = read(to_svg(net))
    axis = {
        (box.left + box.right) / 2
        for node, box in zip(net.nodes, picture.boxes, strict=True)
        if net.branches[node.branch].side != "right"
    }
    beside = {
        (box.left + box.right) / 2
        for node, box in zip(net.nodes, picture.boxes, strict=True)
        if net.branches[node.branch].side == "right"
    }
    assert len(axis) == len(beside) == 1
    assert max(axis) < min(beside)


@pytest.mark.parametrize("layers", [150, 600, 3000])
def test_a_long_chain_is_cut_into_strips_of_a_page_s_proportion(layers: int) -> None:
    page = read(to_svg(network(" ".join([NORM] * (layers // 2))))).page
    assert 0.6 < page.bottom / page.right < 1.8


def test_a_box_says_all_hyper_parameters_and_its_place_in_the_text() -> None:
    text = (
        "input(9x9x3) bnconv(epsilon=0.001, filters=6, kernel=3x5, stride=2x1, padding=valid,"
        " activation=gelu, bias=false) avg_pooling(size=2, stride=2, padding=same)"
        " global_max_pooling dropout(rate=0.2) dense(units=10, activation=linear) output(10)"
    )
    root = ElementTree.fromstring(to_svg(lower(parse(text))))
    groups = [g for g in root.iter(SVG + "g") if g.get("class") == "node"]
    assert [[t.text for t in g.iter(SVG + "text")] for g in groups] == [
        ["input", "9×9×3"],
        ["batch norm", "9×9×3", "ε 0.001"],
        ["conv 3×5", "4×5×6", "6 filters, stride 2×1, valid, gelu, no bias"],
        ["avg pooling 2×2", "2×3×6", "stride 2, same"],
        ["global max pooling", "6"],
        ["dropout", "6", "rate 0.2"],
        ["dense", "10", "10 units, linear"],
    ]
    spans = [tuple(map(int, g.get("data-span", "").split())) for g in groups]
    assert [text[start:end].split("(")[0] for start, end in spans] == [
        *("input", "bnconv", "bnconv", "avg_pooling", "global_max_pooling", "dropout", "dense"),
    ]
    assert groups[2].findtext(SVG + "title") == (
        "conv1: conv 3×5, 6 filters, stride 2×1, valid, gelu, no bias → 4×5×6"
    )
    lines = [t.text for t in root.findall(SVG + "text")]
    assert lines[1] == "7 layers, 346 parameters, 10.9 k FLOPs, input 9×9×3, 10 classes"


def test_a_word_of_two_operations_is_two_boxes_close_together() -> None:
    text = f"{CONV} BatchNormalisation(epsilon=1) {NORM}"
    boxes = read(to_svg(network(text))).boxes
    gaps = [below.top - above.bottom for above, below in pairwise(boxes)]
    assert gaps == [18, 18, 18, 3]


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "a & b", "\"'\x00\x1b]]>", "n" * 64])
def test_a_name_is_text_and_nothing_else(name: str) -> None:
    plain = network(CONV)
    # What the parser refuses, an object built by hand may hold.
    object.__setattr__(plain.description, "name", name)
    for number, node in enumerate(plain.nodes):
        object.__setattr__(node, "name", f"{name}{number}")
    net = plain
    root = ElementTree.fromstring(to_svg(net))
    shown = "".join(c if c.isprintable() else "\ufffd" for c in name)
    title = root.findtext(SVG + "title")
    assert title == (shown if len(name) <= 48 else shown[:47] + "…")
    groups = [g for g in root.iter(SVG + "g") if g.get("class") == "node"]
    assert [g.get("data-node") for g in groups] == [shown + "0", shown + "1"]
    assert {element.tag for element in root.iter()} <= {
        SVG + tag for tag in ("svg", "title", "text", "rect", "g", "path", "circle")
    }
    assert read(to_svg(net)).page.right >= max(
        frame_of_text(text).right for text in root.iter(SVG + "text")
    )


def test_every_process_draws_the_same() -> None:
    """Law: the drawing depends on the network alone, not on the order of hashes."""
    code = (
        "import hashlib; from cnngen.space.sampling import sample;"
        "from cnngen.network.picture import to_png, to_svg; net = sample('paper', seed=4);"
        "print(hashlib.sha256(to_svg(net).encode() + to_png(net)).hexdigest())"
    )
    net = sample("paper", seed=4)
    assert len(net) > 100
    here = hashlib.sha256(to_svg(net).encode() + to_png(net)).hexdigest()
    there = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    assert there == here


def test_drawing_loads_neither_matplotlib_nor_a_framework() -> None:
    code = (
        "import sys; from cnngen.language import parse; from cnngen.space.resolution import lower;"
        "from cnngen.network.picture import to_png;"
        f"to_png(lower(parse('input(8x8x4) {CONV} output')));"
        "print(*{'matplotlib', 'torch', 'keras', 'torchview', 'resvg_py'} & set(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == ""


@pytest.mark.parametrize("right", ["Empty", CONV], ids=["skips", "columns"])
def test_a_nest_of_a_thousand_merges_is_drawn_in_linear_space(right: str) -> None:
    small, large = (len(to_svg(network(skips(depth, right)))) for depth in (500, 1000))
    assert large < 2.6 * small


def test_a_network_too_large_to_draw_is_refused() -> None:
    net = network(" ".join([CONV] * MAX_NODES))
    for draw in (to_svg, to_png):
        with pytest.raises(CnnGenError, match="too large to draw"):
            draw(net)


# ---- Colours and letters


def brightness(colour: str) -> float:
    """Relative luminance (WCAG 2.1)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_text_stands_out_from_every_fill() -> None:
    for kind in OPERATIONS:
        contrast = (brightness(kind.colour.fill) + 0.05) / (brightness("#1a1a1a") + 0.05)
        assert contrast >= 7


def test_the_kinds_with_weights_and_the_poolings_differ_in_grey() -> None:
    greys = sorted(
        round(100 * brightness(kind.colour.fill)) for kind in (Conv2d, BatchNorm, GlobalPool, Dense)
    )
    assert min(b - a for a, b in pairwise(greys)) >= 4


@pytest.mark.parametrize("bold", [False, True])
def test_the_widths_of_letters_are_the_font_s(bold: bool) -> None:
    for character in [*map(chr, range(32, 127)), *"×ε‖…"]:
        exact = font(bold).getlength(character)
        assert text_width(character, 1000, bold=bold) == pytest.approx(exact, abs=2)


# ---- PNG


@pytest.mark.parametrize("name", ["one layer", "three bodies", "sampled 3", "sampled 8"])
@pytest.mark.parametrize("scale", [1, 2])
def test_the_png_looks_like_the_svg_as_another_program_draws_it(name: str, scale: int) -> None:
    """Law: Pillow's picture and resvg's differ in nothing but the smoothing of edges."""
    net = NETWORKS[name]
    ours = Image.open(io.BytesIO(to_png(net, scale))).convert("L")
    fonts = [str(font_folder() / f) for f in ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf")]
    drawn = resvg_py.svg_to_bytes(
        svg_string=to_svg(net), zoom=scale, skip_system_fonts=True, font_files=fonts
    )
    theirs = Image.open(io.BytesIO(bytes(drawn))).convert("L")
    assert ours.size == theirs.size
    # Edges may lie half a pixel apart: compare areas of four by four.
    difference = ImageChops.difference(ours.reduce(4), theirs.reduce(4))
    statistics = ImageStat.Stat(difference)
    assert statistics.mean[0] < 1
    assert statistics.extrema[0][1] < 96


@every_network
def test_the_png_has_the_svg_s_size_and_each_box_its_colour(net: Network) -> None:
    picture = read(to_svg(net))
    image = Image.open(io.BytesIO(to_png(net)))
    assert image.mode == "RGB"
    assert image.size == (picture.page.right, picture.page.bottom)
    for node, box in zip(net.nodes, picture.boxes, strict=True):
        fill = node.operation.colour.fill
        inside = (int(box.left) + 3, int(box.top + box.bottom) // 2)
        assert "#{:02x}{:02x}{:02x}".format(*image.getpixel(inside)) == fill


@pytest.mark.parametrize("scale", [0.01, 0.37, 1.5, 3])
def test_a_png_is_as_large_as_asked_for(scale: float) -> None:
    net = NETWORKS["three bodies"]
    page = read(to_svg(net)).page
    image = Image.open(io.BytesIO(to_png(net, scale)))
    assert image.size == (max(1, int(page.right * scale)), max(1, int(page.bottom * scale)))
    assert image.getextrema() != ((255, 255),) * 3


def test_a_png_is_scaled_down_to_fifty_million_pixels() -> None:
    image = Image.open(io.BytesIO(to_png(NETWORKS["one layer"], 1000)))
    assert 0.99 * MAX_PIXELS < image.size[0] * image.size[1] <= MAX_PIXELS


@pytest.mark.parametrize("scale", [0, -1, float("nan"), float("inf")])
def test_a_scale_that_is_none_is_refused(scale: float) -> None:
    with pytest.raises(CnnGenError, match="scale"):
        to_png(NETWORKS["one layer"], scale)


def test_a_backbone_is_drawn_without_classes() -> None:
    assert not isinstance(NETWORKS["one layer"].nodes[-1].operation, Dense)
    assert "no classification" in to_svg(NETWORKS["one layer"])


def test_the_picture_in_the_documentation_is_of_the_description_beside_it() -> None:
    docs = Path(__file__).parent.parent / "docs"
    page = (docs / "pictures.md").read_text()
    (text,) = re.findall(r"```\n(Example .*?)```", page, re.DOTALL)
    assert (docs / "images" / "picture.svg").read_text() == to_svg(lower(parse(text)))


def test_a_pdf_has_the_texts_of_the_svg_and_is_the_same_each_time() -> None:
    one = resolve(parse("ONE -> input(8x8x1) conv [add (conv, Empty)] flatten dense output"))
    drawn = to_pdf(one)
    assert drawn.startswith(b"%PDF")
    assert drawn == to_pdf(one)
    assert len(to_pdf(one, title=False)) < len(drawn)


def test_a_strip_does_not_end_between_a_merge_and_its_sum() -> None:
    """The box above a sum is in the same strip, however long the network is."""
    cut = 0
    for drawn in sample_many(60, "paper", bounds=Bounds((60, 300))):
        page = scene(drawn)
        for node, shape in zip(drawn.nodes, page.shapes, strict=True):
            if node.operation.joined:
                above = page.shapes[node.inputs[0]].box
                assert above.y < shape.box.y, drawn.id
        cut += page.width > 1200
    assert cut > 10
