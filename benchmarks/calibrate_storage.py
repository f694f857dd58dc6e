"""Measure what sparse weights cost as a matrix and as entries, on one thread:
``OMP_NUM_THREADS=1 python -m benchmarks.calibrate_storage``.

A recurrent layer of many sizes and densities is run forward and backward in either storage, in float32 at the batch
that plans expect. What the weights take of a step is what it takes less what the same layer takes with one weight for
each unit. The three costs of each storage are fitted to that by least squares, errors counted as shares of the step,
none of them negative; they belong into `graphbptt.passes.choose_storage`. The table says how much slower the storage
that these costs choose is than the faster one. Times are of the processor, and the least of several, so that other work
on the machine matters less.
"""

from __future__ import annotations

import itertools
import time
from typing import Any

import networkx as nx
import numpy as np
from scipy.optimize import nnls

import graphbptt
from graphbptt.ir.plan import EXPECTED_BATCH
from graphbptt.passes.choose_storage import Costs

UNITS = (32, 64, 128, 256, 512, 1024, 2048)
DENSITIES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
STEPS = 20
ROUNDS = 7
STORAGES = ("dense", "csr")


def time_step(units: int, weight: Any) -> float:
    """The nanoseconds of a step, forward and backward."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_node("h", units=units, activation="tanh")
    graph.add_edge("h", "h", weight=weight)
    target = graphbptt.Target("h", "wanted")
    model = graphbptt.compile(graph, targets=[target], backend="numpy")
    batch = model.bind({"wanted": np.ones((EXPECTED_BATCH, STEPS, units), np.float32)})
    gradient = np.zeros(model.plan.layout.free, np.float32)
    times = []
    for _ in range(ROUNDS):
        start = time.process_time_ns()
        model.loss_and_gradient(batch, gradient)
        times.append(time.process_time_ns() - start)
    return min(times[1:]) / STEPS


def fit_costs(units: np.ndarray, weights: np.ndarray, taken: np.ndarray, step: np.ndarray) -> Costs:
    """The costs whose errors, as shares of the step, have the least squares; `units` are those of both ends."""
    terms = np.stack([np.ones_like(units), EXPECTED_BATCH * units, EXPECTED_BATCH * weights], axis=1)
    (calls, unit, weight), _ = nnls(terms / step[:, None], taken / step)
    return Costs(float(calls), float(unit), float(weight))


def main() -> None:
    cases = list(itertools.product(UNITS, DENSITIES))
    rest = np.repeat([time_step(units, "one_to_one") for units in UNITS], len(DENSITIES))
    step = np.array(
        [
            [time_step(units, {"sparse": {"density": density}, "storage": storage}) for storage in STORAGES]
            for units, density in cases
        ]
    )
    taken = step - rest[:, None]
    units, density = np.array(cases).T
    entries = np.maximum(1, np.round(density * units**2))
    # A dense product works on weights alone.
    dense = fit_costs(0 * units, units**2, taken[:, 0], step[:, 0])
    csr = fit_costs(2 * units, entries, taken[:, 1], step[:, 1])
    for name, costs in zip(STORAGES, (dense, csr), strict=True):
        print(f"{name}: Costs({costs.calls:,.0f}, {costs.unit:.3g}, {costs.weight:.3g})")
    print(f"{'units':>6} {'density':>8} {'dense us':>9} {'csr us':>9}  {'chosen':6} {'slower by':>9}")
    for (size, share), kept, cost, whole in zip(cases, entries, taken, step, strict=True):
        chosen = int(csr.estimate(2 * size, int(kept)) < dense.estimate(2 * size, size**2))
        print(
            f"{size:6} {share:8} {cost[0] / 1e3:9.1f} {cost[1] / 1e3:9.1f}  {STORAGES[chosen]:6}"
            f" {whole[chosen] / whole.min() - 1:9.0%}"
        )


if __name__ == "__main__":
    main()
