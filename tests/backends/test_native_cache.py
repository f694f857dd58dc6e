"""Compiled objects on disk: kept once, whole or not at all, and never taken from others."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from compiled import toolchain

from graphbptt.backend import log_once
from graphbptt_native import cache as caches
from graphbptt_native.cache import CHECKSUM, Cache, cache_folder, open_cache
from graphbptt_native.cpu import describe_cpu
from graphbptt_native.load import OBJECT, SOURCE, load_library, object_key

TEXT = "int seven(void) { return 7; }\n"
FILES = {"object.so": b"object", "source.c": b"source"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def cache(folder: Path) -> Cache:
    opened = open_cache({"GRAPHBPTT_CACHE": str(folder)})
    assert opened == Cache(folder.resolve())
    return opened


def test_where_it_is() -> None:
    assert cache_folder({"GRAPHBPTT_CACHE": "/a", "XDG_CACHE_HOME": "/b", "HOME": "/c"}) == Path("/a")
    assert cache_folder({"XDG_CACHE_HOME": "/b", "HOME": "/c"}) == Path("/b/graphbptt")
    below_home = "Library/Caches" if sys.platform == "darwin" else ".cache"
    assert cache_folder({"XDG_CACHE_HOME": "relative", "HOME": "/c"}) == Path("/c", below_home, "graphbptt")


def test_kept_and_found(cache: Cache, folder: Path) -> None:
    assert cache.find("key") is None
    entry = cache.store("key", FILES)
    assert cache.find("key") == entry == folder.resolve() / "key"
    assert {path.name: path.read_bytes() for path in entry.iterdir() if path.name != CHECKSUM} == FILES
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in folder.iterdir()] == ["key"]


def test_says_how_much_it_holds(cache: Cache, folder: Path) -> None:
    assert cache.describe() == f"{folder}, 0.0 MB in 0 entries; it may grow to 256 MB"
    cache.store("0" * 40, {"object.so": bytes(3 * 2**20)})
    assert cache.describe() == f"{folder}, 3.0 MB in 1 entry; it may grow to 256 MB"
    (folder / ("0" * 40)).rename(folder.parent / "elsewhere")
    folder.rmdir()
    assert cache.describe().startswith(f"{folder}, which cannot be read: [Errno 2]")
    assert Cache(None, "nothing is kept").describe() == "none; nothing is kept"


def test_says_that_nothing_more_can_be_kept(
    cache: Cache, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As root may write everywhere but to what is mounted so, the answer of the system is given here."""
    asked: list[tuple[Path, int]] = []

    def refuse(path: Path, way: int) -> bool:
        asked.append((path, way))
        return False

    monkeypatch.setattr(caches.os, "access", refuse)
    assert cache.describe() == (
        f"{folder}, 0.0 MB in 0 entries; it cannot be written, so nothing more is kept; "
        "name another folder in $GRAPHBPTT_CACHE"
    )
    assert asked == [(folder, os.W_OK)]


def test_compiled_once(cache: Cache) -> None:
    first = load_library(TEXT, toolchain(), cache)
    again = load_library(TEXT, toolchain(), cache)
    assert (first.compiled, again.compiled) == (True, False)
    assert first.functions.seven() == again.functions.seven() == 7


def test_key_tells_apart_all_an_object_depends_on() -> None:
    here = toolchain()
    variants = [
        (TEXT, here, "cpu"),
        (TEXT + " ", here, "cpu"),
        (TEXT, replace(here, flags=(*here.flags, "-g")), "cpu"),
        (TEXT, replace(here, version="other"), "cpu"),
        (TEXT, replace(here, command=("other",)), "cpu"),
        (TEXT, here, "cpu with more features"),
    ]
    assert len({object_key(*variant) for variant in variants}) == len(variants)
    assert describe_cpu()


def corrupt(entry: Path, how: str) -> None:
    path = entry / OBJECT
    content = path.read_bytes()
    changes = {
        "cut": content[:100],
        "empty": b"",
        "changed": content[:500] + bytes([content[500] ^ 1]) + content[501:],
    }
    if how in changes:
        path.unlink()  # the object is loaded: its file must stay as it is
        path.write_bytes(changes[how])
    elif how == "gone":
        path.unlink()
    elif how == "unchecked":
        (entry / CHECKSUM).unlink()
    elif how == "writable":
        path.chmod(0o666)
    elif how == "linked":
        path.rename(entry.parent / "elsewhere.so")
        path.symlink_to(entry.parent / "elsewhere.so")
    elif how == "a pipe":
        path.unlink()
        os.mkfifo(path)
    elif how == "a file":
        for inner in entry.iterdir():
            inner.unlink()
        entry.rmdir()
        entry.touch()
    elif how == "elsewhere":
        entry.rename(entry.parent / "moved")
        entry.symlink_to(entry.parent / "moved")


