"""How generated C is compiled where thousands of networks are: in a hurry, unless it is night. All of it is run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from agreement import BACKENDS
from hypothesis import settings

from graphbptt_native import Equipment, NativeBackend, backend, contraction, executable, threads
from graphbptt_native.cache import Cache


@pytest.fixture(scope="module")
def hurried_compiler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Most of what a small network takes is its compilation: with -Og a quarter as long.

    Under the profile `nightly` flags are those of users. Nothing is kept in the user's cache.
    """
    if "native" not in BACKENDS:
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        toolchain = backend.toolchain
        if settings.default is not settings.get_profile("nightly"):
            level = {"-O3": "-Og"}
            flags = tuple(level.get(flag, flag) for flag in toolchain.flags)
            toolchain = replace(toolchain, flags=flags)
        equipment = Equipment(Cache(tmp_path_factory.mktemp("objects")), toolchain)
        patch.setattr(NativeBackend, "equipment", equipment)
        yield


@pytest.fixture(autouse=True)
def generated_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Generated functions do what users leave to NumPy in networks so small, and two threads share it."""
    monkeypatch.setattr(contraction, "FEWEST_FLOPS", 0.0)
    monkeypatch.setattr(threads, "FLOPS_WORTH_A_THREAD", 1.0)
    monkeypatch.setattr(executable, "count_cores", lambda: 2)
