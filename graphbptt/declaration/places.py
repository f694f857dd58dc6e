"""Where the parts of a graph were declared.

A graph that was read from a file remembers, for every path under which a problem may be reported (``node h``,
``node h.units``, ``edge x->h``, ``clamp x``, ``target y``, ...), the place that declared it. A path without a
place of its own has that of the nearest path around it; around all of them is the empty path.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import networkx as nx

from graphbptt.errors import Place, Problem, SpecError

__all__ = ["locate", "order_by_place", "remember_origins", "remember_places"]

KEY = "graphbptt.places"
ORIGINS = "graphbptt.origins"


FindPlaces = Callable[[Collection[str]], Mapping[str, Place]]
"""What finds the places of those paths that have one, where there are too many to keep them all."""


def remember_places(graph: nx.DiGraph[Any], places: Mapping[str, Place] | FindPlaces) -> None:
    """Keep the places of a graph's parts with the graph, or what finds them when they are asked for."""
    graph.graph[KEY] = places if callable(places) else dict(places)


def remember_origins(graph: nx.DiGraph[Any], origins: Mapping[str, str]) -> None:
    """Keep, for paths that a pass made up, the paths they stand for."""
    graph.graph[ORIGINS] = dict(origins)


def locate(error: SpecError, graph: nx.DiGraph[Any]) -> SpecError:
    """The same error, each of its problems with its place in the file that declared the graph.

    >>> graph = nx.DiGraph()
    >>> remember_places(graph, {"node h": Place("a.yaml", 3, 5)})
    >>> print(locate(SpecError(Problem("node h.units", "0 is out of range")), graph))
    a.yaml:3:5: node h.units: 0 is out of range
    """
    if not isinstance(graph, nx.DiGraph):
        return error
    places = _find_places(graph, [problem.path for problem in error.problems])
    return SpecError(
        order_by_place(
            replace(problem, place=problem.place or place)
            for problem, place in zip(error.problems, places, strict=True)
        )
    )


def _find_places(graph: nx.DiGraph[Any], paths: Sequence[str]) -> list[Place | None]:
    origins: Mapping[str, str] = graph.graph.get(ORIGINS, {})
    around = [[*_climb(_find_origin(path, origins)), ""] for path in paths]
    kept: Mapping[str, Place] | FindPlaces = graph.graph.get(KEY, {})
    places = kept({outer for outers in around for outer in outers}) if callable(kept) else kept
    return [next((places[outer] for outer in outers if outer in places), None) for outers in around]


def _find_origin(path: str, origins: Mapping[str, str]) -> str:
    """The path that the user wrote."""
    found = ((outer, origins[outer]) for outer in _climb(path) if outer in origins)
    return next((origin + path.removeprefix(outer) for outer, origin in found), path)


def _climb(path: str) -> Iterator[str]:
    """A path and the paths around it, the nearest first."""
    yield path
    while (cut := max(path.rfind("."), path.rfind("["))) >= 0:
        path = path[:cut]
        yield path


def order_by_place(problems: Iterable[Problem]) -> list[Problem]:
    """The problems in the order of the file; those without a place come first, in the order given."""
    return sorted(problems, key=lambda problem: (problem.place is not None, problem.place or Place("", 0, 0)))