@pytest.mark.parametrize(
    "how",
    ["cut", "empty", "changed", "gone", "unchecked", "writable", "linked", "a pipe", "a file", "elsewhere"],
)
def test_broken_entry_is_made_anew(cache: Cache, how: str) -> None:
    load_library(TEXT, toolchain(), cache)
    key = object_key(TEXT, toolchain(), describe_cpu())
    assert cache.folder is not None
    corrupt(cache.folder / key, how)
    assert cache.find(key) is None
    library = load_library(TEXT, toolchain(), cache)
    assert (library.compiled, library.functions.seven()) == (True, 7)
    assert not load_library(TEXT, toolchain(), cache).compiled


def test_entry_of_another_key_is_not_taken(cache: Cache) -> None:
    entry = cache.store("one", FILES)
    entry.rename(entry.parent / "other")
    assert cache.find("other") is None


@pytest.mark.parametrize("content", [b"", b"no object at all", b"\x7fELF and no more"])
def test_whole_entry_that_cannot_be_loaded_is_made_anew(cache: Cache, content: bytes) -> None:
    source = f"int nine(void) {{ return 9; }} // {content!r}"
    key = object_key(source, toolchain(), describe_cpu())
    cache.store(key, {SOURCE: source.encode(), OBJECT: content})
    assert load_library(source, toolchain(), cache).compiled
    again = load_library(source, toolchain(), cache)
    assert (again.compiled, again.functions.nine()) == (False, 9)


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777, 0o1777])
def test_folder_others_can_write_is_not_used(folder: Path, mode: int) -> None:
    folder.mkdir()
    folder.chmod(mode)
    opened = open_cache({"GRAPHBPTT_CACHE": str(folder)})
    assert opened.folder is None
    assert "others can write to" in opened.note
    assert load_library(TEXT, toolchain(), opened).functions.seven() == 7
    assert list(folder.iterdir()) == []


def test_folder_below_one_others_can_write_is_not_used(tmp_path: Path) -> None:
    above = tmp_path / "above"
    above.mkdir()
    above.chmod(0o777)
    assert open_cache({"GRAPHBPTT_CACHE": str(above / "cache")}).folder is None
    above.chmod(0o1777)  # sticky: what is ours stays ours
    assert open_cache({"GRAPHBPTT_CACHE": str(above / "cache")}).folder is not None


def test_link_is_judged_by_where_it_leads(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "link").symlink_to(tmp_path / "open")
    assert open_cache({"GRAPHBPTT_CACHE": str(tmp_path / "link")}).folder is None
    assert open_cache({"GRAPHBPTT_CACHE": str(tmp_path / "link" / "below")}).folder is None


def test_folder_of_another_user_is_not_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir(mode=0o700)
    monkeypatch.setattr(caches.os, "getuid", lambda: folder.stat().st_uid + 1)
    opened = open_cache({"GRAPHBPTT_CACHE": str(folder)})
    assert opened.folder is None
    assert f"{folder} belongs to another user" in opened.note


