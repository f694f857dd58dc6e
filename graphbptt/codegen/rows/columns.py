"""Element-wise operations at one column of one example, as statements that know ``row`` and ``j``.

What `graphbptt.codegen.rows.rows` writes as loops over the columns of a row is here the work of one thread.
"""

from __future__ import annotations

from graphbptt.codegen.arguments import Held, Holds, Lengths, NoiseKey, Padded, Starts, Vector
from graphbptt.codegen.lay_starts import count_starts, lay_starts
from graphbptt.codegen.lookup import find_clamped
from graphbptt.codegen.name_arguments import Arguments
from graphbptt.codegen.pointwise import Access, Store, elementary_needs, emit_stores
from graphbptt.codegen.precision import Precision
from graphbptt.codegen.rows.computes import is_there
from graphbptt.codegen.text import block
from graphbptt.ir.expression import Leaf, Load
from graphbptt.ir.operations import Assignment, Compute, Perturb, Restrain, Row, Silence, View

__all__ = ["ColumnOperation", "ColumnWriter"]

ColumnOperation = Compute | Perturb | Restrain | Silence
"""Operations of which a column meets no other column."""


class ColumnWriter:
    """Writes operations, and collects the functions of the prelude that they call, and whether they draw noise."""

    def __init__(self, arguments: Arguments, precision: Precision) -> None:
        self.arguments = arguments
        self.precision = precision
        self.needs: set[str] = set()
        self.noisy = False
        self._network = arguments.plan.network
        self._clamped = find_clamped(self._network)

    def write(self, operation: ColumnOperation, columns: int) -> list[str]:
        """The lines for column ``j`` of `columns`, of which an operation may have fewer."""
        match operation:
            case Compute():
                return self._write_compute(operation, columns)
            case Restrain():
                return self._guard(operation.state.width, columns, self._write_restrain(operation))
            case Silence():
                return self._guard(operation.slopes[0].width, columns, self._write_silence(operation))
            case Perturb():
                return self._guard(operation.out.width, columns, self._write_perturb(operation))

    def write_stores(self, stores: list[Store], width: int) -> list[str]:
        """Stores whose expressions all have `width` columns."""
        self.needs.update(elementary_needs([store.expression for store in stores]))
        return emit_stores(stores, lambda leaf: self._access(leaf, width), self.precision)

    def _guard(self, width: int, columns: int, lines: list[str]) -> list[str]:
        return block("" if width == columns else f"if (j < {width})", lines)

    def _write_compute(self, compute: Compute, columns: int) -> list[str]:
        """All assignments of one width together; where there are several widths, additions after plain writes."""
        groups: dict[tuple[bool, int], list[Assignment]] = {}
        single = len({item.out.width for item in compute.assignments}) == 1
        for item in compute.assignments:
            if is_there(self.arguments, item):
                continue
            groups.setdefault((item.accumulate and not single, item.out.width), []).append(item)
        lines: list[str] = []
        for (_, width), items in sorted(groups.items(), key=lambda group: group[0]):
            stores = [self._store(item) for item in items]
            lines += self._guard(width, columns, self.write_stores(stores, width))
        return lines

    def _store(self, item: Assignment) -> Store:
        target, note = self.arguments.column(item.out, "j"), self.arguments.texts.result(item.out)
        return Store(target, item.expression, item.accumulate, note)

    def _access(self, leaf: Leaf, width: int) -> Access:
        """A load; one that is narrower than the result is repeated along it."""
        assert isinstance(leaf, Load)
        slot, texts = leaf.slot, self.arguments.texts
        assert isinstance(slot, View | Row)
        index = {1: "0", width: "j"}.get(slot.width, f"j % {slot.width}")
        if isinstance(slot, View):
            return Access(self.arguments.column(slot, index), texts.view(slot))
        return Access(f"{self.arguments.name(Vector())}[{slot.start} + {index}]", texts.row(slot))

    def _write_restrain(self, operation: Restrain) -> list[str]:
        """Where nothing is clamped, what is behind a sequence's end is looked up among what it starts from."""
        name, population = self.arguments.name, operation.population
        state, at = self.arguments.column(operation.state, "j"), f"[row * {operation.state.width} + j]"
        if population in self._clamped:
            held, holds = name(Held(population)), name(Holds(population))
            return [f"if ({held} && {held}{at}) {state} = {holds}{at};"]
        history, units = self._network.population[population].history, operation.state.width
        padded, starts, first = name(Padded()), name(Starts()), lay_starts(self._network)[population].start
        place, kept = f"row % size * {count_starts(self._network)} + {first}", list[str]()
        if history > 1:
            kept = [
                f"const ptrdiff_t beyond = row / size - {name(Lengths())}[row % size];",
                f"const ptrdiff_t kept = beyond < {history} ? beyond : {history - 1};",
            ]
            place += f" + kept * {units}"
        return block(f"if ({padded} && {padded}[row])", [*kept, f"{state} = {starts}[{place} + j];"])

    def _write_silence(self, operation: Silence) -> list[str]:
        padded = self.arguments.name(Padded())
        condition = f"{padded} && {padded}[row]"
        if operation.population in self._clamped:
            held, width = self.arguments.name(Held(operation.population)), operation.slopes[0].width
            condition = f"{held} ? {held}[row * {width} + j] : {condition}"
        zeros = [f"{self.arguments.column(slope, 'j')} = 0;" for slope in operation.slopes]
        return block(f"if ({condition})", zeros)

    def _write_perturb(self, operation: Perturb) -> list[str]:
        self.noisy = True
        key, sign, width = (
            self.arguments.name(NoiseKey(operation.population)),
            "+=" if operation.accumulate else "=",
            operation.out.width,
        )
        number = f"{key}[4] ? draw_normal({key}, row % size, row / size, j, {-(-width // 4)}) : 0"
        scale, target = self.precision.literal(operation.scale), self.arguments.column(operation.out, "j")
        return [f"{target} {sign} {scale} * ({number});"]
