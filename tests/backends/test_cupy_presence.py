"""What is missing for a GPU, in one sentence, whatever CuPy says; and that CuPy has what the backend calls by name."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

import graphbptt_cupy
from graphbptt_cupy import backend
from graphbptt_cupy.presence import judge


class CUDARuntimeError(RuntimeError):
    """What CuPy raises."""


def raising(message: str) -> Callable[[], int]:
    def fail() -> int:
        raise CUDARuntimeError(message)

    return fail


def stand_in(
    version: str = "14.2.0", driver: int = 13000, toolkit: int = 13020, count: Callable[[], int] = lambda: 1
) -> SimpleNamespace:
    runtime = SimpleNamespace(
        driverGetVersion=lambda: driver,
        runtimeGetVersion=lambda: toolkit,
        getDeviceCount=count,
        CUDARuntimeError=CUDARuntimeError,
    )
    return SimpleNamespace(__version__=version, cuda=SimpleNamespace(runtime=runtime))


def test_nothing_is_missing() -> None:
    assert judge(stand_in()) is None
    assert judge(stand_in("13.6.0")) is None


@pytest.mark.parametrize(
    ("cupy", "words"),
    [
        (stand_in("13.5.1"), ("CuPy 13.5.1 is too old", "13.6")),
        (stand_in("9.0.0rc1"), ("too old", "pip install")),
        (stand_in(driver=0), ("no driver",)),
        (stand_in(driver=12040), ("up to 12.4", "needs 13.2", "cupy-cuda12x")),
        (stand_in(count=lambda: 0), ("no NVIDIA GPU", "CUDA_VISIBLE_DEVICES")),
        (stand_in(count=raising("cudaErrorNoDevice: no CUDA-capable device is detected\nmore")), ("no CUDA-capable",)),
    ],
)  # fmt: skip
def test_what_is_missing(cupy: SimpleNamespace, words: tuple[str, ...]) -> None:
    sentence = judge(cupy)
    assert sentence is not None
    assert "\n" not in sentence
    for word in words:
        assert word in sentence


def test_no_cupy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert backend.missing() == "CuPy is not installed; pip install 'graphbptt[cupy]'"


def test_a_broken_cupy(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> ModuleType:
        raise ImportError(f"libnvrtc.so.13: cannot open shared object file, asked for by {name}\nand more")

    monkeypatch.setattr(importlib, "import_module", fail)
    sentence = backend.missing()
    assert sentence is not None
    assert sentence.startswith("CuPy cannot be imported: libnvrtc.so.13")
    assert "\n" not in sentence


MODULES: dict[str, tuple[str, ...]] = {"cupy": (), "cuda": ("cuda",), "runtime": ("cuda", "runtime")}


def names_used() -> Iterator[str]:
    """What the package takes from CuPy by name: attributes of `cupy`, of `self._cupy`, and of what is called like a
    module of it."""
    for path in Path(graphbptt_cupy.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute):
                root, *names = ast.unparse(node).removeprefix("self.").removeprefix("_").split(".")
                if names and root in MODULES and all(name.isidentifier() for name in names):
                    yield ".".join([*MODULES[root], *names])


def test_cupy_has_the_names_that_are_used() -> None:
    names = set(names_used())
    assert {"RawModule", "empty", "cuda.runtime.getDeviceCount", "cuda.runtime.memcpy2DAsync"} <= names
    assert {"cuda.Stream", "cuda.driver.CUDADriverError"} <= names
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed")
    for name in names:
        found = cupy
        for part in name.split("."):
            found = getattr(found, part)
