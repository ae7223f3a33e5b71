"""The settings of a studio, its file, and the data that the page needs at its start."""

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
    """The settings of a studio.

    `file` is the description to edit, `folder` holds the runs to explore, `data` are the images
    to train on. Open hyper-parameters are drawn from `space`. `backend` is shown first. `model`
    is the file of a model that predicts, instead of the shipped one.
    """

    file: Path | None
    folder: Path
    data: Dataset
    space: str = "paper"
    backend: str = "torch"
    model: Path | None = None
    limits: Limits = field(default_factory=Limits)

    @property
    def spaces(self) -> list[str]:
        """The spaces that the page offers."""
        return list(dict.fromkeys([self.space, *builtin_spaces()]))


@dataclass(frozen=True, slots=True)
class File:
    """The studio's file. `digest` is that of its content, None if it does not exist yet."""

    name: str
    text: str
    digest: str | None


@dataclass(frozen=True, slots=True)
class BackendState:
    """A backend: its abilities, the version of its framework, and how to install it if missing."""

    name: str
    framework: str | None
    can: list[str]
    install: str


@dataclass(frozen=True, slots=True)
class Start:
    """The data that the page needs at its start."""

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
    """Collect the data for the page. Raises `CnnGenError` if the file cannot be read."""
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
        # The chosen backend comes first.
        backends=sorted(_backends(), key=lambda backend: backend.name != settings.backend),
        characters=settings.limits.characters,
        training_seconds=settings.limits.training_seconds,
    )


def read_file(settings: StudioSettings) -> File | None:
    """Read the studio's file; it is empty if it does not exist yet.

    Raises `CnnGenError` if it is not a text file within the studio's limits.
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
        raise CnnGenError("not a text file in UTF-8", source=source) from None
    if len(text) > most:
        raise CnnGenError(f"has more than the {most:,} characters of the studio", source=source)
    return File(path.name, text, _digest(content))


def save_file(settings: StudioSettings, text: str, digest: str | None) -> File:
    """Write the studio's file atomically, if its content still has `digest`.

    Raises `StoreError` if the studio has no file, the file has changed, or cannot be written.
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
                f"{path.name} was changed by another program",
                hint="Download the text, or reload the page to start from the file.",
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
