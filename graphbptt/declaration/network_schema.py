"""What a network may say: the keys of nodes and edges, their types and their defaults.

    network    := {nodes: {name: node, ...}, edges: [edge, ...]}
    node       := {units, coefficients, activation, bias, initial}
    connection := {delay, weight, init, trainable, from_units, to_units, tie}
    edge       := connection | {from, to}
    bias       := true | false | values | parameter
    initial    := values | learned | parameter
    coefficient := values | parameter
    parameter  := {init, trainable, tie}
    tie        := name | {group, scale, transpose, combine}

The same models read spec files and the attributes of hand-built graphs. `trainable` and `combine` are None
where nothing was said, so that one member of a tie can speak for all.
"""

from __future__ import annotations

import keyword
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
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

from graphbptt.declaration.choices import Section
from graphbptt.declaration.expressions import LARGEST_DELAY, RESERVED_NAMES, parse_activation
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
from graphbptt.errors import SpecError
from graphbptt.ir.expression import Expression, Net
from graphbptt.ir.folded import ConnectionKind
from graphbptt.ir.parameters import Combine, FrozenArray

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


class Tie(Section):
    """The parameter is `scale` times that of a weight-sharing group, transposed if so said."""

    group: Name
    scale: Real = 1.0
    transpose: bool = False
    combine: Combine | None = None

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


class Parameter(Section):
    """Something learned, or drawn once and kept (`trainable` false)."""

    init: Init | None = None
    trainable: bool | None = None
    tie: Tie | None = None


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
    if name in taken or name in (info.context or {}).get("nodes", ()):
        raise mistake(
            f"{name!r} is the name of {taken.get(name, 'a node')}", "give the coefficient another name"
        )
    return name


Coefficients = dict[
    Annotated[str, AfterValidator(_check_name)],
    Annotated[FrozenArray | Parameter, PlainValidator(_read_coefficient)],
]


class NodeDeclaration(Section):
    """A population of units. With the context ``{"nodes": names}`` its activation may read those only."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    units: Count = 1
    coefficients: Coefficients = Field(default={})
    activation: Expression = Net()
    bias: Annotated[Parameter | Literal[False] | None, PlainValidator(_read_bias)] = None
    initial: Annotated[FrozenArray | Parameter, PlainValidator(_read_initial)] = FrozenArray(0.0)

    @model_validator(mode="before")
    @classmethod
    def _open_empty(cls, value: Any) -> Any:
        return {} if value is None else value

    @field_validator("activation", mode="plain")
    @classmethod
    def _parse(cls, value: Any, info: ValidationInfo) -> Expression:
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


def _read_kind(value: Any) -> Any:
    if holds_values(value):
        raise mistake("weight names a kind of connection", "write starting values as init")
    return value


class ConnectionDeclaration(Parameter):
    """An edge, without its ends; `init`, `trainable` and `tie` are those of its weight."""

    delay: Annotated[Integer, Field(ge=-LARGEST_DELAY, le=LARGEST_DELAY)] = 1
    weight: Annotated[ConnectionKind, BeforeValidator(_read_kind)] = "dense"
    from_units: Units = None
    to_units: Units = None

    @model_validator(mode="after")
    def _reject_dead_keys(self) -> ConnectionDeclaration:
        dead = [key for key in ("init", "trainable", "tie") if getattr(self, key) is not None]
        if self.weight == "wire" and dead:
            raise mistake(
                f"a wire has no weight, so {dead[0]} means nothing", "write weight: scalar, or leave it out"
            )
        return self


class EdgeDeclaration(ConnectionDeclaration):
    """An edge of a spec file."""

    source: Name = Field(alias="from")
    target: Name = Field(alias="to")


class NetworkDeclaration(Section):
    """The graph."""

    nodes: dict[Name, NodeDeclaration] = Field(min_length=1)
    edges: list[EdgeDeclaration] = Field(default=[])
