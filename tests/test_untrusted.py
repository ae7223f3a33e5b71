"""The one way in for files that strangers made."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from cnngen.system.untrusted import opened, read_bytes, read_text


def no_pipe(path: Path) -> None:
    os.mkfifo(path)


def no_folder(path: Path) -> None:
    path.mkdir()


def no_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(path))  # a longer path would not fit


def link_out(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def link_to_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def dangling(path: Path) -> None:
    path.symlink_to("nowhere")


def endless(path: Path) -> None:
    path.symlink_to(path)


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(20 * 2**30)


@pytest.mark.parametrize(
    "make",
    [no_pipe, no_folder, no_socket, link_out, link_to_device, dangling, endless, sparse],
)
def test_only_a_regular_file_of_bounded_size_is_opened(make, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "file")
    with pytest.raises(OSError) as caught:
        read_bytes(tmp_path / "file", 100, root=tmp_path)
    assert caught.value.strerror


@pytest.mark.parametrize("name", ["/dev/zero", "/dev/tty", "a\0b"])
def test_what_a_user_names_is_a_regular_file_as_well(name):
    with pytest.raises(OSError):
        read_bytes(name, 100)


def test_a_user_may_name_a_link_and_a_folder_may_not_have_one(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there/file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("there/file")
    (tmp_path / "sub").symlink_to("there")
    assert read_bytes(tmp_path / "link", 7) == b"content"
    assert read_bytes(tmp_path / "sub/file", 7, root=tmp_path / "sub") == b"content"
    for path in ("link", "sub/file"):
        with pytest.raises(OSError, match="symbolic link"):
            read_bytes(tmp_path / path, 7, root=tmp_path)
    with pytest.raises(OSError, match="symbolic link"):
        read_bytes(tmp_path / "there/../there/file", 7, root=tmp_path)


def test_as_many_bytes_as_allowed_are_read_and_no_more(tmp_path):
    (tmp_path / "file").write_bytes("größe".encode())
    assert read_text(tmp_path / "file", 7) == "größe"
    with pytest.raises(OSError, match="more than 6 bytes"):
        read_text(tmp_path / "file", 6)
    with pytest.raises(OSError, match="more than 10 bytes"):
        read_bytes("/proc/self/status", 10)  # whose size is not told
    with opened(tmp_path / "file", 7) as file:
        file.seek(-1, os.SEEK_END)
        assert file.read() == b"e"


def test_text_that_is_not_utf_8_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"\xff")
    with pytest.raises(OSError, match="UTF-8"):
        read_text(tmp_path / "file", 7)
