"""What a thread computes for one item of a round, counted in the expressions, and as their functions are said to cost.

    effort := Effort(operations, reciprocals, chain, numbers)

A multiplication with an addition to it is one operation. Exponentials and the like are polynomials, whose operations
wait for each other; a quotient begins with a reciprocal, which a multiprocessor makes fewer of. What is called of
CUDA's library is an estimate.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from graphbptt.codegen.coefficients import COEFFICIENTS
from graphbptt.codegen.elementary import ELEMENTARY
from graphbptt.codegen.lanes import WARP
from graphbptt.codegen.pointwise import OPERATORS, spell_out
from graphbptt.codegen.rows.rows import RowOperation
from graphbptt.ir.expression import Expression, calls
from graphbptt.ir.operations import Compute, Perturb, Softmax, SoftmaxGradient

__all__ = ["Effort", "count_function", "measure_effort"]

QUOTIENT = 8
"""Operations that make a reciprocal a quotient, rounded as it should be: an estimate."""
LIBRARY = 40
"""Operations of a sine, a power, and other functions of CUDA's library: an estimate."""
NORMAL = 150
"""Operations of a number that is drawn, about: ten rounds of Philox, a logarithm, a root, a cosine."""
SHUFFLE = 6
"""Operations that take as long as lanes need to exchange a number and put it together, about 25 clocks: an estimate."""
TOUCHED = 6
"""Numbers of a unit that the loops of a softmax read and write, or those of its derivative, about."""


@dataclass(frozen=True, slots=True)
class Effort:
    """Of a thread, for one item.

    Attributes
    ----------
    operations, reciprocals : int
        How many it does.
    chain : int
        How many of its operations wait for each other.
    numbers : int
        How many it reads from memory and writes there.
    """

    operations: int = 0
    reciprocals: int = 0
    chain: int = 0
    numbers: int = 0

    def __add__(self, other: Effort) -> Effort:
        """One after the other."""
        return Effort(
            self.operations + other.operations,
            self.reciprocals + other.reciprocals,
            self.chain + other.chain,
            self.numbers + other.numbers,
        )


@cache
def count_function(name: str, dtype: str) -> Effort:
    """A function of the prelude, or an operator, with all that it calls.

    >>> count_function("multiply", "float32").operations, count_function("real_maximum", "float32").operations
    (1, 2)
    """
    if name in OPERATORS:
        quotient = name == "divide"
        return Effort(QUOTIENT if quotient else 1, int(quotient), QUOTIENT if quotient else 1)
    function = ELEMENTARY[dtype][name]
    cost, coefficients = function.cost, COEFFICIENTS[dtype]
    done = cost.operations + sum(len(coefficients[polynomial]) - 1 for polynomial in cost.polynomials)
    done += QUOTIENT * cost.quotients + LIBRARY * cost.library
    return sum((count_function(need, dtype) for need in function.needs), Effort(done, cost.quotients, done))


def measure_effort(group: tuple[RowOperation, ...], dtype: str) -> Effort:
    """All operations of a group at one column, or the part of a softmax that is a lane's."""
    return sum((_measure(operation, dtype) for operation in group), Effort())


def _measure(operation: RowOperation, dtype: str) -> Effort:
    match operation:
        case Compute(assignments):
            return _measure_expressions([item.expression for item in assignments], dtype) + Effort(
                numbers=sum(1 + item.accumulate for item in assignments) + len(list(operation.reads()))
            )
        case Softmax(out=out):
            return _measure_lane(out.width, ("maximum", "add"), ("subtract", "exp", "divide"), dtype)
        case SoftmaxGradient(out=out):
            return _measure_lane(out.width, ("add",), ("multiply", "multiply", "subtract"), dtype)
        case Perturb():
            return Effort(NORMAL, 1, NORMAL, 2)
        case _:
            return Effort(1, 0, 1, len(list(operation.writes())) + 1)


def _measure_expressions(expressions: list[Expression], dtype: str) -> Effort:
    """Each distinct sub-expression once; those that do not need each other do not wait."""
    ends: dict[Expression, int] = {}
    whole = Effort()
    for call in calls(spell_out(expressions)):
        one = _count_call(call.function.name, dtype)
        ends[call] = one.chain + max((ends.get(argument, 0) for argument in call.arguments), default=0)
        whole += one
    return Effort(whole.operations, whole.reciprocals, max(ends.values(), default=0))


def _measure_lane(width: int, sums: tuple[str, ...], apart: tuple[str, ...], dtype: str) -> Effort:
    """Every so manyth unit of a row. Sums wait for each other from unit to unit, and lanes then put them together; what
    is done to units apart from each other does not wait."""
    units, exchanges = -(-width // WARP), len(sums) * (WARP.bit_length() - 1)
    added, alone = (sum((_count_call(name, dtype) for name in names), Effort()) for names in (sums, apart))
    both = added + alone
    return Effort(
        units * both.operations + exchanges,
        units * both.reciprocals,
        units * added.chain + alone.chain + exchanges * SHUFFLE,
        units * TOUCHED,
    )


def _count_call(name: str, dtype: str) -> Effort:
    return count_function(name if name in OPERATORS else f"real_{name}", dtype)
