"""The command `predict`, which predicts the results of a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cnngen.cli.options import Classes, ImageShape, Input, Json, Seed, Space
from cnngen.errors import CnnGenError, printable

if TYPE_CHECKING:
    from cnngen.language import Description
    from cnngen.network import Network
    from cnngen.predict.examples import Target
    from cnngen.predict.model import Model
    from cnngen.predict.predictor import Prediction

HEADINGS = {
    "accuracy": "accuracy",
    "time": "time",
    "energy": "energy",
    "trainability": "trains",
}


def predict(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE…", help="Descriptions (.cnn), or - to read one here."),
    ] = None,
    model: Annotated[
        Path | None, typer.Option("--model", "-m", help="Model to use instead of the shipped one.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option("--data", "-d", help="Data set, by name or path. [that of the model]"),
    ] = None,
    input_shape: Input = None,
    classes: Classes = None,
    space: Space = "paper",
    seed: Seed = 0,
    fit: Annotated[
        Path | None,
        typer.Option("--fit", help="Fit a model to a folder of runs or a Parquet file."),
    ] = None,
    predictor: Annotated[
        str, typer.Option("--predictor", help="With --fit: trees, graph, ensemble …")
    ] = "trees",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="With --fit: the model's file.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Predict accuracy, training time and energy of networks, without training them.

    Each figure comes with an interval that is meant to contain nine of ten.
    It is marked "outside" if the network is unlike those the model was fitted to.

    cnngen predict examples/open.cnn
    cnngen predict nets/*.cnn --json | jq '.[].accuracy'
    cnngen predict --fit runs/compact -o digits.zip
    cnngen predict examples/open.cnn --model digits.zip
    """
    if fit is not None:
        if files or model or out is None:
            raise CnnGenError(
                "--fit cannot be combined with files, --model, --data or --json",
                hint="Name the runs and the file: cnngen predict --fit FOLDER -o MODEL.zip",
            )
        _fit(fit, predictor, out)
        return
    if not files or out is not None:
        raise CnnGenError(
            "there is nothing to predict" if not files else "-o is for --fit",
            hint="cnngen predict examples/open.cnn, or cnngen predict --fit FOLDER -o MODEL.zip",
        )
    from cnngen.cli.describe import read_description
    from cnngen.predict.model import SHIPPED, Model

    descriptions = [read_description(file) for file in files]
    asked = Model.load(model or SHIPPED)
    if data is not None:
        from cnngen.training.data import load_data

        images = load_data(data)
        input_shape, classes = ImageShape(*images.input_shape), images.classes
    networks = [
        _network(description, asked, input_shape, classes, space, seed)
        for description in descriptions
    ]
    predictions = asked.predict(networks)
    warnings = asked.domain.warnings(networks)
    if as_json:
        from cnngen.cli.output import print_json

        print_json(
            [
                {"file": str(file), "id": network.id}
                | _figures(predictions, at, warnings[at])
                | {"outside": warnings[at]}
                for at, (file, network) in enumerate(zip(files, networks, strict=True))
            ]
        )
    else:
        _show(files, predictions, warnings, asked)


def _network(
    description: Description,
    model: Model,
    input_shape: Input,
    classes: Classes,
    space: str,
    seed: int,
) -> Network:
    """Resolve a description. An open input or output is that of the model's networks."""
    from cnngen.space.resolution import resolve

    shape, count = model.domain.usual
    says_classes = description.classes or (
        description.head and description.head[-1].parameters.get("units")
    )
    return resolve(
        description,
        space=space,
        input_shape=input_shape or (None if description.input_shape else shape),
        classes=classes or (None if says_classes else count),
        seed=seed,
    )


def _figures(
    predictions: Mapping[Target, Prediction], at: int, outside: Sequence[str]
) -> dict[str, object]:
    return {
        target: {
            "mean": float(p.mean[at]),
            "std": float(p.std[at]),
            "low": float(p.low[at]),
            "high": float(p.high[at]),
            # Beside each figure too: whoever picks one out takes its warning along.
            **({"outside": list(outside)} if outside else {}),
            **({"note": p.note} if p.note else {}),
        }
        for target, p in predictions.items()
    }


def _show(
    files: Sequence[Path],
    predictions: Mapping[Target, Prediction],
    warnings: Sequence[Sequence[str]],
    model: Model,
) -> None:
    from rich.text import Text

    from cnngen.cli.output import console, print_table, table_of

    rows = table_of()
    rows.add_column("network", no_wrap=True)
    for target in predictions:
        rows.add_column(HEADINGS[target], justify="right", no_wrap=True)
    for at, file in enumerate(files):
        # The word stands in the cell of each figure: a cell that is copied keeps it.
        doubt = "outside: " if warnings[at] else ""
        cells = [
            doubt + _cell(target, *(float(ends[at]) for ends in (p.mean, p.low, p.high)))
            for target, p in predictions.items()
        ]
        rows.add_row(*map(Text, (printable(str(file)), *cells)))
    print_table(rows)
    for file, outside in zip(files, warnings, strict=True):
        if outside:
            reasons = "; ".join(outside)
            text = f"{printable(str(file))} lies outside what the model has seen: {reasons}."
            console.print(Text(text, "yellow"))
    for note in filter(None, (p.note for p in predictions.values())):
        console.print(Text(f"{note}.", "yellow"))
    for setting, count in model.origin.items():
        console.print(Text(f"Learnt from {count:,} networks: {setting}.", "dim"))
    console.print("In brackets: what nine of ten networks like those keep within.", style="dim")


def _cell(target: Target, mean: float, low: float, high: float) -> str:
    if target == "trainability":
        return f"{mean:.0%}"
    if target == "accuracy":
        return f"{mean:.0%} ({low * 100:.0f}–{high:.0%})"
    by, unit = (1, "s") if target == "time" else (1e6, "mWh")
    return f"{_short(mean * by)} {unit} ({_short(low * by)}–{_short(high * by)})"


def _short(figure: float) -> str:
    """Format a number with two significant digits, without an exponent."""
    return f"{figure:.0f}" if figure >= 10 else f"{figure:.2g}"


def _fit(source: Path, predictor: str, out: Path) -> None:
    from cnngen.cli.output import console, progress_bars, say_broken
    from cnngen.predict import TARGETS, examples
    from cnngen.predict.model import Model

    if out.is_dir() or not out.parent.is_dir():  # checked first: fitting takes minutes
        raise CnnGenError(
            f"{out} is a folder" if out.is_dir() else f"folder {out.parent} does not exist",
            hint="-o names the model's file.",
        )
    with progress_bars() as progress:
        reading = progress.add_task("Reading")
        found = examples(
            source,
            lambda done, of: progress.update(reading, completed=done, total=of),
            say_broken,
        )
        fitting = progress.add_task("Fitting", total=len(TARGETS))

        def on_target(target: Target) -> None:
            progress.update(fitting, advance=1, description=f"Fitting {target}")

        model = Model.fit(found, predictor, on_target)
    model.save(out)
    console.print(
        f"{out}: {predictor} for {', '.join(model.predictors)}, from {len(found):,} networks",
        markup=False,
    )
