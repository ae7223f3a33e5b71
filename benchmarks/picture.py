"""Measure pictures drawn per second of 60-layer networks, compared with matplotlib and resvg.

    python benchmarks/picture.py [--rounds 7]

The first baseline draws the same boxes, lines and texts with matplotlib and saves both
formats; the second makes the PNG from our SVG with resvg. All alternate in each round, on
different networks; "first" is a process's first picture, before any glyph masks are cached.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable, Iterator
from itertools import count, islice
from statistics import median

import matplotlib as mpl
import resvg_py
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch

from cnngen.network import Network
from cnngen.network.picture import png, to_png, to_svg
from cnngen.network.picture.scene import scene
from cnngen.space.sampling import sample

LAYERS = range(55, 66)
NETWORKS = 8
WANTED = 20
"""Required pairs of SVG and PNG per second."""


def networks() -> Iterator[Network]:
    for seed in count():
        network = sample("paper", seed=seed)
        if len(network) in LAYERS:
            yield network


def both(network: Network) -> None:
    to_svg(network)
    to_png(network)


def both_by_matplotlib(network: Network) -> None:
    page = scene(network)
    figure = Figure((page.width / 100, page.height / 100), dpi=100)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, page.width), ylim=(page.height, 0))
    axes.axis("off")
    texts = list(page.header)
    for line in page.lines:
        xs, ys = zip(*line.points, strict=True)
        axes.plot(xs, ys, color=line.colour, linewidth=0.9)
        if line.head:
            arrow = {"arrowstyle": "-|>", "color": line.colour}
            axes.annotate("", line.points[-1], line.points[-2], arrowprops=arrow)
    for shape in page.shapes:
        box, colour = shape.box, shape.colour
        style = {"facecolor": colour.fill, "edgecolor": colour.line, "linewidth": 0.8}
        if shape.circle:
            middle = (box.x + box.width / 2, box.y + box.height / 2)
            axes.add_patch(Circle(middle, box.width / 2, **style))
        else:
            corner = (box.x, box.y)
            axes.add_patch(
                FancyBboxPatch(
                    corner, box.width, box.height, "round,pad=0,rounding_size=3", **style
                )
            )
        texts += shape.texts
    sides = {"start": "left", "middle": "center", "end": "right"}
    for text in texts:
        weight = "bold" if text.bold else "normal"
        size, side = 0.72 * text.size, sides[text.anchor]
        axes.text(text.x, text.y, text.text, fontsize=size, fontweight=weight, ha=side)
    figure.savefig(io.BytesIO(), format="svg")
    figure.savefig(io.BytesIO(), format="png")


def png_by_resvg(network: Network) -> None:
    fonts = [str(png.font_folder() / name) for name in ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf")]
    resvg_py.svg_to_bytes(svg_string=to_svg(network), skip_system_fonts=True, font_files=fonts)


def milliseconds(call: Callable[[Network], object], network: Network) -> float:
    start = time.perf_counter()
    call(network)
    return 1000 * (time.perf_counter() - start)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=7)
    rounds = options.parse_args().rounds
    mpl.rcParams["svg.fonttype"] = "none"

    drawn = list(islice(networks(), NETWORKS))
    print(f"first picture: {milliseconds(both, drawn[0]):.0f} ms")
    ways = {
        "SVG": to_svg,
        "SVG + PNG": both,
        "PNG by resvg": png_by_resvg,
        "SVG + PNG by matplotlib": both_by_matplotlib,
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for network in drawn:
        both_by_matplotlib(network)
        both(network)
    for _ in range(rounds):
        for name, way in ways.items():
            times[name].append(sum(milliseconds(way, net) for net in drawn) / len(drawn))
    sizes = [(page.width, page.height) for page in map(scene, drawn)]
    pixels = median(width * height for width, height in sizes) / 1e6
    print(f"{len(drawn)} networks of {LAYERS[0]} to {LAYERS[-1]} layers, {pixels:.2f} megapixels")
    for name, taken in times.items():
        low, middle, high = min(taken), median(taken), max(taken)
        print(
            f"{name:24} {middle:7.1f} ms ({low:.1f} to {high:.1f})  {1000 / middle:6.1f} a second"
        )
    for name in ("SVG + PNG by matplotlib", "PNG by resvg"):
        ratios = [other / ours for other, ours in zip(times[name], times["SVG + PNG"], strict=True)]
        print(f"{name} / SVG + PNG: {median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})")
    rate = 1000 / median(times["SVG + PNG"])
    print(f"{rate:.1f} pictures a second, {WANTED} wanted")


if __name__ == "__main__":
    main()
