"""Cells of the user's own: a body whose values may name options, ``$rate``.

    cells := {name: cell, ...}
    cell  := {options: {name: default, ...}, nodes, edges, inputs: {port: node or [node, ...]}, outputs: [node, ...]}

An option without a default has to be given. ``$units``, ``$bias`` and ``$initial`` are what the node says that uses the
cell; where it says nothing, the key that they stand for is left out. A text that is an option's name and nothing else
becomes the option's value; inside a longer text a name is replaced by a number or by a word. Nothing is evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_validator

from graphbptt.declaration.cells.body import Body, CellNode, spread
from graphbptt.declaration.choices import Section
from graphbptt.declaration.values import mistake
from graphbptt.errors import Problem, did_you_mean

__all__ = ["CellDeclaration", "fill_template", "find_unused", "list_names"]

NAME = re.compile(r"\$(\w*)")
OF_THE_NODE = ("units", "bias", "initial")
"""What a template may name without declaring it."""


def _open_port(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class CellDeclaration(Section):
    """A cell: a sub-graph with options and ports, which nodes use by its name."""

    options: dict[str, Any] = Field(
        default={},
        description="The names of its options, each with its default; one without a default must be given.",
    )
    nodes: dict[str, dict[str, Any] | None] = Field(
        min_length=1,
        description="Its nodes, with the keys of a node; without units, they have those of the cell.",
    )
    edges: list[dict[str, Any]] = Field(default=[], description="The edges between its nodes.")
    inputs: dict[str, Annotated[list[str], BeforeValidator(_open_port)]] = Field(
        default={},
        description="Its input ports, each with the nodes that an edge into it reaches; the default first.",
    )
    outputs: Annotated[list[str], BeforeValidator(_open_port), Field(min_length=1)] = Field(
        description="The nodes that edges may leave from; the first is its state."
    )

    @field_validator("options")
    @classmethod
    def _check_options(cls, options: dict[str, Any]) -> dict[str, Any]:
        for name in options:
            if name in (*OF_THE_NODE, "reverse"):
                raise mistake(f"every cell has {name!r}", "give the option another name")
            if not NAME.fullmatch(f"${name}") or not name:
                raise mistake(f"{name!r} cannot be written as ${name}", "use letters, digits and _")
        return options


def find_unused(cell: CellDeclaration) -> list[str]:
    """The options that nothing in the cell names."""
    named = set(list_names([cell.nodes, cell.edges]))
    return [name for name in cell.options if name not in named]


def fill_template(
    name: str,
    cell: CellDeclaration,
    options: Mapping[str, Any],
    node: CellNode,
    path: str,
    problems: list[Problem],
) -> Body:
    """The body of the cell called `name` with values in place of names; `path` is that of the node that uses it."""
    values = {**options, "units": node.units, "bias": node.bias, "initial": node.initial}
    filler = _Filler(values, f"cell {name}", problems)
    nodes = {
        inner: filler.fill_node(inner, attributes or {}, inner == cell.outputs[0])
        for inner, attributes in cell.nodes.items()
    }
    edges = [filler.fill(edge, f"edges[{index}]") for index, edge in enumerate(cell.edges)]
    named = set(list_names(cell.nodes))
    problems.extend(
        Problem(f"{path}.{key}", f"the cell has no use for '{key}'", f"write {key}: ${key} in its template")
        for key in ("bias", "initial")
        if values[key] is not None and key not in named
    )
    return Body(nodes, edges, cell.inputs, cell.outputs)


class _Filler:
    """Replaces names by values, and notes the names that mean nothing."""

    def __init__(self, values: Mapping[str, Any], path: str, problems: list[Problem]) -> None:
        self.values = values
        self.path = path
        self.problems = problems

    def fill_node(self, name: str, attributes: Mapping[str, Any], is_state: bool) -> dict[str, Any]:
        filled: dict[str, Any] = self.fill(attributes, f"nodes.{name}")
        if not is_state:
            for key in ("bias", "initial"):
                said = attributes.get(key)  # it may be an array, in a hand-built graph
                if isinstance(said, str) and said == f"${key}" and key in filled:
                    filled[key] = spread(filled[key], name)
        return filled

    def fill(self, value: Any, path: str) -> Any:
        if isinstance(value, Mapping):
            filled = {key: self.fill(inner, f"{path}.{key}") for key, inner in value.items()}
            return {key: inner for key, inner in filled.items() if inner is not None}
        if isinstance(value, list | tuple):
            return [self.fill(inner, f"{path}[{index}]") for index, inner in enumerate(value)]
        if not isinstance(value, str):
            return value
        whole = NAME.fullmatch(value)
        if whole:
            return self.find(whole[1], path)
        return NAME.sub(lambda name: self.write(name[1], path), value)

    def find(self, name: str, path: str) -> Any:
        if name not in self.values:
            remedy = did_you_mean(name, list(self.values)) if name else "write $ and the name of an option"
            self.problems.append(Problem(f"{self.path}.{path}", f"unknown option '${name}'", remedy))
        return self.values.get(name)

    def write(self, name: str, path: str) -> str:
        """A number or a word as part of a text; a negative number in brackets."""
        value = self.find(name, path)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return f"({value!r})"
        if isinstance(value, str) and value.isidentifier():
            return value
        if name in self.values:
            what = f"{value!r} cannot stand inside a text"
            self.problems.append(Problem(f"{self.path}.{path}", what, f"write a number or a word as {name}"))
        return "0"


def list_names(value: Any) -> Iterator[str]:
    """Every option named anywhere inside."""
    if isinstance(value, str):
        yield from NAME.findall(value)
    elif isinstance(value, Mapping | list | tuple):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from list_names(inner)
