"""The folders of a user: for files that CNNGen can make again, and for settings to keep."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return the folder that CNNGEN_CACHE names, or `~/.cache/cnngen`."""
    return Path(os.environ.get("CNNGEN_CACHE") or Path.home() / ".cache" / "cnngen")


def config_folder() -> Path:
    """Return the folder that CNNGEN_CONFIG names, or `~/.config/cnngen` (XDG_CONFIG_HOME)."""
    if named := os.environ.get("CNNGEN_CONFIG"):
        return Path(named)
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "cnngen"
