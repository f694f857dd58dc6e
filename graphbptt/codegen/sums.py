"""Kernels that add numbers up to one, in double precision and always in the same order.

As many blocks as there is work for go through the numbers, each lane of a block through every so manyth, and add up
what their lanes have; the block that comes last adds up what the blocks have. In C, where blocks come one after the
other, the order of all additions is the same, so that the sums are.

A kernel is called as ``name(threads, numbers, partial, arrived, ...)``: `threads` are those of `count_threads`,
`partial` has room for `MOST_BLOCKS` numbers, and `arrived` points to a zero, which is one again when the kernel ends.
"""

from __future__ import annotations

from collections.abc import Iterable
from string import Template

from graphbptt.codegen.dialect import Dialect
from graphbptt.codegen.text import block

__all__ = ["LANES", "MOST_BLOCKS", "SUM_PARAMETERS", "count_threads", "emit_adding", "frame_sum"]

LANES = 256
"""The threads of a block."""

MOST_BLOCKS = 512
"""More blocks than a GPU runs at a time have no use."""

NUMBERS_PER_LANE = 4
"""With fewer numbers than that to a lane there are fewer blocks."""

SUM_PARAMETERS = ("const ptrdiff_t numbers", "double *const partial", "unsigned int *const arrived")
"""What a kernel is given behind the number of its threads."""

_ADDING = {
    "CUDA": """
/* The sum of what the lanes of a block have, in sums[0]. */
static __device__ __forceinline__ void add_lanes(double *sums, const ptrdiff_t lane) {
    __syncthreads();
    for (int width = $lanes / 2; width > 0; width /= 2) {
        if (lane < width) sums[lane] += sums[lane + width];
        __syncthreads();
    }
}
""",
    "C": """
/* The sum of what the lanes of a block have, in sums[0]. */
static void add_lanes(double *sums) {
    for (int width = $lanes / 2; width > 0; width /= 2)
        for (int lane = 0; lane < width; lane++) sums[lane] += sums[lane + width];
}
""",
}


def count_threads(numbers: int) -> int:
    """The threads of a kernel that adds up so many numbers.

    >>> count_threads(1), count_threads(3000), count_threads(10**9)
    (256, 768, 131072)
    """
    blocks = -(-numbers // (LANES * NUMBERS_PER_LANE))
    return LANES * min(max(blocks, 1), MOST_BLOCKS)


def emit_adding(dialect: Dialect) -> list[str]:
    """What all such kernels call."""
    return Template(_ADDING[dialect.name]).substitute(lanes=LANES).splitlines()


def frame_sum(
    name: str, parameters: Iterable[str], summand: Iterable[str], finish: Iterable[str], dialect: Dialect
) -> list[str]:
    """A function whose `summand` adds to ``sum`` what belongs to the number ``thread``, and whose `finish`, which one
    thread runs, knows the ``total``."""
    listed = ["const ptrdiff_t threads", *SUM_PARAMETERS, *parameters]
    adding = block("for (ptrdiff_t thread = first; thread < numbers; thread += threads)", summand)
    write = _write_cuda if dialect.name == "CUDA" else _write_c
    head = (
        f'extern "C" __global__ void __launch_bounds__({LANES}) {name}('
        if dialect.name == "CUDA"
        else f"void {name}("
    )
    *others, last = listed
    body = write(adding, ["const double total = sums[0];", *finish])
    return [head, *(f"    {parameter}," for parameter in others), *block(f"    {last})", body), ""]


def _write_cuda(adding: list[str], finish: list[str]) -> list[str]:
    """The last block is that which finds all others counted; what they wrote before they were counted is there."""
    return [
        f"__shared__ double sums[{LANES}];",
        "__shared__ int last;",
        "const ptrdiff_t lane = threadIdx.x, blocks = gridDim.x, first = (ptrdiff_t)blockIdx.x * blockDim.x + lane;",
        "double sum = 0;",
        *adding,
        "sums[lane] = sum;",
        "add_lanes(sums, lane);",
        *block(
            "if (lane == 0)",
            [
                "partial[blockIdx.x] = sums[0];",
                "__threadfence();",
                "last = atomicInc(arrived, gridDim.x - 1) == gridDim.x - 1;",
            ],
        ),
        "__syncthreads();",
        "if (!last) return;",
        "sum = 0;",
        f"for (ptrdiff_t k = lane; k < blocks; k += {LANES}) sum += ((volatile double *)partial)[k];",
        "sums[lane] = sum;",
        "add_lanes(sums, lane);",
        *block("if (lane == 0)", finish),
    ]


def _write_c(adding: list[str], finish: list[str]) -> list[str]:
    lanes = f"for (ptrdiff_t lane = 0; lane < {LANES}; lane++)"
    blocks = f"for (ptrdiff_t block = 0; block < threads / {LANES}; block++)"
    return [
        "(void)arrived;",
        f"double sums[{LANES}];",
        *block(
            blocks,
            [
                *block(
                    lanes,
                    [
                        f"const ptrdiff_t first = block * {LANES} + lane;",
                        "double sum = 0;",
                        *adding,
                        "sums[lane] = sum;",
                    ],
                ),
                "add_lanes(sums);",
                "partial[block] = sums[0];",
            ],
        ),
        *block(
            lanes,
            [
                "sums[lane] = 0;",
                f"for (ptrdiff_t k = lane; k < threads / {LANES}; k += {LANES}) sums[lane] += partial[k];",
            ],
        ),
        "add_lanes(sums);",
        *finish,
    ]
