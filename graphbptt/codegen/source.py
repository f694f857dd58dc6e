"""The C text of a plan: every scan of it, and what they call.

source := contents legend prelude products (scan, ...)         the scans last, a function for each stage and direction
contents := (comment, ...)                              for each stage, its populations and its functions
"""

from __future__ import annotations

from dataclasses import dataclass

from graphbptt.codegen.contract_rows import emit_contractions
from graphbptt.codegen.contraction import find_contractions
from graphbptt.codegen.dialect import C
from graphbptt.codegen.elementary import prelude
from graphbptt.codegen.entries import emit_entries, has_narrow_indices
from graphbptt.codegen.noise import NOISE_NEEDS, emit_noise
from graphbptt.codegen.precision import Precision
from graphbptt.codegen.product import emit_products
from graphbptt.codegen.scan import Scan, can_emit, emit_scan
from graphbptt.codegen.sum_rows import emit_sum, has_sums
from graphbptt.codegen.text import comment
from graphbptt.codegen.vectors import VectorUnit, emit_vectors
from graphbptt.ir.plan import Plan, Stage

__all__ = ["Source", "write_source"]

LEGEND = """
/* Each function takes examples `begin` to `end` of a batch of `size` through all steps, `block` steps at a time. A row
   of an array holds the units of one example at one step: row t * size + b is that of example b at step t + 1; a row of
   k steps before is k * size rows up, and those before step 1 are initial states. An array that is read at `block_row`,
   or at t - first, holds one block and is filled anew by the next.
   `state` is what units hold, `net` what arrives at them; `delta` and `netdelta` are the derivatives of the loss by
   these. `slope`, the derivative of an activation, waits there or in `netdelta` for the delta that it multiplies;
   `saved` is what it was computed from. W are weights, packed in the order in which they are read, and at half their
   size where they lead to logistic(2 * net). */
"""

INDEPENDENT = """
/* No pass of the following loop reads what another one writes. */
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


def write_source(plan: Plan, precision: Precision, vectors: VectorUnit) -> Source:
    """The sweeps of a plan that can be emitted; the others are left to NumPy."""
    scans: dict[tuple[int, bool], Scan] = {}
    for index, stage in enumerate(plan.stages):
        for backward, sweep in ((False, stage.forward), (True, stage.backward)):
            if can_emit(plan, sweep):
                name = f"{'backward' if backward else 'forward'}_{index}"
                scans[index, backward] = emit_scan(name, plan, stage, backward, precision)
    noisy = bool(plan.network.noisy)
    needs = {need for scan in scans.values() for need in scan.needs}.union(NOISE_NEEDS if noisy else ())
    products = tuple(dict.fromkeys(product for scan in scans.values() for product in scan.products))
    lines = [*emit_vectors(vectors, precision), *emit_products(products, vectors, precision)]
    if any(has_narrow_indices(weights) for weights in plan.blocks):
        lines += emit_entries(vectors, precision)
    contractions = find_contractions(plan, vectors, precision)
    if contractions:
        lines += emit_contractions(contractions, vectors, precision)
    if has_sums(plan):
        lines += emit_sum(vectors, precision)
    if noisy:
        lines += emit_noise(precision)
    for scan in scans.values():
        lines += scan.lines
    contents = [_describe(index, stage, scans) for index, stage in enumerate(plan.stages)]
    legend = LEGEND if scans else ""
    return Source("\n".join([*contents, legend, prelude(needs, precision, C), INDEPENDENT, *lines]), scans)


def _describe(index: int, stage: Stage, scans: dict[tuple[int, bool], Scan]) -> str:
    """A stage and its functions, or why it has none."""
    names = [scans[key].name for key in ((index, False), (index, True)) if key in scans]
    works = any(True for sweep in (stage.forward, stage.backward) for _ in sweep.operations())
    without = "not written as C" if works else "nothing to compute"
    mode = f"scanned {stage.mode}" if stage.forward.each else stage.mode
    populations = ", ".join(stage.populations)
    return comment(f"stage {index}, {mode}: {' and '.join(names) or without}: {populations}").strip()
