"""Makes the figures of the documentation: `python docs/figures.py`."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams.update({"svg.hashsalt": "cnngen", "font.size": 9, "svg.fonttype": "none"})

import matplotlib.pyplot as plt

from cnngen.language import parse, read
from cnngen.network.picture import to_svg
from cnngen.space.resolution import resolve
from cnngen.space.sampling import sample_many

IMAGES = Path(__file__).parent / "images"
COUNT = 2000


def layers_histogram() -> None:
    """How many layers 2,000 networks of each space have."""
    figure, axes = plt.subplots(1, 3, figsize=(10, 2.6), layout="constrained")
    for axis, space in zip(axes, ("paper", "authors", "compact"), strict=True):
        layers = sorted(len(network) for network in sample_many(COUNT, space, seed=0))
        axis.hist(layers, bins=60, color="#0072b2")
        axis.set_yscale("log")
        axis.set_xlabel(f"layers ({layers[0]} to {layers[-1]}, median {layers[COUNT // 2]})")
        axis.set_ylabel("networks")
        axis.set_title(f"{COUNT:,} samples of {space}")
        print(space, layers[0], layers[COUNT // 2], layers[-1])
    figure.savefig(IMAGES / "layers.svg", metadata={"Date": None})


def pictures() -> None:
    """The networks that the pages show."""
    examples = Path(__file__).parent.parent / "examples"
    (IMAGES / "lenet.svg").write_text(to_svg(resolve(read(examples / "lenet.cnn"))))
    text = (
        "TWO_BODIES -> input(32x32x3) convbn(filters=16, kernel=3, stride=1, padding=same) "
        "[add ( conv(filters=32, kernel=3, stride=2) dropout(rate=0.1) , conv ) "
        "( conv conv , convbn ) ] max_pooling(size=2, stride=2, padding=valid) "
        "[concat ( bnconv(kernel=3) , Empty ) ] globalPooling dense output(10)"
    )
    network = resolve(parse(text), space="compact", seed=1)
    (IMAGES / "two-bodies.svg").write_text(to_svg(network))


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    layers_histogram()
    pictures()
