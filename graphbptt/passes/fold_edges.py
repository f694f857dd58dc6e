"""Declared edges -> connections: first without their weights, whose groups are known when all ties are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from graphbptt.declaration.graph import DeclaredEdge
from graphbptt.declaration.network_schema import NodeDeclaration
from graphbptt.declaration.sparse import Places, SparseWeight
from graphbptt.errors import Problem
from graphbptt.ir.folded import Connection
from graphbptt.ir.initializers import DISTRIBUTIONS
from graphbptt.ir.parameters import FrozenArray, Init, Initializer, Use
from graphbptt.ir.signs import Sign
from graphbptt.passes.fold_data import pick_units
from graphbptt.passes.fold_patterns import (
    count_entries,
    draw_pattern,
    keep_written_order,
    list_entries,
    place_entries,
)
from graphbptt.passes.fold_ties import DeclaredParameter

__all__ = ["DrawnEdge", "draw_edge", "settle_edge"]

GLOROT = Initializer("glorot", tuple(DISTRIBUTIONS["glorot"].defaults.items()))
DEFAULT_WEIGHT: dict[str, Init] = {
    "dense": GLOROT,
    "sparse": GLOROT,
    "one_to_one": FrozenArray(1.0),
    "scalar": FrozenArray(1.0),
}


@dataclass(frozen=True, slots=True)
class DrawnEdge:
    """A connection without its weight, the weight as a parameter (a wire has none), and the shape of its matrix.

    `places` are the entries of a sparse weight that lists them.
    """

    connection: Connection
    weight: DeclaredParameter | None
    shape: tuple[int, int]
    places: Places | None = None


def draw_edge(edge: DeclaredEdge, nodes: Mapping[str, NodeDeclaration], problems: list[Problem]) -> DrawnEdge:
    """An edge whose ends are known, with its parts and its shape checked."""
    declared, path = edge.connection, f"edge {edge.name}"
    sizes = nodes[edge.source].units, nodes[edge.target].units
    from_units = pick_units(declared.from_units, sizes[0], f"{path}.from_units", problems)
    to_units = pick_units(declared.to_units, sizes[1], f"{path}.to_units", problems)
    rows = sizes[0] if from_units is None else len(from_units)
    columns = sizes[1] if to_units is None else len(to_units)
    kind = declared.kind
    if kind not in ("dense", "sparse") and rows != columns:
        what = f"a {kind} connection joins unit to unit, here {rows} to {columns}"
        problems.append(
            Problem(path, what, "write weight: dense, or pick equally many from_units and to_units")
        )
    sign = _agree_on_sign(edge, nodes[edge.source].sign, problems)
    connection = Connection(
        edge.name, edge.source, edge.target, declared.delay, kind, None, from_units, to_units, sign=sign
    )
    if kind == "wire":
        return DrawnEdge(connection, None, (rows, columns))
    shape = {"dense": (rows, columns), "one_to_one": (rows,)}.get(kind, ())
    places, fans = None, None
    if isinstance(weight := declared.weight, SparseWeight):
        places = place_entries(weight, rows, columns, path, problems)
        declared = list_entries(declared, places, (rows, columns), path, problems)
        entries = count_entries(weight, rows, columns)
        # A unit that something reaches has a fan of at least 1.
        shape, fans = (entries,), (max(1.0, entries / columns), max(1.0, entries / rows))
        connection = replace(connection, storage=weight.storage)
    parameter = DeclaredParameter(edge.name, path, shape, declared, DEFAULT_WEIGHT[kind], fans)
    return DrawnEdge(connection, parameter, (rows, columns), places)


def _agree_on_sign(edge: DeclaredEdge, source: Sign | None, problems: list[Problem]) -> Sign | None:
    """The sign of an edge's weights: its own, or that of its source, which it cannot contradict."""
    declared, path = edge.connection, f"edge {edge.name}"
    if declared.kind == "wire":
        if source == "inhibitory":
            what = f"a wire adds the states of {edge.source} as they are, but {edge.source} is inhibitory"
            problems.append(Problem(path, what, "write weight: scalar, whose number is kept negative"))
        return None
    if source is not None and declared.sign not in (None, source):
        what = f"it is {declared.sign}, but {edge.source} is {source}"
        problems.append(
            Problem(f"{path}.sign", what, f"leave it out, or leave out the sign of {edge.source}")
        )
    return declared.sign or source


def settle_edge(edge: DrawnEdge, uses: Mapping[str, Use]) -> Connection:
    """The connection with the use of a group that is its weight and, if it is sparse, its pattern."""
    connection, use = edge.connection, uses.get(edge.connection.name)
    if connection.kind != "sparse" or edge.weight is None or use is None:
        return replace(connection, weight=use)
    if edge.places is None:
        return replace(
            connection, weight=use, pattern=draw_pattern(use.group, *edge.shape, edge.weight.shape[0])
        )
    return replace(connection, weight=keep_written_order(use, edge.places.order), pattern=edge.places.pattern)
