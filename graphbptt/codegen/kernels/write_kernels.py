"""The operations of a plan on rows as kernels: neighbours that one thread can do for itself are one kernel.

    kernels := Kernels(text, signatures, sweeps, losses, lanes, copies)     the sweeps by the index of their stage and
                                                    whether they run backward, and what stands at their edges
    sweep   := KernelSweep(before, each, after)     as a plan's, in place of operations on rows the kernels that do them
    work    := Kernel | Product | Contract | Reduction
    kernel  := Kernel(signature, columns, lines, arguments, reads, writes)  a thread for each row and each of `columns`,
                                                    or for each lane of a softmax
    reduce  := Reduction(rows, source)              what is added up over steps and examples, for parts of the packed
                                                    vector side by side: a view of the plan, or what a kernel writes

A kernel is called as ``name(threads, step, size, pointers...)``: its rows begin at the examples of `step`, counted from
0, of a batch of `size`; with ``threads = size * columns`` they are those of one step, with `steps` times as many those
of a whole sequence. Pointers lead to step 1. In C, where a machine without a GPU can run them, a kernel is a loop over
its threads; these do not depend on each other, so any order has the same result.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from graphbptt.codegen.arguments import Argument, Summands
from graphbptt.codegen.dialect import Dialect
from graphbptt.codegen.elementary import prelude
from graphbptt.codegen.kernels.copy_maps import CopyMaps, map_copies
from graphbptt.codegen.kernels.edge_kernels import COPY_KERNELS, START_KERNELS
from graphbptt.codegen.kernels.fixed_kernels import EDGE_KERNELS, ENTRY_KERNELS
from graphbptt.codegen.kernels.join_reduces import find_view, join_reduces
from graphbptt.codegen.kernels.loss_kernels import LossKernel, write_loss
from graphbptt.codegen.kernels.sums import emit_adding
from graphbptt.codegen.kernels.turn_kernel import TURN_ROWS, emit_turning
from graphbptt.codegen.lanes import count_lanes, emit_lanes
from graphbptt.codegen.launches.commands import COUNT, THREADS, Signature
from graphbptt.codegen.lookup import Lookup
from graphbptt.codegen.name_arguments import Arguments
from graphbptt.codegen.noise import NOISE_NEEDS, emit_normal
from graphbptt.codegen.pointwise import Store
from graphbptt.codegen.precision import Precision
from graphbptt.codegen.rows.accesses import find_accesses
from graphbptt.codegen.rows.columns import ColumnWriter
from graphbptt.codegen.rows.fusion import fuse_rows
from graphbptt.codegen.rows.row_groups import GroupWriter, SequenceArguments, count_columns
from graphbptt.codegen.rows.rows import RowOperation
from graphbptt.codegen.text import block
from graphbptt.ir.operations import (
    Contract,
    Operation,
    Product,
    Reduce,
    Row,
    View,
    views_in,
)
from graphbptt.ir.plan import Plan, Stage

__all__ = [
    "Kernel",
    "KernelSweep",
    "Kernels",
    "Reduction",
    "Work",
    "frame_kernel",
    "write_kernels",
]


@dataclass(frozen=True, slots=True)
class Kernel:
    """`arguments` are what its pointers lead to, by name; `reads` are the views that it needs as they were before it,
    `writes` those that it changes."""

    signature: Signature
    columns: int
    lines: tuple[str, ...]
    arguments: tuple[tuple[str, Argument], ...]
    reads: tuple[View, ...] = ()
    writes: tuple[View, ...] = ()


@dataclass(frozen=True, slots=True)
class Reduction:
    rows: tuple[Row, ...]
    source: View | Kernel


Work = Kernel | Product | Contract | Reduction


@dataclass(frozen=True, slots=True)
class KernelSweep:
    before: tuple[Work, ...]
    each: tuple[tuple[int, Work], ...]
    after: tuple[Work, ...]


@dataclass(frozen=True, slots=True)
class Kernels:
    """CUDA or C text, and what runs in which order; `lanes` are the threads of what lanes share."""

    text: str
    signatures: tuple[Signature, ...]
    sweeps: dict[tuple[int, bool], KernelSweep]
    losses: tuple[LossKernel, ...]
    lanes: int
    copies: CopyMaps = field(compare=False)

    def kernels(self) -> Iterator[Kernel]:
        """Every kernel of the plan."""
        for sweep in self.sweeps.values():
            for work in (*sweep.before, *(item for _, item in sweep.each), *sweep.after):
                kernel = work.source if isinstance(work, Reduction) else work
                if isinstance(kernel, Kernel):
                    yield kernel


def write_kernels(plan: Plan, precision: Precision, dialect: Dialect) -> Kernels:
    """All sweeps of a plan."""
    writer = _KernelWriter(plan, precision, dialect)
    sweeps = {
        (index, backward): writer.write_sweep(index, stage, backward)
        for index, stage in enumerate(plan.stages)
        for backward in (False, True)
    }
    losses = tuple(write_loss(plan, site, precision, dialect) for site in plan.losses)
    needs = writer.needs.union(NOISE_NEEDS if writer.noisy else (), *(loss.needs for loss in losses))
    lines = emit_normal(precision, dialect) if writer.noisy else []
    joining = writer.joining or any(loss.joining for loss in losses) or bool(plan.blocks)
    lines += emit_lanes(dialect) if joining else []
    signatures = []
    fixed = (*EDGE_KERNELS, *COPY_KERNELS, *START_KERNELS, *(ENTRY_KERNELS if plan.blocks else ()))
    for signature, body in (*((item.signature, item.lines) for item in fixed), *writer.written):
        lines += frame_kernel(signature, body, dialect)
        signatures.append(signature)
    if plan.blocks:
        lines += emit_turning(dialect)
        signatures.append(TURN_ROWS)
    head = [prelude(needs, precision, dialect), "#define INDEPENDENT"]
    lines += emit_adding(dialect)
    for loss in losses:
        lines += loss.lines
        signatures.append(loss.signature)
    text, lanes = "\n".join([*head, *lines]), count_lanes(dialect)
    return Kernels(text, tuple(signatures), sweeps, losses, lanes, map_copies(plan))


def frame_kernel(signature: Signature, body: Iterable[str], dialect: Dialect) -> list[str]:
    """A function whose body knows the number of its ``thread``, of as many as its first argument says."""
    if dialect.name == "CUDA":
        start = f'extern "C" __global__ void __launch_bounds__({THREADS}) {signature.kernel}('
        index = "const ptrdiff_t thread = (ptrdiff_t)blockIdx.x * blockDim.x + threadIdx.x;"
        lines = [index, *block("if (thread < threads)", body)]
    else:
        start = f"void {signature.kernel}("
        lines = block("for (ptrdiff_t thread = 0; thread < threads; thread++)", body)
    *listed, last = signature.parameters
    return [start, *(f"    {parameter}," for parameter in listed), *block(f"{last})", lines), ""]


class _KernelWriter:
    """Writes the kernels of a plan one after the other."""

    def __init__(self, plan: Plan, precision: Precision, dialect: Dialect) -> None:
        self.plan = plan
        self.lookup = Lookup.of(plan)
        self.precision = precision
        self.dialect = dialect
        self.needs: set[str] = set()
        self.noisy = self.joining = False
        self.written: list[tuple[Signature, list[str]]] = []

    def write_sweep(self, index: int, stage: Stage, backward: bool) -> KernelSweep:
        sweep = stage.backward if backward else stage.forward
        name = f"{'backward' if backward else 'forward'}_{index}"
        each = [
            (phase, work)
            for number, (phase, items) in enumerate(groupby(sweep.each, key=lambda item: item[0]))
            for work in self._write(f"{name}_each_{number}", [operation for _, operation in items], False)
        ]
        before, after = (
            tuple(self._write(f"{name}_{place}", operations, True))
            for place, operations in (("before", sweep.before), ("after", sweep.after))
        )
        return KernelSweep(before, tuple(each), after)

    def _write(self, name: str, operations: Iterable[Operation], whole: bool) -> Iterator[Work]:
        """Each stretch of operations on rows as kernels, everything else as it is."""
        number = 0
        for on_rows, items in groupby(operations, key=lambda item: isinstance(item, RowOperation)):
            if not on_rows:
                for work in join_reduces(items):
                    if isinstance(work, Product | Contract):
                        yield work
                    else:
                        yield self._write_reduction(f"{name}_{number}", work)
                        number += 1
                continue
            rows = [item for item in items if isinstance(item, RowOperation)]
            for group in fuse_rows(self.plan, rows, whole):
                kernel = self._write_group(f"{name}_{number}", group)
                if kernel is not None:
                    yield kernel
                    number += 1

    def _write_group(self, name: str, group: tuple[RowOperation, ...]) -> Kernel | None:
        """None where states are copied to the memory in which they are, and nothing else is done."""
        arguments = SequenceArguments(self.lookup)
        writer = GroupWriter(arguments, self.precision)
        lines = writer.write(group)
        self.needs |= writer.needs
        self.noisy |= writer.noisy
        self.joining |= writer.joining
        if not lines:
            return None
        columns = count_columns(group, count_lanes(self.dialect))
        return self._finish(name, arguments, columns, lines, *find_accesses(arguments, group))

    def _write_reduction(self, name: str, reduces: Sequence[Reduce]) -> Reduction:
        """A thread for each row and each column of all of them."""
        rows = tuple(reduce.row for reduce in reduces)
        if (view := find_view(reduces[0])) is not None:
            return Reduction(rows, view)
        arguments, columns = SequenceArguments(self.lookup), sum(row.width for row in rows)
        writer, summands = ColumnWriter(arguments, self.precision), arguments.name(Summands(columns))
        lines: list[str] = []
        first = 0
        for reduce in reduces:
            stop = first + reduce.row.width
            target = f"{summands}[row * {columns} + {f'{first} + ' if first else ''}j]"
            stores = writer.write_stores([Store(target, reduce.expression)], reduce.row.width)
            if len(reduces) > 1:
                head = f"{'else ' if first else ''}if (column < {stop})"
                stores = block(head, [f"const ptrdiff_t j = column - {first};", *stores])
            lines += stores
            first = stop
        self.needs |= writer.needs
        reads = tuple(dict.fromkeys(view for reduce in reduces for view in views_in(reduce.expression)))
        index = "j" if len(reduces) == 1 else "column"
        return Reduction(rows, self._finish(name, arguments, columns, lines, reads, (), index))

    def _finish(
        self,
        name: str,
        arguments: Arguments,
        columns: int,
        lines: list[str],
        reads: tuple[View, ...],
        writes: tuple[View, ...],
        index: str = "j",
    ) -> Kernel:
        place = [f"const ptrdiff_t row = step * size + thread, {index} = 0;"]
        if columns > 1:
            place = [f"const ptrdiff_t row = step * size + thread / {columns}, {index} = thread % {columns};"]
        # Each leads to an array of its own, so what was stored by one need not be loaded again for another.
        pointers = arguments.parameters(self.dialect.restrict)
        signature = Signature(name, (COUNT, "const ptrdiff_t step", "const ptrdiff_t size", *pointers))
        self.written.append((signature, [*place, *lines]))
        return Kernel(signature, columns, tuple(lines), tuple(arguments.items()), reads, writes)
