"""The C text of a plan: every scan of it, and what they call."""

from __future__ import annotations

from dataclasses import dataclass

from graphbptt.codegen.dialect import C
from graphbptt.codegen.elementary import prelude
from graphbptt.codegen.precision import Precision
from graphbptt.codegen.product import VectorUnit, emit_products
from graphbptt.codegen.scan import Scan, can_emit, emit_scan
from graphbptt.ir.plan import Plan

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
    """The scans of a plan that can be emitted; the others are left to NumPy."""
    scans: dict[tuple[int, bool], Scan] = {}
    for index, stage in enumerate(plan.stages):
        for backward, sweep in ((False, stage.forward), (True, stage.backward)):
            if can_emit(plan, sweep):
                name = f"{'backward' if backward else 'forward'}_{index}"
                scans[index, backward] = emit_scan(name, plan, stage, backward, precision)
    needs = {need for scan in scans.values() for need in scan.needs}
    products = tuple(dict.fromkeys(product for scan in scans.values() for product in scan.products))
    lines = emit_products(products, vectors, precision)
    for scan in scans.values():
        lines += scan.lines
    return Source("\n".join([prelude(needs, precision, C), INDEPENDENT, *lines]), scans)
