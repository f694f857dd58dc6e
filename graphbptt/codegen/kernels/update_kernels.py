"""The update of an optimizer as kernels, which follow the rule that NumPy follows.

    penalize_0(threads, numbers, partial, arrived, parameters, gradient, penalty)
    measure_gradient(threads, numbers, partial, arrived, gradient, losses, terms, progress, report)
    update_parameters(threads, gradient, parameters, previous, progress, report, moments...)

Each penalty on parameters is measured, and its derivative added to the gradient, before that is. `progress` holds, in
double precision, how many updates there were, whether this one is made, the factor that shrinks a gradient which is
longer than the limit, and the total weights that the rule reads; so the same launches, recorded once, make one update
after the other. `report` is told the length of the gradient, and is 1 in its second place where an update left what is
not finite, which `previous` still is. No update is made from a loss or a gradient that is not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from graphbptt.codegen.dialect import Dialect
from graphbptt.codegen.elementary import prelude
from graphbptt.codegen.kernels.sums import declare_sum, emit_adding, frame_sum
from graphbptt.codegen.kernels.write_kernels import frame_kernel
from graphbptt.codegen.launches.commands import COUNT, Signature
from graphbptt.codegen.pointwise import Access, Store, elementary_needs, emit_stores
from graphbptt.codegen.precision import FLOAT64, Precision
from graphbptt.codegen.text import block
from graphbptt.ir.expression import Leaf, Load
from graphbptt.ir.penalties import Penalty
from graphbptt.ir.unit_losses import penalize
from graphbptt.ir.updates import GRADIENT, PARAMETER, TotalWeight, UpdateRule

__all__ = ["REPORT", "UpdateKernels", "write_update"]

REPORT = 2
"""The numbers of a report."""

HEAD = 3
"""The numbers of the progress in front of the total weights."""


@dataclass(frozen=True, slots=True)
class UpdateKernels:
    """C or CUDA text.

    `moments` are arrays as long as the gradient, `progress` is how many numbers it has; all begin as zeros. The groups
    with a penalty have a kernel each, in `penalize`.
    """

    text: str
    penalize: dict[str, Signature]
    measure: Signature
    update: Signature
    moments: tuple[str, ...]
    progress: int

    @property
    def signatures(self) -> tuple[Signature, ...]:
        return (*self.penalize.values(), self.measure, self.update)


MEASURE = (
    "const real *const gradient", "const double *const losses", "const ptrdiff_t terms", "double *const progress",
    "double *const report",
)  # fmt: skip
UPDATE = (
    "const real *const gradient", "real *const parameters", "real *const previous", "const double *const progress",
    "double *const report",
)  # fmt: skip
PENALIZE = ("const real *const parameters", "real *const gradient", "double *const penalty")
"""What the kernels are given, moments apart."""


def write_update(
    rule: UpdateRule,
    limit: float | None,
    penalties: Mapping[str, Penalty],
    precision: Precision,
    dialect: Dialect,
) -> UpdateKernels:
    """The kernels of a rule, for gradients whose norm is at most `limit` or is shrunk to it, and of the penalties on
    groups of parameters."""
    moments = tuple(name for name, _ in rule.moments)
    measure = declare_sum("measure_gradient", MEASURE)
    update = Signature("update_parameters", (COUNT, *UPDATE, *(f"real *const {name}" for name in moments)))
    step = block("if (progress[1])", _write_step(rule, precision))
    summand = ("const double slope = gradient[thread];", "sum += slope * slope;")
    lines = [
        *emit_adding(dialect),
        *frame_sum(measure, summand, list(_write_progress(rule, limit)), dialect),
        *frame_kernel(update, step, dialect),
    ]
    needs = set(elementary_needs(rule.roots))
    penalize = {group: declare_sum(f"penalize_{number}", PENALIZE) for number, group in enumerate(penalties)}
    for group, penalty in penalties.items():
        stores = _penalize(penalty)
        needs.update(elementary_needs([store.expression for store in stores]))
        adding = emit_stores(stores, lambda _: Access("parameters[thread]"), precision)
        lines += frame_sum(penalize[group], adding, ["penalty[0] = total;"], dialect)
    text = "\n".join([prelude(needs, precision, dialect), *lines])
    return UpdateKernels(text, penalize, measure, update, moments, HEAD + len(rule.weights))


def _penalize(penalty: Penalty) -> tuple[Store, Store]:
    value, slope = penalize(PARAMETER, None, None, penalty)
    return Store("sum", value, accumulate=True), Store("gradient[thread]", slope, accumulate=True)


def _write_progress(rule: UpdateRule, limit: float | None) -> Iterator[str]:
    """What one thread does between the norm and the update."""
    yield "const double norm = sqrt(total);"
    yield "double check = norm;"
    yield "for (ptrdiff_t k = 0; k < terms; k++) check += losses[k];"
    yield "report[0] = norm;"
    yield "report[1] = 0;"
    yield "progress[1] = check - check == 0;"
    yield "if (progress[1]) progress[0] += 1;"
    if limit is None:
        yield "progress[2] = 1;"
    else:
        bound = FLOAT64.literal(limit)
        yield f"progress[2] = norm > {bound} ? {bound} / norm : 1;"
    for place, weight in enumerate(rule.weights, HEAD):
        yield f"progress[{place}] = 1 - pow({FLOAT64.literal(weight.decay)}, progress[0]);"


def _write_step(rule: UpdateRule, precision: Precision) -> list[str]:
    moments = [Store(f"{name}[thread]", expression) for name, expression in rule.moments]
    stores = [*moments, Store("parameters[thread]", rule.step, accumulate=True)]
    lines = emit_stores(stores, lambda leaf: Access(_spell(rule, leaf)), precision)
    left = " || ".join(f"{store.target} - {store.target} != 0" for store in stores)
    return ["previous[thread] = parameters[thread];", *lines, f"if ({left}) report[1] = 1;"]


def _spell(rule: UpdateRule, leaf: Leaf) -> str:
    """How a kernel reads a leaf of the rule."""
    assert isinstance(leaf, Load)
    if leaf == GRADIENT:
        return "gradient[thread] * (real)progress[2]"
    if leaf == PARAMETER:
        return "parameters[thread]"
    if isinstance(leaf.slot, TotalWeight):
        return f"(real)progress[{HEAD + rule.weights.index(leaf.slot)}]"
    return f"{leaf.slot}[thread]"
