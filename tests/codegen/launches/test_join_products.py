"""Products that are computed at once: which, and that they are the same."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from named_networks import NETWORKS, delay_lines

from graphbptt.codegen.dialect import CUDA
from graphbptt.codegen.kernels.write_kernels import write_kernels
from graphbptt.codegen.launches.commands import Clear, Command, Multiply
from graphbptt.codegen.launches.device_arrays import Region
from graphbptt.codegen.launches.join_products import join_products
from graphbptt.codegen.launches.launch_plan import LaunchPlan, LaunchShape
from graphbptt.codegen.precision import FLOAT32
from graphbptt.codegen.schedules.schedule_launches import schedule_launches
from graphbptt.compiler import compile_network
from graphbptt.ir.plan import Plan


def multiply(out: int, a: int, b: int, accumulate: bool = True) -> Multiply:
    """Of two columns each: `out` and `a` columns of rows of six numbers, `b` weights one behind the other."""
    return Multiply(
        Region("y", out, 4, 2, 6), Region("x", a, 4, 2, 6), Region("w", b, 2, 2, 2), accumulate=accumulate
    )


def split(commands: Sequence[Command]) -> list[Command]:
    return [part for item in commands for part in (item.split() if isinstance(item, Multiply) else (item,))]


UP = [multiply(0, 0, 8), multiply(2, 2, 12), multiply(4, 4, 16)]


@pytest.mark.parametrize("products", [UP, UP[::-1]])
def test_neighbours_at_equal_distances_are_joined(products: list[Multiply]) -> None:
    (joined,) = join_products(products)
    assert isinstance(joined, Multiply)
    assert (joined.count, joined.steps) == (3, (2, 2, 4))
    assert list(joined.split()) == UP
    assert set(joined.writes) == {product.out for product in UP}
    assert set(joined.reads) == {region for product in UP for region in product.reads}


def test_a_factor_may_be_common() -> None:
    (joined,) = join_products([multiply(0, 4, 8), multiply(2, 4, 12)])
    assert isinstance(joined, Multiply)
    assert joined.steps == (2, 0, 4)


@pytest.mark.parametrize(
    "products",
    [
        [multiply(0, 0, 8), multiply(0, 2, 12)],  # added to the same numbers
        [multiply(0, 0, 8), multiply(1, 2, 12)],
        [multiply(0, 2, 8), multiply(2, 0, 12)],  # up and down
        [multiply(0, 0, 8), multiply(2, 2, 12, accumulate=False)],
        [multiply(0, 0, 8), Clear(Region("z", 0, 1, 1, 1)), multiply(2, 2, 12)],
        [Multiply(Region("y", 0, 4, 2, 6), Region("y", 2, 4, 2, 6), Region("w", 0, 2, 2, 2)),
         Multiply(Region("y", 2, 4, 2, 6), Region("y", 4, 4, 2, 6), Region("w", 4, 2, 2, 2))],  # reads what is written
    ],
)  # fmt: skip
def test_others_stay_as_they_are(products: list[Command]) -> None:
    assert list(join_products(products)) == products


def test_what_lies_at_another_distance_begins_anew() -> None:
    joined = join_products([*UP[:2], multiply(4, 4, 20)])
    assert [item.count for item in joined if isinstance(item, Multiply)] == [2, 1]


def schedule(plan: Plan, shape: LaunchShape) -> LaunchPlan:
    return schedule_launches(plan, write_kernels(plan, FLOAT32, CUDA), FLOAT32, shape)


@pytest.mark.parametrize("index", range(len(NETWORKS)))
def test_plans_do_the_same_work(index: int) -> None:
    plan = schedule(compile_network(NETWORKS[index]()), LaunchShape(5, 2))
    for section in plan.sections:
        apart = split(section.commands)
        assert sorted(map(str, split(join_products(apart)))) == sorted(map(str, apart))
        assert join_products(apart) == section.commands


def test_delay_lines_are_joined_where_steps_are_several() -> None:
    plan = compile_network(delay_lines())
    counts = [
        max(item.count for item in schedule(plan, shape).section["backward"] if isinstance(item, Multiply))
        for shape in (LaunchShape(5, 2), LaunchShape(1, 2), LaunchShape(5, 2, stepwise=True))
    ]
    assert counts == [2, 1, 1]
    assert ", 2 times, each (" in str(schedule(plan, LaunchShape(5, 2)))
