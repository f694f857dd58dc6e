"""The text of a plan: goldens of three networks, and what its numbers count."""

from __future__ import annotations

import re
from collections.abc import Callable

import networkx as nx
import pytest
from named_networks import bidirectional, lstm
from plans import draw

from graphbptt.compiler import compile, compile_network
from graphbptt.ir.data import Clamp, Target
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.plan import Plan
from graphbptt.ir.plan_text import format_plan


def retimed() -> FoldedNetwork:
    """A loop that an edge crosses against the direction of the scan."""
    nodes = {"past": {"units": 3, "activation": "tanh"}, "ahead": {"units": 2, "activation": "tanh"}}
    edges = [("past", "ahead", -2), ("ahead", "past", 3)]
    return draw(nodes, *edges, targets=[Target("ahead", "wanted", at=(2, 4))])


@pytest.mark.parametrize("network", [lstm, bidirectional, retimed])
def test_goldens(network: Callable[[], FoldedNetwork], golden: Callable[[str, str], None]) -> None:
    golden(f"plan_{network.__name__}", str(compile_network(network())))


def line(text: str, start: str) -> str:
    """The rest of the only line that begins so."""
    (found,) = (row for row in text.splitlines() if row.strip().startswith(start))
    return found.strip().removeprefix(start)


def large() -> Plan:
    """A recurrent layer so wide that nothing is joined to its product."""
    nodes = {"x": {"units": 40}, "h": {"units": 100, "activation": "tanh", "bias": False}}
    return compile_network(draw(nodes, ("x", "h", 0), ("h", "h", 2), clamps=["x"], targets=["h"]))


def test_flops_are_those_of_the_products_and_of_the_element_wise_work() -> None:
    text = format_plan(large(), steps=10, batch=4)
    products, tanh = 2 * (40 + 100) * 100, 100
    forward = products + tanh
    slope, delta, back = 2 * 100, 100, 2 * 100 * 100
    backward = slope + delta + back + products
    assert line(text, "FLOPs per step and example:") == f" {forward:,} forward, {backward:,} backward"
    total = 10 * (forward + backward)
    assert line(text, "FLOPs per sequence:") == f" {total:,}; per batch: {4 * total:,}"
    assert "per sequence" not in format_plan(large()).splitlines()[-1]


@pytest.mark.parametrize(("dtype", "size"), [("float32", 4), ("float64", 8)])
def test_bytes_are_those_of_every_row(dtype: str, size: int) -> None:
    plan, steps, batch = large(), 50, 3
    expected = sum(size * b.width * batch * (steps + b.before + b.after) for b in plan.buffers)
    head = line(
        format_plan(plan, steps, batch, dtype), f"buffers of {dtype} with axes (step, example, column)"
    )
    assert head.startswith(", for T = 50 steps, B = 3 examples: ")
    around, every = 100 * 2 * 2, sum(b.width for b in plan.buffers)
    assert f"B * ({size * every} T + {size * around}) bytes = {expected / 1024:.4g} KiB" in head
    state = plan.placement["h"].state.buffer
    row = line(format_plan(plan, dtype=dtype), f"{state} ").split()
    assert row == [
        "100",
        "T",
        "rows",
        "and",
        "2",
        "before",
        *f"B * ({100 * size} T + {200 * size})".split(),
        "bytes",
        "h",
    ]


def copies(network: FoldedNetwork, steps: int | None = None) -> dict[str, str]:
    text = format_plan(compile_network(network), steps)
    section = text.split("\n\n")[0].splitlines()[1:]
    return {row.split()[0]: re.split(r"shape \(.*?\) +", row)[1] for row in section}


def test_copies_are_a_function_of_the_number_of_steps() -> None:
    network = draw(
        {"h": {"initial": "learned", "bias": False}, "y": {"bias": False}, "x": {}},
        ("x", "h", 0, {"tie": {"group": "W", "combine": "mean"}}),
        ("h", "h", 1, {"tie": "W"}),
        ("h", "y", 0, {"tie": "V"}),
        ("x", "y", 1, {"trainable": False}),
        clamps=["x", Clamp("y", "y", at=(2, 5))],
        targets=["y"],
    )
    assert copies(network) == {
        "W": "2T copies, derivatives averaged",
        "V": "T - 2 copies, derivatives added",
        "h.initial": "1 copy, derivatives added",
        "x->y": "T - 2 copies, fixed",
    }
    assert copies(network, 4) == {
        "W": "8 copies, derivatives averaged",
        "V": "3 copies, derivatives added",
        "h.initial": "1 copy, derivatives added",
        "x->y": "3 copies, fixed",
    }


@pytest.mark.parametrize("steps", [None, 3])
def test_copies_are_counted_no_more_often_for_more_groups(
    steps: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    count_copies, counted = FoldedNetwork.count_copies, []

    def count(network: FoldedNetwork, steps: int) -> dict[str, int]:
        counted.append(network)
        return count_copies(network, steps)

    plans = [
        compile_network(draw({}, *((f"n{k}", f"n{(k + 1) % size}", 1) for k in range(size)), targets=["n0"]))
        for size in (2, 20)
    ]
    monkeypatch.setattr(FoldedNetwork, "count_copies", count)
    for plan in plans:
        format_plan(plan, steps)
    few, many = (counted.count(plan.network) for plan in plans)
    assert few == many > 0


def test_zeros_of_a_merged_matrix_are_counted() -> None:
    nodes = {name: {"units": 50} for name in "abcd"}
    network = draw(
        nodes, ("a", "c", 1), ("b", "d", 1), ("c", "a", 1), ("d", "b", 1), ("a", "b", 1), ("b", "a", 1)
    )
    plan = compile_network(network)
    text = format_plan(plan)
    for matrix in plan.matrices:
        filled = sum(len(entry.rows) * len(entry.columns) for entry in matrix.entries)
        share = 1 - filled / (matrix.rows * matrix.columns)
        assert f" {share:.0%} zeros" in line(text, f"{matrix.name} ")


def test_parts_of_a_population_are_named() -> None:
    nodes = {"a": {"units": 5}, "b": {"units": 4}}
    edges = [("a", "b", 0, {"from_units": [1, 2, 3], "to_units": [2]})]
    text = format_plan(compile_network(draw(nodes, *edges, clamps=["a"], targets=["b"])))
    assert (
        "net1[b(unit 2)] += a(units 1-3) @ W0  (a->b)" in text
        or "net1[b(unit 2)] = a(units 1-3) @ W0  (a->b)" in text
    )


def test_long_lists_are_cut() -> None:
    ring = [(f"n{k:02}", f"n{(k + 1) % 40:02}", 1) for k in range(40)]
    text = format_plan(compile_network(draw({}, *ring, targets=["n00"])))
    assert re.search(r"n00, n01, n02, n03, n04, n05, n06, n07, \.\.\. \(4\d in all\)", text)
    assert "n00, n01, n02, n03, n04, n05, n06, n07, n08" not in text


def test_a_model_explains_itself_in_its_own_type() -> None:
    graph: nx.DiGraph[str] = nx.DiGraph([("a", "a")])
    model = compile(graph, backend="numpy", dtype="float64")
    assert model.explain(3, 2) == format_plan(model.plan, 3, 2, "float64")
    assert "buffers of float64" in model.explain()
