"""Launch plans: as text to read, and right for every spec and shape."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import networkx as nx
import pytest
from hypothesis import given
from named_networks import NETWORKS
from strategies import Case, cases

import graphbptt
from benchmarks.registry import WORKLOADS
from graphbptt.codegen.dialect import CUDA
from graphbptt.codegen.kernels.update_kernels import write_update
from graphbptt.codegen.kernels.write_kernels import Kernels, write_kernels
from graphbptt.codegen.launches.commands import Clear, CopyIn, CopyOut, Launch, Multiply
from graphbptt.codegen.launches.launch_plan import LaunchPlan, LaunchShape
from graphbptt.codegen.launches.verify_launches import verify_launches
from graphbptt.codegen.precision import FLOAT32, FLOAT64
from graphbptt.codegen.schedules.schedule_launches import schedule_launches
from graphbptt.compiler import compile_network
from graphbptt.declaration.choices import OptimizerChoice
from graphbptt.ir.plan import Plan
from graphbptt.training.optimizers import make_rule

SPECS = sorted((Path(__file__).parents[3] / "specs").glob("*.yaml"))
SHAPES = (LaunchShape(1, 1), LaunchShape(7, 3, ragged=True), LaunchShape(7, 2, stepwise=True))


@cache
def compile_named(index: int) -> tuple[Plan, Kernels]:
    plan = compile_network(NETWORKS[index]())
    return plan, write_kernels(plan, FLOAT32, CUDA)


def schedule(index: int, shape: LaunchShape) -> LaunchPlan:
    return schedule_launches(*compile_named(index), FLOAT32, shape)


def test_text(golden: Callable[[str, str], None]) -> None:
    golden("launches_elman", str(schedule(0, LaunchShape(2, 3, ragged=True))))


def test_plans_are_the_same_each_time() -> None:
    assert schedule(1, SHAPES[1]) == schedule(1, SHAPES[1])


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_plans_of_specs_are_right(path: Path) -> None:
    plan = graphbptt.load(path).compile(backend="numpy").plan
    kernels = write_kernels(plan, FLOAT32, CUDA)
    for shape in SHAPES:
        verify_launches(schedule_launches(plan, kernels, FLOAT32, shape))


@given(case=cases())
def test_plans_of_random_graphs_are_right(case: Case) -> None:
    plan = compile_network(case.fold())
    kernels = write_kernels(plan, FLOAT64, CUDA)
    for shape in SHAPES:
        verify_launches(schedule_launches(plan, kernels, FLOAT64, shape))


def test_products_of_whole_sequences_go_step_by_step_where_bits_must_not_depend_on_their_number() -> None:
    whole, stepwise = (
        [item for item in schedule(0, shape).section["forward"] if isinstance(item, Multiply)]
        for shape in (LaunchShape(5, 2), LaunchShape(5, 2, stepwise=True))
    )
    assert {item.rows for item in stepwise} == {2}
    assert {item.rows for item in whole} == {2, 10}


def compile_spec(name: str) -> Plan:
    return graphbptt.load(next(path for path in SPECS if path.stem == name)).compile(backend="numpy").plan


def compile_workload(name: str) -> Plan:
    network, sizes = WORKLOADS[name].network, WORKLOADS[name].sizes
    graph, inputs, targets = (
        network.declare(sizes, noisy=False),
        network.inputs(sizes),
        network.targets(sizes),
    )
    return graphbptt.compile(graph, inputs, targets, backend="numpy").plan


@pytest.mark.parametrize(
    ("plan", "launches", "cleared"),
    [
        # Weights; two populations that are data; what all 34 start from; the rows before step 1 of four buffers.
        (partial(compile_spec, "karate"), 1 + 2 + 1 + 4, 4),
        (partial(compile_workload, "units"), 1 + 1 + 1 + 1 + 2, 2),
        (partial(compile_workload, "lstm_small"), 1 + 1 + 1 + 2, 3),
    ],
    ids=["karate", "units", "lstm_small"],
)
def test_what_stands_around_the_sweeps_is_few_commands(
    plan: Callable[[], Plan], launches: int, cleared: int
) -> None:
    """However many populations there are: two transfers bring a batch, three one that goes on from states, and one says
    what became of an update; launches are as many as buffers."""
    network = plan()
    update = write_update(make_rule(OptimizerChoice(adam={})), 1.0, {}, FLOAT32, CUDA)
    shape = LaunchShape(10, 4, ragged=True)
    kernels = write_kernels(network, FLOAT32, CUDA)
    section = schedule_launches(network, kernels, FLOAT32, shape, update=update).section
    assert [len(section[name]) for name in ("carry", "upload", "targets", "outcome")] == [1, 1, 1, 1]
    assert len(section["states"]) == 1 + len(network.residents)
    assert len(section["prepare"]) == launches
    assert sum(isinstance(command, Clear) for command in section["measure"]) == cleared


def look_ahead(clamped: bool) -> Plan:
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    graph.add_node("h", units=50, activation="tanh")
    graph.add_edge("h", "h", delay=-1)
    inputs = [graphbptt.Clamp("h", "given", mask="mask")] if clamped else []
    return graphbptt.compile(graph, inputs, [graphbptt.Target("h", "y", units=(0,))], backend="numpy").plan


@pytest.mark.parametrize("clamped", [False, True])
def test_what_states_are_held_at_behind_the_ends_is_on_the_device(clamped: bool) -> None:
    """A batch brings as many numbers as the scan has states only where it brings states."""
    plan = look_ahead(clamped)
    shape = LaunchShape(40, 4, ragged=True)
    launches = schedule_launches(plan, write_kernels(plan, FLOAT32, CUDA), FLOAT32, shape)
    fields = [array.size for array in verify_launches(launches).arrays if array.kind == "field"]
    assert (max(fields) >= 40 * 4 * 50) is clamped


@pytest.mark.parametrize("clamped", [False, True])
def test_what_is_started_from_lies_on_the_device_once_unless_clamps_give_some(clamped: bool) -> None:
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    graph.add_node("h", units=3)
    graph.add_edge("h", "h", delay=1000)
    inputs = [graphbptt.Clamp("h", "start", at="start")] if clamped else []
    plan = graphbptt.compile(graph, inputs, [graphbptt.Target("h", "y")], backend="numpy").plan
    launches = schedule_launches(plan, write_kernels(plan, FLOAT32, CUDA), FLOAT32, LaunchShape(2, 5))
    rows = [array.name for array in verify_launches(launches).arrays if array.shape == (5, 3000)]
    assert rows == (["initial", "starts", "started"] if clamped else ["initial"])


def test_derivatives_of_many_connections_are_added_up_at_once() -> None:
    """What the connections between 34 single units add up is written by a kernel for each stage."""
    network = compile_spec("karate")
    plan = schedule_launches(network, write_kernels(network, FLOAT32, CUDA), FLOAT32, LaunchShape(10, 4))
    called = [item.kernel for item in plan.section["backward"] if isinstance(item, Launch)]
    assert sum("_after_" in kernel for kernel in called) == 3
    assert sum(kernel == "sum_rows" for kernel in called) < 16


def test_a_scan_meets_the_host_at_its_ends_alone() -> None:
    """However long it is, as many copies are made."""
    counts = {
        steps: [
            isinstance(item, CopyIn | CopyOut) for item in schedule(1, LaunchShape(steps, 2)).commands()
        ].count(True)
        for steps in (2, 50)
    }
    assert counts[2] == counts[50]
