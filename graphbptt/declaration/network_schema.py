"""What a network may say: the keys of nodes and edges, their types and their defaults.

    network    := {nodes: {name: node, ...}, edges: [edge, ...], cells: {name: cell, ...},
                   constraints: [text, ...]}
    node       := {cell, units, coefficients, activation, bias, initial, noise, sign, penalty}
    connection := {delay, weight, init, trainable, sign, from_units, to_units, from_port, to_port, tie, penalty}
    sign       := excitatory | inhibitory
    edge       := connection | {from, to}
    bias       := true | false | values | parameter
    initial    := values | learned | parameter
    coefficient := values | parameter
    parameter  := {init, trainable, tie, penalty}
    penalty    := {l1, l2}
    tie        := name | {group, scale, transpose, index, factors, combine}
    weight     := dense | one_to_one | scalar | wire | {sparse, storage}

Cells, which a node may name instead of an activation, have a grammar of their own: `cells.template`.

The same models read spec files and the attributes of hand-built graphs. `trainable` and `combine` are None
where nothing was said, so that one member of a tie can speak for all.
"""

from __future__ import annotations

import keyword
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

import scipy.sparse
from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    PlainValidator,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails

from graphbptt.declaration.cells.choice import CellChoice, read_choice
from graphbptt.declaration.cells.template import CellDeclaration
from graphbptt.declaration.choices import Section
from graphbptt.declaration.expressions import LARGEST_DELAY, RESERVED_NAMES, parse_activation
from graphbptt.declaration.sparse import Index, SparseWeight
from graphbptt.declaration.values import (
    Count,
    Init,
    Integer,
    Real,
    Units,
    holds_values,
    mistake,
    read_values,
)
from graphbptt.errors import SpecError, did_you_mean
from graphbptt.ir.expression import Expression, Net
from graphbptt.ir.folded import ConnectionKind
from graphbptt.ir.indices import IndexMap
from graphbptt.ir.parameters import Combine, FrozenArray
from graphbptt.ir.penalties import Penalty
from graphbptt.ir.signs import Sign

__all__ = [
    "ConnectionDeclaration",
    "EdgeDeclaration",
    "Name",
    "NetworkDeclaration",
    "NodeDeclaration",
    "Parameter",
    "Tie",
]

Name = Annotated[str, StringConstraints(min_length=1)]


def _read_factors(value: Any) -> FrozenArray | None:
    return None if value is None else read_values(value)


