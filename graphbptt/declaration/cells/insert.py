"""Templates put in the place of nodes, and edges led to and from their ports."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import networkx as nx

from graphbptt.declaration.cells.assemble import Template, name_inside, rename_states
from graphbptt.declaration.cells.body import spread
from graphbptt.declaration.cells.scope import Scope
from graphbptt.declaration.graph import name_edges, name_nodes, read_attributes
from graphbptt.declaration.network_schema import ConnectionDeclaration
from graphbptt.declaration.places import remember_origins
from graphbptt.errors import did_you_mean

__all__ = ["insert_templates"]

Graph = nx.DiGraph
Ends = tuple[Hashable, Hashable, Hashable]


def insert_templates(
    graph: Graph[Any], templates: Mapping[Hashable, Template], scope: Scope
) -> nx.MultiDiGraph[Any]:
    """The graph with a template in place of each of these nodes; it remembers where its edges come from."""
    names = name_nodes(graph)
    expanded: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    expanded.graph.update(graph.graph)
    for node, attributes in graph.nodes(data=True):
        if node in templates:
            _add_nodes(expanded, node, names[node], templates[node])
        else:
            expanded.add_node(node, **attributes)
    if len(expanded) < len(graph) + sum(len(template.graph) - 1 for template in templates.values()):
        _note_clashes(graph, names, templates, scope)
    origins: dict[Ends, str] = {}
    for ends, attributes, name in name_edges(graph, names):
        if ends[0] in templates or ends[1] in templates:
            for new in _lead_edge(
                expanded, ends, attributes, scope.place_edge(name), names, templates, scope
            ):
                origins[new] = f"edge {name}"
        else:
            expanded.add_edge(*ends[:2], key=ends[2], **attributes)
    for node, template in templates.items():
        for new in _add_edges(expanded, node, names[node], template):
            origins[new] = f"node {names[node]}"
    remember_origins(
        expanded,
        {
            f"edge {name}": origins[ends]
            for ends, _, name in name_edges(expanded, name_nodes(expanded))
            if ends in origins
        },
    )
    return expanded


def _key_of(node: Hashable, name: str, template: Template, inner: str) -> Hashable:
    """The key in the graph of a node inside: the state takes over that of the cell's own node."""
    return node if inner == template.state else name_inside(name, template, inner)


def _add_nodes(expanded: nx.MultiDiGraph[Any], node: Hashable, name: str, template: Template) -> None:
    rename = {inner: name_inside(name, template, inner) for inner in template.graph}
    for inner, attributes in template.graph.nodes(data=True):
        activation = rename_states(attributes.get("activation"), rename)
        said = attributes if activation is None else {**attributes, "activation": activation}
        expanded.add_node(_key_of(node, name, template, inner), **said)


def _add_edges(expanded: nx.MultiDiGraph[Any], node: Hashable, name: str, template: Template) -> list[Ends]:
    added: list[Ends] = []
    for source, target, key, attributes in template.graph.edges(keys=True, data=True):
        ends = (_key_of(node, name, template, source), _key_of(node, name, template, target))
        free = _find_free_key(expanded, ends, key)
        added.append((*ends, expanded.add_edge(*ends, key=free, **attributes)))
    return added


def _find_free_key(
    expanded: nx.MultiDiGraph[Any], ends: tuple[Hashable, Hashable], key: Hashable
) -> Hashable:
    """The key itself, or one like it whose text, which names the edge, no edge between the same nodes has."""
    taken = {str(other) for other in (expanded[ends[0]].get(ends[1], ()) if ends[0] in expanded else ())}
    while str(key) in taken:
        key = key + 1 if isinstance(key, int) else f"{key}'"
    return key


def _note_clashes(
    graph: Graph[Any], names: Mapping[Hashable, str], templates: Mapping[Hashable, Template], scope: Scope
) -> None:
    """Nodes whose names are taken by the inside of a cell."""
    taken = {
        name_inside(names[node], template, inner): names[node]
        for node, template in templates.items()
        for inner in template.graph
        if inner != template.state
    }
    for node in graph:
        if names[node] in taken:
            what = f"a node inside the cell {taken[names[node]]} has this name"
            scope.note(scope.place_node(names[node]), what, "rename the node")


def _lead_edge(
    expanded: nx.MultiDiGraph[Any],
    ends: Ends,
    attributes: Mapping[str, Any],
    path: str,
    names: Mapping[Hashable, str],
    templates: Mapping[Hashable, Template],
    scope: Scope,
) -> list[Ends]:
    """Add the edges that an edge from or to a cell becomes."""
    declared = read_attributes(ConnectionDeclaration, attributes, path, scope.problems)
    if declared is None:
        return []
    source, target, key = ends
    start, inner_ends = source, [target]
    said = dict(attributes)
    parts: Sequence[str] = [""]
    if source in templates:
        said.pop("from_port", None)
        template = templates[source]
        port = declared.from_port or template.state
        if port not in template.outputs:
            remedy = did_you_mean(port, template.outputs)
            scope.note(f"{path}.from_port", f"{names[source]} has no output {port!r}", remedy)
            return []
        start = _key_of(source, names[source], template, port)
    if target in templates:
        said.pop("to_port", None)
        template = templates[target]
        port = declared.to_port or next(iter(template.inputs), "")
        if port not in template.inputs:
            remedy = did_you_mean(port, list(template.inputs)) if template.inputs else "remove the edge"
            what = (
                f"{names[target]} has no input {port!r}"
                if port
                else f"the cell {names[target]} has no inputs"
            )
            scope.note(f"{path}.to_port" if declared.to_port else path, what, remedy)
            return []
        parts = template.inputs[port]
        inner_ends = [_key_of(target, names[target], template, inner) for inner in parts]
    several = len(inner_ends) > 1
    added = []
    for inner, part in zip(inner_ends, parts, strict=True):
        own = spread(said, part) if several and inner != target else said
        added.append((start, inner, expanded.add_edge(start, inner, key=key, **own)))
    return added
