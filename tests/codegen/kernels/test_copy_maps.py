"""Copies of parameters and their derivatives as linear maps, against the numpy backend's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from named_networks import NETWORKS
from strategies import Case, cases

from graphbptt.codegen.kernels import copy_maps
from graphbptt.codegen.kernels.copy_maps import (
    VECTOR,
    CopyMaps,
    LinearMap,
    initial_block,
    map_copies,
    shorten,
)
from graphbptt.compiler import compile_network
from graphbptt.errors import BackendError
from graphbptt.ir.parameters import Use
from graphbptt.ir.plan import Plan
from graphbptt_numpy.copies import bind_combining, bind_packing
from graphbptt_numpy.workspace import Workspace

Array = np.ndarray[Any, Any]


class OneLane(Workspace):
    """Matrices as the maps have them."""

    def lanes(self, name: str) -> int:  # noqa: ARG002
        return 1


def arrays_of(space: Workspace, gradients: bool) -> dict[str, Array]:
    """The numpy backend's arrays by the names of the blocks."""
    if gradients:
        blocks = {name: block.gradient for name, block in space.blocks.items()}
        initials = {initial_block(name): rows for name, rows in space.initial_gradients.items()}
        return {VECTOR: space.vector_gradient, **space.matrix_gradients, **blocks, **initials}
    blocks = {name: block.values for name, block in space.blocks.items()}
    return {VECTOR: space.vector, **space.matrices, **blocks}


def check_packing(plan: Plan, maps: CopyMaps, space: Workspace, vector: Array) -> None:
    packed = maps.packing.apply(np.append(vector, 1))
    space.parameters[...] = vector
    for call in bind_packing(plan, space):
        call()
    for name, wanted in arrays_of(space, gradients=False).items():
        block = maps.block[name]
        found = packed[block.offset : block.offset + block.size]
        np.testing.assert_allclose(found, wanted.ravel(), rtol=1e-14, atol=1e-14, err_msg=name)
    for population in plan.network.populations:
        block, value = maps.block[initial_block(population.name)], population.initial
        rows = value.scale * space.copy_of(value) if isinstance(value, Use) else value.values
        found = packed[block.offset : block.offset + block.size].reshape(block.shape)
        np.testing.assert_allclose(found, np.broadcast_to(rows, block.shape), rtol=1e-14)


def check_combining(plan: Plan, maps: CopyMaps, space: Workspace) -> None:
    random, derivatives = np.random.default_rng(0), np.zeros(maps.size)
    for name, array in arrays_of(space, gradients=True).items():
        array[...] = random.normal(size=array.shape)
        block = maps.block[name]
        derivatives[block.offset : block.offset + block.size] = array.ravel()
    for call in bind_combining(plan, space):
        call()
    found = derivatives
    for part in maps.combining:
        found = part.apply(found)
    np.testing.assert_allclose(found, space.gradient, rtol=1e-12, atol=1e-12)


@given(case=cases())
def test_copies_and_derivatives_are_those_of_numpy(case: Case) -> None:
    plan = compile_network(case.fold())
    maps, space = map_copies(plan), OneLane(plan, 3, 2, False, np.dtype(np.float64))
    check_packing(plan, maps, space, case.draw_vector(plan.layout.size))
    check_combining(plan, maps, space)


def test_more_weights_than_a_device_counts_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copy_maps, "MOST", 64)
    with pytest.raises(
        BackendError, match="weights are 224 numbers, and a device counts up to 63; keep sparse"
    ):
        map_copies(compile_network(NETWORKS[0]()))


def test_long_rows_are_cut_with_empty_ones_between_them() -> None:
    lengths = np.array([0, 700, 0, 0, 1, copy_maps.LONGEST, copy_maps.LONGEST**2 + 1, 0])
    starts = np.concatenate([[0], np.cumsum(lengths)])
    random = np.random.default_rng(0)
    long = LinearMap(starts, random.permutation(starts[-1]), random.normal(size=starts[-1]))
    found = numbers = random.normal(size=starts[-1])
    for part in shorten(long):
        assert part.longest <= copy_maps.LONGEST
        found = part.apply(found)
    np.testing.assert_allclose(found, long.apply(numbers), rtol=1e-9)
    assert len(shorten(long)) == 3
