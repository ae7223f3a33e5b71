"""The runs of several folders in one, as of the shards of a campaign."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cnngen.errors import StoreError
from cnngen.runs.campaign import plan as plans
from cnngen.runs.parquet_index import update_index
from cnngen.runs.run_folder import MAX_RECORD, RECORD, load_run, run_files, run_paths
from cnngen.system.files import write_folder
from cnngen.system.folder_lock import hold
from cnngen.system.untrusted import read_bytes


@dataclass
class Merged:
    """How many runs were copied and how many were there; those that were left out, with the
    reason: because the same training has another result there, or because it is broken."""

    copied: int = 0
    same: int = 0
    conflicts: dict[Path, str] = field(default_factory=dict)
    broken: dict[Path, str] = field(default_factory=dict)


def merge_folders(out: str | Path, folders: Sequence[str | Path]) -> Merged:
    """Copy the runs of folders into another, each whole or not at all, and write its index.

    Folders of one campaign make a folder that the campaign can go on in. Raises `StoreError`
    where a folder cannot be read, `out` not be written, or a campaign is at work in it.
    """
    out = Path(out)
    sources = [Path(folder) for folder in folders]
    if any(source.resolve() == out.resolve() for source in sources):
        raise StoreError(f"{out} cannot be merged into itself")
    runs = [run for source in sources for run in run_paths(source)]
    settings = _common([out, *sources])
    merged = Merged()
    with hold(out):
        for run in runs:
            _merge_run(run, out, merged)
        if settings is not None:
            plans.claim(out, settings)
        update_index(out)
    return merged


def _merge_run(run: Path, out: Path, merged: Merged) -> None:
    there = out / run.name
    try:
        record = load_run(run)
        files = {} if os.path.lexists(there) else run_files(run)
    except StoreError as error:
        merged.broken[run] = error.message
        return
    if files:
        write_folder(out, record.key, files)
        merged.copied += 1
    elif _same(there, run):
        merged.same += 1
    else:
        accuracy = "-" if record.test_accuracy is None else f"{record.test_accuracy:.3f}"
        merged.conflicts[run] = (
            f"{there} is another result of the same training and stays; this one ended "
            f"{record.status} at {record.finished} with accuracy {accuracy}"
        )


def _same(there: Path, run: Path) -> bool:
    try:
        first, second = (
            read_bytes(one / RECORD, MAX_RECORD, root=one.parent) for one in (there, run)
        )
        return first == second
    except OSError:
        return False  # what is there is broken


def _common(folders: Sequence[Path]) -> plans.Settings | None:
    """The settings of a whole campaign that these folders are parts of, if they are."""
    found = [settings for folder in folders if (settings := plans.read(folder)) is not None]
    if not found or any(plans.differences(found[0], other).keys() - {"shard"} for other in found):
        return None
    return found[0] | {"shard": str(plans.WHOLE)}
