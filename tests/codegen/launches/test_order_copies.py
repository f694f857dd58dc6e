"""What a run waits for, and when."""

from __future__ import annotations

from itertools import combinations

import pytest
from named_networks import NETWORKS

from graphbptt.codegen.dialect import CUDA
from graphbptt.codegen.kernels.write_kernels import write_kernels
from graphbptt.codegen.launches.commands import CopyIn
from graphbptt.codegen.launches.launch_plan import SECTIONS, LaunchPlan, LaunchShape
from graphbptt.codegen.launches.order_copies import order_copies
from graphbptt.codegen.precision import FLOAT32
from graphbptt.codegen.schedules.schedule_launches import schedule_launches
from graphbptt.compiler import compile_network


def schedule(index: int) -> LaunchPlan:
    network = compile_network(NETWORKS[index]())
    return schedule_launches(
        network, write_kernels(network, FLOAT32, CUDA), FLOAT32, LaunchShape(3, 2, ragged=True)
    )


def test_what_is_wanted_is_waited_for_where_it_is_measured() -> None:
    plan = schedule(0)
    course = order_copies(
        plan, ("load", "upload", "targets", "prepare", "forward", "measure", "backward", "combine", "report")
    )
    assert [stretch.sections for stretch in course] == [
        ("prepare", "forward"),
        ("measure", "backward", "combine"),
        ("report",),
    ]
    assert [[copy.region.array for copy in stretch.copies] for stretch in course] == [
        ["parameters", "upload"],
        ["targets"],
        [],
    ]
    assert [stretch.recorded for stretch in course] == [True, True, False]


def test_what_nothing_needs_is_waited_for_last() -> None:
    course = order_copies(schedule(0), ("load", "upload", "targets", "prepare", "forward", "states"))
    assert [copy.region.array for copy in course[-1].copies] == ["targets"]
    assert not course[-1].sections


@pytest.mark.parametrize("index", range(len(NETWORKS)))
def test_nothing_is_named_before_it_is_waited_for(index: int) -> None:
    """By any run: every copy is made once, and what a section names has been copied by then."""
    plan = schedule(index)
    for first, last in combinations(range(len(SECTIONS) + 1), 2):
        sections = SECTIONS[first:last]
        copies = [
            command
            for name in sections
            for command in plan.section.get(name, ())
            if isinstance(command, CopyIn)
        ]
        course = order_copies(plan, [name for name in sections if name in plan.section])
        assert sorted(map(str, copies)) == sorted(str(copy) for stretch in course for copy in stretch.copies)
        late = {region.array for copy in copies for region in plan.spread(copy.region)}
        for stretch in course:
            late -= {region.array for copy in stretch.copies for region in plan.spread(copy.region)}
            for name in stretch.sections:
                for command in plan.section[name]:
                    assert late.isdisjoint(region.array for region in (*command.reads, *command.writes))
