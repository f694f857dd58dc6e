"""What rounds take: by what their threads have to do, and not by what a multiprocessor could do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphbptt.codegen.coefficients import COEFFICIENTS
from graphbptt.codegen.elementary import ELEMENTARY
from graphbptt.codegen.lanes import WARP
from graphbptt.codegen.persistent.choose_persistent import Choice, Persistent, choose_persistent
from graphbptt.codegen.persistent.costs import (
    BARRIER,
    LAUNCH,
    READ,
    SCHEDULERS,
    cost_items,
    cost_launch,
    cost_round,
)
from graphbptt.codegen.persistent.device_limits import DEVICES
from graphbptt.codegen.persistent.effort import Effort, count_function, measure_effort
from graphbptt.codegen.persistent.memory import lay_out_shared
from graphbptt.codegen.persistent.rounds import Round, list_rounds
from graphbptt.codegen.precision import FLOAT32, FLOAT64, Precision
from graphbptt.codegen.rows.row_groups import has_lanes
from graphbptt.compiler import compile_network
from graphbptt.ir.data import Target
from graphbptt.ir.expression import Load
from graphbptt.ir.functions import FUNCTIONS
from graphbptt.ir.operations import Assignment, Compute, Product, View
from graphbptt.ir.plan import Plan, Sweep
from graphbptt.passes.fold_graph import fold_graph

H100 = DEVICES["sm_90"]
BOTH = pytest.mark.parametrize("precision", [FLOAT32, FLOAT64], ids=lambda precision: precision.name)
MULTIPLICATION = Effort(1, 0, 1, 0)


def plan_units(units: int, activation: str, weight: str = "one_to_one") -> Plan:
    """Units that read themselves, or all of each other, and nothing else."""
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    graph.add_node("h", units=units, activation=activation)
    graph.add_edge("h", "h", weight=weight)
    return compile_network(fold_graph(graph, [], [Target("h", "h")]))


def find_loop(plan: Plan) -> Sweep:
    return next(stage.forward for stage in plan.stages if stage.forward.each)


def cost_loop(
    plan: Plan, kind: Callable[[Round], bool], examples: int, threads: int, precision: Precision = FLOAT32
) -> float:
    """The first round of the loop over steps that is of some kind."""
    sweep = find_loop(plan)
    one = next(item for item in list_rounds(plan, sweep) if kind(item))
    return cost_round(one, precision, H100, examples, threads, lay_out_shared(sweep, examples))


def is_product(one: Round) -> bool:
    return isinstance(one.work, Product)


def is_element_wise(one: Round) -> bool:
    return not isinstance(one.work, Product) and not has_lanes(one.work)


def is_softmax(one: Round) -> bool:
    return not isinstance(one.work, Product) and has_lanes(one.work)


@BOTH
@pytest.mark.parametrize("kind", [is_product, is_element_wise, is_softmax])
def test_a_few_items_cost_more_each_than_many(kind: Callable[[Round], bool], precision: Precision) -> None:
    plans = {units: plan_units(units, "softmax", "dense") for units in (2, 256)}
    if kind is is_element_wise:
        plans = {units: plan_units(units, "tanh") for units in plans}
    few, many = (cost_loop(plan, kind, 1, 256, precision) / units for units, plan in plans.items())
    assert few > 10 * many


@BOTH
def test_one_warp_has_a_quarter_of_the_arithmetic(precision: Precision) -> None:
    """However much the others could do: with enough to do for each of its threads nothing else counts."""
    effort = Effort(operations=10_000)
    one, four, eight = (
        cost_items(effort, warps * WARP, 1024, precision, H100) for warps in (1, SCHEDULERS, 2 * SCHEDULERS)
    )
    assert one == four == 32 * 10_000 * SCHEDULERS / H100.rate(precision.name)
    assert eight == 2 * four


def test_threads_take_their_items_in_turns() -> None:
    once, twice, often = (cost_items(MULTIPLICATION, items, 64, FLOAT32, H100) for items in (64, 65, 640))
    assert once > READ
    assert (twice, often) == (2 * once, 10 * once)


@given(
    items=st.integers(1, 5000),
    threads=st.sampled_from([32, 96, 512]),
    operations=st.integers(1, 300),
    chain=st.integers(1, 100),
    numbers=st.integers(0, 10),
    device=st.sampled_from(sorted(DEVICES)),
)
def test_more_of_anything_costs_no_less(
    items: int, threads: int, operations: int, chain: int, numbers: int, device: str
) -> None:
    def cost(items: int, threads: int, effort: Effort) -> float:
        return cost_items(effort, items, threads, FLOAT32, DEVICES[device])

    effort = Effort(operations, 1, chain, numbers)
    base = cost(items, threads, effort)
    assert base > 0
    assert cost(items + 1, threads, effort) >= base
    assert cost(items, threads, effort + effort) >= base
    assert cost(items, threads + WARP, effort) <= base
    whole = items * operations / DEVICES[device].rate("float32")
    assert base >= whole - 1e-9, "more than a multiprocessor can do"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_functions_cost_what_their_text_computes(dtype: str) -> None:
    cost = {name: count_function(name, dtype).operations for name in ELEMENTARY[dtype]}
    terms = {name: len(coefficients) for name, coefficients in COEFFICIENTS[dtype].items()}
    assert terms["exponential"] < cost["real_exp"] < 3 * terms["exponential"] + 20
    assert terms["logarithm"] < cost["real_log"] < 3 * terms["logarithm"] + 25
    assert cost["real_tanh"] > cost["real_expm1"] > 10 * count_function("multiply", dtype).operations
    assert cost["real_softplus"] > cost["real_exp"] + cost["real_log_ratio"]
    assert count_function("real_logistic", dtype).reciprocals == 1
    assert count_function("real_exp", dtype).reciprocals == 0


def test_what_is_computed_once_counts_once_and_waits_for_what_it_needs_alone() -> None:
    """Two hyperbolic tangents that do not need each other, one of them twice."""
    tangent, out = count_function("real_tanh", "float32").operations, View("state0", 0, 8)
    net = Load(View("net0", 0, 8))
    one, other = FUNCTIONS["tanh"](net), FUNCTIONS["tanh"](net * 2)
    effort = measure_effort((Compute((Assignment(out, one * other + one),)),), "float32")
    assert effort == Effort(2 * tangent + 3, 2, tangent + 3, 2)
    added = measure_effort((Compute((Assignment(out, one, accumulate=True),)),), "float32")
    assert added == Effort(tangent, 1, tangent, 3)


def test_lanes_share_the_units_of_a_softmax() -> None:
    """A row of as many units as a warp has lanes takes no longer than one of two; one of many takes turns."""
    narrow, warp, wide = (
        cost_loop(plan_units(units, "softmax"), is_softmax, 1, 32) for units in (2, WARP, 16 * WARP)
    )
    assert narrow == warp
    assert warp < wide < WARP * warp


def test_launches_are_shared_by_all_multiprocessors() -> None:
    plan = plan_units(64, "tanh")
    one = list_rounds(plan, find_loop(plan))[0]
    few, many = (cost_launch(plan, one, FLOAT32, size, H100) for size in (1, 132 * 1024 * 4))
    assert few > LAUNCH + BARRIER
    assert many > 2 * few


def choose(plan: Plan) -> Choice:
    """For the loop forward over 100 steps of one example."""
    return choose_persistent(plan, find_loop(plan), FLOAT32, 100, 1, H100)


@pytest.mark.parametrize(
    ("units", "activation", "persistent"),
    [(64, "tanh", True), (40_000, "tanh", False), (64, "softmax", True), (40_000, "softmax", False)],
)
def test_many_units_of_one_example_are_left_to_all_multiprocessors(
    units: int, activation: str, persistent: bool
) -> None:
    choice = choose(plan_units(units, activation))
    assert isinstance(choice, Persistent) == persistent, choice
    if isinstance(choice, str):
        assert choice.endswith("launched step by step")


def test_functions_that_take_long_decide() -> None:
    """Where one block would do plain sums of so many units, but not hyperbolic tangents."""
    widths = range(2_000, 20_000, 1_000)
    plain, costly = (
        [isinstance(choose(plan_units(units, activation)), Persistent) for units in widths]
        for activation in ("relu", "tanh(tanh(tanh(net)))")
    )
    assert sum(plain) > sum(costly)
    assert plain == sorted(plain, reverse=True)
    assert costly == sorted(costly, reverse=True)