class Tie(Section):
    """The parameter is `scale` times that of a weight-sharing group, transposed or read through an index if so said."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    group: Name = Field(description="The name of the group.")
    scale: Real = Field(1.0, description="What the group's parameter is multiplied by.")
    transpose: bool = Field(False, description="Whether it is transposed.")
    index: Index = Field(
        None, description="The position in the group of every entry; null for an entry that is always 0."
    )
    factors: Annotated[FrozenArray | None, PlainValidator(_read_factors)] = Field(
        None, description="What the index multiplies every entry by."
    )
    combine: Combine | None = Field(
        None,
        description=(
            "How the group combines the derivatives of its copies; sum if no member says otherwise. A mean is over"
            " the copies at all steps that some sequence of the batch has, without those at steps that clamps set"
            " whatever the data: at every step, or at listed ones, without a mask."
        ),
    )

    @model_validator(mode="before")
    @classmethod
    def _open_short_form(cls, value: Any) -> Any:
        return {"group": value} if isinstance(value, str) else value

    @field_validator("scale")
    @classmethod
    def _reject_zero(cls, scale: float) -> float:
        if scale == 0:
            raise mistake(
                "a tie with scale 0 would fix the parameter at 0", "write another scale, or no connection"
            )
        return scale

    @model_validator(mode="after")
    def _check_index(self) -> Tie:
        if self.index is None and self.factors is not None:
            raise mistake(
                "factors without an index", "write scale for one factor, or an index beside the factors"
            )
        if self.index is not None and self.transpose:
            raise mistake("an index has no transpose", "write the index itself transposed")
        if self.index is not None and self.factors is not None:
            there = self.index.positions >= 0
            if self.factors.values.shape != self.index.shape:
                what = (
                    f"factors of shape {self.factors.values.shape} for an index of shape {self.index.shape}"
                )
                raise mistake(what, "write one factor for each entry of the index")
            if (self.factors.values[there] == 0).any():
                raise mistake("a factor 0 would fix an entry at 0", "write null at that entry of the index")
        return self

    @property
    def index_map(self) -> IndexMap | None:
        """The index with its factors."""
        if self.index is None or self.factors is None:
            return self.index
        return IndexMap(self.index.positions, self.factors.values)


class PenaltyDeclaration(Section):
    """A term of the loss that wants numbers to be small."""

    l1: Annotated[Real, Field(ge=0)] = Field(0.0, description="The factor of the sum of absolute values.")
    l2: Annotated[Real, Field(ge=0)] = Field(0.0, description="The factor of half the sum of squares.")

    @model_validator(mode="after")
    def _reject_nothing(self) -> PenaltyDeclaration:
        if not self.model_fields_set:
            raise mistake("a penalty without factors", "write {l1: ...}, {l2: ...}, or both")
        return self

    @property
    def penalty(self) -> Penalty:
        """The same as a part of the network; of zeros alone it is none."""
        return Penalty(self.l1, self.l2)


class Parameter(Section):
    """Something learned, or drawn once and kept (`trainable` false)."""

    init: Init | None = Field(
        None,
        description="Starting values, or their distribution; by default one that suits the kind of parameter.",
    )
    trainable: bool | None = Field(
        None, description="Whether it is learned; true if nobody in its group says otherwise."
    )
    tie: Tie | None = Field(None, description="The weight-sharing group whose parameter it is.")
    penalty: PenaltyDeclaration | None = Field(
        None, description="What it adds to the loss, once for its whole weight-sharing group."
    )


def _read_coefficient(value: Any) -> FrozenArray | Parameter:
    if isinstance(value, Mapping):
        return Parameter.model_validate(dict(value))
    if isinstance(value, Parameter) or holds_values(value):
        return value if isinstance(value, Parameter) else read_values(value)
    raise mistake(
        f"{value!r} is no coefficient", "write a number, a list with one number per unit, or {init: ...}"
    )


def _read_bias(value: Any) -> Parameter | Literal[False] | None:
    if value is None or value is False:
        return value
    if value is True:
        return Parameter()
    if isinstance(value, Mapping) or holds_values(value):
        return Parameter.model_validate(dict(value) if isinstance(value, Mapping) else {"init": value})
    raise mistake(f"{value!r} is no bias", "write true, false, starting values, or {init: ..., tie: ...}")


def _read_initial(value: Any) -> FrozenArray | Parameter:
    if isinstance(value, str) and value == "learned":
        return Parameter()
    if isinstance(value, Mapping):
        return Parameter.model_validate(dict(value))
    if isinstance(value, FrozenArray) or holds_values(value):
        return read_values(value)
    raise mistake(
        f"{value!r} is no initial state", "write a number, a list, learned, or {init: ..., tie: ...}"
    )


def _check_name(name: str, info: ValidationInfo) -> str:
    """A coefficient's name must mean the coefficient, in activations and among parameters."""
    taken = {"bias": "the node's bias", "initial": "the node's initial state"}
    if not name.isidentifier() or keyword.iskeyword(name):
        raise mistake(f"{name!r} cannot be written in an activation", "give the coefficient another name")
    if name in RESERVED_NAMES:
        raise mistake(
            f"{name!r} has a meaning of its own in activations", "give the coefficient another name"
        )
    if name in taken or name in (info.context or {}).get("readable", ()):
        raise mistake(
            f"{name!r} is the name of {taken.get(name, 'a node')}", "give the coefficient another name"
        )
    return name


Coefficients = dict[
    Annotated[str, AfterValidator(_check_name)],
    Annotated[FrozenArray | Parameter, PlainValidator(_read_coefficient)],
]


def _read_cell(value: Any, info: ValidationInfo) -> CellChoice | None:
    return None if value is None else read_choice(value, (info.context or {}).get("cells", {}))


