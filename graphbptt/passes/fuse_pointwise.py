"""Plan -> Plan with fewer, wider element-wise assignments.

Populations with the same activation lie side by side, so their assignments differ only in which columns they name.
Neighbours are merged into one: every load becomes the union of adjacent columns, or, where both read the same
columns, stays as it is and is repeated along the wider result.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from graphbptt.ir.expression import Call, Expression, Load
from graphbptt.ir.operations import Assignment, Compute, Operation, Reduce, Row, View
from graphbptt.ir.plan import Plan, Sweep

__all__ = ["fuse_pointwise"]


def fuse_pointwise(plan: Plan) -> Plan:
    """Merge what can be merged inside every `Compute`, and the reductions of every sweep."""
    stages = tuple(
        replace(stage, forward=_fuse_sweep(stage.forward), backward=_fuse_sweep(stage.backward))
        for stage in plan.stages
    )
    return replace(plan, stages=stages)


def _fuse_sweep(sweep: Sweep) -> Sweep:
    return Sweep(
        tuple(_fuse(operation) for operation in sweep.before),
        tuple((phase, _fuse(operation)) for phase, operation in sweep.each),
        tuple(_fuse_reductions(sweep.after)),
    )


def _fuse(operation: Operation) -> Operation:
    if not isinstance(operation, Compute) or len(operation.assignments) == 1:
        return operation
    fused: list[Assignment] = []
    for item in sorted(operation.assignments, key=_kind):
        merged = _merge(fused[-1], item) if fused else None
        fused[len(fused) - (merged is not None) :] = [merged or item]
    return Compute(tuple(fused))


def _fuse_reductions(operations: Iterable[Operation]) -> Iterator[Operation]:
    """Reductions are independent of everything behind the loop: they come last, those of neighbouring rows at once."""
    reductions: list[Reduce] = []
    for operation in operations:
        if isinstance(operation, Reduce):
            reductions.append(operation)
        else:
            yield _fuse(operation)
    fused: list[Reduce] = []
    for item in sorted(reductions, key=lambda reduction: reduction.row.start):
        merged = _merge_reductions(fused[-1], item) if fused else None
        fused[len(fused) - (merged is not None) :] = [merged or item]
    yield from fused


def _kind(item: Assignment) -> tuple[bool, str, int, str, int]:
    """Orders assignments so that those that can be merged are neighbours; plain writes come before additions."""
    return item.accumulate, item.out.buffer, item.out.shift, _shape(item.expression), item.out.start


def _shape(expression: Expression) -> str:
    """The expression without the columns it names."""
    if isinstance(expression, Call):
        return expression.function.text.format(*map(_shape, expression.arguments))
    if isinstance(expression, Load):
        slot = expression.slot
        return f"{slot.buffer}[{slot.shift}]" if isinstance(slot, View) else "row"
    return str(expression)


def _merge(a: Assignment, b: Assignment) -> Assignment | None:
    if a.accumulate != b.accumulate or (a.out.buffer, a.out.shift, a.out.stop) != (
        b.out.buffer,
        b.out.shift,
        b.out.start,
    ):
        return None
    expression = _join_expressions(a.expression, b.expression, a.out.width, b.out.width)
    return (
        None if expression is None else Assignment(replace(a.out, stop=b.out.stop), expression, a.accumulate)
    )


def _merge_reductions(a: Reduce, b: Reduce) -> Reduce | None:
    if a.row.stop != b.row.start:
        return None
    expression = _join_expressions(a.expression, b.expression, a.row.width, b.row.width)
    return None if expression is None else Reduce(Row(a.row.start, b.row.stop), expression)


def _join_expressions(a: Expression, b: Expression, a_width: int, b_width: int) -> Expression | None:
    """One expression for both results, side by side; None if the two differ in more than their columns."""
    if isinstance(a, Call) and isinstance(b, Call) and a.function is b.function:
        pairs = zip(a.arguments, b.arguments, strict=True)
        joined = [_join_expressions(left, right, a_width, b_width) for left, right in pairs]
        arguments = tuple(part for part in joined if part is not None)
        return Call(a.function, arguments) if len(arguments) == len(joined) else None
    if isinstance(a, Load) and isinstance(b, Load):
        slot = _join_slots(a.slot, b.slot, a_width, b_width)
        return None if slot is None else Load(slot)
    return a if a == b else None


def _join_slots(a: object, b: object, a_width: int, b_width: int) -> View | Row | None:
    """Adjacent columns become their union; the same columns, as wide as one result, stay and are repeated."""
    if not isinstance(a, View | Row) or not isinstance(b, View | Row) or b.width != b_width:
        return None
    if a == b:
        return a if a_width % b_width == 0 else None
    if a.width != a_width or a.stop != b.start:
        return None
    if isinstance(a, View) and isinstance(b, View):
        return replace(a, stop=b.stop) if (a.buffer, a.shift) == (b.buffer, b.shift) else None
    return Row(a.start, b.stop) if isinstance(a, Row) and isinstance(b, Row) else None
