"""Compiled objects on disk, and what is known of the compiler, by the hash of what they were made from.

    folder/<key>/<files>  checksum

An entry is one folder, written under another name, synced and then renamed: processes in parallel see all of it or
nothing. The whole is bounded by `evict_oldest`. Loading an object runs it, so nothing is taken from a folder that
others can write, from a file of another user's, through a symbolic link, or where the checksum does not fit.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from graphbptt.backend import log_once
from graphbptt_native.evict import DAY, LIMIT, evict_oldest, mark_used, measure_entries

__all__ = ["ANOTHER_FOLDER", "Cache", "cache_folder", "hash_parts", "open_cache"]

CHECKSUM = "checksum"
UNFINISHED = ".unfinished-"

ANOTHER_FOLDER = "name another folder in $GRAPHBPTT_CACHE"
"""What to do where a folder is of no use."""

_SMALL = (
    "graphbptt compiles some networks anew that it compiled within a day: {folder} is full, with {limit:g} MB; "
    "name a folder for each of your projects in $GRAPHBPTT_CACHE"
)


def hash_parts(*parts: bytes) -> str:
    """A short name for a list of texts."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()[:40]


def cache_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """$GRAPHBPTT_CACHE, else `graphbptt` in the user's cache folder.

    >>> cache_folder({"XDG_CACHE_HOME": "/caches"}).as_posix()
    '/caches/graphbptt'
    """
    own = environ.get("GRAPHBPTT_CACHE")
    if own:
        return Path(own).expanduser()
    base = environ.get("XDG_CACHE_HOME")
    # A relative path is to be ignored, says the XDG base directory specification.
    if base and Path(base).is_absolute():
        return Path(base, "graphbptt")
    home = Path(environ.get("HOME") or Path.home())
    return home / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "graphbptt"


def open_cache(environ: Mapping[str, str] = os.environ) -> Cache:
    """The user's cache; where it cannot be trusted or made, one without a folder that says why."""
    try:
        wanted = cache_folder(environ)
        wanted.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = wanted.resolve(strict=True)
        danger = _danger(folder)
    except (FileExistsError, NotADirectoryError):
        danger = (
            f"{next(path for path in (*reversed(wanted.parents), wanted) if not path.is_dir())} is no folder"
        )
    except (
        OSError,
        ValueError,
        RuntimeError,
    ) as error:  # a name no file can have; nobody knows where home is
        return Cache(None, f"nothing is kept between runs: {error}")
    if danger:
        return Cache(None, f"nothing is kept between runs: {danger}; {ANOTHER_FOLDER}")
    return Cache(folder)


@dataclass(frozen=True, slots=True)
class Cache:
    """A folder of entries, or none and the reason."""

    folder: Path | None
    note: str = ""

    def find(self, key: str) -> Path | None:
        """The folder of an entry, if it is there, ours and whole."""
        if self.folder is None:
            return None
        entry = self.folder / key
        try:
            if not stat.S_ISDIR(entry.lstat().st_mode):
                return None
            contents = {path.name: _read_own(path) for path in entry.iterdir()}
            whole = contents.pop(CHECKSUM, b"") == _checksum(key, contents)
        except OSError:
            return None
        if whole:
            mark_used(entry)
        return entry if whole else None

    def store(self, key: str, contents: Mapping[str, bytes]) -> Path:
        """Keep files, in place of a broken entry; where another process has just kept them, take those.

        Raises
        ------
        OSError
            There is no folder, or it cannot be written.
        """
        if self.folder is None:
            raise OSError(self.note)
        self._sweep()
        fresh = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=self.folder))
        try:
            for name, content in contents.items():
                _write(fresh / name, content)
            _write(fresh / CHECKSUM, _checksum(key, contents))
            _sync(fresh)
            if not self._rename(fresh, key):
                self._set_aside(key)
                self._rename(fresh, key)
            _sync(self.folder)
            if evict_oldest(self.folder, spared=key):
                log_once(_SMALL.format(folder=self.folder, limit=LIMIT / 2**20))
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        kept = self.find(key)
        if kept is None:
            raise OSError("what was written is gone")
        return kept

    def describe(self) -> str:
        """Where it is, and how much of the room that it may take is taken."""
        if self.folder is None:
            return f"none; {self.note}"
        try:
            sizes = [size for _, size, _ in measure_entries(self.folder)]
        except OSError as error:
            return f"{self.folder}, which cannot be read: {error}"
        entries = f"{len(sizes)} entr{'y' if len(sizes) == 1 else 'ies'}"
        held = f"{self.folder}, {sum(sizes) / 2**20:.1f} MB in {entries}"
        if not os.access(self.folder, os.W_OK):
            return f"{held}; it cannot be written, so nothing more is kept; {ANOTHER_FOLDER}"
        return f"{held}; it may grow to {LIMIT / 2**20:g} MB"

    def remove(self, key: str) -> None:
        """Make room for another entry, where one is of no use; that need not work."""
        with contextlib.suppress(OSError):
            self._set_aside(key)

    def _rename(self, fresh: Path, key: str) -> bool:
        """Whether a whole entry is in place; only an empty folder gives way to a rename."""
        assert self.folder is not None
        try:
            fresh.rename(self.folder / key)
        except OSError:
            return self.find(key) is not None
        return True

    def _set_aside(self, key: str) -> None:
        if self.folder is None:
            return
        grave = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=self.folder))
        try:
            (self.folder / key).rename(grave / "broken")
        except FileNotFoundError:
            pass  # another process was faster
        finally:
            shutil.rmtree(grave, ignore_errors=True)

    def _sweep(self) -> None:
        """Remove what processes that died have left."""
        assert self.folder is not None
        for left in self.folder.glob(f"{UNFINISHED}*"):
            try:
                if time.time() - left.lstat().st_mtime > DAY:
                    shutil.rmtree(left, ignore_errors=True)
            except FileNotFoundError:
                pass  # another process swept it


def _danger(folder: Path) -> str:
    """Who else could put something into a folder or in its place; `folder` is free of symbolic links."""
    for path in (folder, *folder.parents):
        status = path.lstat()
        if status.st_uid not in ((os.getuid(),) if path == folder else (os.getuid(), 0)):
            return f"{path} belongs to another user"
        # In a folder like /tmp, which is sticky, others cannot rename what is not theirs.
        sticky = status.st_mode & stat.S_ISVTX and path != folder
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not sticky:
            return f"others can write to {path}"
    return ""


def _read_own(path: Path) -> bytes:
    """The content of a plain file of our own that nobody else can write."""
    number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(number, "rb") as file:
        status = os.fstat(number)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o022:
            raise PermissionError(f"{path} is not a file of our own")
        return file.read()


def _checksum(key: str, contents: Mapping[str, bytes]) -> bytes:
    return hash_parts(
        key.encode(), *(part for name in sorted(contents) for part in (name.encode(), contents[name]))
    ).encode()


def _write(path: Path, content: bytes) -> None:
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(number, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
