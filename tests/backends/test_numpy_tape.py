"""Tapes: calls into NumPy that make no arrays, and the same numbers in blocks of steps and in any order of columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from types import BuiltinFunctionType
from typing import Any

import networkx as nx
import numpy as np
import pytest
from agreement import assert_agreement
from hypothesis import given, settings
from named_networks import NETWORKS, draw_fields
from plans import draw
from strategies import Case, cases

from graphbptt.compiler import compile_network
from graphbptt.ir.data import Clamp, Target
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.functions import ACTIVATIONS
from graphbptt.passes.bind_batch import bind_batch
from graphbptt.passes.fold_graph import fold_graph
from graphbptt_numpy import NumpyExecutable, workspace
from graphbptt_numpy.tape import Tape
from graphbptt_numpy.workspace import Workspace

DOUBLE = np.dtype(np.float64)
COMPILED = (np.ufunc, BuiltinFunctionType, type(np.copyto))


def test_quotients_of_coefficients_are_bound_in_silence() -> None:
    """When a plan is bound, the packed vector is still zero."""
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    graph.add_node(
        "h", units=2, activation="a / b * tanh(net)", coefficients={"a": [1, 2], "b": {"init": 2.0}}
    )
    graph.add_edge("h", "h")
    plan = compile_network(fold_graph(graph))
    executable = NumpyExecutable(plan, DOUBLE)
    batch = bind_batch(plan.network, {}, 2, np.float64)
    assert np.isfinite(executable.run(np.ones(plan.layout.size), batch)["h"]).all()


def bind_tapes(network: FoldedNetwork, ragged: bool) -> Iterator[Tape]:
    plan = compile_network(network)
    space = Workspace(plan, 3, 2, ragged, DOUBLE)
    for index in range(len(plan.stages)):
        for backward in (False, True):
            yield Tape(space, index, backward)


def assert_compiled(network: FoldedNetwork, ragged: bool) -> None:
    for tape in bind_tapes(network, ragged):
        for call in tape._calls():
            assert isinstance(call, partial)
            assert isinstance(call.func, COMPILED), call
            with np.errstate(all="ignore"):
                result = call()
            memory = (*call.args, *call.keywords.values())
            assert result is None or any(result is part for part in memory), "a call makes an array"


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("declare", NETWORKS)
def test_every_call_of_a_tape_is_compiled_code(declare: Callable[[], FoldedNetwork], ragged: bool) -> None:
    assert_compiled(declare(), ragged)


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_every_activation_is_compiled_code(activation: str) -> None:
    assert_compiled(
        draw({"h": {"units": 2, "activation": activation}}, ("h", "h", 1), targets=["h"]), ragged=True
    )


def agree(network: FoldedNetwork, fields: dict[str, np.ndarray], steps: int | None = None) -> None:
    plan = compile_network(network)
    batch = bind_batch(network, fields, steps, DOUBLE)
    vector = np.random.default_rng(0).normal(0.1, 0.6, plan.layout.size)
    assert_agreement(plan, NumpyExecutable(plan, DOUBLE), vector, batch)


@pytest.fixture
def single_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of one step, as in batches whose every step fills the cache."""
    monkeypatch.setattr(workspace, "BLOCK_BYTES", 1)


@pytest.mark.usefixtures("single_steps")
@pytest.mark.parametrize("declare", NETWORKS)
def test_networks_in_blocks_of_steps(declare: Callable[[], FoldedNetwork]) -> None:
    agree(declare(), draw_fields(3, 7, padded=True))


@pytest.mark.usefixtures("single_steps")
def test_two_delays_into_one_readout_in_blocks_of_steps() -> None:
    """The readout's derivatives reach two rows of the hidden layer at each step; a block must not undo another's."""
    nodes: dict[str, dict[str, Any]] = {
        "x": {"units": 2},
        "h": {"units": 3, "activation": "tanh"},
        "y": {"units": 2},
    }
    edges = [("x", "h", 1), ("h", "h", 1), ("h", "y", 0), ("h", "y", 2)]
    rng = np.random.default_rng(0)
    fields = {"x": rng.normal(size=(2, 9, 2)), "y": rng.normal(size=(2, 9, 2))}
    agree(draw(nodes, *edges, clamps=["x"], targets=["y"]), fields)


@given(cases())
@settings(max_examples=60)
def test_any_network_in_blocks_of_steps(case: Case) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workspace, "BLOCK_BYTES", 1)
        agree(case.fold(), case.fields, case.steps)


def test_a_first_write_comes_before_an_addition_to_wider_columns() -> None:
    """e writes the deltas of A and b; c and d, fused, then add to those of a and b, which begin further left."""
    nodes: dict[str, dict[str, Any]] = {"x": {"units": 2}, "y": {"units": 2}}
    nodes |= {name: {"units": 2, "activation": "tanh"} for name in "abA"}
    nodes |= {
        "e": {"units": 2, "activation": "A * b"},
        "c": {"units": 2, "activation": "a + A"},
        "d": {"units": 2, "activation": "b + A"},
    }
    edges = [("x", name, 1) for name in "abA"]
    edges += [(source, target, 1) for source in "ecd" for target in ("y", "a", "b", "A")]
    network = draw(nodes, *edges, clamps=["x"], targets=["y", Target("a", "y")])
    rng = np.random.default_rng(0)
    agree(network, {"x": rng.normal(size=(2, 4, 2)), "y": rng.normal(size=(2, 4, 2))})


def test_a_mean_over_no_copies_is_zero() -> None:
    """The only step is clamped, so no copy of the weight is left to take a mean of."""
    network = draw(
        {"h": {"units": 1, "activation": "tanh"}},
        ("h", "h", 1, {"tie": {"group": "W", "combine": "mean"}, "init": 0.5}),
        clamps=[Clamp("h", "given", at=(1,))],
        targets=["h"],
    )
    agree(network, {"given": np.ones((2, 1, 1)), "h": np.zeros((2, 1, 1))})


@pytest.mark.parametrize("activation", ["step", "sign"])
def test_a_slope_of_zero_passes_nothing(activation: str) -> None:
    network = draw(
        {"x": {"units": 2}, "h": {"units": 2, "activation": activation}}, ("x", "h", 0), targets=["h"]
    )
    agree(network, {"h": np.ones((2, 3, 2))})
