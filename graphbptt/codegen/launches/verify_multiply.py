"""What must hold for products.

Matrices fit each other, and leading dimensions their rows. A product's result meets none of its factors, nor, where
several are computed at once, those of the others and their results.
"""

from __future__ import annotations

from graphbptt.codegen.launches.commands import Multiply
from graphbptt.codegen.launches.launch_plan import LaunchPlan
from graphbptt.codegen.launches.launch_text import format_region
from graphbptt.codegen.launches.meeting_regions import have_common
from graphbptt.codegen.launches.require import require

__all__ = ["check_multiply"]


def check_multiply(plan: LaunchPlan, command: Multiply) -> None:
    """Whether a product, or several at once, is right by itself."""
    out, a, b, real = command.out, command.a, command.b, plan.precision.name
    left = (a.columns, a.rows) if command.transpose_a else (a.rows, a.columns)
    right = (b.columns, b.rows) if command.transpose_b else (b.rows, b.columns)
    require(
        left[1] == right[0] and (left[0], right[1]) == (out.rows, out.columns),
        f"{left} by {right} makes no {(out.rows, out.columns)}",
    )
    for region in (out, a, b):
        dtype, shown = plan.array[region.array].dtype, format_region(region, plan.array)
        require(dtype == real, f"{region.array} is {dtype}, in a product of {real}")
        fits = region.stride >= max(1, region.columns)
        require(fits, f"the leading dimension of {shown} is less than its rows")
    _check_apart(plan, command)


def _check_apart(plan: LaunchPlan, command: Multiply) -> None:
    """Products may be computed in any order, or at once."""
    products, size = command.split(), plan.array[command.out.array].size
    require(len(products) > 0, "there is no product")
    for number, product in enumerate(products):
        shown = format_region(product.out, plan.array)
        for region in (factor for other in products for factor in (other.a, other.b)):
            message = f"{shown} is written while {format_region(region, plan.array)} is read"
            require(not have_common(region, product.out, size), message)
        for other in products[:number]:
            require(not have_common(other.out, product.out, size), f"{shown} is written twice at once")
