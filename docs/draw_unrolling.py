"""Draw docs/unrolling.svg: a small folded graph, and beside it the same graph as graphbptt unrolls it.

Every vertex, arc, copy count and colour comes from the `UnrolledGraph`: arcs that share a weight share a colour. Run
with ``python docs/draw_unrolling.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import networkx as nx

from graphbptt.ir.data import Clamp, Target
from graphbptt.ir.folded import Connection, FoldedNetwork
from graphbptt.ir.unrolled import Arc, UnrolledGraph
from graphbptt.passes.fold_graph import fold_graph
from graphbptt.passes.unroll_network import unroll_network

PICTURE = Path(__file__).parent / "unrolling.svg"
STEPS = 4
# Okabe and Ito's colours, told apart by colour-blind readers too.
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
RADIUS, COLUMN, LINE = 17, 92, 96
FOLDED_X, UNROLLED_X, TOP = 90, 300, 70
ROWS = ("y", "h", "x")

Point = tuple[float, float]


def declare_network() -> FoldedNetwork:
    """An input, a recurrent layer, and an output that feeds back two steps later."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_node("x", units=2)
    graph.add_node("h", units=3, activation="tanh")
    graph.add_node("y", units=1)
    graph.add_edge("x", "h", delay=0)
    graph.add_edge("h", "h", delay=1)
    graph.add_edge("h", "y", delay=0)
    graph.add_edge("y", "h", delay=2)
    return fold_graph(graph, [Clamp("x", "input")], [Target("y", "wanted")])


def draw_picture(network: FoldedNetwork, unrolled: UnrolledGraph) -> str:
    """The whole SVG."""
    weights = [c.weight.group for c in network.connections if c.weight is not None]
    colours = dict(zip(sorted(set(weights)), PALETTE, strict=False))
    first = min(row.first for row in unrolled.rows)
    width = UNROLLED_X + (unrolled.steps - first) * COLUMN + 60
    height = TOP + (len(ROWS) - 1) * LINE + 130
    body = [
        *draw_folded(network, colours),
        *draw_unrolled(unrolled, colours, first),
        *draw_legend(unrolled, colours, height - 30),
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}"'
            f' height="{height}" font-family="sans-serif" font-size="14" text-anchor="middle">',
            f"<title>A recurrent graph and its unrolling over {unrolled.steps} steps</title>",
            f'<rect width="{width}" height="{height}" rx="8" fill="white"/>',
            *(f"<defs>{marker}</defs>" for marker in draw_heads(colours)),
            *body,
            "</svg>",
            "",
        ]
    )


def draw_folded(network: FoldedNetwork, colours: dict[str, str]) -> Iterator[str]:
    """The graph as it was declared; the number on an edge is its delay."""
    place = {name: (FOLDED_X, TOP + LINE * row) for row, name in enumerate(ROWS)}
    yield write(FOLDED_X, TOP - 40, "folded")
    for edge in network.connections:
        colour = colours[edge.weight.group] if edge.weight else "black"
        (x, y), (u, v) = place[edge.source], place[edge.target]
        if edge.source == edge.target:
            yield curve(
                (x - RADIUS, y - 6), (x - 72, y - 34), (x - 72, y + 34), (x - RADIUS - 3, y + 6), colour
            )
            yield write(x - 66, y + 5, edge.delay, colour)
        elif edge.delay == 0:
            yield line((x, y), (u, v), colour)
            yield write(x - 12, (y + v) / 2 + 5, edge.delay, colour)
        else:
            yield curve(
                (x + RADIUS, y + 4), (x + 62, y + 24), (u + 62, v - 24), (u + RADIUS + 3, v - 4), colour
            )
            yield write(x + 60, (y + v) / 2 + 5, edge.delay, colour)
    for name, (x, y) in place.items():
        yield vertex((x, y), name, "#e8e8e8" if name in network.given else "white")


