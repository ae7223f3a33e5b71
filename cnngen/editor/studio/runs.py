"""Reads folders of runs for the page. Their content is untrusted.

Only two things of a run reach the page: its record, which is fully validated, and its
description, which is parsed and formatted anew. Its pictures and code are never opened.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cnngen.editor.studio.answers import NamedText
from cnngen.editor.studio.limits import Limits
from cnngen.errors import Source, StoreError, shorten
from cnngen.language import format
from cnngen.report.search_history import read_searches
from cnngen.runs.record import Record
from cnngen.runs.run_folder import DESCRIPTION, load_network, load_run, run_paths
from cnngen.runs.store import load
from cnngen.search.journal import FILE as JOURNAL
from cnngen.system.untrusted import read_bytes

SHOWN_BROKEN = 20
RECENT = 300.0
"""Seconds after its last line in which a search counts as running."""


@dataclass(frozen=True, slots=True)
class Campaign:
    """A folder with runs, by its name in the studio's folder, or `.` for that folder itself."""

    name: str
    runs: int


@dataclass(frozen=True, slots=True)
class Point:
    """The figures of one run. Accuracies are shares, energy is in Wh, None was not reached."""

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
class ShownSearch:
    """What a search has reached, in words, and whether it wrote something a short time ago."""

    text: str
    is_running: bool


@dataclass(frozen=True, slots=True)
class Explored:
    """The runs of a folder, the number of unreadable runs, and the reasons for some of them; and
    the search that they are of, if they are of one."""

    points: list[Point]
    total: int
    broken: int
    reasons: list[tuple[str, str]]
    search: ShownSearch | None = None


def campaigns(root: Path) -> list[Campaign]:
    """List the folders of runs in a folder, including itself; empty if it does not exist."""
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
    """Count the runs of a folder; 0 if it cannot be read."""
    try:
        return len(run_paths(folder))
    except StoreError:
        return 0


def explore(root: Path, campaign: str, limits: Limits) -> Explored:
    """Read the runs of a folder. Raises `StoreError` for a folder that `campaigns` does not list."""
    folder = _folder(root, campaign)
    runs = load(folder)
    points = [_point(record) for record in runs[: limits.points]]
    reasons = [(path.name, shorten(why, 300)) for path, why in runs.broken[:SHOWN_BROKEN]]
    search: ShownSearch | None = None
    try:
        search = _search(folder)
    except StoreError as error:
        reasons.append((JOURNAL, shorten(error.message, 300)))
    return Explored(points, len(runs), len(runs.broken), reasons, search)


def _search(folder: Path) -> ShownSearch | None:
    """What the search in a folder has reached; None if there is none."""
    for found in read_searches([folder]):
        names = " and ".join(one.name for one in found.objectives)
        parts = [f"{found.trainings:,} trainings"]
        if found.winners:
            best = found.milestones[-1].best
            parts += [
                f"best {one.name} {one.text(figure)}"
                for one, figure in zip(found.objectives, best, strict=True)
            ]
            if len(found.objectives) > 1:
                parts.append(f"{len(found.winners):,} on the front")
        written = (folder / JOURNAL).stat().st_mtime
        return ShownSearch(
            f"{shorten(found.method)} for {names}: {', '.join(parts)}",
            time.time() - written < RECENT,
        )
    return None


def open_run(root: Path, campaign: str, key: str, limits: Limits) -> NamedText:
    """Read the description of a run.

    Raises `StoreError` if there is none, or if it does not belong to the run's record.
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
            hint="Reload the list of folders: it may have changed.",
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
