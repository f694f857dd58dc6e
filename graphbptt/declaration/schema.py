"""What a spec file may say: its sections, their keys, types and defaults.

    spec   := {description, network, inputs, targets, data, training, backend, dtype, precision, seed}
    inputs := {node or label: clamp or [clamp, ...], ...}
    clamp  := {field, nodes, where, units, at: every | start | [step, ...], mask}
    targets := {node or label: target or [target, ...], ...}
    target := {field, nodes, where, loss, units, at: every | last | {last: k} | [step, ...], mask, weight}

The other sections are in `network_schema` and `run_schema`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    PlainValidator,
    Tag,
    ValidationInfo,
    model_validator,
)

from graphbptt.declaration.choices import Section
from graphbptt.declaration.graph_files.schema import GraphFile
from graphbptt.declaration.losses import read_loss
from graphbptt.declaration.network_schema import Name, NetworkDeclaration
from graphbptt.declaration.run_schema import DataDeclaration, TrainingDeclaration
from graphbptt.declaration.values import Integer, Real, Units, mistake, read_indices
from graphbptt.errors import did_you_mean
from graphbptt.ir.data import Last, Loss
from graphbptt.ir.product_precision import ProductPrecision, refuse_precision

__all__ = ["ClampDeclaration", "SpecDeclaration", "TargetDeclaration"]


def _reject_lengths(field: str) -> str:
    if field == "lengths":
        raise mistake("the field lengths holds the lengths of the sequences", "give this field another name")
    return field


FieldName = Annotated[Name, AfterValidator(_reject_lengths)]


def _read_steps(value: Any, words: tuple[str, ...]) -> Any:
    if isinstance(value, Last) or (isinstance(value, str) and value in words):
        return value
    if isinstance(value, str):
        raise mistake(f"unknown time {value!r}", did_you_mean(value, words))
    if isinstance(value, Mapping) and "last" in words:
        steps = value.get("last")
        if set(value) != {"last"} or type(steps) is not int or steps < 1:
            raise mistake(f"{dict(value)!r} is no time", "write {last: k} with k at least 1")
        return Last(steps)
    if isinstance(value, int | float | Mapping):
        raise mistake(f"{value!r} is no time", f"write {', '.join(words)}, or a list of steps")
    return read_indices(value, 1, "step")


class _OnNodes(Section):
    """What is said of a node of that name, or of those that are chosen here, which have one unit each."""

    nodes: Annotated[list[Name], Field(min_length=1)] | None = Field(
        None,
        description="Nodes of one unit each that share the field, a column each, in place of one node.",
    )
    where: Annotated[dict[Name, Any], Field(min_length=1)] | None = Field(
        None,
        description="The same nodes, chosen by the values of their attributes, in the order of the graph.",
    )

    @property
    def chooses(self) -> bool:
        """Whether it chooses nodes, so that the name above it is only a label."""
        return self.nodes is not None or self.where is not None

    @model_validator(mode="after")
    def _choose_once(self) -> _OnNodes:
        if self.nodes is not None and self.where is not None:
            raise mistake("nodes and where both choose nodes", "write one of them")
        return self


class ClampDeclaration(_OnNodes):
    """States that are given by a field of the data."""

    field: FieldName = Field(description="The field that holds the values.")
    units: Units = Field(None, description="The clamped units; all if not said.")
    at: Annotated[
        Literal["every", "start"] | tuple[int, ...],
        PlainValidator(lambda value: _read_steps(value, ("every", "start"))),
    ] = Field("every", description="At every step, in the initial state, or at listed steps.")
    mask: FieldName | None = Field(None, description="A field of zeros and ones; zero leaves the state free.")


class TargetDeclaration(_OnNodes):
    """States that are wanted to equal a field of the data."""

    field: FieldName = Field(description="The field that holds the wanted values.")
    loss: Annotated[Loss, PlainValidator(read_loss)] = Field(
        Loss("squared_error"),
        description="How states and wanted values are compared, with options if wanted.",
    )
    units: Units = Field(None, description="The units that have a target; all if not said.")
    at: Annotated[
        Literal["every", "last"] | Last | tuple[int, ...],
        PlainValidator(lambda value: _read_steps(value, ("every", "last"))),
    ] = Field(
        "every", description="At every step, each sequence's last step, its last k steps, or at listed steps."
    )
    mask: FieldName | None = Field(None, description="A field that weights the steps.")
    weight: Annotated[Real, Field(ge=0)] = Field(
        1.0, description="The factor of this target in the total loss."
    )


def _open_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


def _choose_network(value: Any) -> str:
    named = isinstance(value, GraphFile) or (isinstance(value, Mapping) and "graph" in value)
    return "file" if named else "written"


Network = Annotated[
    Annotated[NetworkDeclaration, Tag("written")] | Annotated[GraphFile, Tag("file")],
    Discriminator(_choose_network),
]


def _check_precision(value: Any, info: ValidationInfo) -> Any:
    refusal = refuse_precision(value, info.data.get("dtype"))
    if refusal is not None:
        raise mistake(*refusal)
    return value


class SpecDeclaration(Section):
    """A whole spec file."""

    description: str = Field("", description="What the spec shows; printed by the command line.")
    network: Network = Field(description="The graph, written out or in a file.")
    inputs: dict[str, Annotated[list[ClampDeclaration], BeforeValidator(_open_list)]] = Field(
        default={}, description="What is given, by node: one clamp or a list of them."
    )
    targets: dict[str, Annotated[list[TargetDeclaration], BeforeValidator(_open_list)]] = Field(
        default={}, description="What is wanted, by node: one target or a list of them."
    )
    data: DataDeclaration | None = Field(None, description="Where the data come from.")
    training: TrainingDeclaration | None = Field(None, description="How the network is trained.")
    backend: Name = Field(
        "auto",
        description="What runs the network; auto takes the fastest that can run here. `graphbptt backends` lists them.",
    )
    dtype: Literal["float32", "float64"] = Field("float32", description="The type of all numbers.")
    precision: Annotated[ProductPrecision, BeforeValidator(_check_precision)] = Field(
        "full",
        description=(
            "What matrix products keep of their factors: all digits of `dtype`, or, where it is float32 and the "
            "backend can do so, `tf32` (10 bits behind the first one) or `bfloat16` (7). Sums and states keep all."
        ),
    )
    seed: Annotated[Integer, Field(ge=0)] = Field(
        0, description="What starting values, and the order of the examples, are drawn from."
    )
