"""How large the cache may grow: what has not been used for the longest time goes.

Removal is safe at any time. A process that has loaded an object keeps it: its file lives on until nobody has it open.
One that has found an entry and not loaded it yet compiles anew.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

__all__ = ["DAY", "LIMIT", "evict_oldest", "mark_used", "measure_entries"]

LIMIT = 256 * 2**20
"""How many bytes are kept; the objects of a thousand networks."""
KEPT_SHARE = 0.75
"""What is left of them when some are removed, so that this is not to be done at every new entry."""
ENTRY = re.compile(r"[0-9a-f]{40}")
"""A name that `hash_parts` makes: a folder that a user has chosen may hold other things, which are not ours."""
HOUR = 3600.0
DAY = 24 * HOUR


def mark_used(entry: Path) -> None:
    """Let an entry count as new; times are not finer than an hour, which spares the disk."""
    with contextlib.suppress(OSError):  # a folder that can only be read
        if time.time() - entry.lstat().st_mtime > HOUR:
            os.utime(entry)


def evict_oldest(folder: Path, limit: int = LIMIT, spared: str = "") -> bool:
    """Where the entries of a folder are larger than `limit` together, remove the oldest but the `spared` one.

    Says whether one of them was used within a day: then the limit is less than what is in use.
    """
    entries = sorted(measure_entries(folder))
    total = sum(size for _, size, _ in entries)
    in_use = False
    if total <= limit:
        return in_use
    for used, size, entry in entries:
        if total <= KEPT_SHARE * limit:
            break
        if entry.name != spared:
            shutil.rmtree(entry, ignore_errors=True)
            total -= size
            in_use |= time.time() - used < DAY
    return in_use


def measure_entries(folder: Path) -> Iterator[tuple[float, int, Path]]:
    """When each entry was used last, its bytes, and where it is."""
    for entry in folder.iterdir():
        if ENTRY.fullmatch(entry.name):
            with contextlib.suppress(OSError):  # another process has removed it
                files = list(entry.iterdir()) if not entry.is_symlink() else []
                if files:
                    yield entry.lstat().st_mtime, sum(path.lstat().st_size for path in files), entry
