"""What a studio works on, and what the page is told of it at its start."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cnngen
from cnngen.backend import backend_names, get_backend
from cnngen.editor.studio.limits import Limits
from cnngen.errors import CnnGenError, Source, StoreError
from cnngen.operations import WORDS
from cnngen.space import builtin_spaces
from cnngen.system.files import replacing
from cnngen.system.untrusted import read_bytes
from cnngen.training.data import Dataset


@dataclass(frozen=True, slots=True)
class StudioSettings:
    """`file` is the description that is written to, `folder` holds the runs to explore,
    `data` are the images to train on, `space` is what open hyper-parameters are drawn from,
    `backend` is the one that is shown first, and `model` predicts, instead of CNNGen's own."""

    file: Path | None
    folder: Path
    data: Dataset
    space: str = "paper"
    backend: str = "torch"
    model: Path | None = None
    limits: Limits = field(default_factory=Limits)

    @property
    def spaces(self) -> list[str]:
        """What may be drawn from."""
        return list(dict.fromkeys([self.space, *builtin_spaces()]))


@dataclass(frozen=True, slots=True)
class File:
    """The studio's file: `digest` is that of its content, None where it is not there yet."""

    name: str
    text: str
    digest: str | None


@dataclass(frozen=True, slots=True)
class BackendState:
    """A backend: what it can do, its framework's version, and how to install what lacks."""

    name: str
    framework: str | None
    can: list[str]
    install: str


@dataclass(frozen=True, slots=True)
class Start:
    """What the page needs to know once."""

    version: str
    file: File | None
    folder: str
    spaces: list[str]
    space: str
    words: dict[str, list[str]]
    data: str
    input_shape: tuple[int, int, int]
    classes: int
    backends: list[BackendState]
    characters: int
    training_seconds: float


def start(settings: StudioSettings) -> Start:
    """Raises `CnnGenError` where the file cannot be read."""
    data = settings.data
    return Start(
        version=cnngen.__version__,
        file=read_file(settings),
        folder=str(settings.folder),
        spaces=settings.spaces,
        space=settings.space,
        words={word: list(WORDS[word].parameter_names) for word in WORDS},
        data=data.name,
        input_shape=data.input_shape,
        classes=data.classes,
        # The one that was asked for comes first.
        backends=sorted(_backends(), key=lambda backend: backend.name != settings.backend),
        characters=settings.limits.characters,
        training_seconds=settings.limits.training_seconds,
    )


def read_file(settings: StudioSettings) -> File | None:
    """The studio's file as it is now; an empty one where it is not there yet.

    Raises `CnnGenError` where it is no text that the studio takes.
    """
    path = settings.file
    if path is None:
        return None
    source = Source("", str(path))
    if path.suffix != ".cnn":
        raise CnnGenError("descriptions end in .cnn", source=source)
    most = settings.limits.characters
    try:
        content = read_bytes(path, 4 * most)
        text = content.decode("utf-8-sig")
    except FileNotFoundError:
        return File(path.name, "", None)
    except OSError as error:
        raise CnnGenError(f"cannot be read: {error.strerror}", source=source) from None
    except UnicodeDecodeError:
        raise CnnGenError("is no text in UTF-8", source=source) from None
    if len(text) > most:
        raise CnnGenError(f"has more than the {most:,} characters of the studio", source=source)
    return File(path.name, text, _digest(content))


def save_file(settings: StudioSettings, text: str, digest: str | None) -> File:
    """Write the studio's file, whole or not at all, if it still has the content `digest`.

    Raises `StoreError` where there is none, where it has changed, or cannot be written.
    """
    path = settings.file
    if path is None:
        raise StoreError("the studio was started without a file", hint="Download the text.")
    try:
        try:
            now = _digest(read_bytes(path, 4 * settings.limits.characters))
        except FileNotFoundError:
            now = None
        if now != digest:
            raise StoreError(
                f"{path.name} has been changed by another program",
                hint="Download the text, or reload the page to begin from the file.",
            )
        with replacing(path) as file:
            file.write(text.encode())
    except OSError as error:
        raise StoreError(f"{path.name} cannot be written: {error.strerror}") from None
    return File(path.name, text, _digest(text.encode()))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _backends() -> Iterator[BackendState]:
    for name in backend_names():
        try:
            backend = get_backend(name)
        except CnnGenError as error:
            yield BackendState(name, None, [], error.message)
        else:
            can = sorted(backend.capabilities)
            yield BackendState(name, backend.version(), can, backend.install)
