"""What is kept of compiled objects is bounded: those used least lately go, and nothing else."""

from __future__ import annotations

import ctypes
import os
import time
from pathlib import Path

import pytest
from compiled import toolchain

from graphbptt.backend import log_once
from graphbptt_native.cache import Cache, hash_parts, open_cache
from graphbptt_native.cpu import describe_cpu
from graphbptt_native.evict import DAY, HOUR, evict_oldest
from graphbptt_native.load import OBJECT, compile_source, load_library, object_key

SIZE = 1000


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return open_cache({"GRAPHBPTT_CACHE": str(tmp_path / "cache")})


def fill(cache: Cache, number: int) -> list[str]:
    """Entries, the first of which is the oldest."""
    keys = [hash_parts(bytes([index])) for index in range(number)]
    now = time.time()
    for index, key in enumerate(keys):
        cache.store(key, {"object.so": bytes(SIZE)})
        age(cache, key, now - 10 * HOUR * (number - index))
    return keys


def age(cache: Cache, key: str, when: float) -> None:
    assert cache.folder is not None
    os.utime(cache.folder / key, (when, when))


def left(cache: Cache, keys: list[str]) -> list[int]:
    assert cache.folder is not None
    return [index for index, key in enumerate(keys) if (cache.folder / key).exists()]


def test_oldest_go(cache: Cache) -> None:
    keys = fill(cache, 10)
    assert cache.folder is not None
    evict_oldest(cache.folder, limit=20 * SIZE)
    assert left(cache, keys) == list(range(10))
    evict_oldest(cache.folder, limit=8 * SIZE, spared=keys[0])
    # An entry has a checksum beside its 1,000 bytes: five and no more are below three quarters of the limit.
    assert left(cache, keys) == [0, 6, 7, 8, 9]


def test_what_is_used_stays(cache: Cache) -> None:
    keys = fill(cache, 10)
    assert cache.folder is not None
    assert cache.find(keys[2])
    evict_oldest(cache.folder, limit=8 * SIZE)
    assert left(cache, keys) == [2, 6, 7, 8, 9]


def test_storing_keeps_the_limit(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evict_oldest, "__defaults__", (8 * SIZE, ""))
    keys = fill(cache, 20)
    assert 4 <= len(left(cache, keys)) <= 8
    assert cache.find(keys[-1])
    large = hash_parts(b"large")
    assert cache.store(large, {"object.so": bytes(50 * SIZE)})
    assert cache.find(large)
    assert left(cache, keys) == []


def test_limit_that_is_less_than_what_is_in_use_is_told_once(
    cache: Cache, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Not where what goes was used last days ago."""
    monkeypatch.setattr(evict_oldest, "__defaults__", (8 * SIZE, ""))
    log_once.cache_clear()
    for key in fill(cache, 6):
        age(cache, key, time.time() - 3 * DAY)
    keys = [hash_parts(b"new", bytes([number])) for number in range(20)]
    for key in keys[:5]:
        cache.store(key, {"object.so": bytes(SIZE)})
    assert left(cache, keys) == list(range(5))
    assert not caplog.records
    for key in keys[5:]:
        cache.store(key, {"object.so": bytes(SIZE)})
    (record,) = caplog.records
    assert f"compiled within a day: {cache.folder} is full, with 256 MB; name" in record.getMessage()


def test_other_things_in_the_folder_stay(cache: Cache, tmp_path: Path) -> None:
    """As where $GRAPHBPTT_CACHE names a folder that a user has other things in."""
    assert cache.folder is not None
    (cache.folder / "thesis").mkdir()
    (cache.folder / "thesis" / "text").write_bytes(bytes(100 * SIZE))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "text").write_bytes(bytes(100 * SIZE))
    (cache.folder / hash_parts(b"link")).symlink_to(tmp_path / "elsewhere")
    (cache.folder / hash_parts(b"file")).write_bytes(bytes(100 * SIZE))
    keys = fill(cache, 10)
    evict_oldest(cache.folder, limit=4 * SIZE)
    assert len(left(cache, keys)) == 2
    assert (cache.folder / "thesis" / "text").exists()
    assert (tmp_path / "elsewhere" / "text").exists()
    assert (cache.folder / hash_parts(b"file")).exists()


def test_loaded_objects_live_on(cache: Cache) -> None:
    assert cache.folder is not None
    library = load_library("int seven(void) { return 7; }\n", toolchain(), cache)
    evict_oldest(cache.folder, limit=0)
    assert list(cache.folder.iterdir()) == []
    assert library.functions.seven() == 7
    again = load_library("int seven(void) { return 7; }\n", toolchain(), cache)
    assert (again.compiled, again.functions.seven()) == (True, 7)


def test_entry_that_goes_before_it_is_loaded_is_compiled_anew(
    cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "int eight(void) { return 8; }\n"
    made = compile_source(source, toolchain(), cache, tmp_path)
    cache.store(object_key(source, toolchain(), describe_cpu()), {OBJECT: made.read_bytes()})
    load, asked = ctypes.CDLL, []

    def lose(path: str) -> ctypes.CDLL:
        if not asked and cache.folder is not None:
            evict_oldest(cache.folder, limit=0)
        asked.append(Path(path).name)
        return load(path)

    monkeypatch.setattr(ctypes, "CDLL", lose)
    again = load_library(source, toolchain(), cache)
    assert (again.compiled, again.functions.eight()) == (True, 8)
    assert asked == [OBJECT, OBJECT]


def test_entries_that_go_meanwhile_are_passed_over(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = fill(cache, 3)
    assert cache.folder is not None
    listed = [cache.folder / key for key in (*keys, hash_parts(b"gone"))]
    inside = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda path: iter(listed) if path == cache.folder else inside(path))
    evict_oldest(cache.folder, limit=0)
    assert left(cache, keys) == []
