"""Which products may be left out where something is zero, and which may not."""

from __future__ import annotations

from typing import Any

import networkx as nx
import pytest
from plans import draw, stage_of

from graphbptt.codegen.products.guards import find_guards, has_gaps
from graphbptt.compiler import compile_network
from graphbptt.ir.data import Clamp, Target
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.operations import Product
from graphbptt.ir.plan import Plan
from graphbptt.passes.fold_graph import fold_graph


def gated(activation: str, gate: dict[str, Any] | None = None, **more: Any) -> FoldedNetwork:
    """x -> h -> h, of which a gate that is given decides a part; `more` are attributes of h."""
    nodes: dict[str, dict[str, Any]] = {"x": {"units": 2}, "gate": {"units": 3, **(gate or {})}}
    nodes["h"] = {"units": 3, "activation": activation, **more}
    clamps = ["x"] if gate else ["x", "gate"]
    edges = [("x", "h", 0), ("h", "h", 1)]
    if gate:
        edges.append(("x", "gate", 0))
    return draw(nodes, *edges, clamps=clamps, targets=["h"])


def guards_of(plan: Plan, population: str = "h") -> list[str]:
    """What guards the products into a population, as a reader would name it."""
    stage = stage_of(plan, population)
    owners = {(view.buffer, view.start, view.stop): name for view, name in plan.owner.items()}
    guards = find_guards(plan, stage)
    return [
        f"{owners[guard.buffer, guard.start, guard.stop]}{guard.shift or ''}" for guard in guards.values()
    ]


@pytest.mark.parametrize(
    "activation",
    [
        "gate * tanh(net)",
        "tanh(net) * gate",
        "-gate * (2 * tanh(net))",
        "gate * tanh(net) + (1 - gate) * h[t-1]",
        "gate * net",
        "gate * relu(net)",
        "gate * softplus(net * h[t-1])",
        "h[t-1] * (gate * net) + gate * exp(sin(net))",
    ],
)
def test_a_factor_guards(activation: str) -> None:
    plan = compile_network(gated(activation))
    assert guards_of(plan) == ["gate"]
    stage = stage_of(plan, "h")
    guards = find_guards(plan, stage)
    products = [operation for operation in stage.backward.operations() if isinstance(operation, Product)]
    assert products
    assert all(has_gaps(plan, product, guards) for product in products)


@pytest.mark.parametrize(
    "activation",
    [
        "tanh",
        "gate + tanh(net)",
        "gate * tanh(net) + 0.1 * net",
        "tanh(gate * net + net)",
        "tanh(net) / gate",
        "maximum(gate, tanh(net))",
        "gate * tanh(net) + gate[t-1] * net",
        "net * tanh(net)",
    ],
)
def test_what_does_not_multiply_all_of_it_guards_nothing(activation: str) -> None:
    plan = compile_network(gated(activation))
    assert guards_of(plan) == []
    backward = stage_of(plan, "h").backward.operations()
    assert not any(has_gaps(plan, product, {}) for product in backward if isinstance(product, Product))


def test_an_earlier_state_guards() -> None:
    assert guards_of(compile_network(gated("gate[t-2] * tanh(net)"))) == ["gate-2"]


def test_a_gate_that_is_trained_guards_nothing() -> None:
    """The derivative by it needs what it multiplies, also where it is zero."""
    assert guards_of(compile_network(gated("gate * tanh(net)", {"activation": "relu(net)"}))) == []


def recurrent(gate: str, activation: str) -> Plan:
    """A gate, and what it multiplies, in one loop."""
    nodes: dict[str, dict[str, Any]] = {
        "x": {"units": 2},
        "gate": {"units": 2, "activation": gate},
        "h": {"units": 2, "activation": activation},
    }
    return compile_network(draw(nodes, ("x", "h", 0), ("h", "h", 1), clamps=["x"]))


def test_a_gate_of_the_same_loop_guards_if_it_is_there_in_time() -> None:
    assert guards_of(recurrent("step(h)", "gate[t-1] * tanh(net)")) == ["gate-1"]
    assert guards_of(recurrent("step(h[t-1])", "gate * tanh(net)")) == []


def test_a_target_on_the_net_input_sees_it_all() -> None:
    """A loss that is computed from net inputs, not from states, is no multiple of a guard."""
    network = draw(
        {"x": {"units": 2}, "gate": {"units": 3}, "h": {"units": 3, "activation": "logistic"}},
        ("x", "h", 0), ("h", "h", 1), clamps=["x", "gate"],
        targets=[Target("h", "h", loss="binary_cross_entropy")],
    )  # fmt: skip
    assert guards_of(compile_network(network)) == []


def test_modules_of_a_clockwork_network_are_guarded() -> None:
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_node("x", units=2)
    graph.add_node("h", units=6, cell={"clockwork": {"periods": [1, 2, 3]}})
    graph.add_edge("x", "h", delay=0)
    plan = compile_network(fold_graph(graph, [Clamp("x", "x")], [Target("h", "h")]))
    stage = stage_of(plan, "h")
    products = [operation for operation in stage.forward.operations() if isinstance(operation, Product)]
    guards = find_guards(plan, stage)
    assert list(guards) == products
    due = plan.placement["h.due"].state
    for product, guard in guards.items():
        start = product.out.start - plan.placement["h"].net.start  # type: ignore[union-attr]
        assert (guard.buffer, guard.start) == (due.buffer, due.start + start)
