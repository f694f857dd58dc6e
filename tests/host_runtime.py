"""CuPy itself on a machine without a GPU: with CUDA's runtime and driver replaced by functions on the host's memory.

CuPy's modules call CUDA through two of them, and find what they call there in capsules, C functions by name with their
types. `install` has these point to the methods of `HostRuntime`, before any other module of CuPy is imported; so this
is for a process of its own. All above is CuPy's: its streams, graphs and pools of memory, what it takes as a kernel's
arguments, and its compilation by NVRTC, as for a GPU of compute capability 9.0. Kernels are run as their text, by
`host_cuda`, and products by `host_cublas`.

Work is done when it is asked for, or kept where the stream is captured. What a GPU would refuse is a mistake; since
errors do not pass through C, they are kept in `mistakes`.
"""

from __future__ import annotations

import ctypes
import re
import traceback
from collections import Counter
from collections.abc import Callable
from functools import partial
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
from host_cublas import HostCublas
from host_cuda import load_cuda, start

__all__ = ["HostRuntime", "install"]

TYPES = {
    "int": ctypes.c_int, "unsigned int": ctypes.c_uint, "size_t": ctypes.c_size_t, "intptr_t": ctypes.c_ssize_t,
    "PyObject *": ctypes.py_object, "int __pyx_skip_dispatch": ctypes.c_int, "cudaMemcpyKind": ctypes.c_int,
}  # fmt: skip
MAJOR_ATTRIBUTE = 75
SHARED_ATTRIBUTE = 8
NON_BLOCKING, RELAXED = 1, 2
TO_DEVICE, TO_HOST = 1, 2
ALIGNMENT = 512

Work = Callable[[], object]


