"""Products side by side as one command: the blocks of like populations, which a device multiplies at once.

Neighbours are joined that are alike but for where their matrices lie, at equal distances, and that do not depend on
each other. A distance may be nought where all have a factor in common; what lies in descending order is taken in
ascending.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from graphbptt.codegen.launches.commands import Command, Multiply
from graphbptt.codegen.launches.device_arrays import Region

__all__ = ["join_products"]


def join_products(commands: Iterable[Command]) -> tuple[Command, ...]:
    """The same work in fewer commands.

    >>> first = Multiply(Region("y", 0, 4, 2, 6), Region("x", 0, 4, 2, 6), Region("w", 0, 2, 2, 2))
    >>> second = Multiply(Region("y", 2, 4, 2, 6), Region("x", 2, 4, 2, 6), Region("w", 4, 2, 2, 2))
    >>> join_products([second, first]) == (replace(first, count=2, steps=(2, 2, 4)),)
    True
    """
    joined: list[Command] = []
    run: list[Multiply] = []
    for command in commands:
        if isinstance(command, Multiply) and _extends(run, command):
            run.append(command)
            continue
        joined += _join(run)
        run = [command] if isinstance(command, Multiply) else []
        joined += [] if run else [command]
    return (*joined, *_join(run))


def _join(run: Sequence[Multiply]) -> Sequence[Multiply]:
    if len(run) < 2:
        return run
    ordered = run if run[0].out.offset < run[1].out.offset else run[::-1]
    return [replace(ordered[0], count=len(run), steps=_measure(ordered[0], ordered[1]))]


def _extends(run: Sequence[Multiply], product: Multiply) -> bool:
    """Whether a product can be computed together with those of a run, of which it comes next."""
    if not run or product.count > 1 or _describe(run[0]) != _describe(product):
        return False
    steps = _measure(run[-1], product)
    ascending = steps[0] > 0 and min(steps) >= 0
    descending = steps[0] < 0 and max(steps) <= 0
    equal = len(run) == 1 or steps == _measure(run[0], run[1])
    return (ascending or descending) and equal and not any(_depend(one, product) for one in run)


def _describe(product: Multiply) -> Multiply:
    """All but where in their arrays the matrices lie."""
    out, a, b = (region.move(-region.offset) for region in (product.out, product.a, product.b))
    return replace(product, out=out, a=a, b=b)


def _measure(product: Multiply, further: Multiply) -> tuple[int, int, int]:
    return (
        further.out.offset - product.out.offset,
        further.a.offset - product.a.offset,
        further.b.offset - product.b.offset,
    )


def _depend(one: Multiply, other: Multiply) -> bool:
    """Whether what one of them writes the other one reads or writes."""
    return any(_may_meet(one.out, region) for region in (other.out, other.a, other.b)) or any(
        _may_meet(other.out, region) for region in (one.a, one.b)
    )


def _may_meet(one: Region, other: Region) -> bool:
    """False only where two regions have no number in common: they lie apart, or in columns beside each other."""
    if one.array != other.array or one.stop <= other.offset or other.stop <= one.offset:
        return False
    if one.stride != other.stride or not one.stride:
        return True
    first, second = one.offset % one.stride, other.offset % one.stride
    wrapped = max(first + one.columns, second + other.columns) > one.stride
    return wrapped or (first < second + other.columns and second < first + one.columns)
