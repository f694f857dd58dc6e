"""A GPU through CuPy, which is imported when a plan is built and not before.

All work goes to one stream, in the order in which it is started, but for copies from the host, which have another one:
events hold the work back until what it needs is there. Nothing holds copies back. A run ends when its work does, which
has waited for all copies, so that they never meet work of the run before, nor the host one of them. While a run that
was started goes on, no other one begins, and the host waits for its copies before it writes to what they are from.

Kernels are CuPy's raw ones, products those of a handle of cuBLAS of our own; with `captured` what can be recorded is
launched as CUDA graphs.

Which device and which stream are current is for each thread to choose. So whatever is asked of CuPy is asked while
ours are, and those of the user are so again behind it. Two threads may not run one device's plans at once.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache, partial
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.codegen.dialect import CUDA, Dialect
from graphbptt.codegen.launches.commands import ArgumentValue, Launch, Multiply
from graphbptt.codegen.launches.device_arrays import Address, DeviceArray, Region
from graphbptt.codegen.persistent.device_limits import DeviceLimits, describe_device
from graphbptt.errors import BackendError, CompilerError, DeviceError
from graphbptt_cupy.blas import Blas, Matrix, Numbers
from graphbptt_cupy.capture import Repetition
from graphbptt_cupy.cublas import measure_workspace, open_cublas
from graphbptt_cupy.device import Array, Call, HostMemoryError, Memory, make_calls

__all__ = ["OPTIONS", "GpuDevice", "open_gpu"]

OPTIONS = ("--std=c++17",)
"""With which text is compiled; CuPy adds ``-ftz=true`` and the architecture."""

AT_ONCE = 48 * 1024
"""Bytes of shared memory that a block gets without being asked for."""

NO_MEMORY = 2
"""What the runtime calls cudaErrorMemoryAllocation."""


class GpuDevice:
    """Meets `graphbptt_cupy.device.Device`: the device that is current when it is made, from then on."""

    dialect: Dialect = CUDA

    def __init__(self, cupy: Any, numbers: Numbers, captured: bool = True) -> None:
        self._cupy, self._captured = cupy, captured
        self._device = cupy.cuda.Device()
        with _speak_for(cupy.cuda):
            self._stream, self._copying = (cupy.cuda.Stream(non_blocking=True) for _ in range(2))
        self._running = False
        with self._ours():
            _, self.memory = map(int, cupy.cuda.runtime.memGetInfo())
            self.limits: DeviceLimits | None = describe_device(
                cupy.cuda.runtime.getDeviceProperties(self._device.id)
            )
            size = measure_workspace(int(self._device.compute_capability[:-1]))
            self._workspace = cupy.empty(size, np.uint8)
            pointer = self._workspace.data.ptr
            self._blas = Blas(open_cublas(cupy), numbers, pointer, size, self._stream.ptr)

    @contextmanager
    def _ours(self) -> Iterator[None]:
        with _speak_for(self._cupy.cuda), self._device, self._stream:
            yield

    def load(self, text: str) -> Callable[[str], Any]:
        """What finds kernels by name, each once, however many steps launch it. They are compiled by NVRTC, here and not
        when they are launched; CuPy keeps them on disk."""
        module = self._cupy.RawModule(code=text, options=OPTIONS)
        with self._ours():
            try:
                module.compile()
            except self._cupy.cuda.compiler.CompileException as error:
                raise CompilerError(
                    f"NVRTC does not take the kernels of this network: {error}\n"
                    "this is a mistake in graphbptt; please report it with what CuPy prints where "
                    "$CUPY_DUMP_CUDA_SOURCE_ON_ERROR is 1, and take another backend"
                ) from error
            except OSError as error:
                raise BackendError(
                    f"CuPy cannot keep what it compiles: {error}; name another folder in $CUPY_CACHE_DIR"
                ) from error
        return cache(module.get_function)

    def allocate(self, array: DeviceArray) -> Any:
        with self._ours():
            if array.values is None:
                return self._cupy.empty(array.size, array.dtype)
            return self._cupy.asarray(array.values.ravel(), array.dtype)

    def measure_free(self) -> int:
        with self._ours():
            self._cupy.get_default_pinned_memory_pool().free_all_blocks()
            self._cupy.get_default_memory_pool().free_all_blocks()
            free, _ = self._cupy.cuda.runtime.memGetInfo()
        return int(free)

    def allocate_host(self, size: int) -> npt.NDArray[np.uint8]:
        """Pinned memory: from any other a copy would have the host wait for it."""
        with self._ours():
            try:
                pinned = self._cupy.cuda.alloc_pinned_memory(size)
            except self._cupy.cuda.runtime.CUDARuntimeError as error:
                if error.status != NO_MEMORY:
                    raise
                raise HostMemoryError(f"none of the host's for {size:,} bytes that a GPU copies") from None
        memory = np.frombuffer(pinned, np.uint8, size)
        memory[...] = 0
        return memory

    def bind_launch(self, module: Callable[[str], Any], command: Launch, memory: Memory) -> Call:
        with self._ours():
            function = module(command.kernel)
            if command.shared > AT_ONCE:
                function.max_dynamic_shared_size_bytes = command.shared
        arguments = tuple(_convert(argument, memory) for argument in command.arguments)
        return partial(function, (command.grid,), (command.block,), arguments, shared_mem=command.shared)

    def bind_multiply(self, command: Multiply, memory: Memory) -> Call:
        out, left, right = command.steps
        return self._blas.bind(
            left=_find_matrix(command.a, memory, command.transpose_a, left),
            right=_find_matrix(command.b, memory, command.transpose_b, right),
            out=_find_matrix(command.out, memory, step=out),
            rows=command.rows,
            columns=command.columns,
            depth=command.depth,
            accumulate=command.accumulate,
            count=command.count,
        )

    def bind_copy_in(self, region: Region, twin: Array, memory: Memory) -> Call:
        kind = self._cupy.cuda.runtime.memcpyHostToDevice
        to, source = _point(region, memory), _point_host(region, twin)
        return self._bind_copy(region, to, source, twin.itemsize, kind, self._copying)

    def bind_copies(self, copies: Sequence[Call]) -> tuple[Call, Call]:
        with self._ours():
            event = self._cupy.cuda.Event(disable_timing=True)
        start = partial(make_calls, [*copies, partial(self._copying.record, event)])
        return start, partial(self._stream.wait_event, event)

    def bind_copy_out(self, region: Region, twin: Array, memory: Memory) -> Call:
        kind = self._cupy.cuda.runtime.memcpyDeviceToHost
        to, source = _point_host(region, twin), _point(region, memory)
        return self._bind_copy(region, to, source, twin.itemsize, kind, self._stream)

    def _bind_copy(self, region: Region, to: int, source: int, itemsize: int, kind: int, stream: Any) -> Call:
        runtime = self._cupy.cuda.runtime
        if region.contiguous:
            return partial(runtime.memcpyAsync, to, source, region.size * itemsize, kind, stream.ptr)
        apart, width = region.stride * itemsize, region.columns * itemsize
        return partial(runtime.memcpy2DAsync, to, apart, source, apart, width, region.rows, kind, stream.ptr)

    def bind_repetition(self, calls: Sequence[Call]) -> Call:
        return Repetition(calls, self._stream) if self._captured else partial(make_calls, calls)

    def run(self, calls: Sequence[Call]) -> None:
        self._require_idle()
        with self._ended():
            make_calls(calls)
            self._stream.synchronize()

    def start(self, calls: Sequence[Call]) -> None:
        self._require_idle()
        self._running = True
        with self._ended():
            make_calls(calls)

    def wait_copies(self) -> None:
        if self._running:
            with self._ended():
                self._copying.synchronize()

    def wait(self) -> None:
        if self._running:
            with self._ended():
                self._stream.synchronize()
            self._running = False

    def _require_idle(self) -> None:
        if self._running:
            raise AssertionError("what was started before is still running; wait for it first")

    @contextmanager
    def _ended(self) -> Iterator[None]:
        """What is cut short leaves nothing behind: the host goes on, and may write to what is still copied."""
        with self._ours():
            try:
                yield
            except BaseException:
                for stream in (self._copying, self._stream):
                    with suppress(Exception):
                        stream.synchronize()
                self._running = False
                raise


def open_gpu(numbers: Numbers, captured: bool = True) -> GpuDevice:
    """The device that CuPy has chosen, for products of these numbers."""
    return GpuDevice(importlib.import_module("cupy"), numbers, captured)


@contextmanager
def _speak_for(cuda: Any) -> Iterator[None]:
    """What CUDA says is an error of ours."""
    try:
        yield
    except (cuda.runtime.CUDARuntimeError, cuda.driver.CUDADriverError) as error:
        raise DeviceError(
            f"the GPU stopped in the middle: {error}; start anew, from what was saved last; nvidia-smi says more"
        ) from error


def _convert(argument: ArgumentValue, memory: Memory) -> Any:
    """Whole numbers and NULL have 64 bits; CuPy takes the address of an array."""
    match argument:
        case Address(array, offset):
            return memory[array][offset:]
        case _:
            return np.int64(argument or 0)


def _point(region: Region, memory: Memory) -> int:
    array = memory[region.array]
    return int(array.data.ptr) + region.offset * int(array.itemsize)


def _point_host(region: Region, twin: Array) -> int:
    return int(twin.ctypes.data) + region.offset * twin.itemsize


def _find_matrix(region: Region, memory: Memory, transposed: bool = False, step: int = 0) -> Matrix:
    return Matrix(_point(region, memory), region.stride, transposed, step)
