"""Which net inputs matter only where something else, their guard, is not zero: ``due * tanh(net) + rest``.

    guard := View       columns that multiply, one by one, whatever is computed from the columns of a net input

A net input is followed through both sweeps of its stage. It may enter values that are kept for the backward sweep, and
these are followed in their turn; whatever else is computed from it has to be multiplied by the guard. Where the guard
is zero, a product that adds to the net input can then be left out if zero is written for it. In the example the state
is that of the rest, and the slope, ``due * (1 - kept * kept)``, is zero whatever was kept: states and derivatives are
the same. Zero times infinity is the exception, which is not a number: what is multiplied by zero is not computed, and
not seen.

A derivative by the guard itself, ``delta * tanh(net)``, is not multiplied by it. A gate that is trained, or that passes
derivatives on to what is, guards nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from graphbptt.ir.expression import Call, Expression, Load, calls, multiply, negative
from graphbptt.ir.operations import Assignment, Compute, Operation, Product, View, views_in
from graphbptt.ir.plan import Plan, Stage

__all__ = ["find_guards", "has_gaps"]

KEPT = ("saved", "slope")
"""The kinds of buffers that nothing but the stage's own sweeps read."""


def find_guards(plan: Plan, stage: Stage) -> dict[Product, View]:
    """The guard of each product of a forward sweep that has one; it is final when the product comes."""
    search = _Search(plan, stage, _list_reads(stage))
    found: dict[Product, View] = {}
    for product in stage.forward.operations():
        if isinstance(product, Product) and plan.buffer[product.out.buffer].kind == "net":
            guard = next((g for g in search.list_factors(product.out) if search.is_guard(g, product)), None)
            if guard is not None:
                found[product] = guard
    return found


def has_gaps(plan: Plan, product: Product, guards: Mapping[Product, View]) -> bool:
    """Whether a product of the backward sweep passes on derivatives by net inputs that are guarded."""
    source = product.source
    net = replace(source, buffer=plan.buffer[source.buffer].columns_of or source.buffer)
    return any(_overlap(net, guarded.out) for guarded in guards)


Reads = Mapping[str, Sequence[tuple[Assignment | None, View]]]
"""By buffer, what a stage reads of it, and the assignments that do so; None is an operation of another kind."""


def _list_reads(stage: Stage) -> Reads:
    reads: dict[str, list[tuple[Assignment | None, View]]] = {}
    for operation in (*stage.forward.operations(), *stage.backward.operations()):
        if isinstance(operation, Compute):
            for item in operation.assignments:
                for view in views_in(item.expression):
                    reads.setdefault(view.buffer, []).append((item, view))
        else:
            for view in operation.reads():
                reads.setdefault(view.buffer, []).append((None, view))
    return reads


@dataclass(frozen=True, slots=True)
class _Reading:
    """An assignment that reads columns of interest, which are `width` columns of its result, from `offset` on."""

    item: Assignment
    view: View
    offset: int
    width: int

    def crop(self, view: View) -> View:
        """The columns of a view that meet those of interest."""
        start = view.start + self.offset
        return replace(view, start=start, stop=start + self.width)

    def escapes(self, guard: View | None) -> bool:
        """Whether the result depends on the columns of interest by a way that is not multiplied by the guard."""

        def is_guard(expression: Expression) -> bool:
            if isinstance(expression, Call):
                return expression.function in (multiply, negative) and any(
                    map(is_guard, expression.arguments)
                )
            return guard is not None and any(self.crop(view) == guard for view in self.loaded(expression))

        escaping: set[Expression] = {Load(self.view)}
        for call in calls([self.item.expression]):
            guarded = call.function is multiply and any(map(is_guard, call.arguments))
            if not guarded and not escaping.isdisjoint(call.arguments):
                escaping.add(call)
        return self.item.expression in escaping

    def factors(self) -> Iterator[View]:
        """What is multiplied, or negated, in the expression, as far as it meets the columns of interest."""
        for call in calls([self.item.expression]):
            if call.function in (multiply, negative):
                for argument in call.arguments:
                    yield from map(self.crop, self.loaded(argument))

    def loaded(self, expression: Expression) -> Iterator[View]:
        """The view that an expression loads, if it does no more and the view is not repeated along the result."""
        view = expression.slot if isinstance(expression, Load) else None
        if isinstance(view, View) and view.width == self.item.out.width:
            yield view


@dataclass(frozen=True, slots=True)
class _Search:
    plan: Plan
    stage: Stage
    reads: Reads

    def list_factors(self, net: View) -> list[View]:
        """What is multiplied in expressions that a net input takes part in."""
        readings = self._follow(net, None)
        return list(dict.fromkeys(view for reading in readings if reading for view in reading.factors()))

    def is_guard(self, view: View, product: Product) -> bool:
        """Whether all that a net input decides, but for what is kept and followed, is multiplied by a view."""
        return (
            not any(_overlap(site.predicted, product.out) for site in self.plan.losses)
            and _is_final(view, self.stage, product)
            and all(
                reading is not None and (self._is_kept(reading) or not reading.escapes(view))
                for reading in self._follow(product.out, view)
            )
        )

    def _follow(self, net: View, guard: View | None) -> Iterator[_Reading | None]:
        """The readings of a net input, and of what is kept of it without being multiplied by the guard."""
        columns = [net]
        for followed in columns:
            for reading in self._readings(followed):
                yield reading
                if reading and self._is_kept(reading) and reading.escapes(guard):
                    kept = reading.crop(reading.item.out)
                    if kept not in columns:
                        columns.append(kept)

    def _readings(self, columns: View) -> Iterator[_Reading | None]:
        """Who reads columns; None for those who do not read them one by one, at the step to which they belong."""
        for item, view in self.reads.get(columns.buffer, ()):
            if _overlap(view, columns):
                offset = columns.start - view.start
                inside = offset >= 0 and columns.stop <= view.stop and view.shift == columns.shift
                regular = inside and item is not None and item.out.width == view.width
                yield _Reading(item, view, offset, columns.width) if item and regular else None

    def _is_kept(self, reading: _Reading) -> bool:
        return self.plan.buffer[reading.item.out.buffer].kind in KEPT


def _is_final(guard: View, stage: Stage, product: Product) -> bool:
    """Whether the stage changes the guard's columns of a step no more when, or after, it computes the product's."""
    ahead = -guard.shift if stage.mode == "reverse" else guard.shift
    each = stage.forward.each
    late: list[Operation]
    if product in stage.forward.before:
        late = [*stage.forward.before, *(operation for _, operation in each)]
    else:
        place, phase = next((i, phase) for i, (phase, operation) in enumerate(each) if operation == product)
        late = [o for i, (other, o) in enumerate(each) if (other + ahead - phase, i) >= (0, place)]
    columns = replace(guard, shift=0)
    return not any(_overlap(write.view, columns) for operation in late for write in operation.writes())


def _overlap(view: View, other: View) -> bool:
    return view.buffer == other.buffer and view.start < other.stop and other.start < view.stop
