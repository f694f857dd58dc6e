"""What a spec says of a network whose graph is in a file.

    network := {graph: path, columns, node_table, node_columns, node_defaults, edge_defaults, ties_by, factors,
                nodes, edges, constraints, cells}

The table of nodes goes with edge lists and adjacency matrices; the other kinds of file have their own.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field, ValidationInfo, model_validator

from graphbptt.declaration.cells.template import CellDeclaration
from graphbptt.declaration.choices import Section
from graphbptt.declaration.edge_ties.rules import Factors, TiesBy, check_rules
from graphbptt.declaration.graph import keep_keys
from graphbptt.declaration.mistakes import KeysOf
from graphbptt.declaration.network_schema import ConnectionDeclaration, EdgeDeclaration, Name, NodeDeclaration

__all__ = ["GraphFile"]


def _check_defaults(model: type[BaseModel], value: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
    model.model_validate(dict(keep_keys(model, value)), context=info.context)
    return value


class GraphFile(Section):
    """``network:`` where the graph is in a file."""

    graph: Name = Field(
        description=(
            "A GraphML, GML, node-link JSON, CSV, TSV or npz file; its path starts at the spec. An npz is a sparse "
            "matrix of SciPy, an array `adjacency`, or arrays `source` and `target`. A number as `weight` of an edge "
            "is its starting value."
        )
    )
    columns: dict[Name, Name] = Field(
        default={},
        description="The names of columns or attributes of edges in the file; source and target are the ends.",
    )
    node_table: Name | None = Field(
        None, description="A CSV or TSV file with a row a node; its path starts at the spec."
    )
    node_columns: dict[Name, Name] = Field(
        default={}, description="The names of columns or attributes of nodes; in a table, node is the name."
    )
    node_defaults: Annotated[
        dict[str, Any],
        KeysOf(NodeDeclaration),
        AfterValidator(lambda value, info: _check_defaults(NodeDeclaration, value, info)),
    ] = Field(default={}, description="Attributes of nodes that do not say otherwise.")
    edge_defaults: Annotated[
        dict[str, Any],
        KeysOf(ConnectionDeclaration),
        AfterValidator(lambda value, info: _check_defaults(ConnectionDeclaration, value, info)),
    ] = Field(default={}, description="Attributes of edges that do not say otherwise.")
    ties_by: TiesBy = None
    factors: Factors = ()
    nodes: dict[Name, NodeDeclaration] = Field(
        default={},
        description="Nodes beside those of the file, or more attributes of these, which stand before its own.",
    )
    edges: list[EdgeDeclaration] = Field(
        default=[],
        description="Connections beside those of the file, which its defaults and ties do not touch.",
    )
    constraints: list[Name] = Field(
        default=[], description="Linear equalities between parameters, as beside nodes and edges."
    )
    cells: dict[Name, CellDeclaration] = Field(
        default={}, description="Cells of the user's own, as beside nodes and edges."
    )

    @model_validator(mode="after")
    def _check_rules(self) -> GraphFile:
        check_rules(self.ties_by, self.factors)
        return self
