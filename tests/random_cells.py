"""Random cells: the shipped ones with any options, and templates of the user's own, some drawn like a graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from hypothesis import strategies as st
from random_sketches import Cell, Sketch

from graphbptt.declaration.cells.body import CellNode
from graphbptt.declaration.cells.table import SHIPPED

__all__ = ["TEMPLATES", "drawn_cells", "own_cells", "shipped_cells"]

TEMPLATES: dict[str, dict[str, Any]] = {
    "gated": {
        "options": {"squash": None, "share": 0.5, "lag": 1},
        "nodes": {
            "gate": {"activation": "logistic", "bias": "$bias"},
            "h": {
                "activation": "$share * gate * h[t-1] + (1 - gate) * $squash(net)",
                "bias": "$bias",
                "initial": "$initial",
            },
        },
        "edges": [{"from": "h", "to": "gate"}, {"from": "h", "to": "h", "delay": "$lag"}],
        "inputs": {"net": ["gate", "h"], "gate": "gate"},
        "outputs": ["h", "gate"],
    },
    "tower": {
        "options": {"peepholes": False},
        "nodes": {
            "low": {"cell": {"lstm": {"peepholes": "$peepholes"}}, "initial": "$initial"},
            "high": {"cell": {"gated": {"squash": "sin", "lag": 2}}, "bias": "$bias"},
        },
        "edges": [
            {"from": "low", "to": "high", "delay": 0},
            {"from": "low", "from_port": "cell", "to": "high", "to_port": "gate"},
            {"from": "high", "to": "low", "weight": "one_to_one"},
        ],
        "inputs": {"net": "low", "top": "high"},
        "outputs": ["high", "low"],
    },
}
"""Cells of the user's own; the second holds the first."""

SQUASH = st.sampled_from(("tanh", "logistic", "softplus", "sin", "silu"))


def recurrent(name: str, units: int) -> st.SearchStrategy[dict[str, Any]]:
    """What a cell says of its recurrent weights; cells of one kind and size may share theirs."""
    tie = {"group": f"{name} of {units}", "combine": "mean" if units % 2 else "sum"}
    return st.sampled_from(
        ({}, {}, {"init": 0.3}, {"trainable": False}, {"tie": tie}, {"tie": {**tie, "scale": -0.5}})
    )


@st.composite
def options(draw: st.DrawFn, name: str, units: int) -> dict[str, Any]:
    """The options of a shipped cell; one that has none here is a cell that the suite does not know."""
    vector = np.linspace(1.5, 3, units)
    own: Mapping[str, st.SearchStrategy[Any]] = {
        "rnn": {"activation": SQUASH},
        "lstm": {"forget_bias": st.sampled_from((1.0, -0.5)), "peepholes": st.booleans()},
        "gru": {"reset": st.sampled_from(("before", "after"))},
        "leaky": {
            "tau": st.sampled_from((3.0, vector)), "dt": st.sampled_from((1.0, 0.5)), "learned": st.booleans(),
            "activation": SQUASH,
        },
        "clockwork": {
            "periods": st.sampled_from([p for p in ([1], [2], [1, 3], [2, 3], [1, 2, 4]) if units % len(p) == 0]),
            "activation": SQUASH,
        },
    }[name]  # fmt: skip
    drawn = {key: draw(values) for key, values in own.items()}
    kind = f"{name} {drawn['periods']}" if name == "clockwork" else name
    return {**drawn, "recurrent": draw(recurrent(kind, units))}


@st.composite
def shipped_cells(draw: st.DrawFn, units: int) -> Cell:
    name = draw(st.sampled_from(sorted(SHIPPED)))
    chosen = draw(options(name, units))
    body = SHIPPED[name].draw(SHIPPED[name].options(**chosen), CellNode(units))
    takes = {"bias", "initial"} | ({"noise"} if name in ("rnn", "leaky", "clockwork") else set())
    single = {port for port, nodes in body.inputs.items() if len(nodes) == 1}
    return Cell(name, chosen, list(body.inputs), list(body.outputs), single, takes)


@st.composite
def own_cells(draw: st.DrawFn) -> Cell:
    name = draw(st.sampled_from(sorted(TEMPLATES)))
    if name == "gated":
        chosen = {
            "squash": draw(SQUASH),
            "share": draw(st.sampled_from((0.5, -0.8))),
            "lag": draw(st.integers(1, 3)),
        }
        return Cell(name, chosen, ["net", "gate"], ["h", "gate"], {"gate"}, {"bias", "initial", "noise"})
    chosen = {"peepholes": draw(st.booleans())}
    return Cell(name, chosen, ["net", "top"], ["high", "low"], set(), {"bias", "initial"})


@st.composite
def drawn_cells(draw: st.DrawFn, name: str, inside: Sketch) -> tuple[Cell, dict[str, Any]]:
    """A graph as a cell: some of its nodes are ports. Also its declaration."""
    hearing = inside.hearing
    inputs = {"all": hearing, "one": [draw(st.sampled_from(hearing))]} if hearing else {}
    outputs = draw(st.permutations(inside.names))[: draw(st.integers(1, len(inside.names)))]
    edges = [{"from": source, "to": target, **said} for source, target, said in inside.graph.edges(data=True)]
    nodes = dict(inside.graph.nodes(data=True))
    declared = {"nodes": nodes, "edges": edges, "inputs": inputs, "outputs": list(outputs)}
    single = {port for port, inner in inputs.items() if len(inner) == 1 and inner[0] not in inside.cells}
    return Cell(name, {}, list(inputs), list(outputs), single, set()), declared