class NodeDeclaration(Section):
    """A population of units.

    The context of a validation may hold the names of the `nodes` that activations may read, those that are `readable`
    in a text and so cannot be coefficients, and the user's own `cells`.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    units: Count = Field(1, description="The number of units of the population.")
    cell: Annotated[CellChoice | None, PlainValidator(_read_cell)] = Field(
        default=None, description="The cell it stands for, by name, or {name: {option: value}}."
    )
    coefficients: Coefficients = Field(
        default={}, description="Named numbers of the activation, fixed or learned."
    )
    activation: Expression = Field(
        Net(),
        description="The state as a function of the net input `net`, of states such as `h[t-1]` and of coefficients.",
    )
    bias: Annotated[Parameter | Literal[False] | None, PlainValidator(_read_bias)] = Field(
        None,
        description="What is added to the net input: true, false or starting values; true where a weight arrives.",
    )
    initial: Annotated[FrozenArray | Parameter, PlainValidator(_read_initial)] = Field(
        FrozenArray(0.0),
        description=(
            "The state before step 1 (behind the end, where it is read ahead): numbers, learned, or a parameter. Where "
            "it is read D > 1 steps back, of shape (D, units): row 0 is step 0, row 1 step -1; where D steps ahead, "
            "row 0 is the first step behind the end, row 1 the second."
        ),
    )
    noise: Annotated[Real, Field(ge=0)] = Field(
        0.0, description="The standard deviation of Gaussian noise added to `net`."
    )
    sign: Sign | None = Field(
        None, description="Dale's law: the sign of the weights of all edges that leave it; training keeps it."
    )
    penalty: PenaltyDeclaration | None = Field(
        None,
        description="What its states add to the loss: their sum over units, the mean over steps and examples.",
    )

    @model_validator(mode="before")
    @classmethod
    def _open_empty(cls, value: Any) -> Any:
        return {} if value is None else value

    @field_validator("activation", mode="plain")
    @classmethod
    def _parse(cls, value: Any, info: ValidationInfo) -> Expression:
        if isinstance(value, Expression):  # of a cell: its states have the names of nodes
            return value
        if not isinstance(value, str):
            raise mistake(
                f"{value!r} is no activation", "write the name of a function, or an expression as text"
            )
        if "coefficients" not in info.data:
            return Net()  # they have problems of their own, and are reported
        try:
            return parse_activation(value, info.data["coefficients"], (info.context or {}).get("nodes"))
        except SpecError as error:
            details = [
                InitErrorDetails(type=mistake(problem.what, problem.instead), input=value)
                for problem in error.problems
            ]
            raise ValidationError.from_exception_data(cls.__name__, details) from None


def _read_weight(value: Any) -> SparseWeight | str:
    kinds = [kind for kind in get_args(ConnectionKind) if kind != "sparse"]
    if isinstance(value, SparseWeight) or (isinstance(value, str) and value in kinds):
        return value
    if holds_values(value):
        raise mistake("weight names a kind of connection", "write starting values as init")
    if isinstance(value, Mapping):
        return SparseWeight.model_validate(dict(value))
    if scipy.sparse.issparse(value):
        raise mistake("a matrix is no kind of connection", "write weight: {sparse: {mask: the matrix}}")
    if isinstance(value, str) and value == "sparse":
        raise mistake("nothing says where sparse weights are", "write e.g. weight: {sparse: {density: 0.1}}")
    raise mistake(f"{value!r} is not among the choices", did_you_mean(str(value), [*kinds, "sparse"]))


class ConnectionDeclaration(Parameter):
    """An edge, without its ends; `init`, `trainable` and `tie` are those of its weight."""

    delay: Annotated[Integer, Field(ge=-LARGEST_DELAY, le=LARGEST_DELAY)] = Field(
        1,
        description=(
            "How many steps earlier the source is read; a negative delay looks ahead, and reads the initial state "
            "behind the end."
        ),
    )
    weight: Annotated[SparseWeight | ConnectionKind, PlainValidator(_read_weight)] = Field(
        "dense", description="The kind of connection."
    )
    sign: Sign | None = Field(
        None, description="The sign of all its weights, by default that of its source; training keeps it."
    )
    from_units: Units = Field(None, description="The units of the source that it reads; all if not said.")
    to_units: Units = Field(None, description="The units of the target where it arrives; all if not said.")
    from_port: Name | None = Field(
        default=None, description="Which output of the cell it comes from; by default the cell's state."
    )
    to_port: Name | None = Field(
        default=None, description="Which input of the cell it goes to; by default the cell's first."
    )

    @property
    def kind(self) -> ConnectionKind:
        """The kind of connection that the weight makes."""
        return "sparse" if isinstance(self.weight, SparseWeight) else self.weight

    @model_validator(mode="after")
    def _reject_dead_keys(self) -> ConnectionDeclaration:
        keys = ("init", "trainable", "tie", "sign", "penalty")
        dead = [key for key in keys if getattr(self, key) is not None]
        if self.weight == "wire" and dead:
            raise mistake(
                f"a wire has no weight, so {dead[0]} means nothing", "write weight: scalar, or leave it out"
            )
        return self


class EdgeDeclaration(ConnectionDeclaration):
    """An edge of a spec file."""

    source: Name = Field(alias="from", description="The node that is read.")
    target: Name = Field(alias="to", description="The node at which it arrives.")


class NetworkDeclaration(Section):
    """The graph."""

    nodes: dict[Name, NodeDeclaration] = Field(min_length=1, description="The populations, by name.")
    edges: list[EdgeDeclaration] = Field(default=[], description="The connections between them.")
    constraints: list[Name] = Field(
        default=[],
        description="Linear equalities between parameters that training keeps; A == 2 * B.T makes B a copy of A.",
    )
    cells: dict[Name, CellDeclaration] = Field(
        default={}, description="Cells of the user's own, by the names that nodes use."
    )
