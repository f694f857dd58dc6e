"""The terms of a network's loss as kernels: the mean of each, and its derivative where all that arrives is added up.

    loss_0(threads, numbers, partial, arrived, predicted, stride, columns, wanted, weights, count, delta, delta_stride,
           mean)

`predicted` and `delta` lead to step 1 of the columns of a population, of which a term may read some (`columns`, else
NULL); `wanted` and `weights` are those of the batch, and `count` the sum of the weights. Where `delta` is NULL there is
no derivative. Units are independent of each other in most losses: then a thread does one unit of an example at a step,
and neighbours read numbers side by side. Where what is wanted are labels, the units of an example meet: the lanes of a
warp share them (`graphbptt.codegen.lanes`), which read its row side by side, too; one of few units lies in the 32 bytes
that are read at once anyway, and has one thread. As everywhere sums are in double precision
(`graphbptt.codegen.kernels.sums`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from graphbptt.codegen.dialect import Dialect
from graphbptt.codegen.kernels.sums import declare_sum, frame_sum
from graphbptt.codegen.lanes import count_lanes, join_lanes, unit_loop
from graphbptt.codegen.launches.commands import Signature
from graphbptt.codegen.pointwise import Access, Store, elementary_needs, emit_stores
from graphbptt.codegen.precision import FLOAT64, Precision
from graphbptt.codegen.text import block
from graphbptt.ir.expression import Leaf, Load
from graphbptt.ir.losses import LossRule, resolve_loss
from graphbptt.ir.plan import LossSite, Plan

__all__ = ["FEW", "LossKernel", "write_loss"]

FACTOR = "const real factor = weight * scale;"
"""What the derivative of an example at a step is multiplied by."""

FEW = 8
"""With labels, a row of so many units has one thread."""

PREDICTED, WANTED = Load("predicted"), Load("wanted")


@dataclass(frozen=True, slots=True)
class LossKernel:
    """The kernel of one term.

    Attributes
    ----------
    signature : Signature
        Its name, and what it is given.
    per_row : int
        How many numbers each example has at each step for the kernel to add up, those of lanes that have none included.
    columns : tuple of int, optional
        Those that it reads; None where these are all.
    labels : bool
        Whether what is wanted are labels, one for each example and step.
    lines : tuple of str
        Its text.
    needs : tuple of str
        The functions of the prelude that it calls.
    joining : bool
        Whether lanes share a row.
    """

    signature: Signature
    per_row: int
    columns: tuple[int, ...] | None
    labels: bool
    lines: tuple[str, ...]
    needs: tuple[str, ...]
    joining: bool


def write_loss(plan: Plan, site: LossSite, precision: Precision, dialect: Dialect) -> LossKernel:
    """The kernel of the term of a site."""
    term = plan.network.terms[site.term]
    rule, _ = resolve_loss(plan.network, term)
    width = site.predicted.width if term.units is None else len(term.units)
    wanted = "const long long *const wanted" if rule.labels else "const real *const wanted"
    signature = declare_sum(f"loss_{site.term}", (
        "const real *const predicted", "const ptrdiff_t stride", "const int *const columns", wanted,
        "const real *const weights", "const double *const count", "real *const delta",
        "const ptrdiff_t delta_stride", "double *const mean",
    ))  # fmt: skip
    lanes = rule.labels and width > FEW
    writer = _LossWriter(rule, width, term.units is not None, site.accumulate, precision, lanes)
    summand = list(writer.write_labels() if rule.labels else writer.write_unit())
    finish = ["mean[0] = count[0] > 0 ? total / count[0] : 0;"]
    head = [f"const real scale = (real)({FLOAT64.literal(term.weight)} / count[0]);"]
    lines = frame_sum(signature, summand, finish, dialect, head)
    per_row = (count_lanes(dialect) if lanes else 1) if rule.labels else width
    return LossKernel(signature, per_row, term.units, rule.labels, tuple(lines), writer.needs(), lanes)


@dataclass(frozen=True, slots=True)
class _LossWriter:
    """Writes what a thread does; its ``row`` is an example at a step."""

    rule: LossRule
    width: int
    selects: bool
    accumulate: bool
    precision: Precision
    lanes: bool

    def needs(self) -> tuple[str, ...]:
        if self.rule.labels:
            return ("real_exp", "real_log", "real_maximum")
        return tuple(elementary_needs([store.expression for store in self._stores()]))

    def _stores(self) -> list[Store]:
        assert self.rule.unit is not None, "a loss whose units meet has labels"
        value, slope = self.rule.unit(PREDICTED, WANTED, np.finfo(self.precision.name))
        return [Store("loss", value), Store("slope", slope)]

    def _column(self, index: str) -> str:
        return f"columns[{index}]" if self.selects else index

    def write_unit(self) -> Iterator[str]:
        """A thread for each unit."""
        yield f"const ptrdiff_t row = thread / {self.width}, j = thread % {self.width};"
        yield f"const ptrdiff_t column = {self._column('j')};"
        yield "const real weight = weights[row];"
        access: dict[Leaf, str] = {
            PREDICTED: "predicted[row * stride + column]",
            WANTED: f"wanted[row * {self.width} + j]",
        }
        lines = emit_stores(self._stores(), lambda leaf: Access(access[leaf]), self.precision)
        target = "delta[row * delta_stride + column]"
        yield from block(
            "if (weight != 0)",
            [
                "real loss, slope;",
                *lines,
                "sum += (double)weight * loss;",
                FACTOR,
                f"if (delta) {target} {'+=' if self.accumulate else '='} slope * factor;",
            ],
        )
        if not self.accumulate:
            yield f"else if (delta) {target} = 0;"

    def write_labels(self) -> Iterator[str]:
        """All units of an example, which a thread has or lanes share."""
        each = unit_loop(self.width, self.lanes)
        place = "row = thread / LANES, j = thread % LANES" if self.lanes else "row = thread"
        yield f"const ptrdiff_t {place};"
        yield "const real weight = weights[row];"
        yield "const real *const x = predicted + row * stride;"
        yield "real *const d = delta ? delta + row * delta_stride : 0;"
        kind = self._write_probabilities if self.rule.of_probabilities else self._write_logits
        yield from block("if (weight != 0)", [*kind(each)])
        if not self.accumulate:
            yield from block("else if (d)", [f"{each} d[{self._column('k')}] = 0;"])

    def _write_logits(self, each: str) -> Iterator[str]:
        """The logarithm of the sum of exponentials, none of which overflows."""
        k = self._column("k")
        yield "real largest = -INFINITE, whole = 0;"
        yield f"{each} largest = real_maximum(largest, x[{k}]);"
        yield from join_lanes("largest", "real_maximum(largest, other)", self.lanes)
        yield f"{each} whole += real_exp(x[{k}] - largest);"
        yield from join_lanes("whole", "whole + other", self.lanes)
        yield self._add(f"real_log(whole) + (largest - x[{self._column('wanted[row]')}])")
        yield FACTOR
        yield from self._write_slopes(each, f"real_exp(x[{k}] - largest) / whole", "1")

    def _write_probabilities(self, each: str) -> Iterator[str]:
        """Those that are left out do not count; below the smallest number the logarithm is constant."""
        tiny = self.precision.literal(float(np.finfo(self.precision.name).tiny))
        yield "real whole = 0;"
        yield f"{each} whole += x[{self._column('k')}];"
        yield from join_lanes("whole", "whole + other", self.lanes)
        yield f"whole = whole > {tiny} ? whole : {tiny};"
        yield f"const real chosen = x[{self._column('wanted[row]')}];"
        yield f"const real right = chosen > {tiny} ? chosen : {tiny};"
        yield self._add("real_log(whole) - real_log(right)")
        yield FACTOR
        yield from self._write_slopes(each, "1 / whole", "(right == chosen ? 1 / right : 0)")

    def _add(self, loss: str) -> str:
        """The loss of a row counts once."""
        return f"{'if (j == 0) ' if self.lanes else ''}sum += (double)weight * ({loss});"

    def _write_slopes(self, each: str, slope: str, at_right: str) -> Iterator[str]:
        """The derivative by each unit, of which that by the right one is less by `at_right`."""
        sign = "+=" if self.accumulate else "="
        less = f"(k == wanted[row] ? {at_right} : 0)"
        store = f"d[{self._column('k')}] {sign} ({slope} - {less}) * factor;"
        yield from block("if (d)", [f"{each} {store}"])
