"""What is added up together, and what by itself."""

from __future__ import annotations

from graphbptt.codegen.kernels.join_reduces import WIDEST, find_view, join_reduces
from graphbptt.ir.expression import Load
from graphbptt.ir.operations import Contract, Reduce, Row, View


def reduce_product(start: int, width: int) -> Reduce:
    slope = Load(View("netdelta1", 0, width))
    return Reduce(Row(start, start + width), slope * Load(View("state1", 0, width, -1)))


def test_products_are_joined_up_to_a_width() -> None:
    widths = [WIDEST // 2, WIDEST // 2, 1, WIDEST + 5, 3, 4]
    reduces = [reduce_product(0, width) for width in widths]
    half, _, one, wide, three, four = reduces
    assert list(join_reduces(reduces)) == [[half, half], [one], [wide], [three, four]]


def test_what_a_buffer_has_is_added_up_by_itself() -> None:
    bias = Reduce(Row(1, 3), Load(View("netdelta1", 0, 2)))
    repeated = Reduce(Row(3, 5), Load(View("netdelta1", 0, 1)))
    assert (find_view(bias), find_view(repeated)) == (View("netdelta1", 0, 2), None)
    first, last = reduce_product(0, 1), reduce_product(5, 1)
    assert list(join_reduces([first, bias, repeated, last])) == [[bias], [first, repeated, last]]


def test_a_contraction_ends_what_is_added_up_together() -> None:
    first, last = reduce_product(0, 1), reduce_product(5, 1)
    contract = Contract(View("state0", 0, 2), View("netdelta1", 0, 3), "W0")
    assert list(join_reduces([first, contract, last])) == [[first], contract, [last]]
