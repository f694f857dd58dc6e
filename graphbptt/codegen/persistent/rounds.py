"""What the threads of a block do between barriers, in each step of a scan.

round := Round(phase, work)
work  := Product                            the states it reads are staged, and after a barrier multiplied
       | (operation on rows, ...)           a group of which each thread does its rows or columns
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

from graphbptt.codegen.rows.fusion import fuse_rows
from graphbptt.codegen.rows.rows import RowOperation
from graphbptt.ir.operations import Product
from graphbptt.ir.plan import Matrix, Plan, Sweep

__all__ = ["Round", "find_obstacle", "list_rounds"]


@dataclass(frozen=True, slots=True)
class Round:
    """`phase` is how many steps it is behind the iteration."""

    phase: int
    work: Product | tuple[RowOperation, ...]


def list_rounds(plan: Plan, sweep: Sweep) -> tuple[Round, ...]:
    """The work of one iteration, in order."""
    rounds: list[Round] = []
    for (phase, is_product), items in groupby(
        sweep.each, key=lambda item: (item[0], isinstance(item[1], Product))
    ):
        operations = [operation for _, operation in items]
        if is_product:
            rounds += [Round(phase, item) for item in operations if isinstance(item, Product)]
        else:
            rows = [item for item in operations if isinstance(item, RowOperation)]
            rounds += [Round(phase, group) for group in fuse_rows(plan, rows, whole=False)]
    return tuple(rounds)


def find_obstacle(plan: Plan, sweep: Sweep) -> str | None:
    """Why no kernel could do all steps of a sweep; None if one could."""
    if not sweep.each:
        return "nothing in it recurs"
    for _, operation in sweep.each:
        if isinstance(operation, Product) and not isinstance(plan.weights[operation.weights], Matrix):
            return f"its weights {operation.weights} are kept as entries"
    return None
