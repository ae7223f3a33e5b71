"""Registers the language and its generators with textX, for textX's own commands.

textX finds only entry points of the groups `textx_languages` and `textx_generators`. Each
backend is an attribute of this module, so a backend in another package needs one line:

    [project.entry-points.textx_generators]
    cnngen_mine = "cnngen.cli.textx_commands:mine"
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from textx.exceptions import TextXError, TextXSemanticError, TextXSyntaxError
from textx.generators import gen_file
from textx.metamodel import TextXMetaModel, metamodel_from_str
from textx.registration import GeneratorDesc, GeneratorParam, LanguageDesc

from cnngen.backend import get_backend
from cnngen.cli import output
from cnngen.errors import CnnGenError, DescriptionError, printable, shorten
from cnngen.language import Description, parse, read
from cnngen.language.grammar import grammar_file
from cnngen.language.values import parse_count, parse_shape
from cnngen.space.resolution import resolve

LANGUAGE = "cnngen"

RESOLUTION = {
    "input": "shape of an image where the description leaves it open, such as 28x28x1",
    "classes": "number of classes where the description leaves it open",
    "space": "what open hyper-parameters are drawn from: paper, compact, authors, or a .toml file",
    "seed": "whole number that decides what is drawn",
}
"""Arguments of models and generators: those of `cnngen.resolve`."""

SCRIPT = "add a main that trains the network (no value; after the files)"


class MetaModel(TextXMetaModel):  # type: ignore[misc]  # textX has no types
    """textX's metamodel of `grammar.tx`, which lets CNNGen parse and resolve each text first.

    So its models are networks whose sizes fit, and errors are those of `cnngen check`. A model
    has its `Description` as `description`.
    """

    def model_from_file(
        self, file_name: str, encoding: str = "utf-8", debug: bool | None = None, **given: Any
    ) -> Any:
        """Load the model of a `.cnn` file, which is always UTF-8, whatever `encoding` is."""
        with _as_textx_errors():
            source = read(file_name).source
        assert source is not None
        return self.model_from_str(source.text, file_name, debug, **given)

    def model_from_str(
        self,
        model_str: str,
        file_name: str | None = None,
        debug: bool | None = None,
        pre_ref_resolution_callback: Any = None,
        encoding: str = "utf-8",
        **given: Any,
    ) -> Any:
        """Load the model of a text. Raises `TextXError` if it is not a valid network."""
        self.model_param_defs.check_params(file_name or "<text>", **given)
        with _as_textx_errors():
            description = parse(model_str, file_name or "<text>")
            resolve(description, **_resolution(given))
        try:
            model = super().model_from_str(
                model_str, file_name, debug, pre_ref_resolution_callback, encoding, **given
            )
        except RecursionError:
            raise TextXError(
                f"{printable(file_name or '<text>')}: textX's parser cannot nest merges so deep; "
                "`cnngen check` and `cnngen generate` can"
            ) from None
        model.description = description
        return model


def _metamodel() -> MetaModel:
    grammar = grammar_file()
    # What `str.isspace` and `\s` take for white space, textX is told character by character.
    space = "".join(filter(str.isspace, map(chr, range(0x3001))))
    metamodel = MetaModel(autokwd=True, ws=space)
    for name, meaning in RESOLUTION.items():
        metamodel.model_param_defs.add(name, meaning)
    metamodel_from_str(grammar.read_text("utf-8"), metamodel, file_name=str(grammar))
    return metamodel


language = LanguageDesc(LANGUAGE, "*.cnn", "Whole convolutional networks", _metamodel)


def __getattr__(name: str) -> GeneratorDesc:
    """Return the textX generator of a backend."""
    if name.startswith("_"):
        raise AttributeError(name)
    arguments = {"script": SCRIPT, **RESOLUTION}
    return GeneratorDesc(
        LANGUAGE,
        name,
        f"Source code of a network for the {name} backend",
        partial(_generate, name),
        [GeneratorParam(key, meaning, mandatory=False) for key, meaning in arguments.items()],
    )


def _generate(
    target: str,
    metamodel: MetaModel,
    model: Any,
    output_path: str | None,
    overwrite: bool,
    debug: bool,
    script: bool | str = False,
    **given: Any,
) -> None:
    """Write `NAME_TARGET.py` beside the description, or into the folder `output_path`."""
    with _as_textx_errors():
        if not isinstance(script, bool):
            raise CnnGenError(
                f"--script takes no value, not '{shorten(script)}'", hint="Name it last."
            )
        description: Description = model.description
        network = resolve(description, **_resolution(given))
        source = get_backend(target).emit(network, script=script)
        input_file = Path(model._tx_filename or f"{description.name or 'network'}.cnn")
        folder = Path(output_path) if output_path else input_file.parent
        file = folder / f"{input_file.stem}_{target}.py"
        output.make_folder(folder)
        gen_file(input_file, file, partial(output.write_output, file, source), overwrite)


def _resolution(given: dict[str, Any]) -> dict[str, Any]:
    """Convert the arguments of textX, which are strings or True, to those of `resolve`."""
    read: dict[str, Any] = {}
    for name, value in given.items():
        try:
            if value is True:
                raise ValueError
            read["input_shape" if name == "input" else name] = _READERS[name](str(value))
        except ValueError:
            wrong = "needs a value" if value is True else f"cannot be '{shorten(str(value))}'"
            raise CnnGenError(f"--{name} {wrong}", hint=f"It is: {RESOLUTION[name]}.") from None
    return read


def _seed(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,15}", text):
        raise ValueError
    return int(text)


_READERS: dict[str, Callable[[str], object]] = {
    "input": parse_shape,
    "classes": parse_count,
    "space": str,
    "seed": _seed,
}


@contextmanager
def _as_textx_errors() -> Iterator[None]:
    """Convert CNNGen's errors to textX's, with the same position."""
    try:
        yield
    except CnnGenError as error:
        message = f"{error.message}\n{error.hint}" if error.hint else error.message
        if error.position is None or error.source is None:
            prefix = f"{printable(error.source.name)}: " if error.source else ""
            raise TextXError(prefix + message) from None
        kind = TextXSyntaxError if isinstance(error, DescriptionError) else TextXSemanticError
        raise kind(message, *error.position, filename=printable(error.source.name)) from None
