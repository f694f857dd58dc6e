"""Networks of many populations in C, whose loops go through tables, against the reference executor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from agreement import assert_agreement
from compiled import NOWHERE, toolchain
from hypothesis import given, settings
from many_populations import gated_populations, many_populations, unlike_populations
from strategies import Case, cases

from graphbptt.codegen.rows import alike
from graphbptt.codegen.scans import loops
from graphbptt.compiler import compile_network
from graphbptt.ir.batch import Batch
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.layout import draw_parameters
from graphbptt.ir.plan import Plan
from graphbptt.passes.bind_batch import bind_batch
from graphbptt_native.executable import NativeExecutable

DOUBLE = np.dtype(np.float64)


def check(plan: Plan, vector: np.ndarray, batch: Batch, level: str = "-O3") -> NativeExecutable:
    here = toolchain()
    flags = tuple(level if flag == "-O3" else flag for flag in here.flags)
    executable = NativeExecutable(plan, DOUBLE, replace(here, flags=flags), NOWHERE, cores=2)
    assert_agreement(plan, executable, vector, batch)
    return executable


@pytest.mark.parametrize("network", [many_populations, gated_populations, unlike_populations])
@pytest.mark.parametrize("padded", [False, True])
def test_agrees_with_the_reference(network: Callable[[int], FoldedNetwork], padded: bool) -> None:
    plan = compile_network(network(24))
    fields = {"c": np.random.default_rng(0).normal(size=(3, 7, 3))}
    if padded:
        fields["lengths"] = np.array([7, 2, 4])
    vector = draw_parameters(plan.network, plan.layout, 1, np.float64)
    batch = bind_batch(plan.network, fields, 7, np.float64)
    executable = check(plan, vector, batch)
    tables = sum(scan.table_rows for scan in executable._program.scans.values())
    assert tables > 50


@settings(max_examples=15)
@given(case=cases())
def test_random_graphs_agree_where_all_loops_are_apart_and_all_likes_together(case: Case) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(alike, "FEWEST", 2)
        patch.setattr(alike, "MOST", 1)
        patch.setattr(loops, "MOST_LINES", 1)
        plan = compile_network(case.fold())
        batch = bind_batch(plan.network, case.fields, case.steps, np.float64)
        check(plan, case.draw_vector(plan.layout.size), batch, level="-O1")
