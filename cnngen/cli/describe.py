"""Commands on descriptions: `check`, `format`, `sample`, `generate` and `draw`. None needs a framework."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cnngen.cli.options import (
    Backend,
    Classes,
    File,
    Files,
    Flops,
    Input,
    Json,
    Layers,
    Parameters,
    Range,
    Seed,
    Space,
)
from cnngen.errors import CnnGenError, DescriptionError

if TYPE_CHECKING:
    from cnngen.language import Description
    from cnngen.network import Network

STDIN = Path("-")
PICTURES = ("svg", "png", "pdf")


def read_description(path: Path) -> Description:
    """Read the description in a file, or on stdin for `-`."""
    from cnngen import language

    if path == STDIN:
        if sys.stdin is None:
            raise CnnGenError("<stdin> is closed")
        return language.decode(sys.stdin.buffer.read(language.MAX_CHARACTERS + 1), "<stdin>")
    return language.read(path)


def check(
    files: Files,
    input_shape: Input = None,
    classes: Classes = None,
    space: Space = "paper",
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Check descriptions, and show the networks that they give.

    Dimensions are inferred as for training; open hyper-parameters are drawn
    from the space with the seed.

    cnngen check examples/lenet.cnn
    cnngen check examples/open.cnn --input 28x28x1
    echo 'input conv flatten dense output' | cnngen check -
    """
    from cnngen.cli.output import console, print_json, summary, summary_line
    from cnngen.space.resolution import resolve

    found: list[dict[str, object]] = []
    failed = False
    for file in files:
        try:
            network = resolve(
                read_description(file),
                space=space,
                input_shape=input_shape,
                classes=classes,
                seed=seed,
            )
        except CnnGenError as error:
            failed = True
            mistakes = _all_mistakes(error)
            first, *others = map(_mistake, mistakes)
            found.append({"file": str(file), "right": False, **first, "others": others})
            if not as_json:
                print(*mistakes, sep="\n", file=sys.stderr)
        else:
            found.append({"file": str(file), "right": True, **summary(network)})
            if not as_json:
                console.print(f"{file}: {summary_line(network)}", markup=False, soft_wrap=True)
    if as_json:
        print_json(found)
    if failed:
        raise typer.Exit(2)


def _all_mistakes(first: CnnGenError) -> list[CnnGenError]:
    """The mistakes of the text in which one was found: all of its syntax, or that one."""
    from cnngen.editor.analysis import MAX_CHARACTERS
    from cnngen.editor.recovery import parse_on

    if not isinstance(first, DescriptionError) or first.source is None or first.span is None:
        return [first]
    if len(first.source.text) > MAX_CHARACTERS:
        return [first]
    found = parse_on(first.source).errors
    return [*found] if found and found[0].span == first.span else [first]


def _mistake(error: CnnGenError) -> dict[str, object]:
    line, column = error.position or (None, None)
    return {"message": error.message, "line": line, "column": column, "hint": error.hint}


def format_(
    files: Files,
    short: Annotated[bool, typer.Option("--short", help="Format on one line.")] = False,
    write: Annotated[
        bool, typer.Option("--write", "-w", help="Write the result to the files.")
    ] = False,
    test: Annotated[
        bool, typer.Option("--check", help="Only say which files would change (code 1).")
    ] = False,
) -> None:
    """Print descriptions in their canonical form: indented, or on one line.

    cnngen format examples/open.cnn
    cnngen format --write nets/*.cnn
    cnngen format --short examples/vgg16.cnn | wc -w
    """
    from cnngen.cli import output
    from cnngen.language import format, format_text

    if short and write:
        raise CnnGenError("on one line, the description would lose its comments")
    if STDIN in files and (write or test):
        raise CnnGenError("--write and --check need files, not stdin")
    changed = False
    for file in files:
        description = read_description(file)
        assert description.source is not None
        original = description.source.text
        text = format(description) + "\n" if short else format_text(original, str(file))
        if not write and not test:
            output.print_text(text)
        elif text != original:
            changed = True
            print(f"{file}: {'formatted' if write else 'would change'}", file=sys.stderr)
            if write:
                output.write_output(file, text)
    if changed and test:
        raise typer.Exit(1)