class HostRuntime:
    """A method for each function of CUDA's that is asked for; `counts` says how often which was."""

    def __init__(self) -> None:
        self.device, self.counts, self.mistakes = 0, Counter[str](), list[str]()
        self.memory: dict[int, np.ndarray] = {}
        self.pinned: dict[int, np.ndarray] = {}
        self.streams: dict[int, int] = {}
        self.captured: dict[int, list[Work]] = {}
        self.graphs: dict[int, list[Work]] = {}
        self.texts: dict[bytes, str] = {}
        self.modules: dict[int, str] = {}
        self.functions: dict[int, tuple[str, str]] = {}
        self.shared: dict[int, int] = {}
        self._number = 1000

    def count(self) -> int:
        self._number += 1
        return self._number

    def start(self, stream: int, work: Work) -> None:
        assert self.streams[stream] == self.device, "a stream of another device"
        if stream in self.captured:
            self.captured[stream].append(work)
        else:
            work()

    def forbid(self) -> None:
        assert not self.captured, "while a stream is captured"

    def take(self, memories: dict[int, np.ndarray], size: int) -> int:
        self.forbid()
        raw = np.full(size + ALIGNMENT, 0xFF, np.uint8)
        address = raw.ctypes.data + -raw.ctypes.data % ALIGNMENT
        memories[address] = raw
        return address

    def open_cublas(self, cupy: Any) -> SimpleNamespace:  # noqa: ARG002 - as graphbptt_cupy.cublas has it
        """A library for one handle."""
        library = HostCublas()
        functions = {name: getattr(library, name) for name in vars(library) if name.startswith("cublas")}

        def multiply(name: str, *arguments: Any) -> int:
            assert library.stream is not None
            self.start(library.stream, partial(functions[name], *arguments))
            return 0

        products = {name: partial(multiply, name) for name in functions if "Gemm" in name}
        return SimpleNamespace(**functions | products)

    # Devices.

    def driverGetVersion(self) -> int:
        return 13000

    def getDeviceCount(self) -> int:
        return 2

    def getDevice(self) -> int:
        return self.device

    def setDevice(self, device: int) -> None:
        self.device = device

    def deviceGetAttribute(self, attribute: int, device: int) -> int:  # noqa: ARG002
        return 9 if attribute == MAJOR_ATTRIBUTE else 0

    def getDeviceProperties(self, device: int) -> dict[str, Any]:
        sizes = {"multiProcessorCount": 132, "maxThreadsPerBlock": 1024, "sharedMemPerBlockOptin": 232448}
        return {"name": b"host %d" % device, "major": 9, "minor": 0, **sizes}

    def _ensure_context(self) -> None:
        return None

    # Memory.

    def malloc(self, size: int) -> int:
        return self.take(self.memory, size)

    def free(self, address: int) -> None:
        self.forbid()
        self.memory.pop(address, None)

    def hostAlloc(self, size: int, flags: int) -> int:  # noqa: ARG002
        return self.take(self.pinned, size)

    def freeHost(self, address: int) -> None:
        self.forbid()
        self.pinned.pop(address)

    def memGetInfo(self) -> tuple[int, int]:
        self.forbid()
        return 2**34, 2**35

    def pointerGetMemoryType(self, address: int) -> int:  # noqa: ARG002
        return 0

    def memcpyAsync(self, to: int, source: int, size: int, kind: int, stream: int) -> None:
        self.memcpy2DAsync(to, size, source, size, size, 1, kind, stream)

    def memcpy2DAsync(
        self, to: int, to_apart: int, source: int, apart: int, width: int, rows: int, kind: int, stream: int
    ) -> None:
        host, distance = (source, apart) if kind == TO_DEVICE else (to, to_apart)
        assert kind in (TO_DEVICE, TO_HOST)
        assert any(
            first <= host and host + (rows - 1) * distance + width <= first + memory.nbytes
            for first, memory in self.pinned.items()
        ), "memory that is not pinned"

        def copy() -> None:
            for row in range(rows):
                ctypes.memmove(to + row * to_apart, source + row * apart, width)

        self.start(stream, copy)

    # Streams, events and graphs.

    def streamCreateWithFlags(self, flags: int) -> int:
        assert flags == NON_BLOCKING
        self.streams[number := self.count()] = self.device
        return number

    def streamCreateWithPriority(self, flags: int, priority: int) -> int:  # noqa: ARG002
        return self.streamCreateWithFlags(flags)

    def streamDestroy(self, stream: int) -> None:
        del self.streams[stream]

    def streamSynchronize(self, stream: int) -> None:
        self.forbid()
        assert self.streams[stream] == self.device

    def streamIsCapturing(self, stream: int) -> int:
        return stream in self.captured

    def eventCreateWithFlags(self, flags: int) -> int:  # noqa: ARG002
        return self.count()

    def eventDestroy(self, event: int) -> None:
        pass

    def eventQuery(self, event: int) -> int:  # noqa: ARG002
        self.forbid()
        return 0

    def eventRecord(self, event: int, stream: int) -> None:  # noqa: ARG002
        assert stream in self.streams
        assert stream not in self.captured

    def streamWaitEvent(self, stream: int, event: int, flags: int = 0) -> None:
        self.eventRecord(event, stream)
        assert flags == 0

    def streamBeginCapture(self, stream: int, mode: int) -> None:
        assert mode == RELAXED
        self.captured[stream] = []

    def streamEndCapture(self, stream: int) -> int:
        self.graphs[number := self.count()] = self.captured.pop(stream)
        return number

    def graphInstantiate(self, graph: int) -> int:
        self.graphs[number := self.count()] = self.graphs[graph]
        return number

    def graphDestroy(self, graph: int) -> None:
        del self.graphs[graph]

    def graphExecDestroy(self, graph: int) -> None:
        del self.graphs[graph]

    def graphLaunch(self, graph: int, stream: int) -> None:
        for work in self.graphs[graph]:
            self.start(stream, work)

    # Kernels.

    def moduleLoadData(self, image: bytes) -> int:
        self.forbid()
        self.modules[number := self.count()] = self.texts[image]
        return number

    def moduleUnload(self, module: int) -> None:
        del self.modules[module]

    def moduleGetFunction(self, module: int, name: str) -> int:
        self.functions[number := self.count()] = self.modules[module], name
        return number

    def funcSetAttribute(self, function: int, attribute: int, value: int) -> None:
        assert attribute == SHARED_ATTRIBUTE
        self.shared[function] = value

    def launchKernel(self, function: int, *given: int) -> None:
        grid, grid_y, grid_z, block, block_y, block_z, shared, stream, arguments, extra = given
        assert (grid_y, grid_z, block_y, block_z, extra) == (1, 1, 1, 1, 0)
        assert shared <= self.shared.get(function, 48 * 1024)
        text, name = self.functions[function]
        declared = re.search(rf"\b{name}\(([^)]*)\)", text)
        assert declared is not None
        pointers = (ctypes.c_void_p * len(declared[1].split(","))).from_address(arguments)
        words = [ctypes.c_uint64.from_address(pointer or 0).value for pointer in pointers]
        self.start(stream, lambda: start(load_cuda(text), name, grid, block, words, shared))


