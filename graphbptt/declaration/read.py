"""A spec file -> Declaration: everything it says, checked key by key, every problem at its line and column.

What the parts of a network say *together* (shapes, ties, cycles) is checked later, by the passes, on the
graph that `graphbptt.declaration.build` makes of a declaration.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from graphbptt.declaration.mistakes import Mistake, describe_mistakes
from graphbptt.declaration.places import order_by_place
from graphbptt.declaration.schema import SpecDeclaration
from graphbptt.declaration.source import Source, read_source
from graphbptt.errors import SpecError, did_you_mean

__all__ = ["Declaration", "read_declaration"]


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a spec file declares.

    Attributes
    ----------
    source : Source
        The text of it, as plain data with places.
    spec : SpecDeclaration
        The meaning of it: `network`, `inputs`, `targets`, `data`, `training`, `backend`, `dtype`, `seed`,
        `description`.
    """

    source: Source
    spec: SpecDeclaration


def read_declaration(path: str | Path, overrides: Sequence[str] = ()) -> Declaration:
    """Read and check a spec file.

    Parameters
    ----------
    path : str or Path
        A YAML or JSON file.
    overrides : sequence of str
        Values that replace those of the file, e.g. ``"training.epochs=5"``.

    Raises
    ------
    SpecError
        With every problem found, each as ``file:line:column: path: what is wrong; what to write instead``.
    """
    source = read_source(path, overrides)
    nodes = _find_nodes(source.data)
    mistakes = list(_find_strangers(source.data, nodes))
    try:
        spec = SpecDeclaration.model_validate(source.data, context={"nodes": frozenset(nodes)})
    except ValidationError as error:
        mistakes = [*describe_mistakes(error, SpecDeclaration, source.data), *mistakes]
    if mistakes:
        raise SpecError(order_by_place(map(source.report, mistakes)))
    return Declaration(source, spec)


def _find_nodes(data: Mapping[str, Any]) -> list[str]:
    """The names of the nodes, whatever else may be wrong."""
    network = data.get("network")
    nodes = network.get("nodes") if isinstance(network, dict) else None
    return list(nodes) if isinstance(nodes, dict) else []


def _find_strangers(data: Mapping[str, Any], nodes: Sequence[str]) -> Iterator[Mistake]:
    """Every name of a node that is not declared."""
    known = set(nodes)
    network = data.get("network")
    edges = network.get("edges") if isinstance(network, dict) else None
    for index, edge in enumerate(edges if isinstance(edges, list) else ()):
        for end in ("from", "to"):
            name = edge.get(end) if isinstance(edge, dict) else None
            if isinstance(name, str) and name not in known:
                path = ("network", "edges", index, end)
                yield Mistake(path, f"unknown node {name!r}", did_you_mean(name, nodes))
    for section in ("inputs", "targets"):
        items = data.get(section)
        for name in items if isinstance(items, dict) else ():
            if name not in known:
                yield Mistake(
                    (section, name), f"unknown node {name!r}", did_you_mean(name, nodes), at_key=True
                )
