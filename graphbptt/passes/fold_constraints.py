"""The texts of a graph's constraints -> constraints over its parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphbptt.declaration.constraints import parse_constraint
from graphbptt.errors import Problem, SpecError
from graphbptt.ir.constraints import Constraint
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.layout import place_parameters

__all__ = ["fold_constraints", "list_constraints"]


def list_constraints(texts: Any) -> tuple[str, ...]:
    """The texts of a graph's constraints.

    Raises
    ------
    SpecError
        They are no list of texts.
    """
    if texts is None:
        return ()
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        raise SpecError(Problem("constraints", f"{texts!r} is no list of texts", 'write ["W == -W.T"]'))
    return tuple(texts)


def fold_constraints(texts: Sequence[str], network: FoldedNetwork) -> tuple[Constraint, ...]:
    """Parse the texts, in the order of the text; one that is written twice counts once.

    Raises
    ------
    SpecError
        Some are no linear equalities between parameters of the network.
    """
    if not texts:
        return ()
    layout = place_parameters(network)
    copies = {name: use for name, use in network.uses() if name not in layout.slot}
    constraints: list[Constraint] = []
    problems: list[Problem] = []
    for text in sorted(set(texts)):
        try:
            constraints.append(parse_constraint(text, layout, copies))
        except SpecError as error:
            problems += error.problems
    if problems:
        raise SpecError(problems)
    return tuple(constraints)
