"""The unrolled network: a layered feed-forward graph whose weights are shared between layers.

    unrolled := UnrolledGraph(network, steps, rows, bundles)
    row      := Row(population, first, last, computed)   vertices (population, first) to (population, last)
    bundle   := Bundle(edge, steps)                      arcs (source, t - delay) -> (target, t), t in steps
    steps    := ComputedSteps(last, fixed)               1, ..., last without the fixed ones
    vertex   := (population, step)
    arc      := Arc(source, target, edge)
    copy     := Copy(owner, use, step)

Rows and bundles are columns: their size does not depend on the number of steps. Vertices, arcs, layers and
copies are made when asked for, one at a time.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, overload

import networkx as nx

from graphbptt.ir.folded import Connection, FoldedNetwork, Wire
from graphbptt.ir.generations import RowBundle, sort_generations
from graphbptt.ir.parameters import Use

__all__ = ["Arc", "Bundle", "ComputedSteps", "Copies", "Copy", "Layers", "Row", "UnrolledGraph", "Vertex"]

Vertex = tuple[str, int]


class Arc(NamedTuple):
    """One edge of the network at one step of its target."""

    source: Vertex
    target: Vertex
    edge: Connection | Wire

    @property
    def group(self) -> str | None:
        """The weight-sharing group; None where the arc has no weight."""
        return edge_group(self.edge)


class Copy(NamedTuple):
    """One copy of a group's parameter: what owns it (a connection, ``h.bias``) and the step it belongs to."""

    owner: str
    use: Use
    step: int


@dataclass(frozen=True, slots=True)
class ComputedSteps(Collection[int]):
    """The steps ``1, ..., last`` without the `fixed` ones."""

    last: int
    fixed: frozenset[int] = frozenset()

    def __contains__(self, step: object) -> bool:
        return isinstance(step, int) and 1 <= step <= self.last and step not in self.fixed

    def __iter__(self) -> Iterator[int]:
        return (step for step in range(1, self.last + 1) if step not in self.fixed)

    def __len__(self) -> int:
        return self.last - sum(1 <= step <= self.last for step in self.fixed)

    def __str__(self) -> str:
        if not len(self):
            return "none"
        without = sorted(step for step in self.fixed if step <= self.last)
        return f"1..{self.last}" + (f" without {', '.join(map(str, without))}" if without else "")


@dataclass(frozen=True, slots=True)
class Row:
    """The vertices of one population, steps `first` to `last`; nothing arrives outside of `computed`."""

    population: str
    first: int
    last: int
    computed: ComputedSteps

    @property
    def steps(self) -> range:
        return range(self.first, self.last + 1)


@dataclass(frozen=True, slots=True)
class Bundle:
    """The arcs of one edge of the folded network, one for each of `steps`, the steps of its target."""

    edge: Connection | Wire
    steps: ComputedSteps


class Layers(Sequence[tuple[Vertex, ...]]):
    """The topological generations; each is a tuple of vertices, made when asked for."""

    def __init__(self, rows: Sequence[Row], order: array[int], starts: array[int]) -> None:
        self._rows = rows
        self._order = order
        self._starts = starts

    def __len__(self) -> int:
        return len(self._starts) - 1

    @overload
    def __getitem__(self, index: int) -> tuple[Vertex, ...]: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[tuple[Vertex, ...], ...]: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return tuple(self[k] for k in range(*index.indices(len(self))))
        k = range(len(self))[index]
        return tuple(self._name(self._order[self._starts[k] : self._starts[k + 1]]))

    def _name(self, numbers: array[int]) -> Iterator[Vertex]:
        """The vertices with these numbers, which ascend."""
        rows = iter(self._rows)
        row, end = next(rows), 0
        end = len(row.steps)
        for number in numbers:
            while number >= end:
                row = next(rows)
                end += len(row.steps)
            yield row.population, row.last + 1 - (end - number)


@dataclass(frozen=True, slots=True)
class Copies(Collection[Copy]):
    """All copies of one group: those of each (owner, use) at each of its steps."""

    uses: tuple[tuple[str, Use, Collection[int]], ...]

    def __len__(self) -> int:
        return sum(len(steps) for _, _, steps in self.uses)

    def __iter__(self) -> Iterator[Copy]:
        return (Copy(owner, use, step) for owner, use, steps in self.uses for step in steps)

    def __contains__(self, copy: object) -> bool:
        return isinstance(copy, Copy) and any(
            (owner, use) == (copy.owner, copy.use) and copy.step in steps for owner, use, steps in self.uses
        )


