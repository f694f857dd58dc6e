"""Loops that differ in nothing but where they read and write: which these are, and that they are written once."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Iterator
from itertools import chain, combinations

import pytest
from hypothesis import given, settings
from many_populations import gated_populations, many_populations, unlike_populations
from strategies import Case, cases

from graphbptt.codegen.precision import FLOAT32
from graphbptt.codegen.products.vectors import SMALLEST
from graphbptt.codegen.rows import alike
from graphbptt.codegen.rows.alike import FEWEST, MOST, Loop, arrange_loops, list_loops
from graphbptt.codegen.scans.loops import MOST_LINES
from graphbptt.codegen.scans.source import write_source
from graphbptt.compiler import compile_network
from graphbptt.ir.expression import Expression, Load
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.functions import FUNCTIONS
from graphbptt.ir.operations import Assignment, Compute, Row, View

tanh = FUNCTIONS["tanh"]


def by_step(view: View) -> Hashable:
    """Where rows of one step are worked on, memory is that of a buffer at some steps from there."""
    return view.buffer, view.shift


def edge(source: int, out: int, delay: int = 1, accumulate: bool = True) -> Loop:
    """The input of a population of two units by a connection one to one; all share a buffer."""
    state = View("h", 2 * source, 2 * source + 2, -delay)
    weight = Row(10 * source + out, 10 * source + out + 2)
    return Loop.of(
        (Assignment(View("h", 2 * out, 2 * out + 2), Load(state) * Load(weight), accumulate),), 2, 2
    )


def test_likes_are_together_wherever_they_read_and_write() -> None:
    likes = [edge(k, k + 1, delay=1 + k % 3) for k in range(FEWEST)]
    assert arrange_loops(likes, by_step) == [tuple(likes)]
    assert arrange_loops(likes[1:], by_step) == [(loop,) for loop in likes[1:]]


def test_likes_pass_by_others_that_do_not_meet_them() -> None:
    loops = [edge(k, k + 1, accumulate=k % 2 > 0) for k in range(2 * FEWEST)]
    assert arrange_loops(loops, by_step) == [tuple(loops[::2]), tuple(loops[1::2])]


@pytest.mark.parametrize("between", ["reads", "writes"])
def test_likes_stay_behind_what_they_meet(between: str) -> None:
    loops = [edge(k, k + 1) for k in range(2 * FEWEST)]
    last = loops[-1].items[0].out
    other = View("other", 0, 2)
    out, slot = (other, last) if between == "reads" else (last, other)
    meeting = Loop.of((Assignment(out, tanh(Load(slot))),), 2, 2)
    first = loops[: FEWEST + 1]
    assert arrange_loops([*first, meeting, *loops[FEWEST + 1 : -1], loops[-1]], by_step)[:2] == [
        tuple(loops[:-1]),
        (meeting,),
    ]


def test_memory_may_be_that_of_other_steps() -> None:
    """Where rows of several steps are worked on, what one loop writes is read by the next one at another step."""
    loops = [edge(k, k + 1, accumulate=k % 2 > 0) for k in range(2 * FEWEST)]
    assert arrange_loops(loops, lambda view: view.buffer) == [(loop,) for loop in loops]


def test_long_loops_are_taken_apart_where_nothing_is_shared() -> None:
    def pair(k: int) -> list[Assignment]:
        y = tanh(Load(View("net", k, k + 1)))
        return [Assignment(View("h", k, k + 1), y), Assignment(View("slope", k, k + 1), 1 - y * y)]

    short = [item for k in range(3) for item in pair(k)]
    assert [loop.items for loop in list_loops(short, by_step)] == [tuple(short)]
    count = MOST // 6 + 1
    long = [item for k in range(count) for item in pair(k)]
    assert [loop.items for loop in list_loops(long, by_step)] == [tuple(pair(k)) for k in range(count)]


def add(buffer: str, start: int, accumulate: bool = True, shift: int = 0) -> Assignment:
    """Four columns of a buffer, from a net input that only they have."""
    net = View("net", 40 * start, 40 * start + 4)
    return Assignment(View(buffer, start, start + 4, shift), Load(net) * 2, accumulate)


def test_overlapping_columns_are_written_in_loops_of_their_own() -> None:
    """Whichever comes first, a column that both write is done twice in one of the orders of columns."""
    first, second, apart, again = add("h", 0), add("h", 2), add("h", 8), add("h", 2, shift=-1)
    loops = list_loops([first, second, apart, again, first], by_step)
    assert [loop.items for loop in loops] == [(first, apart, again, first), (second,)]


def test_what_overlaps_additions_is_written_before_them() -> None:
    sums, plain = add("h", 0), add("h", 2, accumulate=False)
    assert [loop.items for loop in list_loops([sums, plain], by_step)] == [(plain,), (sums,)]
    joint = add("h", 0, accumulate=False)
    assert [loop.items for loop in list_loops([sums, joint], by_step)] == [(sums, joint)]


def test_buffers_that_share_memory_overlap() -> None:
    one, other = add("net", 0), add("h", 2)
    assert len(list_loops([one, other], by_step)) == 1
    assert len(list_loops([one, other], lambda view: view.shift)) == 2


def test_long_loops_overlap_nowhere() -> None:
    shared = tanh(Load(View("net", 0, 4)))
    items = [Assignment(View("h", 2 * k, 2 * k + 4), shared, True) for k in range(MOST)]
    loops = list_loops(items, by_step)
    assert sorted(item.out.start for loop in loops for item in loop.items) == [2 * k for k in range(MOST)]
    assert not any(list(find_overlaps(loop.items)) for loop in loops)


def find_overlaps(items: Iterable[Assignment]) -> Iterator[tuple[Assignment, Assignment]]:
    """Pairs that write some of the same columns in one row, but not the same ones."""
    for one, other in combinations(items, 2):
        a, b = one.out, other.out
        if by_step(a) == by_step(b) and a != b and a.start < b.stop and b.start < a.stop:
            yield one, other


@settings(max_examples=60)
@given(case=cases())
def test_random_graphs_have_no_loop_with_overlapping_columns(case: Case) -> None:
    for stage in compile_network(case.fold()).stages:
        for operation in chain(stage.forward.operations(), stage.backward.operations()):
            if isinstance(operation, Compute):
                loops = list_loops(operation.assignments, by_step)
                assert not any(list(find_overlaps(loop.items)) for loop in loops)
                order = [item for loop in loops for item in loop.items]
                for one, other in find_overlaps(order):
                    assert one.accumulate <= other.accumulate


def test_expressions_are_hoisted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    plan, hoisted = compile_network(many_populations(24)), list[Expression]()
    hoist = alike.hoist
    monkeypatch.setattr(alike, "hoist", lambda expression: hoisted.append(expression) or hoist(expression))
    write_source(plan, FLOAT32, SMALLEST)
    operations = [
        operation
        for stage in plan.stages
        for operation in chain(stage.forward.operations(), stage.backward.operations())
    ]
    computed = [operation for operation in operations if isinstance(operation, Compute)]
    assert 0 < len(hoisted) <= sum(len(operation.assignments) for operation in computed)


@pytest.mark.parametrize("network", [many_populations, gated_populations])
def test_texts_do_not_grow_with_populations(network: Callable[[int], FoldedNetwork]) -> None:
    """But for tables, and pointers to constants: a compiler takes minutes over thousands of loops."""
    few, many = (write_source(compile_network(network(count)), FLOAT32, SMALLEST) for count in (60, 120))
    assert few.scans.keys() == many.scans.keys()
    assert many.length < 1.2 * few.length < 700


@pytest.mark.parametrize("network", [many_populations, gated_populations, unlike_populations])
def test_loops_over_examples_are_short(network: Callable[[int], FoldedNetwork]) -> None:
    """A compiler's time for one grows with the square of its length."""
    text = write_source(compile_network(network(60)), FLOAT32, SMALLEST).text
    loops = re.findall(r"^( +)for \(ptrdiff_t b = .*\n((?:\1 .*\n)+)", text, re.MULTILINE)
    assert len(loops) > 1
    assert max(body.count("\n") for _, body in loops) <= MOST_LINES + 3
