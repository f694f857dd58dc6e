"""networkx graph -> networkx graph: every node that uses a cell becomes the nodes and edges of the cell.

The node itself becomes the cell's state, so that results, clamps and targets of it need no other name; the nodes inside
are called after it, ``h.forget``. An edge to the node goes to the nodes of an input port, an edge from it leaves from
the state or from the port that it names.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import networkx as nx
from pydantic_core import PydanticCustomError

from graphbptt.declaration.cells.assemble import Template, assemble, draw_body, turn_around
from graphbptt.declaration.cells.body import Body, CellNode
from graphbptt.declaration.cells.choice import CellChoice
from graphbptt.declaration.cells.insert import insert_templates
from graphbptt.declaration.cells.scope import Scope
from graphbptt.declaration.cells.table import SHIPPED
from graphbptt.declaration.cells.template import CellDeclaration, fill_template, find_unused, list_names
from graphbptt.declaration.expressions import parse_activation
from graphbptt.declaration.graph import name_nodes, read_attributes
from graphbptt.declaration.network_schema import ConnectionDeclaration, NodeDeclaration
from graphbptt.declaration.places import locate
from graphbptt.errors import Problem, SpecError, did_you_mean
from graphbptt.ir.expression import Expression, Net, leaves

__all__ = ["expand_cells"]

Graph = nx.DiGraph

FOR_THE_CELL = ("cell", "units", "bias", "initial")
"""What a node says to the cell that it uses; all else it says of the cell's state."""

OF_BODIES = ("from", "to", "key")
"""What an edge of a template says besides the keys of a connection."""


def expand_cells(graph: Graph[Any]) -> Graph[Any]:
    """Expand the cells of a graph; a graph without cells is returned as it is.

    Parameters
    ----------
    graph : networkx.DiGraph or networkx.MultiDiGraph
        A node uses a cell by its attribute `cell`. The user's own cells are the graph's attribute ``cells``, a mapping
        in the form of a spec.

    Raises
    ------
    SpecError
        A cell, an option or a port does not exist, or a cell contains itself; with every problem found.

    Examples
    --------
    >>> graph = nx.DiGraph([("x", "h")])
    >>> graph.add_node("h", cell="gru", units=3)
    >>> expanded = expand_cells(graph)
    >>> list(expanded)
    ['x', 'h.reset', 'h.update', 'h.candidate', 'h', 'h.recall']
    >>> list(expanded.successors("x"))
    ['h.reset', 'h.update', 'h.candidate']
    """
    if not isinstance(graph, nx.DiGraph):
        return graph
    problems: list[Problem] = []
    expanded = graph
    try:
        scope = Scope(_read_cells(graph, problems), problems)
        if any(attributes.get("cell") is not None for _, attributes in graph.nodes(data=True)):
            expanded, _ = _expand(graph, scope)
        if problems:
            raise SpecError(dict.fromkeys(problems))  # a template's are found again in each node that uses it
    except SpecError as error:
        raise locate(error, graph) from None
    return expanded


def _read_cells(graph: Graph[Any], problems: list[Problem]) -> dict[str, CellDeclaration]:
    """The user's own cells, checked one by one."""
    declared = graph.graph.get("cells") or {}
    if not isinstance(declared, Mapping):
        problems.append(
            Problem("cells", f"{declared!r} is no mapping", "write {name: {nodes: ..., outputs: ...}}")
        )
        return {}
    cells: dict[str, CellDeclaration] = {}
    for name, attributes in declared.items():
        cell = read_attributes(CellDeclaration, attributes, f"cell {name}", problems)
        if cell is None:
            continue
        cells[name] = cell
        problems.extend(_find_unknown(name, cell))
        _check_values(name, cell, problems)
        if name in SHIPPED:
            problems.append(Problem(f"cell {name}", f"{name} is a cell already", "give it another name"))
        for option in find_unused(cell):
            remedy = f"write ${option} in a node or an edge of the cell, or remove the option"
            problems.append(Problem(f"cell {name}.options.{option}", "nothing in the cell names it", remedy))
    return cells


def _find_unknown(name: str, cell: CellDeclaration) -> Iterator[Problem]:
    """The keys of a template's nodes and edges that are none of the language."""
    nodes = ((f"nodes.{node}", said or {}) for node, said in cell.nodes.items())
    edges = ((f"edges[{number}]", said) for number, said in enumerate(cell.edges))
    of_nodes, of_edges = list(NodeDeclaration.model_fields), [*ConnectionDeclaration.model_fields, *OF_BODIES]
    for known, parts in ((of_nodes, nodes), (of_edges, edges)):
        for part, said in parts:
            for key in said:
                if key not in known:
                    remedy = did_you_mean(str(key), known)
                    yield Problem(f"cell {name}.{part}.{key}", f"unknown key {key!r}", remedy)


