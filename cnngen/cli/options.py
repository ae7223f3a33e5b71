"""Arguments and options that several commands share."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from cnngen.errors import CnnGenError


class ImageShape(NamedTuple):
    """Height, width and channels of an image."""

    height: int
    width: int
    channels: int


class Range(NamedTuple):
    """An inclusive range; None is unbounded."""

    least: int | None = None
    most: int | None = None


Files = Annotated[
    list[Path], typer.Argument(metavar="FILE…", help="Descriptions (.cnn), or - to read one here.")
]
File = Annotated[
    Path, typer.Argument(metavar="FILE", help="A description (.cnn), or - to read it.")
]


def _shape(text: str) -> ImageShape:
    match = re.fullmatch(r"([1-9]\d{0,5})x([1-9]\d{0,5})x([1-9]\d{0,5})", text)
    if match is None:
        raise typer.BadParameter(f"'{text}' is not a shape such as 32x32x3 (HEIGHTxWIDTHxCHANNELS)")
    return ImageShape(*map(int, match.groups()))


UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
"""What a letter behind a number of a range multiplies it by."""

_END = r"(?:(\d{1,15}(?:\.\d{1,6})?)([kKMGT]?))?"


def _range(text: str) -> Range:
    match = re.fullmatch(f"{_END}:{_END}", text.replace(",", "").replace("_", ""))
    if match is None or text == ":":
        raise typer.BadParameter(
            f"'{text}' is not a range such as 10:40, 10: or :2.5M (LEAST:MOST, with k, M or G)"
        )
    low, low_unit, high, high_unit = match.groups()
    ends = Range(_number(low, low_unit), _number(high, high_unit))
    if ends.least is not None and ends.most is not None and ends.least > ends.most:
        raise typer.BadParameter(f"'{text}' is empty: it runs from more to less")
    return ends


def _number(digits: str | None, unit: str | None) -> int | None:
    """The number that digits and a unit stand for, exactly."""
    if digits is None:
        return None
    whole, _, part = digits.partition(".")
    scaled = int(whole + part) * UNITS[(unit or "").replace("K", "k")]
    if scaled % int(10 ** len(part)):
        raise typer.BadParameter(f"'{digits}{unit}' is not a whole number")
    return scaled // int(10 ** len(part))


def name_list(text: str) -> list[str]:
    """Split names at commas. An empty text has no names."""
    given = [name for part in text.split(",") if (name := part.strip())]
    if text and not given:
        raise CnnGenError(f"'{text}' has an empty name", hint="Separate names with commas: a,b.")
    return given


SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
"""Units of durations, in seconds."""


def seconds_of(text: str) -> float:
    """Read a time such as `90s`, `30min` or `6h`, in seconds."""
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)(s|min|h|d)", text)
    if match is None or not float(match[1]):
        raise typer.BadParameter(f"'{text}' is not a time such as 90s, 30min or 6h")
    return float(match[1]) * SECONDS[match[2]]


Input = Annotated[
    ImageShape | None,
    typer.Option(
        "--input", "-i", parser=_shape, metavar="HxWxC", help="Shape of the images. [32x32x3]"
    ),
]
Classes = Annotated[
    int | None, typer.Option("--classes", "-c", min=1, help="Number of classes. [10]")
]
Space = Annotated[
    str,
    typer.Option(
        "--space", "-s", help="Space to draw from: paper, compact, authors, or a .toml file."
    ),
]
Seed = Annotated[int, typer.Option("--seed", min=0, max=2**53 - 1, help="Seed of what is drawn.")]
Layers = Annotated[
    Range | None,
    typer.Option(
        "--layers", parser=_range, metavar="FROM:TO", help="Bounds on the number of layers."
    ),
]
Parameters = Annotated[
    Range | None,
    typer.Option(
        "--parameters",
        parser=_range,
        metavar="FROM:TO",
        help="Bounds on the number of weights: 1k:2M.",
    ),
]
Flops = Annotated[
    Range | None,
    typer.Option(
        "--flops", parser=_range, metavar="FROM:TO", help="Bounds on the FLOPs per image: :10M."
    ),
]
Backend = Annotated[
    str, typer.Option("--backend", "-b", help="The framework; `cnngen backends` lists them.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
Data = Annotated[
    str,
    typer.Option(
        "--data", "-d", help="digits, another known name, a Parquet file or folder, .npz, images."
    ),
]
Resize = Annotated[
    ImageShape | None,
    typer.Option(
        "--resize",
        parser=_shape,
        metavar="HxWxC",
        help="Resize the images; C is 1 for grey, 3 for colours.",
    ),
]
ProtocolName = Annotated[
    str,
    typer.Option(
        "--protocol", "-p", help="Protocol: quick, paper, standard, amp, or a .toml file."
    ),
]
Epochs = Annotated[
    int | None, typer.Option("--epochs", min=1, help="Epochs instead of the protocol's.")
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="A setting of the protocol: batch=128."),
]
TrainSeed = Annotated[
    int | None,
    typer.Option("--train-seed", min=0, max=2**53 - 1, help="Seed of the training; [0]."),
]
TimeBudget = Annotated[
    float | None,
    typer.Option(
        "--time-budget", parser=seconds_of, metavar="TIME", help="Time limit of a model: 90s, 2h."
    ),
]
Early = Annotated[
    int | None,
    typer.Option("--early", min=1, help="Stop after this many epochs of constant output."),
]
WorkerCount = Annotated[
    int, typer.Option("--workers", "-w", min=1, help="Number of models trained in parallel.")
]
Gpus = Annotated[
    str,
    typer.Option("--gpus", help="GPUs to use: all, none, or 0,1 as `nvidia-smi` counts them."),
]
RayAddress = Annotated[
    str | None,
    typer.Option("--ray", metavar="ADDRESS", help="Train on a Ray cluster: auto, or its address."),
]
GpuShare = Annotated[
    float | None,
    typer.Option(
        "--gpu-share",
        metavar="SHARE",
        help="On Ray, the GPUs of each model: 0.25 packs four on one. [one, where there are any]",
    ),
]
IdleSeconds = Annotated[
    float,
    typer.Option("--idle", min=0, help="Seconds to measure the idle machine (1 worker)."),
]
Patience = Annotated[
    float,
    typer.Option(
        "--patience",
        parser=seconds_of,
        metavar="TIME",
        help="How long without a sign of life until a process counts as hung: 90s, 30min, 6h.",
    ),
]
Keep = Annotated[
    str | None,
    typer.Option("--keep", help="last, or best: also the best epoch's weights, by validation."),
]
Repeats = Annotated[
    int,
    typer.Option(
        "--repeats", "-r", min=1, help="Trainings of each network, each with its own seed."
    ),
]
PrecisionName = Annotated[
    str | None,
    typer.Option("--precision", help="float32, tf32, bfloat16, float16, or auto: the device's."),
]
Country = Annotated[
    str | None,
    typer.Option("--country", help="Country, for the CO2 per kWh: FRA, USA … (ISO 3166)."),
]
Tdp = Annotated[
    float | None, typer.Option("--tdp", help="Power of the CPU at full load in W, if known.")
]
KeepWeights = Annotated[
    bool, typer.Option("--weights/--no-weights", help="Keep the trained weights in each run.")
]
Again = Annotated[bool, typer.Option("--again", help="Train again what is already in the folder.")]
