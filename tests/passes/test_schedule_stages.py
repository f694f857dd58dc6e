"""Schedules: what recurs together, in which direction it is scanned, what is retimed, and what is refused."""

from __future__ import annotations

from typing import Any

import networkx as nx
import pytest
from plans import draw

from graphbptt.errors import SpecError
from graphbptt.ir.data import Clamp
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.schedule import Component, Mode, Schedule, Scheduled
from graphbptt.passes.fold_graph import fold_graph
from graphbptt.passes.schedule_stages import schedule_stages


def fold(*edges: tuple[str, str, int], clamps: tuple[str, ...] = ()) -> FoldedNetwork:
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    for source, target, delay in edges:
        graph.add_edge(source, target, delay=delay)
    return fold_graph(graph, [Clamp(node, node) for node in clamps])


def schedule(*edges: tuple[str, str, int]) -> Schedule:
    return schedule_stages(fold(*edges))


def lone(mode: Mode, name: str) -> Component:
    return Component(mode, (Scheduled(name),))


def complaints(network: FoldedNetwork) -> list[str]:
    with pytest.raises(SpecError) as caught:
        schedule_stages(network)
    return [str(problem) for problem in caught.value.problems]


def test_what_does_not_recur_is_computed_at_once() -> None:
    network = fold(("x", "h", -3), ("h", "y", 2), ("x", "y", 0), clamps=("x",))
    assert schedule_stages(network) == (lone("given", "x"), lone("batched", "h"), lone("batched", "y"))


@pytest.mark.parametrize(
    ("delay", "mode"), [(1, "forward"), (7, "forward"), (-1, "reverse"), (-4, "reverse")]
)
def test_the_sign_of_the_delay_is_the_direction(delay: int, mode: Mode) -> None:
    assert schedule(("h", "h", delay)) == (lone(mode, "h"),)


def test_levels_order_what_happens_inside_a_step() -> None:
    component = Component("forward", (Scheduled("a", 0, 0), Scheduled("b", 0, 1), Scheduled("c", 0, 2)))
    assert schedule(("a", "b", 0), ("b", "c", 0), ("a", "c", 0), ("c", "a", 1)) == (component,)
    mirrored = schedule(("a", "b", 0), ("b", "c", 0), ("a", "c", 0), ("c", "a", -1))
    assert mirrored == (Component("reverse", component.nodes),)


def test_a_single_edge_that_looks_ahead_is_retimed() -> None:
    """b at step t needs a at step t + 2, so b runs two iterations behind a."""
    nodes = (Scheduled("a", 0, 0), Scheduled("b", 2, 1))
    assert schedule(("a", "b", -2), ("b", "a", 3)) == (Component("forward", nodes),)
    assert schedule(("a", "b", 2), ("b", "a", -3)) == (Component("reverse", nodes),)


def test_an_undelayed_edge_may_cross_phases() -> None:
    """a runs with the first phase, b one behind it, and c reads b in b's own phase, one level later."""
    (component,) = schedule(("a", "b", -1), ("b", "c", 0), ("c", "a", 2))
    assert component.nodes == (Scheduled("a", 0, 0), Scheduled("b", 1, 1), Scheduled("c", 1, 2))


def test_edges_into_data_do_not_recur() -> None:
    network = fold(("x", "h", 0), ("h", "x", 0), clamps=("x",))
    assert schedule_stages(network) == (lone("given", "x"), lone("batched", "h"))


def test_components_come_in_the_order_of_computation_then_of_names() -> None:
    names = [
        component.nodes[0].population for component in schedule(("z", "a", 0), ("m", "m", 1), ("b", "m", 0))
    ]
    assert names == ["b", "m", "z", "a"]


def test_a_cycle_without_delay() -> None:
    assert complaints(fold(("a", "b", 0), ("b", "a", 0))) == [
        "edge b->a: a cycle without delay: b->a (delay 0), a->b (delay 0), 0 in all; each state would need itself;"
        " give one of these edges a delay of at least 1"
    ]


def test_a_cycle_whose_delays_cancel() -> None:
    assert complaints(fold(("a", "b", 2), ("b", "a", -2))) == [
        "edge a->b: a cycle without delay: a->b (delay 2), b->a (delay -2), 0 in all; each state would need itself;"
        " give one of these edges a delay of at least 1"
    ]


def test_cycles_of_both_signs() -> None:
    (problem,) = complaints(fold(("a", "b", 0), ("b", "a", 1), ("b", "b", -1)))
    assert problem == (
        "edge b->b: cycles of negative and of positive total delay meet: b->b (delay -1), -1 in all, and"
        " a->b (delay 0), b->a (delay 1), 1 in all; a component is scanned in one direction: give all its cycles a"
        " positive total delay, or all a negative one"
    )


def test_a_cycle_through_an_activation_names_the_node() -> None:
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    graph.add_node("h", activation="0.5 * h")
    (problem,) = complaints(fold_graph(graph))
    assert problem.startswith(
        "node h.activation: a cycle without delay: h->h (read by the activation) (delay 0)"
    )


def test_every_component_is_complained_of() -> None:
    found = complaints(fold(("a", "a", 0), ("b", "c", 1), ("c", "b", -1)))
    assert [problem.split(":")[0] for problem in found] == ["edge a->a", "edge b->c"]


def test_long_chains_of_look_ahead() -> None:
    """Phases add up along a ring of 300 populations; a search that grew with its square would be felt here."""
    ring = [(f"n{k:03}", f"n{k + 1:03}", -1) for k in range(299)]
    (component,) = schedule(*ring, ("n299", "n000", 300))
    assert {node.population: node.phase for node in component.nodes} == {f"n{k:03}": k for k in range(300)}


@pytest.mark.parametrize(
    ("edges", "text"),
    [
        ([("h", "h", 1), ("h", "h", -1)], "h->h@-1 (delay -1), -1 in all, and h->h@1 (delay 1), 1 in all"),
        ([("b", "a", -2), ("a", "b", 2)], "a->b (delay 2), b->a (delay -2), 0 in all"),
        (
            [("a", "b", 3), ("b", "a", -1), ("a", "c", -4), ("c", "a", 1), ("c", "c", -1)],
            "c->c (delay -1), -1 in all",
        ),
    ],
)
def test_cycles_that_cannot_be_scanned_are_named(edges: list[tuple[str, str, int]], text: str) -> None:
    names = {name: {"units": 1} for edge in edges for name in edge[:2]}
    with pytest.raises(SpecError) as caught:
        schedule_stages(draw(names, *edges))
    assert text in str(caught.value)
