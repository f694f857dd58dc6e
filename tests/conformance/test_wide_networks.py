"""Every installed backend against the reference at the sizes where vectors, tiles and parts of a batch end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from agreement import BACKENDS, assert_agreement, assert_single_agreement
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import Case
from wide_networks import wide_cases

from graphbptt.backend import find_backend
from graphbptt.codegen.products import entries
from graphbptt.codegen.products.vectors import VectorUnit
from graphbptt.compiler import compile_network
from graphbptt.ir.plan import Plan
from graphbptt.passes.bind_batch import bind_batch
from graphbptt_native import NativeExecutable, backend, threads

pytestmark = pytest.mark.usefixtures("hurried_compiler")

EXAMPLES = max(10, settings().max_examples // 4)
VECTORS = (VectorUnit(16, 16), VectorUnit(16, 32), VectorUnit(32, 16), VectorUnit(64, 32))
"""Those of all kinds of machines: a compiler splits what this one does not have."""


def draw_vector(case: Case, plan: Plan) -> np.ndarray:
    """Parameters with which states of the widest population do not all saturate."""
    widest = max(population.units for population in plan.network.populations)
    return case.draw_vector(plan.layout.size) / np.sqrt(widest)


@pytest.mark.parametrize("name", BACKENDS)
@settings(max_examples=EXAMPLES)
@given(case=wide_cases(), single=st.booleans())
def test_agrees_with_the_reference(name: str, case: Case, single: bool) -> None:
    plan = compile_network(case.fold())
    vector = draw_vector(case, plan)
    executable = find_backend(name).build(plan, np.dtype(np.float32 if single else np.float64))
    if single:
        assert_single_agreement(plan, executable, vector, case.fields, case.steps)
    else:
        batch = bind_batch(plan.network, case.fields, case.steps, np.float64)
        assert_agreement(plan, executable, vector, batch)


@pytest.mark.skipif("native" not in BACKENDS, reason="there is no C compiler")
@settings(max_examples=EXAMPLES)
@given(
    case=wide_cases(),
    vectors=st.sampled_from(VECTORS),
    cores=st.integers(1, 5),
    fewest=st.sampled_from((1, threads.FEWEST_EXAMPLES)),
    most_examples=st.sampled_from((2, 8, entries.MOST_EXAMPLES)),
)
def test_agrees_whatever_the_machine(
    case: Case, vectors: VectorUnit, cores: int, fewest: int, most_examples: int
) -> None:
    """Other vectors, more cores for work however small, and other sums of sparse weights in registers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "FLOPS_WORTH_A_THREAD", 1.0)
        patch.setattr(threads, "FEWEST_EXAMPLES", fewest)
        patch.setattr(entries, "MOST_EXAMPLES", most_examples)
        plan = compile_network(case.fold())
        toolchain = replace(backend.toolchain, vectors=vectors)
        executable = NativeExecutable(plan, np.dtype(np.float64), toolchain, backend.cache, cores)
        batch = bind_batch(plan.network, case.fields, case.steps, np.float64)
        assert_agreement(plan, executable, draw_vector(case, plan), batch)
