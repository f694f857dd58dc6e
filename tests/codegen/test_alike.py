"""Loops that differ in nothing but where they read and write: which these are, and that they are written once."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from many_populations import gated_populations, many_populations, unlike_populations

from graphbptt.codegen.alike import FEWEST, MOST, Loop, arrange_loops, list_loops
from graphbptt.codegen.length import count_lines
from graphbptt.codegen.loops import MOST_LINES
from graphbptt.codegen.precision import FLOAT32
from graphbptt.codegen.source import write_source
from graphbptt.codegen.vectors import SMALLEST
from graphbptt.compiler import compile_network
from graphbptt.ir.expression import Load
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.functions import FUNCTIONS
from graphbptt.ir.operations import Assignment, Row, View

tanh = FUNCTIONS["tanh"]


def edge(source: int, out: int, delay: int = 1, accumulate: bool = True) -> Loop:
    """The input of a population of two units by a connection one to one; all share a buffer."""
    state = View("h", 2 * source, 2 * source + 2, -delay)
    weight = Row(10 * source + out, 10 * source + out + 2)
    return Loop((Assignment(View("h", 2 * out, 2 * out + 2), Load(state) * Load(weight), accumulate),), 2, 2)


def test_likes_are_together_wherever_they_read_and_write() -> None:
    likes = [edge(k, k + 1, delay=1 + k % 3) for k in range(FEWEST)]
    assert arrange_loops(likes) == [tuple(likes)]
    assert arrange_loops(likes[1:]) == [(loop,) for loop in likes[1:]]


def test_likes_pass_by_others_that_do_not_meet_them() -> None:
    loops = [edge(k, k + 1, accumulate=k % 2 > 0) for k in range(2 * FEWEST)]
    assert arrange_loops(loops) == [tuple(loops[::2]), tuple(loops[1::2])]


@pytest.mark.parametrize("between", ["reads", "writes"])
def test_likes_stay_behind_what_they_meet(between: str) -> None:
    loops = [edge(k, k + 1) for k in range(2 * FEWEST)]
    last = loops[-1].items[0].out
    other = View("other", 0, 2)
    out, slot = (other, last) if between == "reads" else (last, other)
    meeting = Loop((Assignment(out, tanh(Load(slot))),), 2, 2)
    first = loops[: FEWEST + 1]
    assert arrange_loops([*first, meeting, *loops[FEWEST + 1 : -1], loops[-1]])[:2] == [
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
    assert [loop.items for loop in list_loops(short)] == [tuple(short)]
    count = MOST // 6 + 1
    long = [item for k in range(count) for item in pair(k)]
    assert [loop.items for loop in list_loops(long)] == [tuple(pair(k)) for k in range(count)]


@pytest.mark.parametrize("network", [many_populations, gated_populations])
def test_texts_do_not_grow_with_populations(network: Callable[[int], FoldedNetwork]) -> None:
    """But for tables, and pointers to constants: a compiler takes minutes over thousands of loops."""
    few, many = (write_source(compile_network(network(count)), FLOAT32, SMALLEST) for count in (60, 120))
    assert few.scans.keys() == many.scans.keys()
    assert count_lines(many) < 1.2 * count_lines(few) < 700


@pytest.mark.parametrize("network", [many_populations, gated_populations, unlike_populations])
def test_loops_over_examples_are_short(network: Callable[[int], FoldedNetwork]) -> None:
    """A compiler's time for one grows with the square of its length."""
    text = write_source(compile_network(network(60)), FLOAT32, SMALLEST).text
    loops = re.findall(r"^( +)for \(ptrdiff_t b = .*\n((?:\1 .*\n)+)", text, re.MULTILINE)
    assert len(loops) > 1
    assert max(body.count("\n") for _, body in loops) <= MOST_LINES + 3
