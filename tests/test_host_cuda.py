"""Kernels on threads of a GPU that is not there: some that are right, and some that do what they must not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from host_cuda import FIRST_TO_LAST, ORDERS, load_cuda, start

THREADS = 96
"""Three warps."""


def run(
    lines: str, blocks: int = 1, threads: int = THREADS, shared: int = 0, order: int = FIRST_TO_LAST
) -> np.ndarray[Any, Any]:
    """What a kernel leaves in `out`, a number for each of all its threads; `counter` is 0 and has to be so again."""
    head = f'typedef double real;\nextern "C" __global__ void __launch_bounds__({THREADS}) kernel('
    index = "const int thread = threadIdx.x, all = blockIdx.x * blockDim.x + thread;"
    module = load_cuda(f"{head}double *const out, unsigned *const counter) {{\n{index}\n{lines}\n}}\n")
    out, counter = np.full(blocks * threads, -1.0), np.zeros(1, np.uint32)
    start(module, "kernel", blocks, threads, [out.ctypes.data, counter.ctypes.data], shared, order)
    assert counter[0] == 0
    return out


@pytest.mark.parametrize("order", ORDERS)
def test_threads_meet_at_barriers(order: int) -> None:
    lines = f"""
    __shared__ double sums[{THREADS}];
    double mine = all;
    for (int k = 0; k < 5; k++) {{
        sums[thread] = mine;
        __syncthreads();
        mine += sums[({THREADS} + thread - 1) % {THREADS}];
        __syncthreads();
    }}
    out[all] = mine;"""
    numbers = np.arange(2.0 * THREADS).reshape(2, THREADS)
    for _ in range(5):
        numbers += np.roll(numbers, 1, axis=1)
    assert (run(lines, blocks=2, order=order) == numbers.ravel()).all()


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("apart", [1, 16])
def test_the_lanes_of_each_warp_exchange_numbers(apart: int, order: int) -> None:
    lines = f"if (thread >= 32) out[all] = __shfl_xor_sync(0xffffffffu, (float)all, {apart});"
    wanted = np.arange(THREADS) ^ apart
    wanted[:32] = -1
    assert (run(lines, order=order) == wanted).all()


def test_threads_and_blocks_come_in_the_order_that_is_asked_for() -> None:
    lines = f"out[all] = atomicInc(counter, {4 * THREADS - 1});"
    first, last, shuffled, other = (run(lines, 4, order=order) for order in (*ORDERS, ORDERS[-1] + 1))
    numbers = np.arange(4 * THREADS)
    assert (first == numbers).all()
    assert (last == numbers[::-1]).all()
    for found in (shuffled, other):
        assert (np.sort(found) == numbers).all()
        blocks = found.reshape(4, THREADS)
        assert (blocks.max(axis=1) - blocks.min(axis=1) == THREADS - 1).all()
    assert (shuffled == run(lines, 4, order=ORDERS[-1])).all()
    assert len({found.tobytes() for found in (first, last, shuffled, other)}) == 4


def test_a_missing_barrier_is_seen() -> None:
    lines = f"__shared__ double x[{THREADS}]; x[thread] = thread; %s out[all] = x[{THREADS - 1} - thread];"
    wanted = np.arange(THREADS)[::-1]
    for order in ORDERS:
        assert (run(lines % "__syncthreads();", order=order) == wanted).all()
        assert not (run(lines % "", order=order) == wanted).all()


@pytest.mark.parametrize(
    ("memory", "shared"),
    [
        ("__shared__ double x[4];", 0),
        ("extern __shared__ __align__(16) real shared[]; double *x = shared;", 32),
    ],
)
def test_shared_memory_begins_anew_with_each_block(memory: str, shared: int) -> None:
    """As what is not a number, whatever the block before it wrote."""
    found = run(f"{memory} out[all] = x[1]; __syncthreads(); x[1] = 3;", 2, shared=shared)
    assert np.isnan(found).all()


MISTAKES = {
    "wait at different barriers": (
        "if (thread < 40)\n __syncthreads();\n else __syncthreads();",
        r"thread 0 waits at a barrier in line 5, but thread 40 waits at a barrier in line 6",
    ),
    "end while others wait": (
        "if (thread != 7) __syncthreads();",
        r"thread 0 waits at a barrier in line 4, but thread 7 has ended",
    ),
    "wait while others shuffle": (
        "if (thread < 8) __syncthreads(); else __shfl_xor_sync(0xffffffffu, 1.0, 1);",
        r"thread 0 waits at a barrier in line 4, but thread 8 waits at a shuffle in line 4",
    ),
    "shuffle with some lanes": ("__shfl_xor_sync(0xffffu, 1.0, 1);", "not all lanes"),
    "end while others shuffle": (
        "if (thread != 33) __shfl_xor_sync(0xffffffffu, 1.0, 1);",
        r"thread 32 waits at a shuffle in line 4, but thread 33 has ended",
    ),
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_of_threads_are_found(name: str, order: int) -> None:
    lines, said = MISTAKES[name]
    with pytest.raises(AssertionError, match=said):
        run(lines, order=order)
    assert (run("__syncthreads(); out[all] = 2;", order=order) == 2).all()


def test_a_warp_that_is_not_full_does_not_shuffle() -> None:
    with pytest.raises(AssertionError, match="not all lanes"):
        run("__shfl_xor_sync(0xffffffffu, 1.0, 1);", threads=40)


def test_what_is_written_behind_shared_memory_is_seen() -> None:
    lines = "extern __shared__ __align__(16) real shared[]; shared[%d] = 1;"
    run(lines % 3, shared=32)
    with pytest.raises(AssertionError, match="writes behind the shared memory"):
        run(lines % 4, shared=32)


def test_a_launch_fits_its_kernel() -> None:
    with pytest.raises(AssertionError, match="more threads"):
        run("out[all] = 1;", threads=THREADS + 1)
    with pytest.raises(AssertionError, match="shared memory that it does not know"):
        run("out[all] = 1;", shared=8)
    module = load_cuda('extern "C" __global__ void __launch_bounds__(32) none() {}\n')
    with pytest.raises(AssertionError, match="another number of arguments"):
        start(module, "none", 1, 32, [0])
    start(module, "none", 1, 32, [])
