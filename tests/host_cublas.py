"""The functions of cuBLAS that the cupy backend calls, in the memory of the host: matrices by columns, as its
documentation has them."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from ctypes import c_void_p
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt_cupy import cublas

__all__ = ["HANDLE", "HostCublas"]

Array = npt.NDArray[Any]

HANDLE = 0xB1A5
INVALID_VALUE, INTERNAL_ERROR = 7, 14

KINDS: Mapping[int, type[Any]] = {cublas.CUDA_R_32F: ctypes.c_float, cublas.CUDA_R_64F: ctypes.c_double}
BITS = {
    cublas.CUBLAS_COMPUTE_32F: 23,
    cublas.CUBLAS_COMPUTE_32F_FAST_TF32: 10,
    cublas.CUBLAS_COMPUTE_32F_FAST_16BF: 7,
    cublas.CUBLAS_COMPUTE_64F: 52,
}
"""How many bits of the mantissa a product keeps of its factors."""


class HostCublas:
    """A library that is called through the foreign function interface, with the types of the real one.

    `calls` has the names of what was called. A call of a function that `failing` names does nothing but return that
    status. A product without a workspace of the caller's fails: the real one would allocate, and break a capture.
    """

    def __init__(self, failing: Mapping[str, int] | None = None) -> None:
        self.calls: list[str] = []
        self.failing = failing or {}
        self.stream: int | None = None
        self.workspace: tuple[int, int] | None = None
        for name, types in cublas.SIGNATURES.items():
            prototype = ctypes.CFUNCTYPE(ctypes.c_int, *types)
            setattr(self, name, prototype(self._answer(name)))

    def _answer(self, name: str) -> Any:
        work = getattr(self, f"_{name.removesuffix('_v2')}")

        def answer(*arguments: Any) -> int:
            self.calls.append(name)
            if name in self.failing:
                return self.failing[name]
            if name != "cublasCreate_v2" and arguments[0] != HANDLE:
                return INVALID_VALUE
            status: int = work(*arguments)
            return status

        return answer

    def _cublasCreate(self, handle: int) -> int:
        c_void_p.from_address(handle).value = HANDLE
        return 0

    def _cublasDestroy(self, handle: int) -> int:  # noqa: ARG002
        return 0

    def _cublasSetStream(self, handle: int, stream: int | None) -> int:  # noqa: ARG002
        self.stream, self.workspace = stream, None
        return 0

    def _cublasSetWorkspace(self, handle: int, pointer: int, size: int) -> int:  # noqa: ARG002
        if pointer % 256:
            return INVALID_VALUE
        self.workspace = pointer, size
        return 0

    def _cublasGemmEx(self, *arguments: Any) -> int:
        handle, *shape, alpha, a, a_kind, lda, b, b_kind, ldb, beta, c, c_kind, ldc, compute, algorithm = (
            arguments
        )
        left, right, out = ((a, a_kind, lda, 0), (b, b_kind, ldb, 0), (c, c_kind, ldc, 0))
        return self._cublasGemmStridedBatchedEx(
            handle, *shape, alpha, *left, *right, beta, *out, 1, compute, algorithm
        )

    def _cublasGemmStridedBatchedEx(self, *arguments: Any) -> int:
        _, of_a, of_b, m, n, k, alpha, *a, b0, b1, b2, b3, beta, c, kind, ldc, step, count, compute, _ = (
            arguments
        )
        a, b = (tuple(a), (b0, b1, b2, b3))
        shapes = [(k, m) if of_a else (m, k), (n, k) if of_b else (k, n)]
        if any(lead < shape[0] for (_, _, lead, _), shape in zip((a, b), shapes, strict=True)) or ldc < m:
            return INVALID_VALUE
        if self.workspace is None:
            return INTERNAL_ERROR
        scale, keep = (KINDS[kind].from_address(pointer).value for pointer in (alpha, beta))
        for number in range(count):
            first, second = (
                _round(_view(*matrix, number, shape), BITS[compute])
                for matrix, shape in zip((a, b), shapes, strict=True)
            )
            out = _view(c, kind, ldc, step, number, (m, n))
            with np.errstate(all="ignore"):  # a GPU says nothing of what overflows
                product = scale * ((first.T if of_a else first) @ (second.T if of_b else second))
                out[...] = product + keep * out if keep else product
        return 0


def _view(pointer: int, kind: int, lead: int, step: int, number: int, shape: tuple[int, int]) -> Array:
    """A matrix whose columns begin `lead` numbers apart."""
    size, of = ctypes.sizeof(KINDS[kind]), lead * (shape[1] - 1) + shape[0]
    flat = np.ctypeslib.as_array((KINDS[kind] * of).from_address(pointer + number * step * size))
    return np.lib.stride_tricks.as_strided(flat, shape, (size, lead * size))


def _round(factor: Array, bits: int) -> Array:
    """To so many bits of the mantissa, ties to even."""
    fraction, exponent = np.frexp(factor)
    return np.ldexp(np.rint(np.ldexp(fraction, bits + 1)), exponent - bits - 1)
