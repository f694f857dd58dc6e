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

__all__ = ["LIMIT", "evict_oldest", "mark_used", "measure_entries"]

LIMIT = 256 * 2**20
"""How many bytes are kept; the objects of a thousand networks."""
KEPT_SHARE = 0.75
"""What is left of them when some are removed, so that this is not to be done at every new entry."""
ENTRY = re.compile(r"[0-9a-f]{40}")
"""A name that `hash_parts` makes: a folder that a user has chosen may hold other things, which are not ours."""
HOUR = 3600.0


def mark_used(entry: Path) -> None:
    """Let an entry count as new; times are not finer than an hour, which spares the disk."""
    with contextlib.suppress(OSError):  # a folder that can only be read
        if time.time() - entry.lstat().st_mtime > HOUR:
            os.utime(entry)


def evict_oldest(folder: Path, limit: int = LIMIT, spared: str = "") -> None:
    """Where the entries of a folder are larger than `limit` together, remove the oldest but the `spared` one."""
    entries = sorted(measure_entries(folder))
    total = sum(size for _, size, _ in entries)
    if total <= limit:
        return
    for _, size, entry in entries:
        if total <= KEPT_SHARE * limit:
            return
        if entry.name != spared:
            shutil.rmtree(entry, ignore_errors=True)
            total -= size


def measure_entries(folder: Path) -> Iterator[tuple[float, int, Path]]:
    """When each entry was used last, its bytes, and where it is."""
    for entry in folder.iterdir():
        if ENTRY.fullmatch(entry.name):
            with contextlib.suppress(OSError):  # another process has removed it
                files = list(entry.iterdir()) if not entry.is_symlink() else []
                if files:
                    yield entry.lstat().st_mtime, sum(path.lstat().st_size for path in files), entry
