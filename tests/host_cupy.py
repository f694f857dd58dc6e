"""What the cupy backend calls of CuPy, in the host's memory, with streams that can be captured.

It refuses what a capture refuses: memory, copies, events and synchronisation; the garbage collector may ask for such
things at any time, and has to be held off. Kernels are the CUDA text as it stands, run by `host_cuda`, and products
those of `host_cublas`.

It has several devices. As in CuPy a stream is used, and memory taken, while its own device is the current one; and what
is copied asynchronously lies in memory of the device, and in pinned memory of the host.
"""

from __future__ import annotations

import ctypes
import weakref
from collections import Counter
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
from host_cublas import HostCublas
from host_cuda import load_cuda, start
from host_streams import HostDeviceNumber, HostEvent, HostStream

from graphbptt_cupy.gpu import OPTIONS

__all__ = ["FIRST_DEVICE", "HostArray", "HostCupy", "HostRuntimeError"]

HOST_TO_DEVICE, DEVICE_TO_HOST = 1, 2
FIRST_DEVICE = 3


class HostCupy:
    """`counts` says how often what was done: `allocate`, `launch` and `multiply` by calls, `copy`, `graph`, `wait`.

    Arrays together have no more than `memory` bytes, what is pinned no more than `pinnable`, a block `shared` bytes of
    its own; a kernel called `failing` ends all work. `device` is the current one, `pins` are memory of the host that
    is pinned, `copied` those by identity that were copied to or from.
    """

    __version__ = "14.2.0"

    def __init__(self, memory: int = 2**40, shared: int = 227 * 1024, failing: str | None = None) -> None:
        self.memory, self.failing = memory, failing
        self.arrays: list[weakref.ref[np.ndarray]] = []
        self.pins: list[weakref.ref[np.ndarray]] = []
        self.counts: Counter[str] = Counter()
        self.pinned, self.pinnable = 0, 2**40
        self.copied: set[int] = set()
        self.device = FIRST_DEVICE
        self.current: HostStream | None = None
        self.streams: dict[int, HostStream] = {}
        properties = {
            "name": b"host", "major": 9, "minor": 0, "multiProcessorCount": 2, "maxThreadsPerBlock": 1024,
            "sharedMemPerBlockOptin": shared,
        }  # fmt: skip
        self.cuda = SimpleNamespace(
            Stream=partial(HostStream, self),
            Event=partial(HostEvent, self),
            Device=partial(HostDeviceNumber, self),
            alloc_pinned_memory=self._pin,
            nvrtc=SimpleNamespace(getVersion=lambda: (13, 2)),
            cublas=None,
            runtime=SimpleNamespace(
                driverGetVersion=lambda: 13000,
                runtimeGetVersion=lambda: 13020,
                getDeviceCount=lambda: FIRST_DEVICE + 2,
                getDevice=lambda: self.device,
                getDeviceProperties={FIRST_DEVICE: properties}.__getitem__,
                memcpyHostToDevice=HOST_TO_DEVICE,
                memcpyDeviceToHost=DEVICE_TO_HOST,
                memcpyAsync=self._copy,
                memcpy2DAsync=self._copy_rows,
                memGetInfo=lambda: (self._measure_free(), self.memory),
                CUDARuntimeError=HostRuntimeError,
            ),
            driver=SimpleNamespace(CUDADriverError=HostDriverError),
            compiler=SimpleNamespace(CompileException=HostCompileError),
        )
        self.cublas = HostCublas()

    def empty(self, size: int, dtype: Any) -> HostArray:
        self.require_no_capture("allocate")
        if size * np.dtype(dtype).itemsize > self._measure_free():
            raise MemoryError(f"out of memory allocating {size} numbers")
        aligned = np.empty(size * np.dtype(dtype).itemsize + 256, np.uint8)
        start = -aligned.ctypes.data % 256
        memory = aligned[start : start + size * np.dtype(dtype).itemsize]
        memory[...] = 0xFF
        self.arrays.append(weakref.ref(aligned))
        return HostArray(self, memory.view(dtype), self.device)

    def get_default_memory_pool(self) -> SimpleNamespace:
        return SimpleNamespace(free_all_blocks=partial(self.require_no_capture, "free"))

    def get_default_pinned_memory_pool(self) -> SimpleNamespace:
        return SimpleNamespace(free_all_blocks=partial(self.require_no_capture, "unpin"))

    def _measure_free(self) -> int:
        alive = (array() for array in self.arrays)
        return self.memory - sum(array.nbytes for array in alive if array is not None)

    def asarray(self, values: Any, dtype: Any) -> HostArray:
        array = self.empty(values.size, dtype)
        array.memory[...] = values
        return array

    def RawModule(self, code: str, options: tuple[str, ...]) -> SimpleNamespace:
        assert options == OPTIONS
        found: set[str] = set()
        devices: set[int] = set()

        def compile_text() -> None:
            self.require_no_capture("compile")
            devices.add(self.device)
            if "#error" in code:
                raise HostCompileError("kernels.cu(1): error: no such function")
            load_cuda(code)

        def find(name: str) -> HostKernel:
            assert self.device in devices, f"{name} is compiled when it is first launched"
            assert name not in found, f"{name} is looked up for every launch"
            found.add(name)
            run = self._fail if name == self.failing else partial(start, load_cuda(code), name)
            return HostKernel(self, run)

        return SimpleNamespace(compile=compile_text, get_function=find)

    def _fail(self, *_: Any) -> None:
        raise HostRuntimeError("cudaErrorLaunchFailure: unspecified launch failure")

    def open_cublas(self) -> SimpleNamespace:
        """The library, whose products are work like any other."""
        functions = {
            name: getattr(self.cublas, name) for name in vars(self.cublas) if name.startswith("cublas")
        }

        def multiply(name: str, *arguments: Any) -> int:
            self.start("multiply", partial(functions[name], *arguments))
            return 0

        products = {name: partial(multiply, name) for name in functions if "Gemm" in name}
        return SimpleNamespace(**(functions | products))

    def start(self, kind: str, work: Callable[[], object]) -> None:
        """Put it behind all other work of the stream that is current, or keep it for a graph."""
        assert self.current is not None, f"{kind} in no stream"
        self.require_device(self.current.device)
        if self.current.recorded is not None:
            self.current.recorded.append(work)
            return
        self.counts[kind] += 1
        self.current.queue.append(work)

    def require_no_capture(self, kind: str) -> None:
        capturing = self.current is not None and self.current.recorded is not None
        assert not capturing, f"{kind} while the stream is captured"
        self.counts[kind] += 1

    def require_device(self, device: int) -> None:
        assert device == self.device, f"device {device} is used while {self.device} is the current one"

    def _pin(self, size: int) -> np.ndarray:
        self.require_no_capture("allocate")
        alive = (pin() for pin in self.pins)
        if size + sum(pin.nbytes for pin in alive if pin is not None) > self.pinnable:
            raise HostRuntimeError("cudaErrorMemoryAllocation: out of memory", 2)
        self.pinned += size
        memory = np.full(size, 0xFF, np.uint8)
        self.pins.append(weakref.ref(memory))
        return memory

    def _copy(self, to: int, source: int, size: int, kind: int, stream: int) -> None:
        self._copy_rows(to, size, source, size, size, 1, kind, stream)

    def _copy_rows(
        self, to: int, to_apart: int, source: int, apart: int, width: int, rows: int, kind: int, stream: int
    ) -> None:
        assert kind in (HOST_TO_DEVICE, DEVICE_TO_HOST)
        assert 0 < width <= min(to_apart, apart)
        self.require_no_capture("copy")
        self.require_device(self.streams[stream].device)
        ends = (to, (rows - 1) * to_apart + width), (source, (rows - 1) * apart + width)
        device, host = ends if kind == HOST_TO_DEVICE else ends[::-1]
        assert _find(self.arrays, *device) is not None, "no memory of the device"
        pin = _find(self.pins, *host)
        assert pin is not None, "memory of the host that is not pinned"
        self.copied.add(id(pin))

        def copy() -> None:
            for row in range(rows):
                ctypes.memmove(to + row * to_apart, source + row * apart, width)

        self.streams[stream].queue.append(copy)


