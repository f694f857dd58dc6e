"""Which connections share one matrix product.

Every product costs a call, and a product over gaps (blocks of zeros) costs arithmetic. Connections that read the same
rows of one state buffer into one net buffer are merged where the gaps cost less than the calls saved.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graphbptt.ir.folded import Connection

__all__ = ["Box", "merge_boxes", "pays_to_join"]

CALL_AREA = {"each": 4096, "whole": 64}
"""The number of weights whose product costs as much as one more call: inside the loop (measured at a batch of 32: one
call takes as long as about 4,000 more weights), and for a whole sequence, where a call is spread over all steps."""


JOINED_AREA = 2048
"""The number of weights up to which work is cheaper inside the loop, in a product that is computed there anyway, than
hoisted out of it at the price of one addition per step."""


@dataclass(frozen=True, slots=True)
class Box:
    """A product's extent: source columns [top, bottom) by target columns [left, right), and what it computes."""

    top: int
    bottom: int
    left: int
    right: int
    connections: tuple[Connection, ...]

    @property
    def area(self) -> int:
        return (self.bottom - self.top) * (self.right - self.left)

    def join(self, other: Box) -> Box:
        return Box(
            min(self.top, other.top),
            max(self.bottom, other.bottom),
            min(self.left, other.left),
            max(self.right, other.right),
            self.connections + other.connections,
        )


def merge_boxes(boxes: Sequence[Box], where: str) -> tuple[Box, ...]:
    """Join boxes as long as that pays; `where` is "each" inside the loop, "whole" for whole sequences.

    Neighbours along the rows, then along the columns, are joined pairwise; then all of them, if that pays at once.

    >>> edge = Connection("a->b", "a", "b", 1, "dense", None)
    >>> merge_boxes([Box(0, 8, 0, 8, (edge,)), Box(0, 8, 8, 16, (edge,))], "each")[0].right
    16
    """
    saved = CALL_AREA[where]
    count = len(boxes) + 1
    while len(boxes) < count:
        count = len(boxes)
        boxes = _join_neighbours(sorted(boxes, key=lambda box: (box.top, box.bottom, box.left)), saved)
        boxes = _join_neighbours(sorted(boxes, key=lambda box: (box.left, box.right, box.top)), saved)
    whole = boxes[0]
    for box in boxes[1:]:
        whole = whole.join(box)
    if whole.area <= sum(box.area for box in boxes) + saved * (len(boxes) - 1):
        return (whole,)
    return tuple(boxes)


def _join_neighbours(boxes: Sequence[Box], saved: int) -> list[Box]:
    joined: list[Box] = []
    for box in boxes:
        if joined:
            both = joined[-1].join(box)
            if both.area <= joined[-1].area + box.area + saved:
                joined[-1] = both
                continue
        joined.append(box)
    return joined


def pays_to_join(hoisted: Sequence[Box], width: int) -> bool:
    """Whether hoisted products and biases, for `width` columns of net input, should join the loop's own product."""
    rows = sum(box.bottom - box.top for box in hoisted) + 1
    return rows * width <= JOINED_AREA
