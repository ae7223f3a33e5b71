"""A mark in a file by which CNNGen recognises the files that it wrote for this user.

Whoever makes a file can put a digest of its content into it; this one needs a key that is made
at random for each user, and never leaves the cache.
"""

from __future__ import annotations

import hmac
import os
import secrets
from pathlib import Path

from cnngen.system.cache import cache_folder

MARK = b"cnngen-seal-"
BLANK = MARK + b"0" * 64
"""Has to stand in what is sealed."""

KEY = 32
"""Bytes of a key."""


def seal(content: bytes) -> bytes:
    """Put the seal in place of the last blank one; it stays blank if there is no key."""
    key = _key()
    begin, found, end = content.rpartition(BLANK)
    return begin + _digest(key, content) + end if key is not None and found else content


def is_sealed(content: bytes) -> bool:
    """Return whether a content is exactly what `seal` returned to this user."""
    key = _key()
    begin, found, end = content.rpartition(MARK)
    if key is None or not found:
        return False
    size = len(BLANK) - len(MARK)
    return hmac.compare_digest(_digest(key, begin + BLANK + end[size:]), MARK + end[:size])


def _digest(key: bytes, content: bytes) -> bytes:
    return MARK + hmac.new(key, content, "sha256").hexdigest().encode()


def _key() -> bytes | None:
    """The user's key, which is made if there is none; None where it cannot be kept."""
    path = cache_folder() / "seal.key"
    try:
        if not path.exists():
            _make(path)
        key = path.read_bytes()
    except OSError:
        return None
    return key if len(key) == KEY else None


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(secrets.token_bytes(KEY))
    new.replace(path)
