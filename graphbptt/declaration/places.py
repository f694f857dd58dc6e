"""Where the parts of a graph were declared.

A graph that was read from a file remembers, for every path under which a problem may be reported (``node h``,
``node h.units``, ``edge x->h``, ``clamp x``, ``target y``, ...), the place that declared it. A path without a
place of its own has that of the nearest path around it; around all of them is the empty path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import networkx as nx

from graphbptt.errors import Place, Problem, SpecError

__all__ = ["find_place", "locate", "order_by_place", "remember_origins", "remember_places"]

KEY = "graphbptt.places"
ORIGINS = "graphbptt.origins"


def remember_places(
    graph: nx.DiGraph[Any], places: Mapping[str, Place] | Callable[[], Mapping[str, Place]]
) -> None:
    """Keep the places of a graph's parts with the graph, or what lists them when they are asked for."""
    graph.graph[KEY] = places if callable(places) else dict(places)


def remember_origins(graph: nx.DiGraph[Any], origins: Mapping[str, str]) -> None:
    """Keep, for paths that a pass made up, the paths they stand for."""
    graph.graph[ORIGINS] = dict(origins)


def find_place(graph: nx.DiGraph[Any], path: str) -> Place | None:
    """The place of a path, or of the nearest one around it; None for graphs that come from no file.

    >>> graph = nx.DiGraph()
    >>> remember_places(graph, {"node h": Place("a.yaml", 3, 5)})
    >>> print(find_place(graph, "node h.units"))
    a.yaml:3:5
    """
    return _find_place(_list_places(graph), graph.graph.get(ORIGINS, {}), path)


def _list_places(graph: nx.DiGraph[Any]) -> Mapping[str, Place]:
    kept = graph.graph.get(KEY, {})
    places: Mapping[str, Place] = kept() if callable(kept) else kept
    return places


def _find_place(places: Mapping[str, Place], origins: Mapping[str, str], path: str) -> Place | None:
    around = [path, *_cut(path)]
    origin = next((origins[outer] + path.removeprefix(outer) for outer in around if outer in origins), path)
    return next((places[outer] for outer in (origin, *_cut(origin), "") if outer in places), None)


def _cut(path: str) -> Iterator[str]:
    """The paths around a path, the nearest first."""
    while (cut := max(path.rfind("."), path.rfind("["))) >= 0:
        path = path[:cut]
        yield path


def locate(error: SpecError, graph: nx.DiGraph[Any]) -> SpecError:
    """The same error, each of its problems with its place in the file that declared the graph."""
    if not isinstance(graph, nx.DiGraph):
        return error
    places, origins = _list_places(graph), graph.graph.get(ORIGINS, {})
    return SpecError(
        order_by_place(
            replace(problem, place=problem.place or _find_place(places, origins, problem.path))
            for problem in error.problems
        )
    )


def order_by_place(problems: Iterable[Problem]) -> list[Problem]:
    """The problems in the order of the file; those without a place come first, in the order given."""
    return sorted(problems, key=lambda problem: (problem.place is not None, problem.place or Place("", 0, 0)))
