"""Kernels of losses against those of the numpy backend, and expressions of one unit against the functions of arrays."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from functools import cache
from typing import Any

import networkx as nx
import numpy as np
import pytest
from compiled import load_source
from hypothesis import assume, given
from strategies import Case, cases

from graphbptt.codegen.dialect import C
from graphbptt.codegen.elementary import prelude
from graphbptt.codegen.kernels.loss_kernels import PREDICTED, WANTED, LossKernel, write_loss
from graphbptt.codegen.kernels.sums import MOST_SUMS, count_threads, emit_adding
from graphbptt.codegen.lanes import emit_lanes
from graphbptt.codegen.precision import precision_of
from graphbptt.compiler import compile_network
from graphbptt.ir.batch import Batch, BoundTarget
from graphbptt.ir.data import Clamp, Last, Target
from graphbptt.ir.expression import Call, Expression, Number
from graphbptt.ir.layout import draw_parameters
from graphbptt.ir.losses import LOSSES, LossRule, resolve_loss
from graphbptt.ir.penalties import Penalty, StatePenalty
from graphbptt.ir.plan import LossSite, Plan
from graphbptt.passes.bind_batch import bind_batch
from graphbptt.passes.fold_graph import fold_graph
from graphbptt_numpy.bound_plan import BoundPlan
from graphbptt_numpy.losses import TermLoss
from graphbptt_numpy.workspace import Workspace

Array = np.ndarray[Any, Any]
load = cache(load_source)


class OneLane(Workspace):
    """Rows of buffers hold all populations side by side."""

    def lanes(self, name: str) -> int:  # noqa: ARG002
        return 1


def run_kernel(
    kernel: LossKernel, library: Any, site: LossSite, space: Workspace, term: BoundTarget
) -> float:
    """The mean; adds the derivative to the space's delta, where there is one."""
    predicted = space.whole(site.predicted)
    stride = predicted.strides[1] // predicted.itemsize
    delta = None if site.delta is None else space.whole(site.delta)
    delta_stride = 0 if delta is None else delta.strides[1] // delta.itemsize
    columns = None if kernel.columns is None else np.array(kernel.columns, np.int32)
    mean = np.full(1, np.nan)
    numbers = space.steps * space.size * kernel.per_row
    arguments = (
        count_threads(numbers), numbers, np.zeros(MOST_SUMS), np.zeros(1, np.uint32), predicted, stride, columns,
        np.ascontiguousarray(term.values), np.ascontiguousarray(term.weights), np.array([term.count]), delta,
        delta_stride, mean,
    )  # fmt: skip
    assert len(arguments) == len(kernel.signature.parameters)
    getattr(library, kernel.signature.kernel)(*(convert(argument) for argument in arguments))
    return float(mean[0])


def convert(argument: Any) -> Any:
    if isinstance(argument, int):
        return ctypes.c_ssize_t(argument)
    return ctypes.c_void_p(None if argument is None else argument.ctypes.data)


def check_losses(plan: Plan, vector: Array, batch: Batch, dtype: str) -> None:
    """Of states as they are, and derivatives added to what is there."""
    space = OneLane(plan, batch.steps, batch.size, batch.lengths is not None, np.dtype(dtype))
    BoundPlan(plan, space).run(vector, batch)
    precision = precision_of(np.dtype(dtype))
    kernels = [write_loss(plan, site, precision, C) for site in plan.losses]
    needs = {need for kernel in kernels for need in kernel.needs}
    lines = [line for kernel in kernels for line in kernel.lines]
    library = load("\n".join([prelude(needs, precision, C), *emit_lanes(C), *emit_adding(C), *lines]))
    relative = 1e-12 if dtype == "float64" else 2e-5
    for kernel, site in zip(kernels, plan.losses, strict=True):
        delta = np.zeros(0) if site.delta is None else space.whole(site.delta)
        before = np.random.default_rng(1).normal(size=delta.shape).astype(dtype)
        delta[...] = before
        mean = TermLoss(plan, space, site).mean(batch, differentiate=True)
        wanted = delta.copy()
        delta[...] = before
        found = run_kernel(kernel, library, site, space, batch.terms[site.term])
        assert found == pytest.approx(mean, rel=relative, abs=relative)
        np.testing.assert_allclose(
            delta, wanted, rtol=relative, atol=relative * (1 + np.abs(wanted).max(initial=0))
        )


