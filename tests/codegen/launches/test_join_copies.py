"""What a section copies is one transfer, wherever it can be."""

from __future__ import annotations

from dataclasses import replace

import pytest

from graphbptt.codegen.launches.commands import CopyIn, CopyOut
from graphbptt.codegen.launches.device_arrays import ArrayKind, DeviceArray, Region
from graphbptt.codegen.launches.join_copies import join_copies
from graphbptt.codegen.launches.launch_plan import LaunchPlan, LaunchShape, Section
from graphbptt.codegen.launches.verify_launches import verify_launches
from graphbptt.codegen.precision import FLOAT32


def draw_plan(*kinds: ArrayKind) -> LaunchPlan:
    """Arrays of these kinds, ``a0`` and so on, of which all are uploaded, and reported."""
    arrays = tuple(DeviceArray(f"a{n}", kind, (3, n + 1), "float32") for n, kind in enumerate(kinds))
    upload = Section("upload", tuple(CopyIn(array.whole()) for array in arrays))
    report = Section("report", (CopyOut(arrays[0].whole()),))
    return LaunchPlan(FLOAT32, LaunchShape(1, 3), arrays, (), (upload, report))


def test_whole_arrays_of_a_section_are_copied_at_once() -> None:
    plan = verify_launches(join_copies(draw_plan("field", "field", "parameter", "field")))
    assert [copy.region.array for copy in plan.section["upload"]] == ["upload", "a2"]
    assert [array.name for array in plan.members["upload"]] == ["a0", "a1", "a3"]
    assert plan.spread(plan.array["upload"].whole()) == tuple(
        plan.array[a].whole() for a in ("a0", "a1", "a3")
    )
    assert plan.bytes == 512 + 48 + plan.array["a2"].bytes


def test_a_single_array_of_an_arena_is_copied_by_itself() -> None:
    before = draw_plan("field", "field")
    assert verify_launches(join_copies(before)).section["report"] == before.section["report"]


def test_what_another_arena_begins_with_is_copied_as_its_beginning() -> None:
    before = draw_plan("field", "field", "field")
    copies = tuple(CopyOut(array.whole()) for array in before.arrays)
    outcome = Section("outcome", copies[:2])
    plan = verify_launches(join_copies(replace(before, sections=(*before.sections, outcome))))
    assert plan.section["outcome"] == (CopyOut(Region("upload", 0, 1, 256 + 24, 256 + 24)),)
    with pytest.raises(AssertionError, match="no memory is in two places"):
        join_copies(replace(before, sections=(*before.sections, Section("outcome", copies[1:]))))


@pytest.mark.parametrize("kinds", [("field",), ("parameter", "kept"), ("field", "constant")])
def test_one_copy_needs_no_arena_and_shared_arrays_are_in_none(kinds: tuple[ArrayKind, ...]) -> None:
    plan = draw_plan(*kinds)
    assert join_copies(plan) == plan


def test_a_part_of_an_array_is_copied_by_itself() -> None:
    plan = draw_plan("field", "field", "field")
    first, *others = plan.section["upload"]
    assert isinstance(first, CopyIn)
    part = CopyIn(replace(first.region, rows=2))
    joined = join_copies(
        replace(
            plan, sections=(Section("upload", (part, *others)), Section("report", (CopyOut(part.region),)))
        )
    )
    assert [copy.region.array for copy in verify_launches(joined).section["upload"]] == ["upload", "a0"]
