"""The C text of a plan: every scan of it, and what they call.

source := contents legend prelude declarations (scan, ...) products
contents := (comment, ...)      for each stage, its populations and its functions
declarations                    of the products that scans call, which follow them
scan                            a function for each stage and direction
products                        and whatever else is called for whole sequences: derivatives of weights, noise
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from graphbptt.codegen.dialect import C
from graphbptt.codegen.elementary import prelude
from graphbptt.codegen.lookup import Lookup
from graphbptt.codegen.noise import NOISE_NEEDS, emit_noise
from graphbptt.codegen.precision import Precision
from graphbptt.codegen.products.contract_rows import emit_contractions
from graphbptt.codegen.products.contraction import find_contractions
from graphbptt.codegen.products.entries import declare_entries, emit_entries, has_narrow_indices
from graphbptt.codegen.products.product import PackedProduct, declare_products, emit_products
from graphbptt.codegen.products.sum_rows import emit_sum, has_sums
from graphbptt.codegen.products.vectors import VectorUnit, emit_vectors
from graphbptt.codegen.scans.scan import Scan, can_emit, emit_scan
from graphbptt.codegen.text import comment
from graphbptt.ir.plan import Plan, Stage

__all__ = ["Source", "write_source"]

LEGEND = """
/* Each function takes examples `begin` to `end` of a batch of `size` through all steps, `block` steps at a time. A row
   of an array holds the units of one example at one step: row t * size + b is that of example b at step t + 1; a row of
   k steps before is k * size rows up, and those before step 1 are initial states. An array that is read at `block_row`,
   or at t - first, holds one block and is filled anew by the next. state1[x][t-1] is a copy of this step's x beside the
   states one step earlier, with which a product reads it.
   `state` is what units hold, `net` what arrives at them; `delta` and `netdelta` are the derivatives of the loss by
   these. `slope`, the derivative of an activation, waits there or in `netdelta` for the delta that it multiplies;
   `saved` is what it was computed from. W are weights, packed in the order in which they are read, and with the
   opposite sign where they lead to logistic(-net). */
"""

INDEPENDENT = """
/* No pass of the following loop touches what another one writes. */
#ifdef __clang__
#define INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define INDEPENDENT _Pragma("GCC ivdep")
#endif

/* Keeps a compiler from working on several rows at once: it takes long to find out how, and turns them to do it. */
#define ONE_ROW __asm__ volatile("");
"""


@dataclass(frozen=True, slots=True)
class Source:
    """C text, and its scans by the index of their stage and whether they run backward."""

    text: str
    scans: dict[tuple[int, bool], Scan]

    @property
    def length(self) -> int:
        """The lines of the text without those of tables, which a compiler only copies."""
        return self.text.count("\n") - sum(scan.table_rows for scan in self.scans.values())


def write_source(
    plan: Plan,
    precision: Precision,
    vectors: VectorUnit,
    check: Callable[[int], None] = lambda lines: None,
) -> Source:
    """The sweeps of a plan that can be emitted; the others are left to NumPy.

    `check` is given how many lines there are after each scan, without those of tables, and may raise.
    """
    written = 0
    lookup = Lookup.of(plan)
    scans: dict[tuple[int, bool], Scan] = {}
    for index, stage in enumerate(plan.stages):
        for backward, sweep in ((False, stage.forward), (True, stage.backward)):
            if can_emit(plan, sweep):
                name = f"{'backward' if backward else 'forward'}_{index}"
                scan = scans[index, backward] = emit_scan(name, lookup, stage, backward, precision)
                written += len(scan.lines) - scan.table_rows
                check(written)
    needs = {need for scan in scans.values() for need in scan.needs}
    if plan.network.noisy:
        needs.update(NOISE_NEEDS)
    products = tuple(dict.fromkeys(product for scan in scans.values() for product in scan.products))
    lines = [
        *_declare_called(plan, products),
        *(line for scan in scans.values() for line in scan.lines),
        *_emit_called(plan, products, precision, vectors),
    ]
    contents = [_describe(index, stage, scans) for index, stage in enumerate(plan.stages)]
    legend = LEGEND if scans else ""
    text = "\n".join([*contents, legend, prelude(needs, precision, C), INDEPENDENT, *lines])
    source = Source(text, scans)
    check(source.length)
    return source


def _declare_called(plan: Plan, products: tuple[PackedProduct, ...]) -> list[str]:
    """What scans call, ahead of them."""
    return [*declare_products(products), *(declare_entries() if _has_entries(plan) else ()), ""]


def _emit_called(
    plan: Plan, products: tuple[PackedProduct, ...], precision: Precision, vectors: VectorUnit
) -> list[str]:
    """What scans call, and whatever else is called for whole sequences."""
    lines = [*emit_vectors(vectors, precision), *emit_products(products, vectors, precision)]
    if _has_entries(plan):
        lines += emit_entries(vectors, precision)
    contractions = find_contractions(plan, vectors, precision)
    if contractions:
        lines += emit_contractions(contractions, vectors, precision)
    if has_sums(plan):
        lines += emit_sum(vectors, precision)
    if plan.network.noisy:
        lines += emit_noise(precision)
    return lines


def _has_entries(plan: Plan) -> bool:
    return any(has_narrow_indices(weights) for weights in plan.blocks)


def _describe(index: int, stage: Stage, scans: dict[tuple[int, bool], Scan]) -> str:
    """A stage and its functions, or why it has none."""
    names = [scans[key].name for key in ((index, False), (index, True)) if key in scans]
    works = any(True for sweep in (stage.forward, stage.backward) for _ in sweep.operations())
    without = "not written as C" if works else "nothing to compute"
    mode = f"scanned {stage.mode}" if stage.forward.each else stage.mode
    populations = ", ".join(stage.populations)
    return comment(f"stage {index}, {mode}: {' and '.join(names) or without}: {populations}").strip()
