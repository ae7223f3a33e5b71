"""The folder for files that CNNGen can make again."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return the folder that CNNGEN_CACHE names, or `~/.cache/cnngen`."""
    return Path(os.environ.get("CNNGEN_CACHE") or Path.home() / ".cache" / "cnngen")
