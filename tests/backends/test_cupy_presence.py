"""What is missing for a GPU, in one sentence, whatever CuPy says; and that CuPy has what the backend calls by name."""

from __future__ import annotations

import ast
import importlib
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import networkx as nx
import numpy as np
import pytest

import graphbptt_cupy
from graphbptt.compiler import compile_network
from graphbptt.errors import BackendError
from graphbptt.ir.product_precision import ProductPrecision
from graphbptt.passes.fold_graph import fold_graph
from graphbptt_cupy import backend, presence
from graphbptt_cupy.presence import judge, judge_precision


class CUDARuntimeError(RuntimeError):
    """What CuPy raises."""


def raising(message: str) -> Callable[[], int]:
    def fail() -> int:
        raise CUDARuntimeError(message)

    return fail


class StandIn(SimpleNamespace):
    """CuPy's module `cuda`, in which some libraries cannot be loaded."""

    absent: tuple[str, ...] = ()

    @property
    def nvrtc(self) -> Any:
        def version() -> tuple[int, int]:
            if "nvrtc" in self.absent:
                raise RuntimeError("CuPy failed to load libnvrtc.so.13\nand more")
            return 13, 2

        return SimpleNamespace(getVersion=version)

    @property
    def cublas(self) -> Any:
        if "cublas" in self.absent:
            raise ImportError("libcublas.so.13: cannot open shared object file")
        return SimpleNamespace()


def stand_in(
    version: str = "14.2.0", driver: int = 13000, toolkit: int = 13020, count: Callable[[], int] = lambda: 1,
    absent: tuple[str, ...] = (), capability: str = "90",
) -> SimpleNamespace:  # fmt: skip
    runtime = SimpleNamespace(
        driverGetVersion=lambda: driver,
        runtimeGetVersion=lambda: toolkit,
        getDeviceCount=count,
        CUDARuntimeError=CUDARuntimeError,
    )
    device = SimpleNamespace(compute_capability=capability)
    cuda = StandIn(runtime=runtime, absent=absent, Device=lambda: device)
    return SimpleNamespace(__version__=version, cuda=cuda)


def test_nothing_is_missing() -> None:
    assert judge(stand_in()) is None
    assert judge(stand_in("13.6.0")) is None
    assert judge(stand_in(toolkit=12090, capability="50")) is None


@pytest.mark.parametrize(
    ("cupy", "words"),
    [
        (stand_in("13.5.1"), ("CuPy 13.5.1 is too old", "13.6")),
        (stand_in("9.0.0rc1"), ("too old", "pip install")),
        (stand_in(driver=0), ("no driver for an NVIDIA GPU; install it",)),
        (
            stand_in(driver=12040),
            ("up to 12.4", "needs 13.2", "pip uninstall cupy-cuda13x and pip install 'graphbptt[cuda12]'"),
        ),
        (stand_in(driver=11080), ("up to 11.8, CuPy needs 13.2; update the driver",)),
        (
            stand_in(count=raising("cudaErrorNoDevice: no CUDA-capable device is detected\nmore")),
            ("the driver shows no GPU; nvidia-smi lists those of this machine, $CUDA_VISIBLE_DEVICES may hide them",),
        ),
        (stand_in(count=raising("cudaErrorSystemNotReady: system not yet initialized")), ("no GPU: cudaErrorSystem",)),
        (
            stand_in(capability="70"),
            ("CUDA 13 knows no GPU of compute capability 7.0; pip uninstall cupy-cuda13x and pip", "[cuda12]'"),
        ),
        (stand_in(capability="37", toolkit=12090), ("CUDA 12 knows no GPU of compute capability 3.7",)),
        (stand_in(absent=("nvrtc",)), ("no NVRTC (CuPy failed to load libnvrtc.so.13); pip", "'graphbptt[cuda13]'")),
        (stand_in(absent=("cublas",), toolkit=12090), ("no cuBLAS (libcublas.so.13: cannot", "'graphbptt[cuda12]'")),
    ],
)  # fmt: skip
def test_what_is_missing(cupy: SimpleNamespace, words: tuple[str, ...]) -> None:
    sentence = judge(cupy)
    assert sentence is not None
    assert "\n" not in sentence
    for word in words:
        assert word in sentence
    assert "backend" not in sentence, "it is said of benchmarks and tests, too"


def test_no_cupy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert backend.missing() == (
        "CuPy is not installed; pip install 'graphbptt[cuda13]', or cuda12 for a driver that knows no CUDA 13"
    )


