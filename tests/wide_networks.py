"""Random networks of sizes around those of vectors, tiles and panels, for executors whose ways depend on them.

Few kinds of nodes and edges, large ones: the random graphs of `strategies` have the others, with a few units each.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import networkx as nx
import numpy as np
from hypothesis import strategies as st
from strategies import Case

from graphbptt.ir.data import Clamp, Target

__all__ = ["wide_cases"]

UNITS = (1, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 66, 95, 96, 97)
BATCHES = (*range(1, 15), 24, 25)
ALONE = ("tanh", "logistic", "0.4 * {0}[t-1] + logistic(net) * tanh(net)", "gelu")
ACTIVATIONS = (*ALONE, "softmax")


@st.composite
def connections(draw: st.DrawFn, rows: int, columns: int) -> dict[str, Any]:
    """Dense or sparse weights from some units that lie apart to some that lie side by side, or from all to all."""
    attributes: dict[str, Any] = {}
    if rows > 2 and draw(st.integers(0, 3)) == 3:
        attributes["from_units"] = list(range(rows - 1, -1, -2))
    if columns > 2 and draw(st.integers(0, 3)) == 3:
        attributes["to_units"] = list(range(1, columns))
    if draw(st.integers(0, 2)) == 2:
        attributes["weight"] = {
            "sparse": {"density": 0.3},
            "storage": draw(st.sampled_from(("dense", "csr"))),
        }
    return attributes


@st.composite
def wide_graphs(draw: st.DrawFn) -> nx.MultiDiGraph[Any]:
    """An input `x`, and hidden nodes of which each reads the one before it, itself, and what else is drawn."""
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    units = st.sampled_from(UNITS)
    graph.add_node("x", units=draw(units))
    names = ["h0", "h1", "h2"][: draw(st.integers(1, 3))]
    for name in names:
        size = draw(units)
        activation = draw(st.sampled_from(ACTIVATIONS if size > 1 else ALONE)).format(name)
        graph.add_node(name, units=size, activation=activation, initial="learned")
    edges = [("x", names[0], 0), *((one, other, 0) for one, other in pairwise(names))]
    edges += [(name, name, 1) for name in names]
    for _ in range(draw(st.integers(0, 3))):
        pair = draw(st.sampled_from(names)), draw(st.sampled_from(names))
        edges.append((*pair, draw(st.integers(1, 3))))
    for source, target, delay in edges:
        weights = draw(connections(graph.nodes[source]["units"], graph.nodes[target]["units"]))
        graph.add_edge(source, target, delay=delay, **weights)
    return graph


@st.composite
def wide_cases(draw: st.DrawFn) -> Case:
    graph = draw(wide_graphs())
    batch, steps = draw(st.sampled_from(BATCHES)), draw(st.integers(1, 4))
    seed = draw(st.integers(0, 2**16))
    rng = np.random.default_rng(seed)
    last = f"h{len(graph) - 2}"
    fields = {
        "x": rng.normal(size=(batch, steps, graph.nodes["x"]["units"])),
        "wanted": rng.normal(size=(batch, steps, graph.nodes[last]["units"])),
    }
    if draw(st.booleans()):
        fields["lengths"] = rng.integers(1, steps + 1, batch)
    return Case(graph, [Clamp("x", "x")], [Target(last, "wanted")], fields, steps, seed)
