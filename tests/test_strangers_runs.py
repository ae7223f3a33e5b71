"""Folders of runs as strangers may have made them: links, pipes, and files of any size."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from test_store import SOURCE, network, record

from cnngen.cli.app import run as command
from cnngen.comparison.comparison import read_comparison
from cnngen.comparison.design import FILE as COMPARISON
from cnngen.comparison.design import Compared, Design, claim
from cnngen.editor.studio.limits import Limits
from cnngen.editor.studio.runs import campaigns, explore, open_run
from cnngen.errors import CnnGenError, StoreError
from cnngen.runs.campaign.plan import FILE as CAMPAIGN
from cnngen.runs.campaign.plan import read as read_plan
from cnngen.runs.dataset_card import write_card
from cnngen.runs.merge import merge_folders
from cnngen.runs.parquet_index import FILE as INDEX
from cnngen.runs.parquet_index import update_index, write_index
from cnngen.runs.store import load, save, set_aside
from cnngen.system.folder_lock import LOCK, hold
from cnngen.training.protocol import Protocol

SECRET = "not for anybody's eyes"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs, an index and a card."""
    folder = tmp_path_factory.mktemp("made") / "runs"
    for filters in (4, 5):
        save(folder, record(network(filters)), network(filters), SOURCE)
    write_index(folder)
    write_card(folder)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    (tmp_path / "outside").write_text(SECRET)
    return Path(shutil.copytree(made, tmp_path / "runs"))


@pytest.fixture(autouse=True)
def _no_hanging() -> Iterator[None]:
    """What waits for ever is ended; nothing here takes a tenth of this."""

    def end(number: int, frame: object) -> None:
        raise AssertionError("hangs")

    signal.signal(signal.SIGALRM, end)
    signal.alarm(60)
    yield
    signal.alarm(0)


def pipe(path: Path) -> None:
    os.mkfifo(path)


def link(path: Path) -> None:
    path.symlink_to(path.parents[2 if path.parent.name != "runs" else 1] / "outside")


def dangling(path: Path) -> None:
    path.symlink_to("nowhere")


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(20 * 2**30)


def a_folder(path: Path) -> None:
    path.mkdir()


KINDS = [pipe, link, dangling, device, huge, a_folder]
READERS: list[Callable[[Path], object]] = [
    lambda folder: list(load(folder)),
    lambda folder: load(folder).to_pandas(),
    update_index,
    read_plan,
    read_comparison,
    campaigns,
    lambda folder: merge_folders(folder.parent / "all", [folder]),
    lambda folder: explore(folder, ".", Limits()),
    lambda folder: open_run(folder, ".", record(network(4)).key, Limits()),
    lambda folder: command(["show", str(folder), record(network(4)).key]),
]


def put(path: Path, kind: Callable[[Path], None]) -> None:
    path.unlink(missing_ok=True)
    kind(path)


OF_A_RUN = ["record.json", "model.cnn", "torch.py"]
OF_A_FOLDER = [INDEX, "README.md", CAMPAIGN, COMPARISON, LOCK]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *((name, kind) for name in OF_A_RUN for kind in KINDS),
        *((name, kind) for name in OF_A_FOLDER for kind in (pipe, link, huge)),
    ],
)
def test_no_reader_hangs_or_follows_a_link_and_the_other_run_is_seen(
    folder: Path, name: str, kind: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    run = folder / record(network(4)).key
    path = (run if name in OF_A_RUN else folder) / name
    put(path, kind)
    told = []
    for reader in (*READERS, *([write_card] if name == "README.md" else [])):
        try:
            told.append(str(reader(folder)))
        except CnnGenError as error:
            told.append(str(error))
    assert SECRET not in "".join(told) + capsys.readouterr().out
    assert (folder.parent / "outside").read_text() == SECRET
    other = record(network(5)).key
    assert other in [kept.key for kept in load(folder)]
    assert other in load(folder).to_pandas().index
    assert explore(folder, ".", Limits()).total >= 1


@pytest.mark.parametrize("kind", [pipe, link, dangling, device, a_folder])
def test_a_lock_that_is_no_file_of_its_own_is_refused_and_left(
    folder: Path, kind: Callable[[Path], None]
) -> None:
    put(folder / LOCK, kind)
    with pytest.raises(StoreError, match=r"\.lock"), hold(folder):
        raise AssertionError("held")
    assert (folder.parent / "outside").read_text() == SECRET
    assert command(["merge", str(folder), str(folder.parent / "other")]) == 2


def test_a_hard_link_in_the_locks_place_is_not_overwritten(folder: Path) -> None:
    (folder / LOCK).hardlink_to(folder.parent / "outside")
    with pytest.raises(StoreError, match="not a file of its own"), hold(folder):
        raise AssertionError("held")
    assert (folder.parent / "outside").read_text() == SECRET


@pytest.mark.parametrize("name", ["figures", ".partial"])
def test_a_linked_sub_folder_takes_nothing_elsewhere(folder: Path, name: str) -> None:
    elsewhere = folder.parent / "elsewhere"
    elsewhere.mkdir()
    shutil.rmtree(folder / name)
    (folder / name).symlink_to(elsewhere)
    with pytest.raises(StoreError, match="symbolic link"):
        write_card(folder)
    assert list(elsewhere.iterdir()) == []


def test_a_run_is_not_moved_out_by_a_linked_folder_of_broken_ones(folder: Path) -> None:
    elsewhere = folder.parent / "elsewhere"
    elsewhere.mkdir()
    (folder / ".broken").symlink_to(elsewhere)
    with pytest.raises(StoreError, match="symbolic link"):
        set_aside(folder / record(network(4)).key)
    assert list(elsewhere.iterdir()) == []


def test_a_linked_file_of_a_run_is_not_copied(folder: Path) -> None:
    run = folder / record(network(4)).key
    put(run / "torch.py", link)
    merge_folders(folder.parent / "all", [folder])
    copied = folder.parent / "all" / run.name
    assert {path.name for path in run.iterdir()} - {path.name for path in copied.iterdir()} == {
        "torch.py"
    }


def test_a_run_too_large_to_copy_hides_no_other(folder: Path) -> None:
    put(folder / record(network(4)).key / "torch.py", huge)
    merged = merge_folders(folder.parent / "all", [folder])
    assert [path.name for path in merged.broken] == [record(network(4)).key]
    assert merged.copied == 1


def test_a_folder_that_cannot_be_read_hides_no_campaign(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = folder.parent / "closed"
    closed.mkdir()
    listdir = os.listdir

    def refuse(path: Path) -> list[str]:  # root may read what is closed
        if Path(path) == closed:
            raise PermissionError(13, "Permission denied")
        return listdir(path)

    monkeypatch.setattr(os, "listdir", refuse)
    assert [(found.name, found.runs) for found in campaigns(folder.parent)] == [("runs", 2)]


def test_a_mode_of_a_comparison_is_no_link(tmp_path: Path) -> None:
    made = Design(
        modes=("torch", "keras"),
        networks=(Compared("0" * 16, None),),
        repeats=1,
        protocol=Protocol(),
        data=record().data,
        test_images=1,
    )
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "compared").mkdir()
    (tmp_path / "compared" / made.modes[0]).symlink_to(elsewhere)
    with pytest.raises(StoreError, match="symbolic link"):
        claim(tmp_path / "compared", made)
    with pytest.raises(StoreError):
        read_comparison(tmp_path / "compared")
