"""networkx graph -> FoldedNetwork: names resolved, shapes inferred, ties made explicit, everything checked.

First every node, edge, clamp and target is read by itself; where the nodes and edges can be read, what they
say together is checked as well. All problems are reported at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import networkx as nx

from graphbptt.declaration.cells.expand import expand_cells
from graphbptt.declaration.edge_ties.tie_edges import tie_edges
from graphbptt.declaration.graph import read_graph
from graphbptt.declaration.network_schema import NodeDeclaration
from graphbptt.declaration.places import locate
from graphbptt.errors import Problem, SpecError
from graphbptt.ir.data import Clamp, Target
from graphbptt.ir.expression import Coefficient, Net, State, leaves
from graphbptt.ir.folded import Connection, FoldedNetwork, Wire
from graphbptt.ir.functions import is_softmax
from graphbptt.passes.balance_weights import balance_weights
from graphbptt.passes.fold_constraints import fold_constraints, list_constraints
from graphbptt.passes.fold_data import check_targets, fold_clamps, fold_targets
from graphbptt.passes.fold_edges import draw_edge, settle_edge
from graphbptt.passes.fold_nodes import list_parameters, populate
from graphbptt.passes.fold_signs import fold_signs
from graphbptt.passes.fold_ties import fold_ties
from graphbptt.passes.tie_equalities import tie_equalities

__all__ = ["fold_graph"]


def fold_graph(
    graph: nx.DiGraph[Any], inputs: Sequence[Clamp] = (), targets: Sequence[Target] = ()
) -> FoldedNetwork:
    """Fold a networkx graph with its inputs and targets into a network.

    Parameters
    ----------
    graph : networkx.DiGraph or networkx.MultiDiGraph
        Nodes are populations of units, edges are connections; their attributes are the keys of a spec file.
    inputs : sequence of Clamp
        What is given.
    targets : sequence of Target
        What is wanted.

    Raises
    ------
    SpecError
        With every problem found; those of a graph that was read from a file know their place in it.

    Examples
    --------
    >>> graph = nx.DiGraph()
    >>> graph.add_node("x", units=2)
    >>> graph.add_node("h", units=3, activation="tanh")
    >>> graph.add_edge("x", "h", delay=0)
    >>> graph.add_edge("h", "h", tie="W")
    >>> print(fold_graph(graph, [Clamp("x", "input")]))
    folded network
      population h: 3 units, tanh(net), bias h.bias, initial 0, history 1
      population x: 2 units, net, bias none, initial 0, history 1
      connection h->h: delay 1, dense W
      connection x->h: delay 0, dense x->h
      group W: shape (3, 3), sum, init glorot(gain=1)
      group h.bias: shape (3,), sum, init 0
      group x->h: shape (2, 3), sum, init glorot(gain=1)
      clamp x to input at every
    """
    graph = expand_cells(tie_edges(graph))
    try:
        return _fold(graph, inputs, targets)
    except SpecError as error:
        raise locate(error, graph) from None


def _fold(graph: nx.DiGraph[Any], inputs: Sequence[Clamp], targets: Sequence[Target]) -> FoldedNetwork:
    problems: list[Problem] = []
    declared = read_graph(graph, problems)
    unreadable = bool(problems)
    clamps = fold_clamps(inputs, declared, problems)
    wanted = fold_targets(targets, declared, problems)
    if unreadable:
        raise SpecError(problems)
    drawn = [draw_edge(edge, declared.nodes, problems) for edge in declared.edges]
    wires = _draw_wires(declared.nodes, problems)
    histories = _measure_histories(declared.nodes, [edge.connection for edge in drawn], wires)
    weighted = {edge.connection.target for edge in drawn if edge.weight is not None}
    weights = [edge.weight for edge in drawn if edge.weight is not None]
    states = [
        parameter
        for name, node in declared.nodes.items()
        for parameter in list_parameters(name, node, histories[name], name in weighted, problems)
    ]
    texts = list_constraints(graph.graph.get("constraints"))
    parameters, texts = tie_equalities([*weights, *states], texts)
    groups, uses = fold_ties(parameters, problems)
    network = FoldedNetwork(
        tuple(populate(name, declared.nodes[name], histories[name], uses) for name in sorted(declared.nodes)),
        _order(settle_edge(edge, uses) for edge in drawn),
        wires,
        groups,
        clamps,
        tuple(target for _, target in wanted),
    )
    network = fold_signs(network, parameters, problems)
    network = balance_weights(network, drawn, problems)
    _check_inputs(network, declared.nodes, problems)
    _check_coefficients(network, problems)
    _check_softmax(network, problems)
    check_targets(network, wanted, problems)
    if problems:
        raise SpecError(problems)
    return replace(network, constraints=fold_constraints(texts, network))


def _draw_wires(nodes: Mapping[str, NodeDeclaration], problems: list[Problem]) -> tuple[Wire, ...]:
    """The states that activations read."""
    wires: list[Wire] = []
    for name, node in nodes.items():
        for leaf in leaves(node.activation):
            if isinstance(leaf, State):
                units = nodes[leaf.node].units
                if units != node.units:
                    what = f"it reads {leaf}, {units} units, into {node.units} units"
                    remedy = (
                        f"make both equal, or connect {leaf.node} by an edge: activations work unit by unit"
                    )
                    problems.append(Problem(f"node {name}.activation", what, remedy))
                wires.append(Wire(leaf.node, name, leaf.delay))
    return tuple(sorted(wires, key=lambda wire: (wire.target, wire.source, wire.delay)))


def _measure_histories(
    nodes: Iterable[str], connections: Iterable[Connection], wires: Iterable[Wire]
) -> dict[str, int]:
    """For each node the number of initial rows: the largest delay or look-ahead that reads it, at least 1."""
    histories = dict.fromkeys(nodes, 1)
    edges: list[Connection | Wire] = [*connections, *wires]
    for edge in edges:
        histories[edge.source] = max(histories[edge.source], abs(edge.delay))
    return histories


def _order(connections: Iterable[Connection]) -> tuple[Connection, ...]:
    return tuple(sorted(connections, key=lambda c: (c.target, c.source, c.delay, c.name)))


def _check_inputs(
    network: FoldedNetwork, nodes: Mapping[str, NodeDeclaration], problems: list[Problem]
) -> None:
    """What arrives at a node must do something: its activation reads ``net``, or its states are given."""
    deaf = {
        population.name
        for population in network.populations
        if Net() not in set(leaves(population.activation)) and population.name not in network.given
    }
    for connection in network.connections:
        if connection.target in deaf:
            what = f"it adds to the net input of {connection.target}, whose activation does not read net"
            remedy = f"use net in the activation of {connection.target}, or remove the edge"
            problems.append(Problem(f"edge {connection.name}", what, remedy))
    for name in sorted(network.given):
        what = f"all states of {name} are clamped to data, so nothing can "
        remedy = "leave it out, or put it on a node that computes its states"
        if nodes[name].penalty is not None:
            problems.append(Problem(f"node {name}.penalty", f"{what}make them smaller", remedy))
        if nodes[name].noise:
            problems.append(Problem(f"node {name}.noise", f"{what}add to them", remedy))
    for name in sorted(deaf):
        if nodes[name].bias:
            what = "a bias adds to the net input, which the activation does not read"
            problems.append(
                Problem(f"node {name}.bias", what, "use net in the activation, or write bias: false")
            )
        if nodes[name].noise:
            what = "noise adds to the net input, which the activation does not read"
            problems.append(Problem(f"node {name}.noise", what, "use net in the activation, or leave it out"))


def _check_coefficients(network: FoldedNetwork, problems: list[Problem]) -> None:
    for population in network.populations:
        read = set(leaves(population.activation))
        for key, _ in population.coefficients:
            if Coefficient(key) not in read:
                what = f"the activation of {population.name} does not read it"
                remedy = f"use {key} in the activation, or leave it out"
                problems.append(Problem(f"node {population.name}.coefficients.{key}", what, remedy))


def _check_softmax(network: FoldedNetwork, problems: list[Problem]) -> None:
    for population in network.populations:
        if is_softmax(population.activation) and population.units == 1:
            what = "a softmax over one unit is always 1"
            remedy = "write units: the number of those that compete, or activation: logistic"
            problems.append(Problem(f"node {population.name}.activation", what, remedy))
