"""The command `import`, which finds the sentence of a model of another program."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from cnngen.cli.options import Input, Json


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A model (.onnx).")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Write the description to a file, and the weights beside it as .safetensors.",
        ),
    ] = None,
    input_shape: Input = None,
    as_json: Json = False,
) -> None:
    """Find the description of an ONNX model, and its weights.

    The model and the network found run on the same random images; nothing is
    written unless they agree. A model that is no sentence of the language is
    refused, with the first operation that does not fit.

    cnngen import lenet.onnx
    cnngen import lenet.onnx --out imported.cnn
    cnngen import lenet.onnx --json | jq .parameters
    """
    from cnngen.cli import output
    from cnngen.importing import import_model
    from cnngen.language import format

    found = import_model(file, input_shape=input_shape)
    weights = None
    if out is not None:
        weights = found.save(out)
    if as_json:
        figures = output.summary(found.network)
        place = None if weights is None else str(weights)
        output.print_json({**figures, "difference": found.difference, "weights": place})
        return
    if out is None:
        output.print_text(format(found.network.description, long=True))
    said = f"{file}: {output.summary_line(found.network)}"
    print(f"{said}; outputs differ by {found.difference:.1e}", file=sys.stderr)
    if weights is not None:
        print(f"{out} and {weights} written", file=sys.stderr)
