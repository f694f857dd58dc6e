"""How long the C text of a plan is about, without writing it."""

from __future__ import annotations

from graphbptt.errors import BackendError
from graphbptt.ir.expression import calls, leaves
from graphbptt.ir.operations import Compute, Operation, Product
from graphbptt.ir.plan import Plan

__all__ = ["LONGEST", "check_length", "estimate_lines"]

LONGEST = 3000
"""The longest text, in lines, that is written. Small networks have 600 to 2,000; beyond, compilers take minutes."""

PRELUDE, STATEMENT, PRODUCT = 600, 1.6, 15
"""Lines of any text, of a load, call or store of an expression, with its share of a loop, and of a product."""


def estimate_lines(plan: Plan) -> int:
    """About how many lines the sweeps of a plan have as C; takes as long as to go through its operations."""
    sweeps = [sweep for stage in plan.stages for sweep in (stage.forward, stage.backward)]
    return PRELUDE + round(
        sum(_count_lines(operation) for sweep in sweeps for operation in sweep.operations())
    )


def check_length(plan: Plan, longest: int = LONGEST) -> None:
    """Refuse a plan whose text would be so long that to compile it takes longer than to train with NumPy may.

    Raises
    ------
    BackendError
        It is one.
    """
    lines = estimate_lines(plan)
    if lines > longest:
        raise BackendError(
            f"the network's C would have about {lines:,} lines, more than {longest:,}: "
            "use fewer and larger populations, or the numpy backend"
        )


def _count_lines(operation: Operation) -> float:
    if isinstance(operation, Product):
        return PRODUCT
    if not isinstance(operation, Compute):
        return 0
    expressions = [assignment.expression for assignment in operation.assignments]
    return STATEMENT * sum(1 + len(calls([one])) + sum(1 for _ in leaves(one)) for one in expressions)