def test_it_is_awaited_where_cupy_or_a_driver_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whether CuPy can be imported is another question."""
    monkeypatch.setitem(sys.modules, "cupy", None)
    monkeypatch.setattr(presence, "DRIVER", tmp_path / "version")
    assert not backend.awaited()
    (tmp_path / "version").touch()
    assert backend.awaited()
    (tmp_path / "version").unlink()
    monkeypatch.delitem(sys.modules, "cupy")
    (tmp_path / "cupy.py").write_text("raise ImportError\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert backend.awaited()


def test_another_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    assert backend.missing() == "it runs on Linux alone"


@pytest.mark.parametrize(
    ("capability", "dtype", "precision", "override", "words"),
    [
        ("75", "float32", "full", "", None),
        ("75", "float32", "tf32", "", "this GPU, of compute capability 7.5, cannot round products to tf32; write"),
        ("75", "float32", "bfloat16", "", "cannot round products to bfloat16; write precision: full"),
        ("80", "float32", "bfloat16", "0", None),
        ("120", "float32", "tf32", "1", None),
        ("120", "float32", "tf32", "0", "$NVIDIA_TF32_OVERRIDE is 0, which forbids tf32; unset it, or write"),
        ("90", "float32", "full", "0", None),
        ("90", "float32", "full", "1", "$NVIDIA_TF32_OVERRIDE is 1, which rounds all products to tf32; unset it, or"),
        ("90", "float64", "full", "1", None),
    ],
)  # fmt: skip
def test_what_a_gpu_multiplies(
    capability: str, dtype: str, precision: ProductPrecision, override: str, words: str | None
) -> None:
    environment = {"NVIDIA_TF32_OVERRIDE": override} if override else {}
    sentence = judge_precision(stand_in(capability=capability), np.dtype(dtype), precision, environment)
    assert sentence is None if words is None else sentence is not None and words in sentence


def test_it_is_not_built_for_what_the_gpu_multiplies_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = compile_network(fold_graph(nx.DiGraph([("h", "h")])))
    monkeypatch.setitem(sys.modules, "cupy", stand_in())
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")
    with pytest.raises(BackendError, match="which rounds all products to tf32"):
        backend.build(plan, np.dtype("float32"))


def test_a_broken_cupy(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> ModuleType:
        raise ImportError(f"libnvrtc.so.13: cannot open shared object file, asked for by {name}\nand more")

    monkeypatch.setattr(importlib, "import_module", fail)
    sentence = backend.missing()
    assert sentence is not None
    assert sentence.startswith("CuPy cannot be imported: libnvrtc.so.13")
    assert "\n" not in sentence


THINGS = {
    "cupy": "", "cuda": "cuda", "runtime": "cuda.runtime", "stream": "cuda.Stream.null",
    "copying": "cuda.Stream.null", "graph": "cuda.Graph",
    "module": "RawModule", "function": "RawKernel", "data": "cuda.MemoryPointer",
    "get_default_memory_pool": "cuda.MemoryPool", "get_default_pinned_memory_pool": "cuda.PinnedMemoryPool",
}  # fmt: skip
"""What the package calls things of CuPy, or attributes that hold them, and where CuPy has them."""


def names_used() -> Iterator[str]:
    """What the package takes from CuPy by name."""
    for path in Path(graphbptt_cupy.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute):
                words = re.sub(r"\([^()]*\)", "", ast.unparse(node)).split(".")
                found = [number for number, word in enumerate(words[:-1]) if word.removeprefix("_") in THINGS]
                if found:
                    thing = THINGS[words[found[-1]].removeprefix("_")]
                    yield ".".join([thing, *words[found[-1] + 1 :]]).removeprefix(".")


def test_cupy_has_the_names_that_are_used() -> None:
    names = set(names_used())
    assert {
        "RawModule", "RawModule.get_function", "cuda.Device.compute_capability", "cuda.Graph.launch",
        "cuda.Event", "cuda.MemoryPointer.ptr", "cuda.MemoryPool.free_all_blocks",
        "cuda.PinnedMemoryPool.free_all_blocks", "cuda.Stream", "cuda.Stream.null.ptr", "cuda.Stream.null.record",
        "cuda.Stream.null.wait_event", "cuda.compiler.CompileException", "cuda.driver.CUDADriverError",
        "cuda.runtime.getDeviceCount", "cuda.runtime.memcpy2DAsync", "empty",
    } <= names  # fmt: skip
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed")
    for name in names:
        found = cupy
        for part in name.split("."):
            try:
                found = getattr(found, part)
            except ImportError:  # the binding is there, the library is not
                assert name == "cuda.cublas"
