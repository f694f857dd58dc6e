"""What a network says of the ties between its edges.

    ties_by := [attribute, ...] | symmetric
    factors := [attribute, ...]

They are keys of ``network:`` where the graph is in a file, and attributes of a hand-built graph,
``graph.graph["ties_by"]``. ``source_type`` is the attribute `type` of the node that an edge comes from, ``target_type``
of the one it goes to; any other name is an attribute of the edge.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, model_validator

from graphbptt.declaration.choices import Section
from graphbptt.declaration.network_schema import Name
from graphbptt.declaration.values import mistake
from graphbptt.errors import did_you_mean

__all__ = ["SYMMETRIC", "Factors", "TieRules", "TiesBy", "check_rules", "pick_rules"]

SYMMETRIC: Literal["symmetric"] = "symmetric"


def _read_ties_by(value: Any) -> tuple[str, ...] | Literal["symmetric"] | None:
    if value is None:
        return None
    if value == SYMMETRIC:
        return SYMMETRIC
    if isinstance(value, str):
        remedy = f"{did_you_mean(value, [SYMMETRIC])} or write attributes as a list, [{value}]"
        raise mistake(f"unknown way to tie {value!r}", remedy)
    return _read_names(value)


def _read_names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not value:
        raise mistake(
            f"{value!r} is no list of attributes", "write a list such as [source_type, target_type]"
        )
    if not all(isinstance(name, str) and name for name in value) or len(set(value)) < len(value):
        raise mistake(
            f"{list(value)!r} does not name distinct attributes", "name each attribute once, as text"
        )
    return tuple(value)


TiesBy = Annotated[
    tuple[Name, ...] | Literal["symmetric"] | None,
    PlainValidator(_read_ties_by),
    Field(
        description="The attributes by whose values edges share a weight; or symmetric, with the edge back."
    ),
]
Factors = Annotated[
    tuple[Name, ...],
    PlainValidator(_read_names),
    Field(
        description="Attributes of an edge whose product scales the weight it shares, such as sign and count."
    ),
]


def check_rules(ties_by: object, factors: object) -> None:
    """Factors need something to scale.

    Raises
    ------
    PydanticCustomError
        Nothing is tied.
    """
    if factors and ties_by is None:
        remedy = "write ties_by: ..., or leave factors out"
        raise mistake("factors scale weights that are shared, and none are", remedy)


class TieRules(Section):
    """Which edges of a graph share a weight."""

    ties_by: TiesBy = None
    factors: Factors = ()

    @model_validator(mode="after")
    def _check(self) -> TieRules:
        check_rules(self.ties_by, self.factors)
        return self


def pick_rules(said: Mapping[str, Any]) -> dict[str, Any]:
    """The rules among what is said of a network."""
    return {key: said[key] for key in TieRules.model_fields if said.get(key) is not None}
