"""Which connections share a product."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plans import draw, lower, stage_of

from graphbptt.ir.folded import Connection
from graphbptt.ir.operations import Product
from graphbptt.passes.merge_products import CALL_AREA, Box, merge_boxes


def box(top: int, bottom: int, left: int, right: int) -> Box:
    name = f"{top}:{bottom}->{left}:{right}"
    return Box(top, bottom, left, right, (Connection(name, "a", "b", 1, "dense", None),))


def extents(boxes: tuple[Box, ...]) -> list[tuple[int, int, int, int]]:
    return [(item.top, item.bottom, item.left, item.right) for item in boxes]


def test_neighbours_in_either_direction_are_one() -> None:
    side_by_side = (box(0, 200, 0, 200), box(0, 200, 200, 400))
    below = (box(0, 200, 0, 200), box(200, 400, 0, 200))
    assert extents(merge_boxes(side_by_side, "each")) == [(0, 200, 0, 400)]
    assert extents(merge_boxes(below, "whole")) == [(0, 400, 0, 200)]


@pytest.mark.parametrize("where", list(CALL_AREA))
def test_a_gap_is_crossed_up_to_the_price_of_a_call(where: str) -> None:
    gap = CALL_AREA[where]
    free, dear = (
        (box(0, 1, 0, 1), box(0, 1, gap + 1, gap + 2)),
        (box(0, 1, 0, 1), box(0, 1, gap + 2, gap + 3)),
    )
    assert extents(merge_boxes(free, where)) == [(0, 1, 0, gap + 2)]
    assert len(merge_boxes(dear, where)) == 2


def test_many_small_ones_are_joined_at_once() -> None:
    """No two of these are worth joining by themselves; together they save enough calls."""
    diagonal = [box(k, k + 8, k, k + 8) for k in range(0, 80, 8)]
    assert extents(merge_boxes(diagonal, "each")) == [(0, 80, 0, 80)]


def test_blocks_on_a_diagonal_stay_apart() -> None:
    assert len(merge_boxes((box(0, 99, 0, 99), box(99, 198, 99, 198)), "each")) == 2


@given(
    st.lists(
        st.tuples(*(st.tuples(st.integers(0, 200), st.integers(1, 90)) for _ in range(2))),
        min_size=1,
        max_size=12,
    ),
    st.sampled_from(list(CALL_AREA)),
)
def test_every_connection_is_in_one_product_that_covers_it(
    places: list[tuple[tuple[int, int], tuple[int, int]]], where: str
) -> None:
    boxes = [box(top, top + height, left, left + width) for (top, height), (left, width) in places]
    merged = merge_boxes(boxes, where)
    homes = {connection.name: home for home in merged for connection in home.connections}
    assert sum(len(home.connections) for home in merged) == len(boxes)
    for item in boxes:
        home = homes[item.connections[0].name]
        assert home.top <= item.top < item.bottom <= home.bottom
        assert home.left <= item.left < item.right <= home.right


def test_connections_of_different_delays_or_sources_do_not_meet() -> None:
    plan = lower(
        draw(
            {"a": {"units": 2}, "b": {"units": 2}, "h": {"units": 2}},
            ("a", "h", 1), ("a", "h", 2), ("b", "h", 1),
            clamps=["a", "b"],
        )
    )  # fmt: skip
    products = [item for item in stage_of(plan, "h").forward.operations() if isinstance(item, Product)]
    assert [(item.source.buffer, item.source.shift) for item in products] == [
        (plan.placement["b"].state.buffer, -1),
        (plan.placement["a"].state.buffer, -2),
        (plan.placement["a"].state.buffer, -1),
    ]


def test_all_gates_are_one_product_in_the_loop() -> None:
    gates = {name: {"units": 3, "activation": "logistic"} for name in "abc"}
    edges = [("h", name, 1) for name in gates]
    plan = lower(draw(gates | {"h": {"units": 3, "activation": "a * b + c"}}, *edges))
    products = [item for _, item in stage_of(plan, "h").forward.each if isinstance(item, Product)]
    assert [(item.source.width, item.out.width) for item in products] in ([(3, 9)], [(4, 9)])