def test_file_of_another_user_is_not_taken(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.store("key", FILES)
    owner = os.getuid()
    monkeypatch.setattr(caches.os, "getuid", lambda: owner + 1)
    assert cache.find("key") is None


@pytest.mark.parametrize("place", ["file/cache", "\0", "x" * 5000])
def test_folder_that_cannot_be(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    opened = open_cache({"GRAPHBPTT_CACHE": f"{tmp_path}/{place}"})
    assert opened.folder is None
    assert opened.note.startswith("nothing is kept between runs: ")
    assert load_library(TEXT, toolchain(), opened).functions.seven() == 7


@pytest.mark.parametrize("place", ["file", "file/cache"])
def test_file_where_a_folder_should_be(tmp_path: Path, place: str) -> None:
    file = tmp_path / "file"
    file.touch()
    opened = open_cache({"GRAPHBPTT_CACHE": f"{tmp_path}/{place}"})
    assert opened.note == (
        f"nothing is kept between runs: {file} is no folder; name another folder in $GRAPHBPTT_CACHE"
    )


@pytest.mark.skipif(os.getuid() == 0, reason="root can write anywhere")
def test_folder_that_cannot_be_written(cache: Cache) -> None:
    assert cache.folder is not None
    cache.folder.chmod(0o500)
    try:
        library = load_library(TEXT, toolchain(), cache)
        assert (library.compiled, library.functions.seven()) == (True, 7)
        assert list(cache.folder.iterdir()) == []
    finally:
        cache.folder.chmod(0o700)


def test_no_room_for_another_folder(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    make = caches.tempfile.mkdtemp

    def refuse(*arguments: Any, **options: Any) -> str:
        if options.get("dir") == cache.folder:
            raise OSError(28, "No space left on device")
        return make(*arguments, **options)

    monkeypatch.setattr(caches.tempfile, "mkdtemp", refuse)
    library = load_library(TEXT, toolchain(), cache)
    assert (library.compiled, library.functions.seven()) == (True, 7)
    assert cache.folder is not None
    assert list(cache.folder.iterdir()) == []


@pytest.mark.parametrize(
    "reason", [OSError(28, "No space left on device"), PermissionError(13, "Permission denied")]
)
def test_full_or_read_only_folder(
    cache: Cache, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, reason: OSError
) -> None:
    """A line says so, whatever is compiled."""

    def refuse(*_: object) -> None:
        raise reason

    monkeypatch.setattr(caches, "_write", refuse)
    log_once.cache_clear()
    for text in (TEXT, TEXT, TEXT + " "):
        library = load_library(text, toolchain(), cache)
        assert (library.compiled, library.functions.seven()) == (True, 7)
    assert cache.folder is not None
    assert list(cache.folder.iterdir()) == []
    (record,) = caplog.records
    assert record.getMessage() == (
        f"graphbptt compiles anew in every process; {cache.folder} keeps nothing: {reason.strerror}; "
        "make room, or name another folder in $GRAPHBPTT_CACHE"
    )


def test_folder_from_which_nothing_can_be_loaded(
    cache: Cache, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As one on a file system that is mounted noexec."""
    load = ctypes.CDLL.__init__

    def refuse(library: ctypes.CDLL, path: str) -> None:
        if Path(path).is_relative_to(str(cache.folder)):
            raise OSError(f"{path}: failed to map segment from shared object")
        load(library, path)

    monkeypatch.setattr(ctypes.CDLL, "__init__", refuse)
    log_once.cache_clear()
    for text in (TEXT, TEXT, TEXT + " "):
        library = load_library(text, toolchain(), cache)
        assert (library.compiled, library.functions.seven()) == (True, 7)
    (record,) = caplog.records
    assert record.getMessage() == (
        f"graphbptt compiles anew in every process; nothing can be loaded from {cache.folder} (is it mounted "
        "noexec?): failed to map segment from shared object; name another folder in $GRAPHBPTT_CACHE"
    )


def test_what_dead_processes_left_is_swept(cache: Cache, folder: Path) -> None:
    old, young = folder / f"{caches.UNFINISHED}old", folder / f"{caches.UNFINISHED}young"
    for left in (old, young):
        left.mkdir()
        (left / SOURCE).touch()
    os.utime(old, (time.time() - 2 * caches.DAY,) * 2)
    cache.store("key", FILES)
    assert sorted(path.name for path in folder.iterdir()) == sorted([young.name, "key"])


RACE = """
import sys
from pathlib import Path
from graphbptt_native.cache import open_cache
from graphbptt_native.discover import find_toolchain
from graphbptt_native.load import load_library, object_key
from graphbptt_native.cpu import describe_cpu
cache = open_cache()
toolchain = find_toolchain(cache)
sys.stdin.readline()
for number in range(4):
    source = f"int number(void) {{ return {number}; }}"
    entry = cache.folder / object_key(source, toolchain, describe_cpu())
    library = load_library(source, toolchain, cache)
    assert library.functions.number() == number
    print(int(library.compiled), end=" ")
"""


def test_processes_in_parallel(cache: Cache, folder: Path) -> None:
    """All find a broken entry at once; each loads a whole object, and whole entries are left."""
    for number in range(4):
        load_library(f"int number(void) {{ return {number}; }}", toolchain(), cache)
    for entry in folder.iterdir():
        corrupt(entry, "cut")
    environ = {**os.environ, "GRAPHBPTT_CACHE": str(folder), "PYTHONPATH": os.pathsep.join(sys.path)}
    processes = [
        subprocess.Popen([sys.executable, "-c", RACE], stdin=-1, stdout=-1, stderr=-1, env=environ)
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, outputs
    assert any(b"1" in out for out, _ in outputs)
    entries = [path for path in folder.iterdir() if not path.name.startswith(caches.UNFINISHED)]
    assert len(entries) == len(list(folder.iterdir())) == 5
    assert all(cache.find(entry.name) for entry in entries)


@pytest.fixture(autouse=True)
def no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("GRAPHBPTT_CACHE", str(tmp_path / "unused"))
    yield
    assert not (tmp_path / "unused").exists()
