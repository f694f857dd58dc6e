"""The verifier on sparse weights that are kept as entries: it finds every invariant of theirs that is broken."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from damage import Damage, in_sweep, put
from plans import draw, lower

from graphbptt.errors import VerificationError
from graphbptt.ir.indices import Pattern
from graphbptt.ir.operations import Contract, Operation, Product, View
from graphbptt.ir.parameters import Use
from graphbptt.ir.plan import Plan
from graphbptt.passes.differentiate import differentiate
from graphbptt.passes.settle_deltas import settle_deltas
from graphbptt.passes.verify_plan import verify_plan


def compiled() -> Plan:
    """Data x, a loop at h with sparse weights in rows, and a readout y with a block and a masked matrix."""
    nodes: dict[str, dict[str, Any]] = {
        "x": {"units": 2},
        "h": {"units": 3, "activation": "tanh"},
        "y": {"units": 4},
    }
    loop = {"weight": {"sparse": {"edges": [[0, 1], [2, 0]]}, "storage": "csr"}}
    readout = {"weight": {"sparse": {"mask": [[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 1, 0]]}, "storage": "csr"}}
    masked = {"weight": {"sparse": {"edges": [[1, 1], [2, 3]]}, "storage": "dense"}}
    edges = [("x", "h", 0), ("h", "h", 1, loop), ("h", "y", 0, readout), ("h", "y", 1, masked)]
    return settle_deltas(differentiate(lower(draw(nodes, *edges, clamps=["x"], targets=["y"]))))


PLAN = compiled()
LOOP, READOUT = (PLAN.placement[name].stage for name in ("h", "y"))
H, Y = PLAN.placement["h"], PLAN.placement["y"]
BLOCKS = {block.owner: index for index, block in enumerate(PLAN.blocks)}
NAMES = {block.name for block in PLAN.blocks}
FORWARD, BACKWARD = "forward", "backward"


def test_the_blocks_above() -> None:
    assert BLOCKS.keys() == {"h->h", "h->y@0"}
    assert [stage.mode for stage in PLAN.stages] == ["given", "forward", "batched"]
    verify_plan(PLAN)


def test_rows_begin_where_the_entries_do() -> None:
    assert PLAN.blocks[BLOCKS["h->y@0"]].starts().tolist() == [0, 2, 3, 4]
    assert PLAN.blocks[BLOCKS["h->h"]].starts().tolist() == [0, 1, 1, 2]


def change(kind: type, stage: int, direction: str, /, times: int = 1, **changes: Any) -> Damage:
    """The operations of a kind that work on blocks, changed, repeated or left out."""

    def apply(operation: Operation) -> list[Operation]:
        if not isinstance(operation, Product | Contract) or operation.weights not in NAMES:
            return [operation]
        return [replace(operation, **changes)] * times if isinstance(operation, kind) else [operation]

    return in_sweep(stage, direction, apply)


def rename(name: str) -> Damage:
    return put("blocks", 0, name=name)


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (rename(PLAN.blocks[1].name), "two matrices, or blocks, have one name"),
        (rename(PLAN.matrices[0].name), "two matrices, or blocks, have one name"),
        (put("blocks", BLOCKS["h->h"], rows=2), f"h->h does not fill {PLAN.blocks[BLOCKS['h->h']].name}"),
        (put("blocks", BLOCKS["h->h"], pattern=Pattern([0], [1])), "h->h does not fill"),
        (put("blocks", BLOCKS["h->h"], pattern=Pattern([2, 0], [0, 1])), "h->h does not fill"),
        (put("blocks", BLOCKS["h->h"], pattern=Pattern([0, 2], [1, -1])), "h->h does not fill"),
        (put("blocks", BLOCKS["h->h"], use=Use("h->y@0")), "h->h does not fill"),
        (put("storages", 0, storage="dense"), "the sparse connections are not kept as was chosen"),
        (put("blocks", 0, owner="x->h"), "the sparse connections are not kept as was chosen"),
        (change(Product, READOUT, FORWARD, weights="S9"), "there are no weights S9"),
        (change(Product, READOUT, FORWARD, transposed=True), "has shape (3, 4)"),
        (change(Product, READOUT, FORWARD, out=View(Y.net.buffer, 0, 3)), "has shape (3, 4)"),
        (change(Product, LOOP, BACKWARD, out=View(H.delta.buffer, 0, 2)), "has shape (3, 3)"),
        (change(Contract, READOUT, BACKWARD, delta=H.state), "has shape (3, 4)"),
        (change(Contract, LOOP, BACKWARD, weights="S9"), "there are no weights S9"),
        (change(Product, READOUT, FORWARD, times=2), "the matrices are not read by one forward product each"),
        (change(Product, LOOP, FORWARD, times=0), "the matrices are not read by one forward product each"),
        (change(Contract, LOOP, BACKWARD, times=0), "is contracted 0 times"),
        (change(Contract, READOUT, BACKWARD, times=2), "is contracted 2 times"),
        (change(Contract, LOOP, BACKWARD, source=H.state), "does not fit product"),
        (change(Product, LOOP, FORWARD, source=H.state), "before it is written"),
        (change(Product, READOUT, FORWARD, accumulate=False), "overwrites"),
        (change(Product, LOOP, BACKWARD, accumulate=False), "overwrites"),
    ],
)  # fmt: skip
def test_damage_is_found(damage: Damage, complaint: str) -> None:
    with pytest.raises(VerificationError, match=re.escape(complaint)):
        verify_plan(damage(PLAN))