def draw_unrolled(unrolled: UnrolledGraph, colours: dict[str, str], first: int) -> Iterator[str]:
    """A column for each step; dashed vertices are initial states, grey ones are given."""

    def place(population: str, step: int) -> Point:
        return UNROLLED_X + (step - first) * COLUMN, TOP + LINE * ROWS.index(population)

    yield write(UNROLLED_X + (unrolled.steps - first) * COLUMN / 2, TOP - 40, "unrolled")
    read = {arc.source for arc in unrolled.arcs()}
    shown = [v for v in unrolled.vertices() if v in read or v[1] in unrolled.row[v[0]].computed]
    for arc in unrolled.arcs():
        yield line(place(*arc.source), place(*arc.target), colour_arc(arc, colours))
    for population, step in shown:
        given = population in unrolled.network.given
        initial = not given and step not in unrolled.row[population].computed
        fill = "#e8e8e8" if given else "white"
        yield vertex(place(population, step), population, fill, dashed=initial)
    for step in sorted({step for _, step in shown}):
        yield write(place("x", step)[0], TOP + LINE * (len(ROWS) - 1) + 44, f"t = {step}".replace("-", "−"))


def draw_legend(unrolled: UnrolledGraph, colours: dict[str, str], y: float) -> Iterator[str]:
    """Each colour is one weight; how many copies of it the unrolling has."""
    for column, (group, colour) in enumerate(colours.items()):
        x = FOLDED_X - 20 + column * 172
        yield f'<path d="M{x - 40} {y - 5}h28" stroke="{colour}" stroke-width="3"/>'
        label = f"{group.replace('->', ' → ')}: {len(unrolled.groups[group])} copies"
        yield f'<text x="{x - 4}" y="{y}" text-anchor="start">{label}</text>'


def draw_heads(colours: dict[str, str]) -> Iterator[str]:
    """An arrow head in each colour."""
    for colour in colours.values():
        yield (
            f'<marker id="{colour[1:]}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="5.5" markerHeight="5.5"'
            f' orient="auto"><path d="M0 0L8 4L0 8z" fill="{colour}"/></marker>'
        )


def colour_arc(arc: Arc, colours: dict[str, str]) -> str:
    return colours[arc.group] if isinstance(arc.edge, Connection) and arc.group else "black"


def line(start: Point, end: Point, colour: str) -> str:
    """An arrow from the rim of one vertex to the rim of another."""
    (x, y), (u, v) = start, end
    length = ((u - x) ** 2 + (v - y) ** 2) ** 0.5
    a, b = (u - x) / length, (v - y) / length
    points = (x + a * RADIUS, y + b * RADIUS), (u - a * (RADIUS + 3), v - b * (RADIUS + 3))
    return stroke(" L".join(f"{p:.1f} {q:.1f}" for p, q in points), colour)


def curve(start: Point, leave: Point, arrive: Point, end: Point, colour: str) -> str:
    (x, y), *rest = start, leave, arrive, end
    return stroke(f"{x} {y} C" + ", ".join(f"{u} {v}" for u, v in rest), colour)


def stroke(path: str, colour: str) -> str:
    return (
        f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2" marker-end="url(#{colour[1:]})"/>'
    )


def vertex(centre: Point, name: str, fill: str, dashed: bool = False) -> str:
    x, y = centre
    dash = ' stroke-dasharray="4 3"' if dashed else ""
    circle = f'<circle cx="{x}" cy="{y}" r="{RADIUS}" fill="{fill}" stroke="#333" stroke-width="1.5"{dash}/>'
    return circle + write(x, y + 5, name)


def write(x: float, y: float, text: object, colour: str = "#222") -> str:
    return f'<text x="{x:g}" y="{y:g}" fill="{colour}">{text}</text>'


if __name__ == "__main__":
    network = declare_network()
    PICTURE.write_text(draw_picture(network, unroll_network(network, STEPS)))
