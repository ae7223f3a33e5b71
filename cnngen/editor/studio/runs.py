"""Folders of runs as the page shows them. Whatever stands in them may come from strangers.

Nothing of a run reaches the page but its record, which is checked in full, and its
description, which is parsed and written anew; its pictures and its code are never opened.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cnngen.editor.studio.answers import NamedText
from cnngen.editor.studio.limits import Limits
from cnngen.errors import Source, StoreError, shorten
from cnngen.language import format
from cnngen.runs.record import Record
from cnngen.runs.run_folder import DESCRIPTION, load_network, load_run, run_paths
from cnngen.runs.store import load
from cnngen.system.untrusted import read_bytes

SHOWN_BROKEN = 20


@dataclass(frozen=True, slots=True)
class Campaign:
    """A folder with runs: its name in the studio's folder, `.` for that itself."""

    name: str
    runs: int


@dataclass(frozen=True, slots=True)
class Point:
    """One run in figures: accuracies are shares, energy is in Wh, None was not reached."""

    key: str
    name: str | None
    backend: str
    data: str
    protocol: str
    status: str
    accuracy: float | None
    energy: float | None
    seconds: float
    parameters: int
    flops: int
    layers: int


@dataclass(frozen=True, slots=True)
class Explored:
    """The runs of a folder, and those that cannot be read: how many, and some with why."""

    points: list[Point]
    total: int
    broken: int
    reasons: list[tuple[str, str]]


def campaigns(root: Path) -> list[Campaign]:
    """The folders of runs in a folder, itself among them; none where there is no folder."""
    found = [(".", root)]
    with suppress(OSError):
        found += [
            (entry.name, root / entry.name)
            for entry in sorted(os.scandir(root), key=lambda entry: entry.name)
            if entry.is_dir(follow_symlinks=False) and entry.name.isprintable()
        ]
    counted = [Campaign(name, _count(path)) for name, path in found]
    return [campaign for campaign in counted if campaign.runs]


def _count(folder: Path) -> int:
    """How many runs a folder has; none where it cannot be read."""
    try:
        return len(run_paths(folder))
    except StoreError:
        return 0


def explore(root: Path, campaign: str, limits: Limits) -> Explored:
    """The runs of a folder. Raises `StoreError` where it is none that `campaigns` names."""
    runs = load(_folder(root, campaign))
    points = [_point(record) for record in runs[: limits.points]]
    reasons = [(path.name, shorten(why, 300)) for path, why in runs.broken[:SHOWN_BROKEN]]
    return Explored(points, len(runs), len(runs.broken), reasons)


def open_run(root: Path, campaign: str, key: str, limits: Limits) -> NamedText:
    """The description of a run, as the parser understands it.

    Raises `StoreError` where there is none, or it is not that of the run's record.
    """
    folder = _folder(root, campaign)
    source = Source("", f"{key}/{DESCRIPTION}")
    try:
        read_bytes(folder / key / DESCRIPTION, limits.characters, root=folder)
    except OSError as error:
        raise StoreError(f"cannot be read: {error.strerror}", source=source) from None
    network = load_network(folder / key, load_run(folder / key))
    assert network is not None
    return NamedText(f"{key.split('-')[0]}.cnn", format(network.description, long=True))


def _folder(root: Path, campaign: str) -> Path:
    if campaign not in {found.name for found in campaigns(root)}:
        raise StoreError(
            f"{shorten(str(root))} has no folder of runs '{shorten(campaign)}'",
            hint="Look for the folders again: one may have come or gone.",
        )
    return root / campaign


def _point(record: Record) -> Point:
    return Point(
        record.key,
        record.name,
        record.backend,
        record.data.name,
        record.protocol.name,
        record.status,
        record.test_accuracy,
        record.energy.total_energy * 1000 if record.energy else None,
        record.train_seconds,
        record.parameters,
        record.flops,
        record.layers,
    )
