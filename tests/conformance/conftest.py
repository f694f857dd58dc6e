"""How generated C is compiled where thousands of networks are: most of it in a hurry, unless it is night."""

from __future__ import annotations

from collections.abc import Iterator
from zlib import crc32

import pytest
from agreement import BACKENDS
from compiled import hurry
from hypothesis import settings

from graphbptt_native import Equipment, NativeBackend, backend, contraction, executable, program, threads
from graphbptt_native.cache import Cache
from graphbptt_native.discover import Toolchain
from graphbptt_native.load import Library, load_library

FEW = 16
"""Of so many sources one is compiled as it is for users: which one, the source itself says."""


def load(source: str, toolchain: Toolchain, cache: Cache, seconds: float) -> Library:
    hurried = crc32(source.encode()) % FEW
    return load_library(source, hurry(toolchain) if hurried else toolchain, cache, seconds)


@pytest.fixture(scope="module")
def hurried_compiler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Under the profile `nightly` flags are those of users. Nothing is kept in the user's cache."""
    if "native" not in BACKENDS:
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        if settings.default is not settings.get_profile("nightly"):
            patch.setattr(program, "load_library", load)
        equipment = Equipment(Cache(tmp_path_factory.mktemp("objects")), backend.toolchain)
        patch.setattr(NativeBackend, "equipment", equipment)
        yield


@pytest.fixture(autouse=True)
def generated_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Generated functions do what users leave to NumPy in networks so small, and two threads share it."""
    monkeypatch.setattr(contraction, "FEWEST_FLOPS", 0.0)
    monkeypatch.setattr(threads, "FLOPS_WORTH_A_THREAD", 1.0)
    monkeypatch.setattr(executable, "count_cores", lambda: 2)
