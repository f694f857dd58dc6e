"""The library of cuBLAS: which of its functions are called, its numbers for what can be asked, and what it answers."""

from __future__ import annotations

import ctypes
import os
from ctypes import c_int, c_longlong, c_size_t, c_void_p
from typing import Any

from graphbptt.errors import BackendError, DeviceError

__all__ = [
    "ALIGNMENT",
    "SIGNATURES",
    "STATUSES",
    "CublasError",
    "call_cublas",
    "measure_workspace",
    "open_cublas",
]

ALIGNMENT = 256
"""What the address of a workspace is a multiple of (cuBLAS documentation, cublasSetWorkspace)."""

MEBIBYTE = 1 << 20

# As cublas_api.h and library_types.h number them.
CUBLAS_OP_N, CUBLAS_OP_T = 0, 1
CUBLAS_GEMM_DEFAULT = -1
CUDA_R_32F, CUDA_R_64F = 0, 1
CUBLAS_COMPUTE_32F, CUBLAS_COMPUTE_64F = 68, 70
CUBLAS_COMPUTE_32F_FAST_16BF, CUBLAS_COMPUTE_32F_FAST_TF32 = 75, 77

_MATRIX = (c_void_p, c_int, c_int)
_MATRICES = (*_MATRIX, c_longlong)
_SHAPE = (c_void_p, c_int, c_int, c_int, c_int, c_int, c_void_p)

SIGNATURES: dict[str, tuple[Any, ...]] = {
    "cublasCreate_v2": (c_void_p,),
    "cublasDestroy_v2": (c_void_p,),
    "cublasSetStream_v2": (c_void_p, c_void_p),
    "cublasSetWorkspace_v2": (c_void_p, c_void_p, c_size_t),
    "cublasGemmEx": (*_SHAPE, *_MATRIX, *_MATRIX, c_void_p, *_MATRIX, c_int, c_int),
    "cublasGemmStridedBatchedEx": (
        *_SHAPE, *_MATRICES, *_MATRICES, c_void_p, *_MATRICES, c_int, c_int, c_int,
    ),
}  # fmt: skip
"""The functions that are called, with the types of their arguments; every one returns a status."""

STATUSES: dict[int, tuple[str, str]] = {
    1: ("CUBLAS_STATUS_NOT_INITIALIZED", "there is no driver or no device for it; nvidia-smi says more"),
    3: ("CUBLAS_STATUS_ALLOC_FAILED", "the GPU's memory is used up; take smaller batches, or end what else uses it"),
    7: ("CUBLAS_STATUS_INVALID_VALUE", "this is a mistake in graphbptt; please report it"),
    8: ("CUBLAS_STATUS_ARCH_MISMATCH", "this GPU is too old for it; install an older CuPy, or take another backend"),
    11: ("CUBLAS_STATUS_MAPPING_ERROR", "the GPU's memory cannot be reached; start the process anew"),
    13: ("CUBLAS_STATUS_EXECUTION_FAILED", "the GPU has stopped; start the process anew, nvidia-smi says more"),
    14: ("CUBLAS_STATUS_INTERNAL_ERROR", "it failed by itself; start the process anew, or install another CuPy"),
    15: ("CUBLAS_STATUS_NOT_SUPPORTED", "this GPU has no such products; take another precision or backend"),
    16: ("CUBLAS_STATUS_LICENSE_ERROR", "it wants a licence"),
}  # fmt: skip
"""What its statuses are called, and what to do (cublasStatus_t in cublas_api.h)."""


class CublasError(DeviceError):
    """A call of cuBLAS has failed, with this status."""

    def __init__(self, name: str, status: int) -> None:
        said, remedy = STATUSES.get(status, (f"status {status}", "look it up in the documentation of cuBLAS"))
        super().__init__(f"{name.removesuffix('_v2')} of cuBLAS fails: {said}; {remedy}")
        self.status = status


def open_cublas(cupy: Any) -> Any:
    """The library that CuPy has loaded, with its functions declared.

    Raises
    ------
    BackendError
        CuPy finds none.
    """
    major = cupy.cuda.runtime.runtimeGetVersion() // 1000
    try:
        _ = cupy.cuda.cublas  # the first time, this loads it
        # Under this name the loader finds what is loaded already, wherever it came from, and nothing else.
        library = ctypes.CDLL(f"libcublas.so.{major}", mode=os.RTLD_NOLOAD | os.RTLD_NOW)
    except (ImportError, OSError) as error:
        first, *_ = str(error).splitlines()
        raise BackendError(f"cuBLAS cannot be loaded: {first}; is it that of CUDA {major}?") from None
    for name, arguments in SIGNATURES.items():
        symbol = getattr(library, name)
        symbol.argtypes, symbol.restype = arguments, c_int
    return library


def call_cublas(library: Any, name: str, *arguments: Any) -> None:
    """Call a function of the library.

    Raises
    ------
    CublasError
        It says that it has failed.
    """
    status = getattr(library, name)(*arguments)
    if status:
        raise CublasError(name, status)


def measure_workspace(major: int) -> int:
    """How many bytes let a handle choose among all kernels, on a GPU of compute capability `major`.

    What the documentation of cublasSetWorkspace recommends: 32 MiB for Hopper, which later ones also need, and 4 MiB
    for those before.

    >>> measure_workspace(8), measure_workspace(9)
    (4194304, 33554432)
    """
    return (32 if major >= 9 else 4) * MEBIBYTE
