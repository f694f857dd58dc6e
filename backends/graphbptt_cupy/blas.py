"""Matrix products by a handle of cuBLAS of our own: CuPy's calls of it refuse to be captured into a CUDA graph.

    blas    := Blas(library, numbers, workspace, size, stream)      a handle with memory of its own
    numbers := Numbers(dtype, precision)                            what it multiplies, and to how many digits
    matrix  := Matrix(pointer, stride, transposed, step)            numbers on the device, row by row

All that a product needs is there before a capture begins: the workspace, and host memory with the factors of whole
products, which a captured call copies. With a workspace and a stream for each handle the same product has the same bits
every time, on GPUs of the same kind under the same cuBLAS (its documentation, "Results Reproducibility"); the variable
CUBLAS_WORKSPACE_CONFIG, which is about workspaces of its own, has no part in it.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from graphbptt.errors import BackendError
from graphbptt_cupy import cublas
from graphbptt_cupy.capture import undisturbed
from graphbptt_cupy.cublas import ALIGNMENT, CublasError, call_cublas

__all__ = ["Blas", "Matrix", "Numbers"]


@dataclass(frozen=True, slots=True)
class Numbers:
    """What is multiplied, and to how many digits; the sums, and what is written, have those of the type.

    A new handle rounds nothing below the type (CUBLAS_DEFAULT_MATH) unless the product allows it: its factors to the 10
    bits of TF32 behind the first one, or to the 7 of bfloat16. Where cuBLAS has a kernel that keeps more, it may take
    that. Factors are read as they are, so nothing is converted before.
    """

    dtype: np.dtype[Any]
    precision: str = "full"

    @property
    def kind(self) -> int:
        """Its cudaDataType."""
        return {"float32": cublas.CUDA_R_32F, "float64": cublas.CUDA_R_64F}[self.dtype.name]

    @property
    def compute(self) -> int:
        """Its cublasComputeType_t."""
        return {
            ("float32", "full"): cublas.CUBLAS_COMPUTE_32F,
            ("float32", "tf32"): cublas.CUBLAS_COMPUTE_32F_FAST_TF32,
            ("float32", "bfloat16"): cublas.CUBLAS_COMPUTE_32F_FAST_16BF,
            ("float64", "full"): cublas.CUBLAS_COMPUTE_64F,
        }[self.dtype.name, self.precision]

    def scalar(self, value: float) -> Any:
        """The factor of a whole product, in the host's memory."""
        return {"float32": ctypes.c_float, "float64": ctypes.c_double}[self.dtype.name](value)


@dataclass(frozen=True, slots=True)
class Matrix:
    """A matrix in the memory of the device.

    Attributes
    ----------
    pointer : int
        The address of its first number.
    stride : int
        How many numbers further the next row begins.
    transposed : bool
        Whether it is multiplied as its transpose.
    step : int
        Where many are multiplied, how many numbers further the next one begins; 0 if it is the same for all.
    """

    pointer: int
    stride: int
    transposed: bool = False
    step: int = 0


class Blas:
    """A handle of cuBLAS on the device that is current when it is made.

    Parameters
    ----------
    library : object
        What `open_cublas` finds.
    numbers : Numbers
        What it multiplies.
    workspace, size : int
        The address and the bytes of memory that nothing else uses while products run; `measure_workspace` says how
        much it should be. It has to live as long as the handle, and as graphs that were captured with it.
    stream : int
        Where products run.

    Raises
    ------
    BackendError
        There is no device, or no memory for it.
    """

    def __init__(self, library: Any, numbers: Numbers, workspace: int, size: int, stream: int) -> None:
        if workspace % ALIGNMENT:
            raise ValueError(f"a workspace begins at a multiple of {ALIGNMENT} bytes, not at {workspace:#x}")
        self._library, self._numbers, self._workspace = library, numbers, (workspace, size)
        self._zero, self._one = numbers.scalar(0), numbers.scalar(1)
        self._handle = ctypes.c_void_p()
        try:
            call_cublas(library, "cublasCreate_v2", ctypes.byref(self._handle))
        except CublasError as error:  # nothing has run yet that it could stop
            raise BackendError(str(error)) from None
        # Not at the end of the process, when the device may be gone.
        weakref.finalize(self, _destroy, library, self._handle).atexit = False
        self.attach(stream)

    def attach(self, stream: int) -> None:
        """Run products on this stream from now on."""
        call_cublas(self._library, "cublasSetStream_v2", self._handle, stream)
        # Behind the stream, which takes the workspace away.
        call_cublas(self._library, "cublasSetWorkspace_v2", self._handle, *self._workspace)

    def bind(
        self,
        *,
        left: Matrix,
        right: Matrix,
        out: Matrix,
        rows: int,
        columns: int,
        depth: int,
        accumulate: bool = False,
        count: int = 1,
    ) -> Callable[[], None]:
        """A call that sets `out`, (rows, columns), to the product of `left`, (rows, depth), and `right`.

        With `accumulate` it adds the product to `out`. `count` such products are computed at once, each with matrices
        a step further than the one before. Where the device cannot go on, the call raises a CublasError.

        Raises
        ------
        ValueError
            There are no such matrices, or cuBLAS cannot count as far.
        """
        _check(left, right, out, rows, columns, depth, count)
        batched = count > 1
        # cuBLAS counts down columns: what it takes for the columns of a matrix are our rows, so each of ours is the
        # transpose of its own, and out.T = right.T @ left.T.
        first, second, result = (
            (matrix.pointer, self._numbers.kind, matrix.stride, *((matrix.step,) if batched else ()))
            for matrix in (right, left, out)
        )
        one, kept = (ctypes.byref(number) for number in (self._one, self._one if accumulate else self._zero))
        return partial(
            call_cublas,
            self._library,
            "cublasGemmStridedBatchedEx" if batched else "cublasGemmEx",
            self._handle,
            *(cublas.CUBLAS_OP_T if matrix.transposed else cublas.CUBLAS_OP_N for matrix in (right, left)),
            *(columns, rows, depth),
            *(one, *first, *second, kept, *result),
            *((count,) if batched else ()),
            *(self._numbers.compute, cublas.CUBLAS_GEMM_DEFAULT),
        )


def _destroy(library: Any, handle: ctypes.c_void_p) -> None:
    with undisturbed():
        library.cublasDestroy_v2(handle)


def _check(left: Matrix, right: Matrix, out: Matrix, rows: int, columns: int, depth: int, count: int) -> None:
    if out.transposed:
        raise ValueError("out is written as it is, not transposed")
    if count > 1 and not out.step:
        raise ValueError(f"{count} products cannot be written into one matrix; give out a step")
    sizes = {"rows": rows, "columns": columns, "depth": depth, "count": count}
    for name, matrix, tall, wide in (
        ("left", left, rows, depth),
        ("right", right, depth, columns),
        ("out", out, rows, columns),
    ):
        width = tall if matrix.transposed else wide
        if matrix.stride < width:
            raise ValueError(
                f"a row of {name} has {width} numbers, and the next begins after {matrix.stride}"
            )
        sizes[f"the stride of {name}"] = matrix.stride
    for name, number in sizes.items():
        if not 1 <= number < 2**31:
            raise ValueError(f"{name} is {number}; cuBLAS counts from 1 to {2**31 - 1}")