@given(case=cases())
def test_random_targets_are_those_of_numpy(case: Case) -> None:
    plan = compile_network(case.fold())
    assume(plan.losses)
    batch = bind_batch(plan.network, case.fields, case.steps, np.float64)
    check_losses(plan, case.draw_vector(plan.layout.size), batch, "float64")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("at", ["every", "last", Last(2), [1, 4]], ids=str)
@pytest.mark.parametrize("units", [None, (4, 0)])
@pytest.mark.parametrize(
    ("activation", "loss", "forced"),
    [
        ("tanh", "squared_error", False),
        ("softmax", "cross_entropy", False),
        ("identity", "cross_entropy", False),
        ("softmax", "cross_entropy", True),
        ("logistic", "binary_cross_entropy", False),
        ("hard_logistic", "binary_cross_entropy", False),
        ("exp", "poisson", False),
        ("relu", "poisson", False),
        ("identity", {"huber": {"delta": 0.3}}, False),
    ],
)
def test_losses_with_all_that_targets_say(
    activation: str, loss: Any, forced: bool, units: tuple[int, ...] | None, at: Any, dtype: str
) -> None:
    """Where masks weigh steps and sequences differ in length."""
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    graph.add_node("h", units=5, activation=activation, penalty={"l1": 0.2, "l2": 0.3})
    graph.add_edge("h", "h", init={"normal": {"std": 0.1}})
    target = Target("h", "wanted", loss=loss, units=units, at=at, mask="mask", weight=0.7)
    clamps = [Clamp("h", "states", mask="set")] if forced else []
    plan = compile_network(fold_graph(graph, clamps, [target]))
    random = np.random.default_rng(0)
    labels = loss == "cross_entropy"
    width = 5 if units is None else 2
    fields: Mapping[str, Any] = {
        "wanted": random.integers(0, width, (3, 6)) if labels else random.uniform(0, 1, (3, 6, width)),
        "mask": random.integers(0, 2, (3, 6)),
        "states": random.dirichlet(np.ones(5), (3, 6)),
        "set": random.integers(0, 2, (3, 6)),
        "lengths": [6, 4, 1],
    }
    batch = bind_batch(plan.network, fields, 6, dtype)
    check_losses(plan, draw_parameters(plan.network, plan.layout, 3, dtype), batch, dtype)


def rules() -> dict[str, LossRule]:
    """Every rule that says what one unit's loss is."""
    found = dict(LOSSES) | {f"{name} on net": rule.on_net for name, rule in LOSSES.items() if rule.on_net}
    network = compile_network(fold_graph(nx.DiGraph([("a", "a")]), [], [])).network
    for penalty in (Penalty(l1=0.3), Penalty(l2=0.2), Penalty(0.1, 0.4)):
        found[f"penalty {penalty}"], _ = resolve_loss(network, StatePenalty("a", penalty))
    return {name: rule for name, rule in found.items() if not rule.labels}


def evaluate(expression: Expression, values: Mapping[Expression, Array]) -> Array:
    if isinstance(expression, Number):
        return np.full_like(values[PREDICTED], expression.value)
    if isinstance(expression, Call):
        return expression.function.value(*(evaluate(argument, values) for argument in expression.arguments))
    return values[expression]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", rules())
def test_one_unit_is_said_to_lose_what_arrays_of_units_do(name: str, dtype: str) -> None:
    rule, limits = rules()[name], np.finfo(dtype)
    assert rule.unit is not None
    low, high = max(rule.bounds[0], -30), min(rule.bounds[1], 30)
    edges = [low, high, 0, limits.eps / 2, 1 - limits.eps / 4, limits.tiny / 4]
    inside = [edge for edge in edges if low <= edge <= high]
    states = np.append(np.random.default_rng(0).uniform(low, high, 500), inside).astype(dtype)
    wanted = np.append(np.random.default_rng(1).uniform(max(low, 0), high, 500), inside).astype(dtype)
    loss, slope = rule.measure(states[:, None, None], wanted[:, None, None])
    with np.errstate(all="ignore"):
        pair = [
            evaluate(item, {PREDICTED: states, WANTED: wanted})
            for item in rule.unit(PREDICTED, WANTED, limits)
        ]
    np.testing.assert_allclose(pair[0], loss[:, 0], rtol=20 * limits.eps, atol=20 * limits.eps)
    np.testing.assert_allclose(pair[1], slope[:, 0, 0], rtol=20 * limits.eps, atol=20 * limits.eps)