def sample(
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="Number of networks.")] = 1,
    space: Space = "paper",
    input_shape: Input = None,
    classes: Classes = None,
    seed: Seed = 0,
    layers: Layers = None,
    parameters: Parameters = None,
    flops: Flops = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write each as ID.cnn into this folder.")
    ] = None,
    as_open: Annotated[
        bool, typer.Option("--open", help="Leave the hyper-parameters open.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Draw distinct networks from a space.

    cnngen sample --count 5 --seed 42
    cnngen sample -n 100 --space compact --layers 10:40 --out nets/
    cnngen sample -n 1000 --json | jq '.[].parameters'
    """
    from cnngen.cli import output
    from cnngen.language import format
    from cnngen.space.resolution.hyperparameters import DEFAULT_CLASSES, DEFAULT_INPUT
    from cnngen.space.sampling import Bounds, sample_descriptions, sample_many

    bounds = Bounds(layers or Range(), parameters or Range(), flops or Range())
    if as_open:
        if out or as_json or input_shape or classes or bounds != Bounds():
            raise CnnGenError(
                "--open prints descriptions without networks, and two may be equal",
                hint="Leave out --out, --json, --input, --classes and bounds, which need networks.",
            )
        for description in sample_descriptions(count, space, seed=seed):
            print(format(description))
        return
    networks = sample_many(
        count,
        space,
        input_shape=input_shape or DEFAULT_INPUT,
        classes=classes or DEFAULT_CLASSES,
        seed=seed,
        bounds=bounds,
    )
    if out is not None:
        output.make_folder(out)
        networks = output.tracked(networks, count, "Sampling")
    elif as_json:
        output.print_json_list(map(output.summary, networks))
        return
    for network in networks:
        if out is not None:
            output.write_output(out / f"{network.id}.cnn", format(network.description, long=True))
        else:
            print(network.to_text())


def _resolved(
    file: Path, input_shape: Input, classes: Classes, space: Space, seed: Seed
) -> Network:
    from cnngen.space.resolution import resolve

    return resolve(
        read_description(file), space=space, input_shape=input_shape, classes=classes, seed=seed
    )


def generate(
    file: File,
    backend: Backend = "torch",
    script: Annotated[
        bool, typer.Option("--script", help="Add a main program that trains the network.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write to a file instead of stdout.")
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            "--weights",
            metavar="FILE",
            help="Weights (.safetensors), of an import or a run: written beside the source, which "
            "then loads them.",
        ),
    ] = None,
    input_shape: Input = None,
    classes: Classes = None,
    space: Space = "paper",
    seed: Seed = 0,
) -> None:
    """Write the source code of a network for a framework, or an ONNX model.

    cnngen generate examples/lenet.cnn
    cnngen generate examples/lenet.cnn --backend keras --out lenet_keras.py
    cnngen generate examples/lenet.cnn --script -o lenet.py
    cnngen generate examples/lenet.cnn -o lenet.onnx
    cnngen generate imported.cnn --weights imported.safetensors --out net.py
    """
    from cnngen.backend import get_backend
    from cnngen.cli import output

    network = _resolved(file, input_shape, classes, space, seed)
    if out is not None and out.suffix == ".onnx":
        if script or backend not in ("torch", "onnx"):
            raise CnnGenError(
                f"'{out}' would be a model, not the source of one",
                hint="Leave out --backend and --script for an .onnx file, or name a .py file.",
            )
        model = network.build("onnx") if weights is None else _trained(network, weights)
        output.write_output(out, model.SerializeToString())
        return
    if weights is not None:
        _with_weights(network, backend, weights, out, script)
        return
    source = get_backend(backend).emit(network, script=script)
    if out is None:
        output.print_text(source)
    else:
        output.write_output(out, source)


def _trained(network: Network, weights: Path) -> Any:
    """The ONNX model of a network with the weights of a file."""
    from cnngen.runs.kept_weights import read_weights, trained_model

    return trained_model(
        network, "onnx", read_weights(weights, network, remedy="`cnngen import --out` writes them.")
    )


def _with_weights(
    network: Network, backend: str, weights: Path, out: Path | None, script: bool
) -> None:
    """Write a source and, beside it, weights in the framework's own form, which it loads."""
    from cnngen.backend import get_backend
    from cnngen.cli import output
    from cnngen.runs.kept_weights import own_form, read_weights

    if out is None:
        raise CnnGenError(
            "weights cannot be printed", hint="--out names the source; they are written beside it."
        )
    chosen = get_backend(backend)
    beside = out.with_name(out.stem + chosen.weights_suffix)
    if not re.fullmatch(r"[\w.-]{1,100}", beside.name, re.ASCII):
        raise CnnGenError(
            f"'{out}' cannot be the name of a source that loads weights",
            hint="Use letters, digits, '.', '_' and '-'.",
        )
    source = chosen.emit_loading(network, beside.name, script=script)
    given = read_weights(weights, network, remedy="`cnngen import --out` writes them.")
    content = own_form(network, backend, given)
    output.write_output(beside, content)
    output.write_output(out, source)
    print(f"{out} and {beside} written", file=sys.stderr)


def draw(
    files: Files,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="An .svg, .png or .pdf file, or a folder. [the description's name with .svg]",
        ),
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option("--format", "-f", help="svg, png or pdf, if --out does not say it."),
    ] = None,
    title: Annotated[
        bool, typer.Option("--title/--no-title", help="Draw the network's name and size above.")
    ] = True,
    scale: Annotated[float, typer.Option(min=0.1, max=10, help="Scale of a .png.")] = 2.0,
    trace: Annotated[
        bool, typer.Option("--trace", help="Draw what PyTorch runs, with torchview and Graphviz.")
    ] = False,
    input_shape: Input = None,
    classes: Classes = None,
    space: Space = "paper",
    seed: Seed = 0,
) -> None:
    """Draw networks: a box for each operation, columns side by side for merges.

    cnngen draw examples/lenet.cnn
    cnngen draw examples/lenet.cnn --out lenet.png --scale 3
    cnngen draw nets/*.cnn --out pictures --format pdf --no-title
    cnngen draw examples/lenet.cnn --trace --out traced.svg
    """
    from cnngen.cli import output
    from cnngen.network.picture import to_pdf, to_png, to_svg, trace_picture

    pictures = _pictures(files, out, kind)
    for file, picture in zip(files, pictures, strict=True):
        network = _resolved(file, input_shape, classes, space, seed)
        drawn: str | bytes
        if trace:
            if picture.suffix != ".svg":
                raise CnnGenError(
                    "a traced model is drawn as .svg", hint=f"Name it {picture.stem}.svg."
                )
            drawn = trace_picture(network)
        elif picture.suffix.lower() == ".png":
            drawn = to_png(network, scale, title=title)
        elif picture.suffix.lower() == ".pdf":
            drawn = to_pdf(network, title=title)
        else:
            drawn = to_svg(network, title=title)
        if picture.parent == out:
            output.make_folder(out)
        output.write_output(picture, drawn)
        print(f"{picture}: {output.summary_line(network)}")


def _pictures(files: list[Path], out: Path | None, kind: str | None) -> list[Path]:
    """The picture to draw for each file: `out`, or one by the file's name in the folder `out`."""
    if kind is not None and kind not in PICTURES:
        raise CnnGenError(f"'{kind}' is not a format of pictures", hint="One of: svg, png, pdf.")
    if out is not None and out.suffix and not out.is_dir():
        if out.suffix.lower().removeprefix(".") not in PICTURES:
            raise CnnGenError(
                f"'{out}' is not a picture", hint="Use a file name that ends in .svg, .png or .pdf."
            )
        if len(files) > 1:
            raise CnnGenError(
                f"{len(files)} networks do not go into one picture",
                hint="--out names a folder for several.",
            )
        return [out]
    names = [f"{'network' if file == STDIN else file.stem}.{kind or 'svg'}" for file in files]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise CnnGenError(f"two networks would be drawn as {twice}", hint="Draw them separately.")
    return [(out or Path()) / name for name in names]
