"""The C text of a plan: every scan of it, and what they call.

source := contents prelude products (scan, ...)         the scans last, a function for each stage and direction
contents := (comment, ...)                              for each stage, its populations and its functions
"""

from __future__ import annotations

from dataclasses import dataclass

from graphbptt.codegen.dialect import C
from graphbptt.codegen.elementary import prelude
from graphbptt.codegen.entries import emit_entries, has_narrow_indices
from graphbptt.codegen.noise import NOISE_NEEDS, emit_noise
from graphbptt.codegen.precision import Precision
from graphbptt.codegen.product import VectorUnit, emit_products
from graphbptt.codegen.scan import Scan, can_emit, emit_scan
from graphbptt.codegen.text import comment
from graphbptt.ir.plan import Plan, Stage

__all__ = ["Source", "write_source"]

INDEPENDENT = """
/* No pass of the following loop reads what another one writes. */
#ifdef __clang__
#define INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define INDEPENDENT _Pragma("GCC ivdep")
#endif
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
    lines = emit_products(products, vectors, precision)
    if any(has_narrow_indices(weights) for weights in plan.blocks):
        lines += emit_entries(vectors, precision)
    if noisy:
        lines += emit_noise(precision)
    for scan in scans.values():
        lines += scan.lines
    contents = [_describe(index, stage, scans) for index, stage in enumerate(plan.stages)]
    return Source("\n".join([*contents, "", prelude(needs, precision, C), INDEPENDENT, *lines]), scans)


def _describe(index: int, stage: Stage, scans: dict[tuple[int, bool], Scan]) -> str:
    """A stage and its functions, or why it has none."""
    names = [scans[key].name for key in ((index, False), (index, True)) if key in scans]
    works = any(True for sweep in (stage.forward, stage.backward) for _ in sweep.operations())
    without = "not written as C" if works else "nothing to compute"
    mode = f"scanned {stage.mode}" if stage.forward.each else stage.mode
    populations = ", ".join(stage.populations)
    return comment(f"stage {index}, {mode}: {' and '.join(names) or without}: {populations}").strip()