def _find(memories: list[weakref.ref[np.ndarray]], address: int, size: int) -> np.ndarray | None:
    """The memory that so many bytes lie in."""
    for memory in (reference() for reference in memories):
        if memory is not None and 0 <= address - memory.ctypes.data <= memory.nbytes - size:
            return memory
    return None


class HostRuntimeError(RuntimeError):
    """What CUDA says, with its number; of most it does not matter which."""

    def __init__(self, said: str, status: int = 999) -> None:
        super().__init__(said)
        self.status = status


class HostDriverError(RuntimeError):
    pass


class HostCompileError(Exception):
    pass


class HostArray:
    """Flat memory; a part of it is a view."""

    def __init__(self, cupy: HostCupy, memory: np.ndarray, device: int) -> None:
        self.cupy, self.memory, self.device = cupy, memory, device
        self.data = SimpleNamespace(ptr=memory.ctypes.data)
        self.size, self.itemsize, self.dtype = memory.size, memory.itemsize, memory.dtype

    def get(self, out: np.ndarray) -> np.ndarray:
        """A copy, once the work on the current stream is done."""
        assert self.cupy.current is not None
        self.cupy.current.work_up_to(None)
        np.copyto(out, self.memory)
        return out

    def __getitem__(self, part: slice) -> HostArray:
        return HostArray(self.cupy, self.memory[part], self.device)

    def view(self, dtype: str) -> HostArray:
        return HostArray(self.cupy, self.memory.view(dtype), self.device)


class HostKernel:
    """What is started by grid and block, which have enough threads, but no block too many."""

    def __init__(self, cupy: HostCupy, run: Callable[[int, int, list[int], int], None]) -> None:
        self._cupy, self._run, self._device = cupy, run, cupy.device
        self._shared = 48 * 1024

    @property
    def max_dynamic_shared_size_bytes(self) -> int:
        return self._shared

    @max_dynamic_shared_size_bytes.setter
    def max_dynamic_shared_size_bytes(self, size: int) -> None:
        """It is that of the kernel on the current device."""
        self._cupy.require_device(self._device)
        self._shared = size

    def __call__(
        self, grid: tuple[int], block: tuple[int], arguments: tuple[Any, ...], shared_mem: int = 0
    ) -> None:
        self._cupy.require_device(self._device)
        for argument in arguments:
            if isinstance(argument, HostArray):
                self._cupy.require_device(argument.device)
        assert shared_mem <= self.max_dynamic_shared_size_bytes
        (threads, *_), (blocks,), (width,) = arguments, grid, block
        assert (blocks - 1) * width < threads <= blocks * width
        words = [spell_word(argument) for argument in arguments]
        self._cupy.start("launch", partial(self._run, blocks, width, words, shared_mem))


def spell_word(argument: HostArray | np.int64) -> int:
    """Numbers are handed over with the bytes they have: those that a kernel takes have 64 bits, as NULL has."""
    if isinstance(argument, HostArray):
        return argument.data.ptr
    assert type(argument) is np.int64
    return int(argument)
