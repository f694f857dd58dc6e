"""Every kernel reads and writes what its launch says: the verifier of launch plans goes by that."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import networkx as nx
import numpy as np
import pytest
from agreement import assert_agreement
from audited_device import AuditedDevice
from device_checks import check_starts
from hypothesis import given, settings
from loopback import VerifiedExecutable
from named_networks import NETWORKS, draw_fields
from strategies import Case, cases

from graphbptt.codegen.dialect import C
from graphbptt.codegen.kernels.write_kernels import Kernel, Reduction, write_kernels
from graphbptt.codegen.launches.commands import Launch
from graphbptt.codegen.launches.device_arrays import Address, Region
from graphbptt.codegen.precision import FLOAT64
from graphbptt.codegen.schedules import entry_launches
from graphbptt.compiler import compile_network
from graphbptt.ir.data import Target
from graphbptt.ir.layout import draw_parameters
from graphbptt.ir.noise import Noise
from graphbptt.ir.plan import Plan
from graphbptt.passes.bind_batch import bind_batch
from graphbptt.passes.fold_graph import fold_graph

DOUBLE = np.dtype(np.float64)


def audit(plan: Plan, vector: np.ndarray, *batches: Any) -> set[str]:
    device = AuditedDevice()
    executable = VerifiedExecutable(plan, DOUBLE, device)
    for batch in batches:
        assert_agreement(plan, executable, vector, batch)
    return device.audited


@pytest.mark.parametrize("network", NETWORKS)
def test_named_networks(network: Any) -> None:
    plan = compile_network(network())
    vector = draw_parameters(plan.network, plan.layout, 1, DOUBLE)
    batches = [
        bind_batch(plan.network, draw_fields(3, steps, padded), steps, DOUBLE)
        for steps, padded in ((1, False), (7, True))
    ]
    assert len(audit(plan, vector, *batches)) > 3


@settings(max_examples=max(5, settings().max_examples // 20))
@given(case=cases())
def test_random_graphs(case: Case) -> None:
    plan = compile_network(case.fold())
    audit(plan, case.draw_vector(plan.layout.size), bind_batch(plan.network, case.fields, case.steps, DOUBLE))


@pytest.mark.parametrize("worth", [entry_launches.WORTH, 1], ids=["as they lie", "turned"])
def test_noise_and_entries(worth: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entry_launches, "WORTH", worth)
    monkeypatch.setattr(entry_launches, "ROOM", 1)
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    graph.add_node("h", units=12, activation="tanh", initial="learned", noise=0.1)
    graph.add_node("y", units=9)
    sparse = {"sparse": {"density": 0.3}, "storage": "csr"}
    graph.add_edge("h", "h", weight=sparse)
    graph.add_edge("h", "y", delay=0, weight=sparse)
    plan = compile_network(fold_graph(graph, [], [Target("y", "y")]))
    vector = draw_parameters(plan.network, plan.layout, 0, DOUBLE)
    batch = bind_batch(plan.network, {"y": np.ones((3, 12, 9))}, 12, DOUBLE, noise=Noise(2, example=3))
    audited = audit(plan, vector, batch)
    assert {"multiply_entries", "contract_entries", "gather_entries"} <= audited
    assert ("turn_rows" in audited) == (worth == 1)


def test_starts_that_are_added_up_in_parts() -> None:
    device = AuditedDevice()
    check_starts(lambda plan, dtype: VerifiedExecutable(plan, np.dtype(dtype), device), 40)
    assert {"gather_starts", "sum_rows"} <= device.audited


def test_sums_for_several_connections_that_one_kernel_writes() -> None:
    """Derivatives of connections that have a number for each unit, or one in all, and of biases beside them."""
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    for name, units in (("a", 2), ("b", 2), ("c", 1), ("d", 1), ("y", 2)):
        graph.add_node(name, units=units, activation="tanh", initial=0.3)
    for source, target in (("a", "b"), ("b", "a"), ("a", "a"), ("a", "y"), ("b", "y")):
        graph.add_edge(source, target, weight="one_to_one")
    for source, target in (("c", "d"), ("d", "c"), ("d", "d")):
        graph.add_edge(source, target, weight="scalar")
    graph.add_edge("d", "y", weight="one_to_one", to_units=[1])
    plan = compile_network(fold_graph(graph, [], [Target("y", "y")]))
    vector = draw_parameters(plan.network, plan.layout, 0, DOUBLE)
    rng = np.random.default_rng(0)
    batches = [
        bind_batch(plan.network, {"y": rng.normal(size=(3, steps, 2))}, steps, DOUBLE) for steps in (1, 6)
    ]
    kernels = write_kernels(plan, FLOAT64, C)
    summed = [
        work for sweep in kernels.sweeps.values() for work in sweep.after if isinstance(work, Reduction)
    ]
    assert max(len(work.rows) for work in summed) > 2
    written = {work.source.signature.kernel for work in summed if isinstance(work.source, Kernel)}
    assert written | {"sum_rows"} <= audit(plan, vector, *batches)


@pytest.mark.parametrize(("claim", "message"), [("reads", "is read, too"), ("writes", "is written, too")])
def test_a_launch_that_does_not_say_all_is_found(claim: str, message: str) -> None:
    """The audit itself, on a kernel that copies."""
    device = AuditedDevice()
    parameters = "ptrdiff_t threads, const double *in, double *out"
    loop = "for (ptrdiff_t thread = 0; thread < threads; thread++)"
    module = device.load(
        f"#include <stddef.h>\nvoid copy({parameters}) {{ {loop} out[thread] = in[thread]; }}"
    )
    memory = {"in": np.arange(4.0), "out": np.zeros(4)}
    whole = {name: Region(name, 0, 1, 4, 4) for name in memory}
    launch = Launch("copy", 4, 1, 256, (4, Address("in"), Address("out")), (whole["in"],), (whole["out"],))
    device.bind_launch(module, launch, memory)()
    claims = {"reads": "in", "writes": "out"}
    less = replace(launch, **{claim: (replace(whole[claims[claim]], columns=3),)})
    with pytest.raises(AssertionError, match=message):
        device.bind_launch(module, less, memory)()
