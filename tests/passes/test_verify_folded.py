"""The verifier: it passes what is folded, and finds every invariant that is broken."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import networkx as nx
import pytest

from graphbptt.errors import VerificationError
from graphbptt.ir.data import Clamp, Last, Loss, Target
from graphbptt.ir.expression import Load, Net, State
from graphbptt.ir.folded import FoldedNetwork, Wire
from graphbptt.ir.indices import IndexMap, Pattern
from graphbptt.ir.parameters import FrozenArray, Group, Initializer, Use
from graphbptt.ir.penalties import Penalty
from graphbptt.passes.fold_graph import fold_graph
from graphbptt.passes.verify_folded import verify_folded


def fold() -> FoldedNetwork:
    graph: nx.MultiDiGraph[str] = nx.MultiDiGraph()
    graph.add_node("x", units=2)
    graph.add_node(
        "h",
        units=3,
        activation="k * h[t-2] + j * tanh(net)",
        coefficients={"j": 0.5, "k": {"init": [1, 2, 3]}},
        initial={"init": "normal"},
    )
    graph.add_node("y", units=2, activation="logistic")
    graph.add_edge("x", "h", from_units=[1])
    graph.add_edge("h", "h", tie={"group": "W", "scale": -1, "transpose": True})
    graph.add_edge("h", "y", to_units=[0])
    graph.add_edge("x", "y", weight="wire", delay=0)
    return fold_graph(
        graph, [Clamp("x", "x", at=(1, 2)), Clamp("h", "h", (0,), "start")], [Target("y", "y", at=Last(2))]
    )


def test_what_is_folded_passes() -> None:
    verify_folded(fold())


def swap(kind: str, change: Callable[[Any], Any], index: int = 0) -> Callable[[FoldedNetwork], FoldedNetwork]:
    """A network with one of its parts changed."""

    def apply(network: FoldedNetwork) -> FoldedNetwork:
        parts = list(getattr(network, kind))
        parts[index] = change(parts[index])
        return replace(network, **{kind: tuple(parts)})

    return apply


def put(parts: str, index: int = 0, /, **changes: Any) -> Callable[[FoldedNetwork], FoldedNetwork]:
    return swap(parts, lambda part: replace(part, **changes), index)


H, X, Y = 0, 1, 2  # populations
HH, XH, HY, XY = 0, 1, 2, 3  # connections
W = 0  # groups


def test_the_numbers_above() -> None:
    network = fold()
    assert [population.name for population in network.populations] == ["h", "x", "y"]
    assert [connection.name for connection in network.connections] == ["h->h", "x->h", "h->y", "x->y"]
    assert [group.name for group in network.groups][:4] == ["W", "h->y", "h.bias", "h.initial"]


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (lambda n: replace(n, populations=n.populations[::-1]), "the populations are not in order"),
        (lambda n: replace(n, connections=n.connections[::-1]), "the connections are not in order"),
        (lambda n: replace(n, groups=n.groups[::-1]), "the groups are not in order"),
        (lambda n: replace(n, wires=n.wires * 2), "the wires are not in order, or one stands twice"),
        (lambda n: FoldedNetwork((), (), (), ()), "it has no populations"),
        (put("connections", XH, source="a"), "there is no population a"),
        (put("wires", source="a"), "there is no population a"),
        (put("clamps", node="a"), "there is no population a"),
        (put("targets", node="a"), "there is no population a"),
        (put("connections", HH, name="x->h"), "two connections have one name"),
        (put("connections", HH, weight=Use("V")), "group V is not declared"),
        (lambda n: replace(n, groups=(*n.groups, Group("z", (), FrozenArray(0)))), "group z is not used"),
        (put("populations", Y, units=0), "y has no units"),
        (put("populations", H, penalty=Penalty()), "h has the penalty 0"),
        (put("populations", H, penalty=Penalty(1, -1)), "h has the penalty 1 * l1 + -1 * l2"),
        (
            lambda n: put("populations", X, penalty=Penalty(1))(replace(n, clamps=(Clamp("x", "x"),))),
            "x is given and has a penalty",
        ),
        (
            lambda n: put("populations", X, noise=0.1)(replace(n, clamps=(Clamp("x", "x"),))),
            "x is given and has noise",
        ),
        (put("groups", W, penalty=Penalty(math.inf)), "group W has the penalty inf * l1"),
        (put("groups", W, penalty=Penalty(1), trainable=False), "group W has the penalty 1 * l1"),
        (put("populations", X, history=2), "the history of x is not the largest delay"),
        (put("populations", H, history=1), "the history of h is not the largest delay"),
        (put("populations", H, activation=Net()), "the wires are not the states that activations read"),
        (lambda n: replace(n, wires=(Wire("h", "h", 1),)), "the wires are not the states"),
        (put("populations", H, activation=State("x", 2)), "h cannot read x[t-2]"),
        (put("populations", H, activation=State("a", 2)), "h cannot read a[t-2]"),
        (put("populations", Y, activation=Load(3)), "the activation of y holds 3 of an executor"),
        (put("populations", H, coefficients=()), "h has no coefficient k"),
        (
            put("populations", Y, coefficients=(("k", FrozenArray(1.0)),)),
            "the activation of y does not read its coefficient k",
        ),
        (
            swap("populations", lambda p: replace(p, coefficients=p.coefficients[::-1])),
            "coefficients of h are not in",
        ),
        (put("populations", Y, initial=FrozenArray([1, 2, 3])), "y.initial has shape (3,)"),
        (put("populations", H, initial=Use("h.bias")), "h.initial has shape (3,)"),
        (put("populations", Y, bias=Use("h.bias")), "y.bias has shape (3,)"),
        (
            put("populations", H, coefficients=(("j", FrozenArray([1, 2])), ("k", Use("h.k")))),
            "h.j has shape (2,)",
        ),
        (put("connections", XH, from_units=(2,)), "the units of x->h are not distinct units of 2"),
        (put("connections", XH, from_units=(0, 0)), "the units of x->h are not distinct units of 2"),
        (put("connections", XH, from_units=(0, 1)), "the units of x->h are all of them, which is None"),
        (put("connections", HY, to_units=()), "the units of h->y are not distinct units of 2"),
        (put("connections", HY, kind="banded"), "h->y is of no kind"),
        (put("connections", HY, kind="sparse"), "or none where it should have one"),
        (put("connections", HY, pattern=Pattern([0], [0])), "h->y has a pattern where it should have none"),
        (
            put("connections", HY, kind="sparse", pattern=Pattern([1, 0], [0, 0])),
            "the pattern of h->y is not",
        ),
        (put("connections", HY, kind="sparse", pattern=Pattern([0, 3], [0, 0])), "not inside 3 by 1"),
        (put("connections", HY, kind="sparse", pattern=Pattern([0], [0])), "h->y has shape (3, 1)"),
        (put("connections", HH, weight=Use("W", index=IndexMap([[0]]))), "h->h has shape (1, 1)"),
        (put("connections", HH, weight=Use("W", 1.0, True, IndexMap([[0]]))), "h->h transposes an index"),
        (put("connections", HY, weight=Use("h->y", index=IndexMap([[0], [1], [3]]))), "reads positions"),
        (
            put("connections", HY, weight=Use("h->y", index=IndexMap([[0], [1], [2]], [[1], [0], [1]]))),
            "h->y has factors that are not one ordinary number",
        ),
        (put("connections", HY, kind="one_to_one"), "h->y joins 3 units to 1"),
        (put("connections", XY, weight=Use("y.bias")), "x->y has a weight where it should have none"),
        (put("connections", XY, kind="scalar"), "or none where it should have one"),
        (put("connections", HH, weight=Use("W", 0.0)), "h->h has the scale 0.0"),
        (put("connections", HH, weight=Use("W", float("inf"))), "h->h has the scale inf"),
        (put("connections", XH, weight=Use("W")), "x->h has shape (3, 3)"),
        (put("populations", Y, bias=Use("y.bias", 1.0, True)), "y.bias transposes shape (2,)"),
        (put("groups", W, combine="max"), "group W combines by max"),
        (put("connections", XY, sign="inhibitory"), "x->y cannot have the sign inhibitory"),
        (put("connections", HH, sign="inhibitory"), "the signs of group W are not those"),
        (put("groups", W, signs=FrozenArray(1)), "the signs of group W are not those"),
        (put("groups", W, balance=FrozenArray(1)), "group W cannot start as"),
        (put("groups", W, init=FrozenArray([1, 2])), "group W cannot start as"),
        (put("groups", W, init=Initializer("lognormal")), "group W cannot start as"),
        (put("groups", W, init=Initializer("normal", (("std", 1.0),))), "group W cannot start as"),
        (
            put("groups", W, init=Initializer("normal", (("mean", 0.0), ("std", -1.0)))),
            "group W cannot start as",
        ),
        (put("clamps", units=(2,)), "the units of the field x are not distinct units of 2"),
        (put("clamps", at=(0,)), "the field x is used at steps that do not exist"),
        (put("clamps", at=(1, 1)), "the field x is used at steps that do not exist, or twice"),
        (put("clamps", at="last"), "x is clamped at last"),
        (put("targets", at=()), "the field y is used at steps that do not exist"),
        (put("targets", at="start"), "y has a target at start"),
        (put("targets", loss="cauchy"), "y has the target 1.0 * cauchy"),
        (put("targets", loss="huber"), "y has the target 1.0 * huber"),
        (put("targets", loss=Loss("huber", (("delta", -1.0),))), "y has the target 1.0 * huber(delta=-1)"),
        (put("targets", weight=-1.0), "y has the target -1.0 * squared_error"),
    ],
)
def test_damage_is_found(damage: Callable[[FoldedNetwork], FoldedNetwork], what: str) -> None:
    with pytest.raises(VerificationError) as caught:
        verify_folded(damage(fold()))
    assert what in str(caught.value)