def install(host: HostRuntime) -> Any:
    """CuPy, whose CUDA is the host."""
    from cupy_backends.cuda.api import driver, runtime

    named = {
        name: getattr(host, name)
        for name in vars(HostRuntime)
        if re.fullmatch("_?[a-z]+[A-Z_0-9].*|malloc|free", name)
    }
    for module in (runtime, driver):
        for name in named.keys() & module.__pyx_capi__.keys():
            _replace(module, name, host, named[name])
    if not hasattr(runtime, "pointerGetMemoryType"):  # before CuPy 14
        unknown = runtime.PointerAttributes(0, 0, 0, 0)
        _replace(runtime, "pointerGetAttributes", host, lambda _: unknown)

    import cupy
    from cupy.cuda import compiler

    compile_text = compiler._NVRTCProgram.compile

    def compile_and_keep(program: Any, options: Any = (), log_stream: Any = None) -> Any:
        compiled = compile_text(program, options, log_stream)
        host.texts[compiled[0]] = program.src
        host.counts["compile"] += 1
        return compiled

    compiler._NVRTCProgram.compile = compile_and_keep
    return cupy


def _replace(module: ModuleType, name: str, host: HostRuntime, work: Callable[..., Any]) -> None:
    """Have a capsule, and the module's attribute, lead to a function of Python's."""
    capsule = module.__pyx_capi__[name]
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype = ctypes.c_char_p
    api.PyCapsule_GetName.argtypes = [ctypes.py_object]
    api.PyCapsule_SetPointer.argtypes = [ctypes.py_object, ctypes.c_void_p]
    declared = re.fullmatch(r"(.*?)\s*\((.*)\)", api.PyCapsule_GetName(capsule).decode())
    assert declared is not None
    result = "PyObject *" if declared[1].startswith("struct") else declared[1]
    parameters = [] if declared[2] == "void" else declared[2].split(", ")
    optional = "__pyx_opt_args" in declared[2]
    types = [
        ctypes.c_void_p if "__pyx_opt_args" in parameter else TYPES[parameter] for parameter in parameters
    ]
    taken = sum("__pyx" not in parameter for parameter in parameters)

    def call(*given: Any) -> Any:
        arguments = given[:taken]
        if optional and given[-1]:
            count = ctypes.c_int.from_address(given[-1]).value
            arguments += tuple((ctypes.c_uint * (1 + count)).from_address(given[-1]))[1:]
        host.counts[name] += 1
        try:
            return work(*arguments)
        except BaseException:
            host.mistakes.append(traceback.format_exc())
            raise

    function = ctypes.PYFUNCTYPE(TYPES[result], *types)(call)
    ctypes.pythonapi.PyCapsule_SetPointer(capsule, ctypes.cast(function, ctypes.c_void_p))
    setattr(module, name, call if not optional else work)
    _KEPT.append(function)


_KEPT: list[Any] = []
"""What capsules point to."""
