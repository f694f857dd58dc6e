"""Operations on the units of one example, in C: statements that know ``row``, where the example lies at its step."""

from __future__ import annotations

from graphbptt.codegen.arguments import Arguments, Constant, Held, Holds, Normals, Padded, Vector
from graphbptt.codegen.pointwise import Access, Store, elementary_needs, emit_stores
from graphbptt.codegen.precision import Precision
from graphbptt.codegen.text import block
from graphbptt.ir.expression import Expression, Leaf, Load, calls, leaves, substitute
from graphbptt.ir.operations import (
    Assignment,
    Compute,
    Perturb,
    Restrain,
    Row,
    Silence,
    Softmax,
    SoftmaxGradient,
    View,
)

__all__ = ["RowOperation", "RowWriter", "is_there"]

RowOperation = Compute | Perturb | Restrain | Silence | Softmax | SoftmaxGradient
"""Operations that never meet another example."""


class RowWriter:
    """Writes operations, and collects the functions of the prelude that they call."""

    def __init__(self, arguments: Arguments, precision: Precision) -> None:
        self.arguments = arguments
        self.precision = precision
        self.needs: set[str] = set()

    def write(self, operation: RowOperation) -> list[str]:
        match operation:
            case Compute():
                return self._write_compute(operation)
            case Softmax():
                return self._write_softmax(operation)
            case SoftmaxGradient():
                return self._write_softmax_gradient(operation)
            case Restrain():
                return self._write_restrain(operation)
            case Silence():
                return self._write_silence(operation)
            case Perturb():
                return self._write_perturb(operation)

    # Element-wise work.

    def _write_compute(self, compute: Compute) -> list[str]:
        """A loop for all assignments of one shape; loops that only write come before those that add."""
        shapes: dict[tuple[int, int], list[Assignment]] = {}
        for item in compute.assignments:
            if is_there(self.arguments, item):
                continue
            shapes.setdefault((item.out.width, _narrowest(item)), []).append(item)
        groups = list(shapes.values())
        if len(groups) > 1:
            groups = [
                part
                for adds in (False, True)
                for items in groups
                if (part := [item for item in items if item.accumulate == adds])
            ]
        return [line for items in groups for line in self._write_loop(items)]

    def _write_loop(self, items: list[Assignment]) -> list[str]:
        width, narrow = items[0].out.width, _narrowest(items[0])
        stores = [self._store(item) for item in items]
        self.needs.update(elementary_needs([store.expression for store in stores]))
        lines = emit_stores(stores, lambda leaf: self._access(leaf, width, narrow), self.precision)
        if narrow == width:
            return ["INDEPENDENT", *block(_count(width), lines)]
        inner = [f"const ptrdiff_t j = lane * {narrow} + i;", *lines]
        return block(_count(width // narrow, "lane"), ["INDEPENDENT", *block(_count(narrow, "i"), inner)])

    def _store(self, item: Assignment) -> Store:
        target, note = self.arguments.column(item.out, "j"), self.arguments.texts.result(item.out)
        return Store(target, _hoist(item.expression), item.accumulate, note)

    def _access(self, leaf: Leaf, width: int, narrow: int) -> Access:
        """A load; one that is narrower than the result is repeated along it."""
        assert isinstance(leaf, Load)
        slot, texts = leaf.slot, self.arguments.texts
        assert isinstance(slot, View | Row | Constant)
        repeated = {1: "0", narrow: "i", width: "j"}
        index = "j" if slot.width == width else repeated.get(slot.width, f"j % {slot.width}")
        if isinstance(slot, View):
            return Access(self.arguments.column(slot, index), texts.view(slot))
        if isinstance(slot, Row):
            return Access(f"{self.arguments.name(Vector())}[{slot.start} + {index}]", texts.row(slot))
        return Access(f"{self.arguments.name(slot)}[{index}]", texts.expression(slot.expression))

    # Softmax.

    def _write_softmax(self, operation: Softmax) -> list[str]:
        self.needs.update(("real_exp", "real_maximum"))
        loop, column = _count(operation.out.width), self.arguments.column
        return block(
            "",
            [
                f"const real *const source = &{column(operation.source, '0')};",
                f"real *const out = &{column(operation.out, '0')};",
                "real largest = source[0], sum = 0;",
                f"{loop} largest = real_maximum(largest, source[j]);",
                f"{loop} out[j] = real_exp(source[j] - largest);",
                f"{loop} sum += out[j];",
                f"{loop} out[j] /= sum;",
            ],
        )

    def _write_softmax_gradient(self, operation: SoftmaxGradient) -> list[str]:
        loop, column = _count(operation.out.width), self.arguments.column
        sign = "+=" if operation.accumulate else "="
        return block(
            "",
            [
                f"const real *const delta = &{column(operation.delta, '0')};",
                f"const real *const slopes = &{column(operation.slopes, '0')};",
                f"const real *const probabilities = &{column(operation.probabilities, '0')};",
                f"real *const out = &{column(operation.out, '0')};",
                "real sum = 0;",
                f"{loop} sum += slopes[j] * delta[j];",
                f"{loop} out[j] {sign} slopes[j] * delta[j] - probabilities[j] * sum;",
            ],
        )

    # Noise, clamps, padding.

    def _write_perturb(self, operation: Perturb) -> list[str]:
        sign, width = "+=" if operation.accumulate else "=", operation.out.width
        noise = f"{self.arguments.name(Normals(operation.population))}[row * {width} + j]"
        target, scale = self.arguments.column(operation.out, "j"), self.precision.literal(operation.scale)
        return [f"{_count(width)} {target} {sign} {scale} * {noise};"]

    def _write_restrain(self, operation: Restrain) -> list[str]:
        held = self.arguments.name(Held(operation.population))
        holds = self.arguments.name(Holds(operation.population))
        width, state = operation.state.width, self.arguments.column(operation.state, "j")
        body = f"if ({held}[row * {width} + j]) {state} = {holds}[row * {width} + j];"
        return block(f"if ({held})", [_count(width), f"    {body}"])

    def _write_silence(self, operation: Silence) -> list[str]:
        padded = self.arguments.name(Padded())
        behind = block(f"if ({padded} && {padded}[row])", self._zero(operation.slopes, ""))
        if operation.population is None:
            return behind
        held, width = self.arguments.name(Held(operation.population)), operation.slopes[0].width
        where_set = block(f"if ({held})", self._zero(operation.slopes, f"if ({held}[row * {width} + j]) "))
        return [*where_set[:-1], f"}} else {behind[0]}", *behind[1:]]

    def _zero(self, views: tuple[View, ...], condition: str) -> list[str]:
        return [f"{_count(view.width)} {condition}{self.arguments.column(view, 'j')} = 0;" for view in views]


def is_there(arguments: Arguments, item: Assignment) -> bool:
    """Whether an assignment copies states to the memory in which they are."""
    slot = item.expression.slot if isinstance(item.expression, Load) else None
    return isinstance(slot, View) and not item.accumulate and arguments.are_same(slot, item.out)


def _count(width: int, index: str = "j") -> str:
    """The head of a loop over columns."""
    return f"for (ptrdiff_t {index} = 0; {index} < {width}; {index}++)"


def _narrowest(item: Assignment) -> int:
    """The width of the narrowest load that is repeated along the result, single numbers aside."""
    slots = (leaf.slot for leaf in leaves(item.expression) if isinstance(leaf, Load))
    widths = [slot.width for slot in slots if isinstance(slot, View | Row) and slot.width > 1]
    return min([item.out.width, *widths])


def _hoist(expression: Expression) -> Expression:
    """With what rows of the vector alone decide as loads of their own: they are computed once per sequence."""
    found: dict[Expression, Expression] = {}
    for call in calls([expression]):
        rows = [leaf.slot for leaf in leaves(call) if isinstance(leaf, Load)]
        if rows and all(isinstance(row, Row) for row in rows):
            found[call] = Load(Constant(max(row.width for row in rows if isinstance(row, Row)), call))
    return substitute(expression, found)
