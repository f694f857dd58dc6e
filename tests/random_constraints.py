"""Random linear constraints and signs for random networks, none of which contradict each other.

`signs` and `constraints` are declared with every random graph: equalities on groups that have no sign and are in one
equality each. `sign_edges` and `constrain` go further: equalities that share groups with each other and with signs, all
of which hold at one point that is drawn first.
"""

from __future__ import annotations

import networkx as nx
import numpy as np
from hypothesis import strategies as st
from random_sketches import Sketch

from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.layout import place_parameters
from graphbptt.ir.parameters import FrozenArray, Group
from graphbptt.passes.fold_graph import fold_graph

__all__ = ["constrain", "constraints", "sign_edges", "signs"]


def find_movable(network: FoldedNetwork) -> list[Group]:
    """The groups that a constraint may be about: trained, and not started from values that are given one by one."""
    return [
        group
        for group in network.groups
        if group.trainable and not (isinstance(group.init, FrozenArray) and group.init.values.ndim)
    ]


@st.composite
def signs(draw: st.DrawFn, sketch: Sketch) -> None:
    """Signs of weights that are trained, share nothing with others and start as they are drawn."""
    for _, _, attributes in sketch.graph.edges(data=True):
        free = attributes["weight"] != "wire" and not {"tie", "init", "trainable"} & attributes.keys()
        if free and draw(st.integers(0, 5)) == 5:
            attributes["sign"] = draw(st.sampled_from(("excitatory", "inhibitory")))


def list_texts(group: Group) -> list[str]:
    """What may be said of a group by itself."""
    name, shape = repr(group.name), group.shape
    texts = [f"sum({name}) == 0.5", f"2*{name} == 0"] if not shape else [f"sum({name}) == 0.5"]
    if shape and shape[0] > 1:
        texts.append(f"2*{name}[0] == {name}[1] - 0.25")
    if len(shape) == 2:
        texts.append(f"sum({name}, axis=1) == 1")
        if shape[0] == shape[1] > 1:
            texts += [f"{name} == {name}.T", f"{name} == -{name}.T"]
    return texts


def _describe(group: Group) -> tuple[object, ...]:
    return group.shape, group.combine, group.penalty


@st.composite
def constraints(draw: st.DrawFn, network: FoldedNetwork) -> list[str]:
    """Equalities that can all be met: each group is in one of them at most."""
    groups = [group for group in find_movable(network) if group.signs is None]
    drawn: list[str] = []
    while groups and draw(st.booleans()):
        group = groups.pop(draw(st.integers(0, len(groups) - 1)))
        # An equality may become a tie, whose members agree in all but their scale.
        like = [other for other in groups if _describe(other) == _describe(group)]
        if like and draw(st.booleans()):
            other = draw(st.sampled_from(like))
            groups.remove(other)
            drawn.append(f"{group.name!r} == {draw(st.sampled_from((1, -1, 2)))}*{other.name!r}")
        else:
            drawn.append(draw(st.sampled_from(list_texts(group))))
    return drawn


@st.composite
def sign_edges(draw: st.DrawFn, graph: nx.MultiDiGraph[str]) -> None:
    """Give some edges the sign that their group, its scale and its starting values allow."""
    network = fold_graph(graph)
    chosen = {group.name: draw(st.sampled_from((0, 0, 1, -1))) for group in network.groups}
    connections = {(c.source, c.target, c.delay): c for c in network.connections}
    for group in network.groups:
        uses = [use for _, use in network.uses() if use.group == group.name]
        # An index may read one number with factors of both signs.
        if any(use.index is not None and use.index.factors is not None for use in uses):
            chosen[group.name] = 0
        if isinstance(group.init, FrozenArray) and group.init.values.any():
            chosen[group.name] *= int(np.sign(group.init.values.flat[0])) * chosen[group.name]
    for source, target, attributes in graph.edges(data=True):
        connection = connections.get((source, target, attributes.get("delay", 1)))
        if connection is None:  # the edge ends at a cell
            continue
        parallel = sum(
            (c.source, c.target, c.delay) == (source, target, connection.delay) for c in network.connections
        )
        if connection.weight is None or parallel > 1:
            continue
        sign = chosen[connection.weight.group] * np.sign(connection.weight.scale)
        if sign:
            attributes["sign"] = "excitatory" if sign > 0 else "inhibitory"


@st.composite
def constrain(draw: st.DrawFn, graph: nx.MultiDiGraph[str], seed: int) -> list[str]:
    """Texts of constraints that one point with the right signs meets."""
    network = fold_graph(graph)
    rng = np.random.default_rng(seed)
    point = rng.normal(size=place_parameters(network).size)
    groups = find_movable(network)
    values = {group.name: _draw_values(network, group, point) for group in groups}
    texts = []
    for _ in range(draw(st.integers(1, 4)) if groups else 0):
        terms = [draw(terms_of(group, values[group.name])) for group in draw(st.permutations(groups))[:2]]
        factors = [draw(st.sampled_from((1.0, -1.0, 2.0, 0.5))) for _ in terms]
        total = sum(factor * value for factor, (_, value) in zip(factors, terms, strict=True))
        left = " + ".join(f"{factor} * {text}" for factor, (text, _) in zip(factors, terms, strict=True))
        texts.append(f"{left} == {total!r}")
    return texts


def _draw_values(network: FoldedNetwork, group: Group, point: np.ndarray) -> np.ndarray:
    values = place_parameters(network).view(point, group.name)
    if group.signs is None:
        return values
    return np.where(group.signs.values == 0, values, np.abs(values) * group.signs.values)


@st.composite
def terms_of(draw: st.DrawFn, group: Group, values: np.ndarray) -> tuple[str, float]:
    """A number made of a group's: one of them, or the sum of all or of a part; and its value."""
    if draw(st.booleans()) or not values.shape:
        return f"sum('{group.name}')", float(values.sum())
    place = tuple(draw(st.integers(0, size - 1)) for size in values.shape)
    if len(place) == 2 and draw(st.booleans()):
        return f"sum('{group.name}'[{place[0]}, :])", float(values[place[0]].sum())
    return f"'{group.name}'[{', '.join(map(str, place))}]", float(values[place])
