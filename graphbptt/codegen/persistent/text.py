"""Which scans a GPU would do as one persistent kernel, and why it would not do others, as text."""

from __future__ import annotations

from graphbptt.codegen.persistent.choose_persistent import Choice, choose_scans
from graphbptt.codegen.persistent.device_limits import KIB, DeviceLimits
from graphbptt.codegen.precision import Precision
from graphbptt.ir.plan import Plan
from graphbptt.ir.plan_names import join_names

__all__ = ["format_persistent"]


def format_persistent(plan: Plan, precision: Precision, steps: int, size: int, limits: DeviceLimits) -> str:
    """The choice for every loop over steps, a line each, with the estimates that speak for it."""
    head = (
        f"on {limits.name}, for {steps} steps of {size} examples in {precision.name}: scans whose weights fit the "
        f"{limits.shared // KIB} KiB of a multiprocessor"
    )
    lines = [
        f"  stage {index} {'backward' if backward else 'forward'}, {join_names(plan.stages[index].populations)}: "
        f"{_format_choice(choice)}"
        for (index, backward), choice in choose_scans(plan, precision, steps, size, limits).items()
    ]
    return "\n".join([head, *(lines or ["  nothing recurs"])])


def _format_choice(choice: Choice) -> str:
    if isinstance(choice, str):
        return f"launched step by step: {choice}"
    examples = f"{choice.examples} example{'s' if choice.examples > 1 else ''}"
    kept = f", {choice.kept} rows of weights in registers" if choice.kept else ""
    return (
        f"one launch for all steps, {choice.blocks} blocks of {examples} and {choice.threads} threads, "
        f"{choice.shared / KIB:.1f} KiB each{kept}; about {choice.cycles:,} clocks, {choice.launched:,} step by step"
    )
