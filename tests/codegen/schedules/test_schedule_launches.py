"""Launch plans: as text to read, and right for every spec and shape."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from named_networks import NETWORKS
from strategies import Case, cases

import graphbptt
from graphbptt.codegen.dialect import CUDA
from graphbptt.codegen.kernels.write_kernels import Kernels, write_kernels
from graphbptt.codegen.launches.commands import CopyIn, CopyOut, Multiply
from graphbptt.codegen.launches.launch_plan import LaunchPlan, LaunchShape
from graphbptt.codegen.launches.verify_launches import verify_launches
from graphbptt.codegen.precision import FLOAT32, FLOAT64
from graphbptt.codegen.schedules.schedule_launches import schedule_launches
from graphbptt.compiler import compile_network
from graphbptt.ir.plan import Plan

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


def test_a_scan_meets_the_host_at_its_ends_alone() -> None:
    """However long it is, as many copies are made."""
    counts = {
        steps: [
            isinstance(item, CopyIn | CopyOut) for item in schedule(1, LaunchShape(steps, 2)).commands()
        ].count(True)
        for steps in (2, 50)
    }
    assert counts[2] == counts[50]