@dataclass(frozen=True)
class UnrolledGraph:
    """A folded network unrolled over `steps` steps; it is acyclic. Made by `unroll_network`."""

    network: FoldedNetwork
    steps: int
    rows: tuple[Row, ...]
    bundles: tuple[Bundle, ...]

    @property
    def number_of_vertices(self) -> int:
        return sum(len(row.steps) for row in self.rows)

    @property
    def number_of_arcs(self) -> int:
        return sum(len(bundle.steps) for bundle in self.bundles)

    @cached_property
    def row(self) -> dict[str, Row]:
        """The rows by population."""
        return {row.population: row for row in self.rows}

    @cached_property
    def layers(self) -> Layers:
        """The topological generations: each vertex lies one layer above the highest one it depends on.

        Nothing arrives at layer 0. Where every delay is 1 and something arrives at every node, layer t is
        step t.
        """
        index = {row.population: k for k, row in enumerate(self.rows)}
        bundles = (
            RowBundle(index[b.edge.source], index[b.edge.target], b.edge.delay, b.steps) for b in self.bundles
        )
        return Layers(self.rows, *sort_generations([row.steps for row in self.rows], bundles))

    @cached_property
    def groups(self) -> dict[str, Copies]:
        """The copies of each group, by its name."""
        once = range(1)
        uses: dict[str, list[tuple[str, Use, Collection[int]]]] = {
            group.name: [] for group in self.network.groups
        }
        for owner, population, use in self.network.placed_uses():
            steps = once if population is None else self.row[population].computed
            uses[use.group].append((owner, use, steps))
        return {group: Copies(tuple(members)) for group, members in uses.items()}

    def vertices(self) -> Iterator[Vertex]:
        """Every vertex, by population and step."""
        return ((row.population, step) for row in self.rows for step in row.steps)

    def arcs(self) -> Iterator[Arc]:
        """Every arc, by edge and step."""
        return (_arc(bundle.edge, step) for bundle in self.bundles for step in bundle.steps)

    def incoming(self, vertex: Vertex) -> Iterator[Arc]:
        """The arcs that arrive at a vertex."""
        population, step = vertex
        return (_arc(b.edge, step) for b in self._bundles_into.get(population, ()) if step in b.steps)

    @cached_property
    def _bundles_into(self) -> dict[str, list[Bundle]]:
        into: dict[str, list[Bundle]] = {}
        for bundle in self.bundles:
            into.setdefault(bundle.edge.target, []).append(bundle)
        return into

    def to_networkx(self) -> nx.MultiDiGraph[Any]:
        """A networkx graph of it all: as many objects as there are vertices and arcs.

        Vertices are (population, step) with attributes ``population``, ``step`` and ``layer``; arcs have
        ``group`` (None where they have no weight), ``delay`` and ``kind``.
        """
        graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
        graph.add_nodes_from(
            (vertex, {"population": vertex[0], "step": vertex[1]}) for vertex in self.vertices()
        )
        for layer, members in enumerate(self.layers):
            for vertex in members:
                graph.nodes[vertex]["layer"] = layer
        for arc in self.arcs():
            kind = arc.edge.kind if isinstance(arc.edge, Connection) else "wire"
            graph.add_edge(arc.source, arc.target, group=arc.group, delay=arc.edge.delay, kind=kind)
        return graph

    def __str__(self) -> str:
        return format_unrolled(self)


def edge_group(edge: Connection | Wire) -> str | None:
    """The weight-sharing group of an edge of the folded network, if it has a weight."""
    return edge.weight.group if isinstance(edge, Connection) and edge.weight is not None else None


def _arc(edge: Connection | Wire, step: int) -> Arc:
    return Arc((edge.source, step - edge.delay), (edge.target, step), edge)


def format_unrolled(graph: UnrolledGraph) -> str:
    """The text form, a line for each row, bundle and group: its length does not depend on the steps."""
    steps = f"{graph.steps} step{'' if graph.steps == 1 else 's'}"
    lines = [f"unrolled over {steps}: {graph.number_of_vertices} vertices, {graph.number_of_arcs} arcs"]
    lines.extend(
        f"  vertices {row.population}: steps {row.first}..{row.last}, computed {row.computed}"
        for row in graph.rows
    )
    for bundle in graph.bundles:
        edge = bundle.edge
        source = edge.source if edge.delay == 0 else f"{edge.source}[t{-edge.delay:+d}]"
        group = f"group {edge_group(edge)}" if edge_group(edge) else "no weight"
        lines.append(f"  arcs {source} -> {edge.target}, t = {bundle.steps}: {group}")
    for name, copies in graph.groups.items():
        owners = ", ".join(dict.fromkeys(owner for owner, _, _ in copies.uses))
        lines.append(f"  group {name}: {len(copies)} copies" + (f" in {owners}" if owners != name else ""))
    return "\n".join(lines)