def _check_values(name: str, cell: CellDeclaration, problems: list[Problem]) -> None:
    """Check what a template says by itself, once, and not again in each node that uses it.

    What names an option is known where the cell is used, and so are cells inside and the names in activations.
    """
    for node, said in cell.nodes.items():
        own = _pick_values(said or {}, ("activation", "cell"))
        read_attributes(NodeDeclaration, own, f"cell {name}.nodes.{node}", problems)
    for number, said in enumerate(cell.edges):
        own = _pick_values(said, OF_BODIES)
        read_attributes(ConnectionDeclaration, own, f"cell {name}.edges[{number}]", problems)


def _pick_values(said: Mapping[str, Any], apart: Collection[str]) -> dict[str, Any]:
    return {
        key: value
        for key, value in said.items()
        if key not in apart and value is not None and next(list_names(value), None) is None
    }


def _expand(graph: Graph[Any], scope: Scope) -> tuple[nx.MultiDiGraph[Any], dict[Hashable, Template]]:
    """The graph with all cells expanded, those inside cells too, and the templates of its own nodes."""
    templates: dict[Hashable, Template] = {}
    for node, name in name_nodes(graph).items():
        if graph.nodes[node].get("cell") is not None:
            template = _draw(graph.nodes[node], scope.place_node(name), scope)
            if template is not None:
                templates[node] = template
    return insert_templates(graph, templates, scope), templates


def _draw(attributes: Mapping[str, Any], path: str, scope: Scope) -> Template | None:
    """The template of the cell that a node uses; None where there is none, with the reasons noted."""
    own = {name: {"options": cell.options} for name, cell in scope.cells.items()}
    node = read_attributes(NodeDeclaration, attributes, path, scope.problems, {"cells": own})
    if node is None or node.cell is None:
        return None
    inner = scope.enter(node.cell.name)
    if node.cell.name in scope.chain:
        what = f"a cell contains itself: {' > '.join(inner.chain)}"
        scope.note(f"{path}.cell", what, f"take it out of {scope.chain[-1]}")
        return None
    said = CellNode(node.units, attributes.get("bias"), attributes.get("initial"))
    body = _draw_body(node.cell, said, path, scope)
    if body is None:
        return None
    body = _add_to_state(body, attributes, path, scope)
    expanded, nested = _expand(draw_body(body, node.units, inner), inner)
    template = assemble(body, expanded, nested, inner)
    return turn_around(template) if node.cell.reverse else template


def _draw_body(cell: CellChoice, said: CellNode, path: str, scope: Scope) -> Body | None:
    if isinstance(cell.options, Mapping):
        return fill_template(cell.name, scope.cells[cell.name], cell.options, said, path, scope.problems)
    try:
        return SHIPPED[cell.name].draw(cell.options, said)
    except PydanticCustomError as error:
        context = error.context or {}
        scope.note(f"{path}.cell", context["what"], context["instead"])
        return None


def _add_to_state(body: Body, attributes: Mapping[str, Any], path: str, scope: Scope) -> Body:
    """The body with what else its node says added to the state; what the cell says itself is not to be said again."""
    state = body.outputs[0]
    if state not in body.nodes:
        return body  # noted later, with every other name that means nothing
    added = {key: value for key, value in attributes.items() if key not in FOR_THE_CELL}
    said = {"activation", "coefficients", *body.nodes[state]}
    for key in sorted(said & added.keys()):
        scope.note(
            f"{path}.{key}", f"the cell says the {key} itself", "leave it out, or set an option of the cell"
        )
    if added.get("noise") and not _reads_net(body.nodes[state]):
        what = "noise adds to the net input, which the state of this cell does not read"
        scope.note(f"{path}.noise", what, "leave it out, or use a cell whose state reads net: rnn, leaky")
    return replace(body, nodes={**body.nodes, state: {**body.nodes[state], **added}})


def _reads_net(state: Mapping[str, Any]) -> bool:
    """Whether an activation, if it can be read, has the net input in it."""
    activation = state.get("activation", "net")
    if not isinstance(activation, str):
        return not isinstance(activation, Expression) or Net() in set(leaves(activation))
    coefficients = state.get("coefficients")
    try:
        return Net() in set(leaves(parse_activation(activation, coefficients or ())))
    except SpecError:
        return True  # what is wrong there is found where the node is read
