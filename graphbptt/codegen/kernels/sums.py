"""Kernels that add numbers up to one, in double precision and always in the same order.

As many blocks as there is work for go through the numbers, each lane of a block through every so manyth, and add up
what their lanes have; the block that comes last adds up what the blocks have. In C, where blocks come one after the
other, the order of all additions is the same, so that the sums are.

A kernel is called as ``name(threads, numbers, partial, arrived, ...)``: `threads` are those of `count_threads`,
`partial` has room for `MOST_SUMS` numbers, and `arrived` leads to a zero, which is there again when the kernel ends.
"""

from __future__ import annotations

from collections.abc import Iterable
from string import Template

from graphbptt.codegen.dialect import Dialect
from graphbptt.codegen.launches.commands import COUNT, THREADS, Signature
from graphbptt.codegen.text import block

__all__ = ["MOST_SUMS", "count_threads", "declare_sum", "emit_adding", "frame_sum"]

MOST_SUMS = 512
"""Of a block each: more blocks than a GPU runs at a time have no use."""

NUMBERS_PER_LANE = 4
"""With fewer numbers than that to a lane there are fewer blocks."""

SUM_PARAMETERS = ("const ptrdiff_t numbers", "double *const partial", "unsigned int *const arrived")
"""What a kernel is given behind the number of its threads."""

_ADDING = {
    "CUDA": """
/* The sum of what the lanes of a block have, in sums[0]. */
$inline void add_lanes(double *sums, const ptrdiff_t lane) {
    __syncthreads();
    for (int width = $lanes / 2; width > 0; width /= 2) {
        if (lane < width) sums[lane] += sums[lane + width];
        __syncthreads();
    }
}
""",
    "C": """
/* The sum of what the lanes of a block have, in sums[0]. */
$inline void add_lanes(double *sums) {
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
    blocks = -(-numbers // (THREADS * NUMBERS_PER_LANE))
    return THREADS * min(max(blocks, 1), MOST_SUMS)


def emit_adding(dialect: Dialect) -> list[str]:
    """What all such kernels call."""
    return Template(_ADDING[dialect.name]).substitute(lanes=THREADS, inline=dialect.inline).splitlines()


def declare_sum(name: str, parameters: Iterable[str]) -> Signature:
    """What such a kernel takes, with these parameters behind those that all have."""
    return Signature(name, (COUNT, *SUM_PARAMETERS, *parameters))


def frame_sum(
    signature: Signature,
    summand: Iterable[str],
    finish: Iterable[str],
    dialect: Dialect,
    head: Iterable[str] = (),
) -> list[str]:
    """A function whose `summand` adds to ``sum`` what belongs to the number ``thread``, and whose `finish`, which one
    thread runs, knows the ``total``; what stands in the `head` is the same for all numbers."""
    loop = block("for (ptrdiff_t thread = first; thread < numbers; thread += threads)", summand)
    adding = [*head, "double sum = 0;", *loop]
    write = _write_cuda if dialect.name == "CUDA" else _write_c
    start = (
        f'extern "C" __global__ void __launch_bounds__({THREADS}) {signature.kernel}('
        if dialect.name == "CUDA"
        else f"void {signature.kernel}("
    )
    *others, last = signature.parameters
    body = write(adding, ["const double total = sums[0];", *finish])
    return [start, *(f"    {parameter}," for parameter in others), *block(f"    {last})", body), ""]


def _write_cuda(adding: list[str], finish: list[str]) -> list[str]:
    """The last block is that which finds all others counted; what they wrote before they were counted is there."""
    return [
        f"__shared__ double sums[{THREADS}];",
        "__shared__ int last;",
        "const ptrdiff_t lane = threadIdx.x, blocks = gridDim.x, first = (ptrdiff_t)blockIdx.x * blockDim.x + lane;",
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
        f"for (ptrdiff_t k = lane; k < blocks; k += {THREADS}) sum += ((volatile double *)partial)[k];",
        "sums[lane] = sum;",
        "add_lanes(sums, lane);",
        *block("if (lane == 0)", finish),
    ]


def _write_c(adding: list[str], finish: list[str]) -> list[str]:
    lanes = f"for (ptrdiff_t lane = 0; lane < {THREADS}; lane++)"
    blocks = f"for (ptrdiff_t block = 0; block < threads / {THREADS}; block++)"
    return [
        "(void)arrived;",
        f"double sums[{THREADS}];",
        *block(
            blocks,
            [
                *block(
                    lanes,
                    [
                        f"const ptrdiff_t first = block * {THREADS} + lane;",
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
                f"for (ptrdiff_t k = lane; k < threads / {THREADS}; k += {THREADS}) sums[lane] += partial[k];",
            ],
        ),
        "add_lanes(sums);",
        *finish,
    ]
