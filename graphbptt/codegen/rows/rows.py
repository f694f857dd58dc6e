"""Operations on the units of one example, in C: statements that know ``row``, where the example lies at its step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby
from typing import cast

from graphbptt.codegen.arguments import Held, Holds, Normals, Padded
from graphbptt.codegen.name_arguments import Arguments
from graphbptt.codegen.precision import Precision
from graphbptt.codegen.rows.computes import ComputeWriter, column_loop
from graphbptt.codegen.rows.softmax import SOFTMAX_NEEDS, write_softmax
from graphbptt.codegen.text import block, remark
from graphbptt.ir.operations import (
    Compute,
    Perturb,
    Restrain,
    Silence,
    Softmax,
    SoftmaxGradient,
    View,
)

__all__ = ["RowOperation", "RowWriter"]

RowOperation = Compute | Perturb | Restrain | Silence | Softmax | SoftmaxGradient
"""Operations that never meet another example."""


class RowWriter:
    """Writes operations, and collects the functions of the prelude that they call."""

    def __init__(self, arguments: Arguments, precision: Precision, name: str) -> None:
        self.arguments = arguments
        self.precision = precision
        self.computes = ComputeWriter(arguments, precision, name)
        self.needs, self.tables = self.computes.needs, self.computes.tables

    def write_pieces(self, operations: Iterable[RowOperation], by_step: bool) -> Iterator[list[str]]:
        """Neighbouring operations one after the other, each with what it does as a comment.

        `by_step` says that all is done for one step before it is for another.
        """
        for is_compute, group in groupby(operations, lambda operation: isinstance(operation, Compute)):
            if is_compute:
                yield from self.computes.write_pieces(cast(Iterable[Compute], group), by_step)
            else:
                yield from ([*remark(self.arguments.explain(one)), *self.write(one)] for one in group)

    def write(self, operation: RowOperation) -> list[str]:
        match operation:
            case Compute():
                return self.computes.write(operation)
            case Softmax() | SoftmaxGradient():
                self.needs.update(SOFTMAX_NEEDS)
                return write_softmax(self.arguments, operation, lanes=False)
            case Restrain():
                return self._write_restrain(operation)
            case Silence():
                return self._write_silence(operation)
            case Perturb():
                return self._write_perturb(operation)

    # Noise, clamps, padding.

    def _write_perturb(self, operation: Perturb) -> list[str]:
        sign, width = "+=" if operation.accumulate else "=", operation.out.width
        noise = f"{self.arguments.name(Normals(operation.population))}[row * {width} + j]"
        target, scale = self.arguments.column(operation.out, "j"), self.precision.literal(operation.scale)
        return [f"{column_loop(width)} {target} {sign} {scale} * {noise};"]

    def _write_restrain(self, operation: Restrain) -> list[str]:
        held = self.arguments.name(Held(operation.population))
        holds = self.arguments.name(Holds(operation.population))
        width, state = operation.state.width, self.arguments.column(operation.state, "j")
        body = f"if ({held}[row * {width} + j]) {state} = {holds}[row * {width} + j];"
        return block(f"if ({held})", [column_loop(width), f"    {body}"])

    def _write_silence(self, operation: Silence) -> list[str]:
        padded = self.arguments.name(Padded())
        behind = block(f"if ({padded} && {padded}[row])", self._zero(_join_neighbours(operation.slopes), ""))
        if operation.population is None:
            return behind
        held, width = self.arguments.name(Held(operation.population)), operation.slopes[0].width
        where_set = block(f"if ({held})", self._zero(operation.slopes, f"if ({held}[row * {width} + j]) "))
        return [*where_set[:-1], f"}} else {behind[0]}", *behind[1:]]

    def _zero(self, views: Iterable[View], condition: str) -> list[str]:
        return [
            f"{column_loop(view.width)} {condition}{self.arguments.column(view, 'j')} = 0;" for view in views
        ]


def _join_neighbours(views: Iterable[View]) -> list[View]:
    """The same columns in as few views as neighbours allow."""
    joined: list[View] = []
    for view in sorted(views, key=lambda view: (view.buffer, view.shift, view.start)):
        last = joined[-1] if joined else None
        if last and (last.buffer, last.shift, last.stop) == (view.buffer, view.shift, view.start):
            joined[-1] = replace(last, stop=view.stop)
        else:
            joined.append(view)
    return joined
