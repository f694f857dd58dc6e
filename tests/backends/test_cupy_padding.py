"""Sequences that end long before the steps do, on a device that is the host's memory: launched step by step, and as
persistent kernels."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import networkx as nx
import numpy as np
import pytest
from device_checks import check_case
from hypothesis import example, given, settings
from loopback import build
from padding import BEYOND, RUNAWAY, assert_padding_reaches_nothing
from strategies import Case, cases

from graphbptt.codegen.persistent.device_limits import DEVICES, DeviceLimits
from graphbptt.compiler import compile_network
from graphbptt.ir.data import Clamp, Target

NETWORKS_TRIED = max(10, settings().max_examples // 8)
"""Every network is compiled first, which takes a hundred times as long as to run it."""

ONE = replace(DEVICES["sm_90"], multiprocessors=1, resident_blocks=1)
"""A GPU on which a block has as many examples as it can."""

on_both = pytest.mark.parametrize("limits", [None, ONE], ids=["stepwise", "persistent"])


@on_both
@settings(max_examples=NETWORKS_TRIED)
@given(case=cases(causal=True, beyond=BEYOND))
@example(case=RUNAWAY)
def test_what_overflows_behind_the_ends_reaches_nothing(limits: DeviceLimits | None, case: Case) -> None:
    plan = compile_network(case.fold())
    assert_padding_reaches_nothing(plan, build(plan, np.float64, limits=limits), case)


def look_ahead() -> Case:
    """Two populations that read up to three steps ahead, with an initial row for each; one of them is clamped here and
    there."""
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    for name, units in (("g", 2), ("h", 3)):
        graph.add_node(name, units=units, activation="tanh", initial="learned")
        graph.add_edge(name, name, delay=-1)
    graph.add_edge("h", "h", delay=-3)
    graph.add_edge("g", "h", delay=-2)
    steps, lengths = 7, np.array([3, 7, 1, 5])
    random = np.random.default_rng(0)
    fields = {name: random.standard_normal((4, steps, 3)) for name in ("y", "given")}
    fields |= {"given": fields["given"][..., :1], "mask": (fields["given"][..., :1] > 0).astype(float)}
    fields |= {"lengths": lengths}
    inputs = [Clamp("g", "given", units=(1,), mask="mask")]
    return Case(graph, inputs, [Target("h", "y")], fields, steps, 4, frozenset({"y"}))


@on_both
def test_each_sequence_ends_with_the_rows_that_it_starts_from(limits: DeviceLimits | None) -> None:
    check_case(partial(build, limits=limits), look_ahead())
