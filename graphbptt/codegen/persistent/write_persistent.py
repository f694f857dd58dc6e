"""All steps of a scan as one kernel: each block keeps some examples for the whole sequence, and the weights of the
scan's products in the shared memory of its multiprocessor. Blocks never meet, so nothing synchronises them.

    kernel  := name(threads, steps, size, pointers...)          ``threads / block.threads`` blocks
    body    := stretch(load weights) iterations
    iterations := for each: (stretch BARRIER)...
    stretch := TOGETHER(threads) { for each item of this thread ... }

A stretch is what threads do without meeting each other; what one of them writes another may read behind the barrier.
The text is the same in C, where blocks run one after the other, and in each stretch the threads of a block: a barrier
that is missing is seen there, since a thread then reads what one that comes later has yet to write. Shared memory
begins as numbers that are none, as on a GPU it begins as anything. Lanes that share a row of a softmax meet inside a
stretch; in C a row has one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

from graphbptt.codegen.arguments import Argument
from graphbptt.codegen.dialect import Dialect
from graphbptt.codegen.elementary import prelude
from graphbptt.codegen.lanes import WARP, emit_lanes
from graphbptt.codegen.launches.commands import COUNT, Signature
from graphbptt.codegen.lookup import Lookup
from graphbptt.codegen.persistent.choose_persistent import Persistent
from graphbptt.codegen.persistent.memory import lay_out_shared
from graphbptt.codegen.persistent.products import each_item, load_weights, multiply, stage_states
from graphbptt.codegen.persistent.rounds import Round, list_rounds
from graphbptt.codegen.precision import Precision
from graphbptt.codegen.rows.row_groups import GroupWriter, SequenceArguments, count_columns, has_lanes
from graphbptt.codegen.text import block, remark
from graphbptt.ir.operations import Product
from graphbptt.ir.plan import Plan, Stage, Sweep

__all__ = ["NO_PERSISTENT", "PersistentKernel", "PersistentKernels", "write_persistent"]

COUNTS = (COUNT, "const ptrdiff_t steps", "const ptrdiff_t size")

MACROS = {
    "CUDA": (
        "#define TOGETHER(threads)",
        "#define BARRIER __syncthreads();",
        "#define PRAGMA(text) _Pragma(#text)",
        "#define UNROLL(times) PRAGMA(unroll times)",
        "#define KEEP(name, threads, count) real name[count];",
        "#define OWN(name)",
    ),
    "C": (
        "#define TOGETHER(threads) for (int thread = 0; thread < threads; thread++)",
        "#define BARRIER",
        "#define UNROLL(times)",
        "#define KEEP(name, threads, count) real all_##name[threads][count];",
        "#define OWN(name) real *const name = all_##name[thread];",
    ),
}
"""What the threads of a block do up to a barrier, the barrier, how often a loop is written out, and numbers that each
thread keeps for itself from one stretch to another, by dialect."""


@dataclass(frozen=True, slots=True)
class PersistentKernel:
    """A kernel for all steps of a sweep; `arguments` are what its pointers lead to, by name."""

    signature: Signature
    arguments: tuple[tuple[str, Argument], ...]
    shape: Persistent


@dataclass(frozen=True, slots=True)
class PersistentKernels:
    """CUDA or C text, and its kernels by the index of their stage and whether they run backward."""

    text: str
    kernels: dict[tuple[int, bool], PersistentKernel]

    @property
    def signatures(self) -> tuple[Signature, ...]:
        return tuple(kernel.signature for kernel in self.kernels.values())


NO_PERSISTENT = PersistentKernels("", {})


def write_persistent(
    plan: Plan, choices: Mapping[tuple[int, bool], Persistent], precision: Precision, dialect: Dialect
) -> PersistentKernels:
    """A kernel for each sweep that one was chosen for."""
    lookup, needs, lines, joining = Lookup.of(plan), set[str](), list[str](), False
    kernels: dict[tuple[int, bool], PersistentKernel] = {}
    for (index, backward), shape in choices.items():
        name = f"persistent_{'backward' if backward else 'forward'}_{index}"
        writer = _ScanWriter(lookup, plan.stages[index], backward, shape, precision)
        body = list(writer.write())
        needs |= writer.rows.needs
        joining |= writer.rows.joining
        # None of the pointers is restricted: what a thread stores by one others read behind a barrier, across which a
        # compiler may move loads by a pointer that leads where no other does.
        signature = Signature(name, (*COUNTS, *writer.arguments.parameters()))
        kernels[index, backward] = PersistentKernel(signature, tuple(writer.arguments.items()), shape)
        lines += _frame(signature, body, shape, writer.memory.numbers, dialect)
    head = [prelude(needs, precision, dialect), "#define INDEPENDENT", *MACROS[dialect.name]]
    head += emit_lanes(dialect) if joining else []
    return PersistentKernels("\n".join([*head, *lines]), kernels)


def _frame(
    signature: Signature,
    body: Iterable[str],
    shape: Persistent,
    numbers: int,
    dialect: Dialect,
) -> list[str]:
    """A function whose body knows its block and its shared memory."""
    if dialect.name == "CUDA":
        # A multiprocessor has room for the weights of few blocks, and often of one: its threads may have all registers.
        start = f'extern "C" __global__ void __launch_bounds__({shape.threads}, 1) {signature.kernel}('
        lines = [
            "extern __shared__ __align__(16) real shared[];",
            f"const ptrdiff_t begin = (ptrdiff_t)blockIdx.x * {shape.examples};",
            "const int thread = threadIdx.x;",
            *body,
        ]
    else:
        start = f"void {signature.kernel}("
        inside = [
            f"real shared[{max(numbers, 1)}];",
            f"for (int k = 0; k < {numbers}; k++) shared[k] = UNDEFINED;",
            *body,
        ]
        blocks = f"threads / {shape.threads} * {shape.examples}"
        lines = block(f"for (ptrdiff_t begin = 0; begin < {blocks}; begin += {shape.examples})", inside)
    *listed, last = signature.parameters
    return [start, *(f"    {parameter}," for parameter in listed), *block(f"    {last})", lines), ""]


class _ScanWriter:
    """Writes one direction of a stage."""

    def __init__(
        self, lookup: Lookup, stage: Stage, backward: bool, shape: Persistent, precision: Precision
    ) -> None:
        self.plan = lookup.plan
        self.in_reverse = stage.mode == "reverse"
        self.backward = backward
        self.sweep: Sweep = stage.backward if backward else stage.forward
        self.shape = shape
        self.memory = lay_out_shared(self.sweep, shape.examples, shape.kept)
        self.arguments = SequenceArguments(lookup)
        self.rows = GroupWriter(self.arguments, precision)

    def write(self) -> Iterator[str]:
        """The body of the kernel."""
        examples, threads = self.shape.examples, self.shape.threads
        yield f"const int count = size - begin < {examples} ? (int)(size - begin) : {examples};"
        kept = [resident for resident in self.memory.residents if resident.kept]
        yield from (f"KEEP({resident.own}, {threads}, {resident.kept})" for resident in kept)
        loads = [load_weights(resident, self.arguments, threads) for resident in self.memory.residents]
        yield from self._together([line for lines in loads for line in lines]) if loads else ()
        yield from self._write_iterations()

    def _write_iterations(self) -> Iterator[str]:
        """Rounds that are as many steps behind the iteration as their phase says."""
        rounds = list_rounds(self.plan, self.sweep)
        lag = max(one.phase for one in rounds)
        inner: list[str] = []
        for phase, group in groupby(rounds, key=lambda one: one.phase):
            step = f"i - {phase}" if phase else "i"
            time = f"const ptrdiff_t t = {f'steps - 1 - ({step})' if self.in_reverse else step};"
            lines = [time, *(line for one in group for line in self._write_round(one))]
            inner += block(f"if ({step} >= 0 && {step} < steps)", lines) if lag else lines
        last = f"steps + {lag}" if lag else "steps"
        upward = f"ptrdiff_t i = 0; i < {last}; i++"
        yield from block(
            f"for ({f'ptrdiff_t i = {last} - 1; i >= 0; i--' if self.backward else upward})", inner
        )

    def _write_round(self, one: Round) -> list[str]:
        if isinstance(one.work, Product):
            given = one.work, self.memory, self.arguments, self.shape.examples, self.shape.threads
            titles = remark(self.arguments.explain(one.work))
            return [*titles, *self._together(stage_states(*given)), *self._together(multiply(*given))]
        lines = self.rows.write(one.work)
        if not lines:  # states are copied to the memory in which they are
            return []
        # A warp has items of one row alone where these are lanes, since the threads of a block are whole warps.
        columns = "LANES" if has_lanes(one.work) else str(count_columns(one.work, WARP))
        places = [
            f"const ptrdiff_t row = t * size + begin + item / {columns};",
            f"const int j = item % {columns};",
        ]
        return self._together(each_item(f"count * {columns}", self.shape.threads, [*places, *lines]))

    def _together(self, lines: list[str]) -> list[str]:
        return [*block(f"TOGETHER({self.shape.threads})", lines), "BARRIER"]
