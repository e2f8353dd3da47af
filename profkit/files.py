"""Where profkit keeps things of its own: environments, locks, parsed columns."""

from __future__ import annotations

import os
from pathlib import Path


def cache_root() -> Path:
    """Return ``PROFKIT_CACHE_DIR`` where it is set, else the user's cache folder."""
    root = os.environ.get("PROFKIT_CACHE_DIR")
    if root:
        return Path(root)
    from platformdirs import user_cache_path

    return user_cache_path("profkit", appauthor=False)
