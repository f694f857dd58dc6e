"""What the cupy backend calls of CuPy, in the host's memory, with streams that can be captured.

It refuses what a capture refuses: memory, copies, events and synchronisation. Kernels are the CUDA text as it stands,
run by `host_cuda`, and products those of `host_cublas`.

Work on a stream is done as late as may be: when the host waits for the stream, or another stream for an event behind
it. So what is not ordered by events comes in the wrong order, and is seen.
"""

from __future__ import annotations

import ctypes
import weakref
from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
from host_cublas import HostCublas
from host_cuda import load_cuda, start

from graphbptt_cupy.gpu import OPTIONS

__all__ = ["HostArray", "HostCupy"]

HOST_TO_DEVICE, DEVICE_TO_HOST = 1, 2


class HostCupy:
    """`counts` says how often what was done: `allocate`, `launch` and `multiply` by calls, `copy`, `graph`, `wait`.

    Arrays together have no more than `memory` bytes, a block `shared` bytes of its own; a kernel called `failing` ends
    all work.
    """

    def __init__(self, memory: int = 2**40, shared: int = 227 * 1024, failing: str | None = None) -> None:
        self.memory, self.failing = memory, failing
        self.arrays: list[weakref.ref[np.ndarray]] = []
        self.counts: Counter[str] = Counter()
        self.pinned = 0
        self.current: HostStream | None = None
        self.streams: dict[int, HostStream] = {}
        properties = {
            "name": b"host", "major": 9, "minor": 0, "multiProcessorCount": 2, "maxThreadsPerBlock": 1024,
            "sharedMemPerBlockOptin": shared,
        }  # fmt: skip
        self.cuda = SimpleNamespace(
            Stream=partial(HostStream, self),
            Event=HostEvent,
            Device=lambda: SimpleNamespace(compute_capability="90", id=3),
            alloc_pinned_memory=self._pin,
            runtime=SimpleNamespace(
                getDeviceProperties={3: properties}.__getitem__,
                memcpyHostToDevice=HOST_TO_DEVICE,
                memcpyDeviceToHost=DEVICE_TO_HOST,
                memcpyAsync=self._copy,
                memcpy2DAsync=self._copy_rows,
                memGetInfo=lambda: (self._measure_free(), self.memory),
                CUDARuntimeError=HostRuntimeError,
            ),
            driver=SimpleNamespace(CUDADriverError=HostDriverError),
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
        return HostArray(self, memory.view(dtype))

    def get_default_memory_pool(self) -> SimpleNamespace:
        return SimpleNamespace(free_all_blocks=lambda: None)

    def _measure_free(self) -> int:
        alive = (array() for array in self.arrays)
        return self.memory - sum(array.nbytes for array in alive if array is not None)

    def asarray(self, values: Any, dtype: Any) -> HostArray:
        array = self.empty(values.size, dtype)
        array.memory[...] = values
        return array

    def RawModule(self, code: str, options: tuple[str, ...]) -> SimpleNamespace:
        assert options == OPTIONS
        module = load_cuda(code)
        found: set[str] = set()

        def find(name: str) -> HostKernel:
            assert name not in found, f"{name} is looked up for every launch"
            found.add(name)
            return HostKernel(self, self._fail if name == self.failing else partial(start, module, name))

        return SimpleNamespace(get_function=find)

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
        if self.current.recorded is not None:
            self.current.recorded.append(work)
            return
        self.counts[kind] += 1
        self.current.queue.append(work)

    def require_no_capture(self, kind: str) -> None:
        capturing = self.current is not None and self.current.recorded is not None
        assert not capturing, f"{kind} while the stream is captured"
        self.counts[kind] += 1

    def _pin(self, size: int) -> bytearray:
        self.require_no_capture("allocate")
        self.pinned += size
        return bytearray(b"\xff" * size)

    def _copy(self, to: int, source: int, size: int, kind: int, stream: int) -> None:
        self._copy_rows(to, size, source, size, size, 1, kind, stream)

    def _copy_rows(
        self, to: int, to_apart: int, source: int, apart: int, width: int, rows: int, kind: int, stream: int
    ) -> None:
        assert kind in (HOST_TO_DEVICE, DEVICE_TO_HOST)
        assert 0 < width <= min(to_apart, apart)
        self.require_no_capture("copy")

        def copy() -> None:
            for row in range(rows):
                ctypes.memmove(to + row * to_apart, source + row * apart, width)

        self.streams[stream].queue.append(copy)


class HostRuntimeError(RuntimeError):
    pass


class HostDriverError(RuntimeError):
    pass


class HostStream:
    def __init__(self, cupy: HostCupy, non_blocking: bool) -> None:
        assert non_blocking, "the default stream cannot be captured"
        self._cupy = cupy
        self.ptr = id(self)
        self.recorded: list[Callable[[], object]] | None = None
        self.queue: deque[Callable[[], object]] = deque()
        cupy.streams[self.ptr] = self

    def __enter__(self) -> None:
        assert self._cupy.current is None
        self._cupy.current = self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        self._cupy.current = None
        left = [stream for stream in self._cupy.streams.values() if stream.queue]
        stopped = error is not None and issubclass(error, HostRuntimeError | HostDriverError | AssertionError)
        assert stopped or not left, "the host goes on, and may write to what is still copied from there"

    def begin_capture(self) -> None:
        assert self.recorded is None
        self.recorded = []

    def end_capture(self) -> HostGraph:
        assert self.recorded is not None
        recorded, self.recorded = self.recorded, None
        return HostGraph(self._cupy, recorded)

    def synchronize(self) -> None:
        self._cupy.require_no_capture("wait")
        self.work_up_to(None)

    def record(self, event: HostEvent) -> None:
        assert self.recorded is None, "an event while the stream is captured"
        event.mark = mark = Mark(self)
        self.queue.append(mark.reach)

    def wait_event(self, event: HostEvent) -> None:
        """For what was recorded last; later records change nothing."""
        assert self.recorded is None, "an event while the stream is captured"
        if event.mark is not None:
            self.queue.append(partial(event.mark.stream.work_up_to, event.mark))

    def work_up_to(self, mark: Mark | None) -> None:
        """Do what was put there before, or all."""
        while self.queue and not (mark and mark.reached):
            self.queue.popleft()()


class HostEvent:
    def __init__(self, disable_timing: bool) -> None:
        assert disable_timing, "an event that takes the time costs more"
        self.mark: Mark | None = None


class Mark:
    """A place in the work of a stream."""

    def __init__(self, stream: HostStream) -> None:
        self.stream, self.reached = stream, False

    def reach(self) -> None:
        self.reached = True


class HostGraph:
    def __init__(self, cupy: HostCupy, recorded: list[Callable[[], object]]) -> None:
        self._cupy, self.recorded = cupy, recorded

    def launch(self, stream: HostStream) -> None:
        assert stream is self._cupy.current
        self._cupy.require_no_capture("graph")
        stream.queue.extend(self.recorded)


class HostArray:
    """Flat memory; a part of it is a view."""

    def __init__(self, cupy: HostCupy, memory: np.ndarray) -> None:
        self.cupy, self.memory = cupy, memory
        self.data = SimpleNamespace(ptr=memory.ctypes.data)
        self.itemsize = memory.itemsize

    def __getitem__(self, part: slice) -> HostArray:
        return HostArray(self.cupy, self.memory[part])


class HostKernel:
    """What is started by grid and block, which have enough threads, but no block too many."""

    def __init__(self, cupy: HostCupy, run: Callable[[int, int, list[int], int], None]) -> None:
        self._cupy, self._run = cupy, run
        self.max_dynamic_shared_size_bytes = 48 * 1024

    def __call__(
        self, grid: tuple[int], block: tuple[int], arguments: tuple[Any, ...], shared_mem: int = 0
    ) -> None:
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
