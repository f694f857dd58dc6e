"""What a cell is made of, before it stands in a graph.

    body    := Body(nodes, edges, inputs, outputs)
    nodes   := {name: attributes}                  the keys of a spec; without `units`, those of the cell
    edges   := [{from, to, [key], ...}, ...]       `key` tells parallel edges apart in their names
    inputs  := {port: [node, ...]}                 an edge into the port becomes one into each of the nodes
    outputs := [node, ...]                         the ports that edges may leave from

The first input port is the one an edge reaches that names none. The first output is the cell's state: it takes the name
of the node that uses the cell, the others are called after it, ``h.forget``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from graphbptt.declaration.choices import Section
from graphbptt.declaration.expressions import suggest_function
from graphbptt.declaration.values import mistake
from graphbptt.ir.expression import Expression
from graphbptt.ir.functions import ACTIVATIONS

__all__ = ["ActivationName", "Body", "CellNode", "CellOptions", "WithRecurrence", "activate", "spread"]

Attributes = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Body:
    """The sub-graph of a cell. See the module's grammar."""

    nodes: Mapping[str, Attributes]
    edges: Sequence[Attributes] = ()
    inputs: Mapping[str, Sequence[str]] = field(default_factory=dict)
    outputs: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class CellNode:
    """What the node that uses a cell says for the nodes inside: None where it is silent."""

    units: int = 1
    bias: Any = None
    initial: Any = None


class CellOptions(Section):
    """What every cell takes."""

    reverse: bool = Field(
        default=False,
        description="Turn every delay inside around, so that the cell reads a sequence from its end.",
    )


def _check_recurrent(key: str) -> str:
    if key in ("from", "to", "key"):
        raise mistake(
            f"recurrent weights have no {key!r}: the cell says where its own edges go",
            "leave it out, or draw an edge of your own beside the cell",
        )
    return key


class WithRecurrence(CellOptions):
    """What every cell with weights from its state to itself takes."""

    recurrent: dict[Annotated[str, AfterValidator(_check_recurrent)], Any] = Field(
        default={},
        description="What the cell's own recurrent weights say, with the keys of an edge: init, tie, trainable, ...",
    )


def _check_activation(name: str) -> str:
    if name not in ACTIVATIONS:
        raise mistake(f"unknown activation {name!r}", suggest_function(name, list(ACTIVATIONS)))
    return name


def _check_function(name: str) -> str:
    if _check_activation(name) == "softmax":
        raise mistake("softmax works on all units together, not unit by unit", "write e.g. tanh")
    return name


ActivationName = Annotated[str, AfterValidator(_check_activation)]
"""The name of an activation, not an expression."""
FunctionName = Annotated[str, AfterValidator(_check_function)]
"""The same, of a function that works unit by unit and so can be a part of an expression."""


def activate(name: str) -> Expression:
    """The named function of the net input."""
    return ACTIVATIONS[name]


def spread(attributes: Any, part: str) -> Any:
    """Attributes that one edge or node says for several parts of a cell: a tie joins copies of one part, not the parts.

    The cell's state is not renamed, so what is said for it needs no spreading.

    >>> spread({"init": 0.5, "tie": "W"}, "forget")
    {'init': 0.5, 'tie': {'group': 'W:forget'}}
    >>> spread({"tie": "x->h@2"}, "forget"), spread({"tie": "h.bias"}, "forget")
    ({'tie': {'group': 'x->h.forget@2'}}, {'tie': {'group': 'h.forget.bias'}})
    """
    tie = attributes.get("tie") if isinstance(attributes, Mapping) else None
    group = tie.get("group") if isinstance(tie, Mapping) else tie
    if not isinstance(group, str):
        return attributes
    head, arrow, tail = group.rpartition("->")
    owner, dot, key = group.rpartition(".")
    if arrow:
        group = head + arrow + re.sub(r"(?=[@#])|$", f".{part}", tail, count=1)
    elif dot:
        group = f"{owner}.{part}.{key}"
    else:
        group = f"{group}:{part}"
    return {**attributes, "tie": {**(tie if isinstance(tie, Mapping) else {}), "group": group}}
