"""The numpy backend on random graphs, with every choice that depends on size made the other way.

Random graphs are small, so the layouts and loops meant for large networks would never be used on them.
"""

from __future__ import annotations

import numpy as np
import pytest
from agreement import assert_agreement
from hypothesis import given
from strategies import Case, cases

import graphbptt.passes.choose_storage
import graphbptt.passes.merge_products
import graphbptt_numpy.sparse
import graphbptt_numpy.tape
import graphbptt_numpy.workspace
from graphbptt.backend import find_backend
from graphbptt.compiler import compile_network
from graphbptt.passes.bind_batch import bind_batch

CHOICES = {
    "lanes however narrow": [(graphbptt_numpy.workspace, "NARROW", 1)],
    "blocks of one step": [(graphbptt_numpy.workspace, "BLOCK_BYTES", 1)],
    "lanes, blocks of one step": [
        (graphbptt_numpy.workspace, "NARROW", 1),
        (graphbptt_numpy.workspace, "BLOCK_BYTES", 1),
    ],
    "blocks of few steps": [(graphbptt_numpy.workspace, "BLOCK_BYTES", 48)],
    "nothing joined or merged": [
        (graphbptt.passes.merge_products, "JOINED_AREA", -1),
        (graphbptt.passes.merge_products, "CALL_AREA", {"each": -1, "whole": -1}),
    ],
    "nothing joined, lanes": [
        (graphbptt.passes.merge_products, "JOINED_AREA", -1),
        (graphbptt_numpy.workspace, "NARROW", 1),
    ],
    "sparse weights in rows, examples together": [
        (graphbptt.passes.choose_storage, "CSR_COSTS", graphbptt.passes.choose_storage.Costs(0, 0, 0)),
        (graphbptt_numpy.sparse, "FEW_EXAMPLES", 0),
        (graphbptt_numpy.sparse, "SAMPLED_COLUMNS", 5),
    ],
    "sparse weights in rows, examples one by one": [
        (graphbptt.passes.choose_storage, "CSR_COSTS", graphbptt.passes.choose_storage.Costs(0, 0, 0)),
    ],
    "bound anew at every run": [(graphbptt_numpy.tape, "KEPT_CALLS", -1)],
    "no numbers repeated": [(graphbptt_numpy.workspace, "SMALL", 0)],
}


@pytest.mark.parametrize("choice", CHOICES)
@given(case=cases())
def test_agrees_with_the_reference_either_way(choice: str, case: Case) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for module, name, value in CHOICES[choice]:
            assert hasattr(module, name)
            patch.setattr(module, name, value)
        plan = compile_network(case.fold())
        executable = find_backend("numpy").build(plan, np.dtype(np.float64))
        vector = case.draw_vector(plan.layout.size)
        assert_agreement(
            plan, executable, vector, bind_batch(plan.network, case.fields, case.steps, np.float64)
        )
