"""The body of a cell as a graph: its names resolved, its activations parsed.

template := Template(graph, inputs, outputs)        plain nodes and edges, ports as in a body
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import networkx as nx

from graphbptt.declaration.cells.body import Body
from graphbptt.declaration.cells.scope import Scope
from graphbptt.declaration.expressions import parse_activation
from graphbptt.errors import Problem, SpecError, did_you_mean
from graphbptt.ir.expression import Expression, Net, State, leaves, substitute

__all__ = ["Template", "assemble", "draw_body", "rename_states", "turn_around"]

Graph = nx.MultiDiGraph


@dataclass(frozen=True, slots=True)
class Template:
    """A cell ready to stand in for a node."""

    graph: Graph[str]
    inputs: Mapping[str, tuple[str, ...]]
    outputs: tuple[str, ...]

    @property
    def state(self) -> str:
        return self.outputs[0]


def draw_body(body: Body, units: int, scope: Scope) -> Graph[str]:
    """The nodes and edges of a body, still with cells inside; nodes have the cell's units unless they say theirs."""
    graph: Graph[str] = nx.MultiDiGraph()
    for name, attributes in body.nodes.items():
        said = {key: value for key, value in attributes.items() if value is not None}
        graph.add_node(name, **{"units": units, **said})
    for index, edge in enumerate(body.edges):
        path = f"cell {scope.chain[-1]}.edges[{index}]"
        attributes = {key: value for key, value in edge.items() if key not in ("from", "to", "key")}
        source, target = str(edge.get("from")), str(edge.get("to"))
        for end, name in (("from", source), ("to", target)):
            if edge.get(end) is None:
                scope.note(path, f"{end!r} is absent", f"write {end}: ...")
            elif name not in body.nodes:
                scope.note(f"{path}.{end}", f"unknown node {name!r}", did_you_mean(name, list(body.nodes)))
        if source in body.nodes and target in body.nodes:
            graph.add_edge(source, target, key=edge.get("key"), **attributes)
    return graph


def assemble(body: Body, expanded: Graph[str], nested: Mapping[Hashable, Template], scope: Scope) -> Template:
    """The template of a body whose own cells have been `expanded`; `nested` are those that stood in it."""
    for node, attributes in expanded.nodes(data=True):
        _parse(node, attributes, expanded, scope)
    inputs = {
        port: tuple(_open_port(nodes, f"inputs.{port}", expanded, nested, scope))
        for port, nodes in body.inputs.items()
    }
    for name in body.outputs:
        _check_node(name, "outputs", expanded, scope)
    return Template(expanded, inputs, tuple(body.outputs))


def _parse(node: str, attributes: dict[str, Any], graph: Graph[str], scope: Scope) -> None:
    """Parse a node's activation in place, as long as its names mean the nodes beside it."""
    text, coefficients = attributes.get("activation"), attributes.get("coefficients")
    if isinstance(text, str):
        known = list(coefficients) if isinstance(coefficients, Mapping) else []
        try:
            attributes["activation"] = parse_activation(text, known, list(graph))
        except SpecError as error:
            attributes["activation"] = Net()  # found once, not again in each cell around this one
            path = scope.place_node(node)
            scope.problems.extend(
                replace(problem, path=f"{path}.{problem.path}") for problem in error.problems
            )


def _open_port(
    names: Iterable[str], path: str, graph: Graph[str], nested: Mapping[Hashable, Template], scope: Scope
) -> Iterator[str]:
    """The nodes of a port; a node that was a cell stands for the nodes of its own first port."""
    for name in names:
        template = nested.get(name)
        if template is None:
            if _check_node(name, path, graph, scope):
                yield name
        elif template.inputs:
            yield from (name_inside(name, template, inner) for inner in next(iter(template.inputs.values())))


def _check_node(name: str, path: str, graph: Graph[str], scope: Scope) -> bool:
    if name not in graph:
        remedy = did_you_mean(name, list(graph))
        scope.problems.append(Problem(f"cell {scope.chain[-1]}.{path}", f"unknown node {name!r}", remedy))
    return name in graph


def name_inside(name: str, template: Template, inner: str) -> str:
    """What a node of a template is called where the cell stands for the node `name`."""
    return name if inner == template.state else f"{name}.{inner}"


def rename_states(activation: Any, rename: Mapping[str, str]) -> Any:
    """An activation in which nodes have other names."""
    if not isinstance(activation, Expression):
        return activation
    states = [leaf for leaf in leaves(activation) if isinstance(leaf, State)]
    return substitute(activation, {state: State(rename[state.node], state.delay) for state in states})


def turn_around(template: Template) -> Template:
    """The same cell with time running the other way."""
    graph: Graph[str] = nx.MultiDiGraph()
    for node, attributes in template.graph.nodes(data=True):
        activation = attributes.get("activation")
        if isinstance(activation, Expression):
            states = [leaf for leaf in leaves(activation) if isinstance(leaf, State)]
            turned = substitute(activation, {state: State(state.node, -state.delay) for state in states})
            attributes = {**attributes, "activation": turned}
        graph.add_node(node, **attributes)
    for source, target, key, attributes in template.graph.edges(keys=True, data=True):
        delay = attributes.get("delay", 1)
        graph.add_edge(
            source, target, key=key, **{**attributes, "delay": -delay if isinstance(delay, int) else delay}
        )
    return replace(template, graph=graph)
