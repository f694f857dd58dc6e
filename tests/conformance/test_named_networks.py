"""Every installed backend against the reference executor, on networks everyone knows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from agreement import BACKENDS, assert_agreement, assert_single_agreement
from named_networks import NETWORKS, NOISES, draw_fields, noisy

from graphbptt.backend import find_backend
from graphbptt.compiler import compile_network
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.layout import draw_parameters
from graphbptt.passes.bind_batch import bind_batch

SHAPES = ((4, 9, False), (1, 1, False), (3, 12, True), (4, 9, True), (4, 9, False))
"""Batch, steps and whether sequences differ in length; one executable has to take them all, in this order."""


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("network", NETWORKS)
def test_agrees_with_the_reference(name: str, network: Callable[[], FoldedNetwork]) -> None:
    plan = compile_network(network())
    executable = find_backend(name).build(plan, np.dtype(np.float64))
    vector = draw_parameters(plan.network, plan.layout, 1, np.float64)
    for seed, (batch, steps, padded) in enumerate(SHAPES):
        fields = draw_fields(batch, steps, padded, seed)
        assert_agreement(plan, executable, vector, bind_batch(plan.network, fields, steps, np.float64))


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("network", NETWORKS)
def test_single_precision(name: str, network: Callable[[], FoldedNetwork]) -> None:
    plan = compile_network(network())
    executable = find_backend(name).build(plan, np.dtype(np.float32))
    vector = draw_parameters(plan.network, plan.layout, 1, np.float64)
    for seed, (batch, steps, padded) in enumerate(SHAPES):
        fields = draw_fields(batch, steps, padded, seed)
        assert_single_agreement(plan, executable, vector, fields, steps)


@pytest.mark.parametrize("name", BACKENDS)
def test_noise(name: str) -> None:
    """Of any seed, of examples from any number on, and left out."""
    plan = compile_network(noisy())
    executable = find_backend(name).build(plan, np.dtype(np.float64))
    vector = draw_parameters(plan.network, plan.layout, 0, np.float64)
    fields = draw_fields(3, 8, False)
    for noise in NOISES:
        batch = bind_batch(plan.network, fields, 8, np.float64, noise=noise)
        assert_agreement(plan, executable, vector, batch)
