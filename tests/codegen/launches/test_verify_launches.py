"""Every way in which a launch plan can be wrong is found, and said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from named_networks import NETWORKS

from graphbptt.codegen.dialect import CUDA
from graphbptt.codegen.kernels.write_kernels import write_kernels
from graphbptt.codegen.launches.commands import Clear, Command, CopyIn, CopyOut, Launch, Multiply
from graphbptt.codegen.launches.device_arrays import Address, DeviceArray, Region
from graphbptt.codegen.launches.launch_plan import RECORDED, LaunchPlan, LaunchShape, SectionName
from graphbptt.codegen.launches.verify_launches import verify_launches
from graphbptt.codegen.precision import FLOAT32
from graphbptt.codegen.schedules.schedule_launches import schedule_launches
from graphbptt.compiler import compile_network
from graphbptt.errors import VerificationError

Change = Callable[[Any], Any]


@pytest.fixture(scope="module")
def plan() -> LaunchPlan:
    network = compile_network(NETWORKS[0]())
    kernels = write_kernels(network, FLOAT32, CUDA)
    return verify_launches(schedule_launches(network, kernels, FLOAT32, LaunchShape(3, 2)))


def change(plan: LaunchPlan, name: SectionName, kind: type[Command], edit: Change) -> LaunchPlan:
    """The plan with another command in place of the first of its kind in a section; None leaves it out."""
    commands = list(plan.section[name])
    index = next(index for index, command in enumerate(commands) if isinstance(command, kind))
    edited = edit(commands[index])
    commands[index : index + 1] = [] if edited is None else [edited]
    return replace_section(plan, name, tuple(commands))


def replace_section(plan: LaunchPlan, name: SectionName, commands: tuple[Command, ...]) -> LaunchPlan:
    sections = (replace(item, commands=commands) if item.name == name else item for item in plan.sections)
    return replace(plan, sections=tuple(sections))


def give(index: int, value: Any) -> Change:
    """A launch with another argument."""

    def edit(command: Launch) -> Launch:
        arguments = list(command.arguments)
        arguments[index] = value
        return replace(command, arguments=tuple(arguments))

    return edit


def move(name: str, **changes: int) -> Change:
    """A command with one of its regions moved."""

    def edit(command: Any) -> Any:
        region = getattr(command, name)
        return replace(
            command,
            **{name: replace(region, **{key: getattr(region, key) + by for key, by in changes.items()})},
        )

    return edit


def assert_refused(plan: LaunchPlan, message: str) -> None:
    with pytest.raises(VerificationError, match=message):
        verify_launches(plan)


def test_a_plan_that_is_right_is_returned(plan: LaunchPlan) -> None:
    assert verify_launches(plan) is plan


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda launch: replace(launch, grid=launch.grid + 1), "threads need 1"),
        (lambda launch: replace(launch, block=4), "has 1 blocks of 4"),
        (lambda launch: replace(launch, threads=0, grid=0), "has 0 blocks"),
        (lambda launch: replace(launch, kernel="forward_7"), "there is no kernel forward_7"),
        (lambda launch: replace(launch, arguments=launch.arguments[:-1]), "takes 5 arguments, and is given 4"),
        (give(0, 1), "not told its number of threads"),
        (give(1, Address("state0")), "is given for 'const ptrdiff_t step'"),
        (give(1, None), "is given for 'const ptrdiff_t step'"),
        (give(4, 3), "3 is given for 'real"),
        (give(4, Address("nothing")), "there is no array nothing"),
        (give(4, Address("state0", 10**6)), "number 1000000 lies outside of the 18"),
        (give(4, Address("state1")), "another pointer leads to state1, which may have one alone"),
        (lambda launch: replace(launch, reads=(Region("copies", 0, 1, 1, 1),)), "reads copies, which it is not given"),
        (lambda launch: replace(launch, writes=(Region("copies", 0, 1, 1, 1),)), "writes copies, which it may not"),
        (lambda launch: replace(launch, reads=(Region("state0", 0, 7, 3, 3),)), "outside of the 18 numbers of state0"),
        (lambda launch: replace(launch, reads=(Region("state0", 0, 3, 3, 2),)), "overlap"),
    ],
)  # fmt: skip
def test_launches(plan: LaunchPlan, edit: Change, message: str) -> None:
    assert_refused(change(plan, "forward", Launch, edit), message)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda product: replace(product, transpose_b=True), "makes no"),
        (lambda product: replace(product, out=product.a), "makes no"),
        (move("a", offset=-1), "lies outside"),
        (move("a", offset=10**6), "lies outside"),
        (move("a", rows=1), "makes no"),
        (move("b", stride=-1), "overlap"),
        (lambda product: replace(product, out=replace(product.out, array="state1", stride=9)), "is written while"),
        (lambda product: replace(product, accumulate=True), "is read before all of it is written"),
        (lambda product: replace(product, count=0), "there is no product"),
        (lambda product: replace(product, count=2), "is written twice at once"),
        (lambda product: replace(product, count=2, steps=(1, 0, 0)), "is written twice at once"),
        (lambda product: replace(product, count=2, steps=(5, 0, 10**6)), "lies outside"),
    ],
)  # fmt: skip
def test_products(plan: LaunchPlan, edit: Change, message: str) -> None:
    assert_refused(change(plan, "forward", Multiply, edit), message)


def test_what_one_pointer_writes_another_does_not_read(plan: LaunchPlan) -> None:
    """A sum that reads some of its results."""

    def edit(launch: Launch) -> Launch:
        (out,) = launch.writes
        return replace(give(3, out.address)(launch), reads=(replace(out, rows=out.rows - 1),))

    assert_refused(change(plan, "backward", Launch, edit), "sum_rows writes sums.* while it reads sums")


def test_types_of_arrays(plan: LaunchPlan) -> None:
    arrays = tuple(
        replace(array, dtype="float64") if array.name == "state1" else array for array in plan.arrays
    )
    assert_refused(replace(plan, arrays=arrays), "state1 is float64")


def test_a_constant_is_not_written(plan: LaunchPlan) -> None:
    arrays = tuple(
        replace(array, kind="constant") if array.name == "copies" else array for array in plan.arrays
    )
    assert_refused(replace(plan, arrays=arrays), "copies is constant, and written")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"within": Address("upload", 100)}, "flags begins at byte 100, no multiple of 256"),
        ({"within": Address("targets", 0)}, "overlaps the array before it in targets"),
        ({"within": Address("upload", 2**20)}, "flags lies outside of the .* bytes of upload"),
        ({"within": Address("copies", 0)}, "there is no arena copies for flags"),
        ({"within": Address("upload", 0), "kind": "kept"}, "flags in an arena is kept, for all shapes"),
        ({"within": None}, "upload is an arena, and not copied by whole arrays"),
    ],
)
def test_arrays_of_an_arena(plan: LaunchPlan, changes: dict[str, Any], message: str) -> None:
    arrays = tuple(replace(array, **changes) if array.name == "flags" else array for array in plan.arrays)
    assert_refused(replace(plan, arrays=arrays), message)


@pytest.mark.parametrize(
    "edit",
    [
        lambda copy: CopyIn(replace(copy.region, columns=copy.region.columns - 1)),
        lambda copy: CopyIn(replace(copy.region, columns=1)),
        lambda copy: CopyIn(replace(copy.region, offset=16, columns=16)),
        lambda copy: CopyIn(replace(copy.region, rows=2, columns=16, stride=16)),
        lambda copy: Clear(copy.region),
    ],
)
def test_an_arena_is_copied_by_whole_arrays(plan: LaunchPlan, edit: Change) -> None:
    assert_refused(change(plan, "upload", CopyIn, edit), "upload is an arena, and not copied by whole arrays")


def test_what_is_not_copied_of_an_arena_is_not_there(plan: LaunchPlan) -> None:
    first, *_ = plan.members["upload"]
    assert first.name == "flags"
    copied = change(
        plan, "upload", CopyIn, lambda _: CopyIn(Region("upload", 0, 1, first.bytes, first.bytes))
    )
    assert_refused(copied, "given:x is read before all of it is written")


def test_an_arena_is_plain_memory_in_front_of_its_arrays(plan: LaunchPlan) -> None:
    arena, others = plan.array["upload"], [array for array in plan.arrays if array.name != "upload"]
    assert_refused(replace(plan, arrays=(*others, arena)), "there is no arena upload for")
    turned = (replace(arena, shape=(arena.size // 4,), dtype="float32"), *others)
    assert_refused(replace(plan, arrays=turned), "upload is no plain memory")


def test_names_are_unique(plan: LaunchPlan) -> None:
    twice = (*plan.arrays, DeviceArray("copies", "weight", (1,), "float32"))
    assert_refused(replace(plan, arrays=twice), "two arrays have one name: copies")


def test_sections_stand_in_order(plan: LaunchPlan) -> None:
    assert_refused(replace(plan, sections=plan.sections[::-1]), "out of order")


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("load", CopyIn, "prepare, command 0: parameters is read before"),
        ("prepare", Launch, "copies.* is read before"),
        ("measure", Clear, "delta1.* is read before"),
        ("backward", Multiply, "delta1.* is read before"),
    ],
)
def test_what_is_read_was_written(
    plan: LaunchPlan, name: SectionName, kind: type[Command], message: str
) -> None:
    assert_refused(change(plan, name, kind, lambda _: None), message)


@pytest.mark.parametrize("copy", [CopyIn, CopyOut])
@pytest.mark.parametrize("name", [name for group in RECORDED for name in group])
def test_what_is_recorded_meets_no_host(plan: LaunchPlan, name: SectionName, copy: type[Command]) -> None:
    commands = (*plan.section[name], copy(plan.array["copies"].whole()))
    assert_refused(replace_section(plan, name, commands), "the host's memory has no place")


def test_copies_from_the_host_stand_in_sections_of_their_own(plan: LaunchPlan) -> None:
    commands = (*plan.section["upload"], Clear(plan.array["state1"].whole()))
    assert_refused(replace_section(plan, "upload", commands), "upload copies from the host, and does more")
