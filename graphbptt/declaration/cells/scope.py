"""Where an expansion stands: at the top of a graph, or inside a chain of cells; and what it has found wrong so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from graphbptt.declaration.cells.template import CellDeclaration
from graphbptt.errors import Problem

__all__ = ["Scope"]


@dataclass(frozen=True, slots=True)
class Scope:
    """The user's own cells, the problems, and the names of the cells around what is expanded, outermost first."""

    cells: Mapping[str, CellDeclaration]
    problems: list[Problem]
    chain: tuple[str, ...] = ()

    def enter(self, cell: str) -> Scope:
        return replace(self, chain=(*self.chain, cell))

    def place_node(self, name: str) -> str:
        """The path under which problems of a node are reported."""
        return f"cell {self.chain[-1]}.nodes.{name}" if self.chain else f"node {name}"

    def place_edge(self, name: str) -> str:
        return f"cell {self.chain[-1]}.edges.{name}" if self.chain else f"edge {name}"

    def note(self, path: str, what: str, instead: str) -> None:
        self.problems.append(Problem(path, what, instead))
