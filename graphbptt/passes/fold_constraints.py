"""The texts of a graph's constraints -> constraints over its parameters."""

from __future__ import annotations

from typing import Any

from graphbptt.declaration.constraints import parse_constraint
from graphbptt.errors import Problem, SpecError
from graphbptt.ir.constraints import Constraint
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.layout import place_parameters

__all__ = ["fold_constraints"]


def fold_constraints(texts: Any, network: FoldedNetwork) -> tuple[Constraint, ...]:
    """Parse the texts, in the order of the text; one that is written twice counts once.

    Raises
    ------
    SpecError
        They are no list of texts, or some are no linear equalities between parameters of the network.
    """
    if texts is None:
        return ()
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        raise SpecError(Problem("constraints", f"{texts!r} is no list of texts", 'write ["W == -W.T"]'))
    layout = place_parameters(network)
    constraints: list[Constraint] = []
    problems: list[Problem] = []
    for text in sorted(set(texts)):
        try:
            constraints.append(parse_constraint(text, layout))
        except SpecError as error:
            problems += error.problems
    if problems:
        raise SpecError(problems)
    return tuple(constraints)
