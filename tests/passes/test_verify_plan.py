"""The verifier: it passes what is compiled, after every pass, and finds every invariant that is broken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from damage import Damage, drop, edit, first, in_sweep, put, swap, twice
from hypothesis import given
from named_networks import NETWORKS
from plans import draw, lower
from strategies import Case, cases

from graphbptt.errors import VerificationError
from graphbptt.ir.data import Clamp
from graphbptt.ir.expression import Load, Net, Number
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.operations import (
    Assignment,
    Compute,
    Contract,
    Operation,
    Perturb,
    Product,
    Reduce,
    Restrain,
    Row,
    Silence,
    View,
)
from graphbptt.ir.parameters import FrozenArray, Use
from graphbptt.ir.plan import Clear, Plan
from graphbptt.passes.differentiate import differentiate
from graphbptt.passes.fuse_pointwise import fuse_pointwise
from graphbptt.passes.settle_deltas import settle_deltas
from graphbptt.passes.verify_plan import verify_forward, verify_plan


def verify_passes(network: FoldedNetwork) -> None:
    plan = lower(network)
    verify_forward(plan)
    plan = differentiate(plan)
    verify_forward(plan)
    plan = settle_deltas(plan)
    verify_plan(plan)
    verify_plan(fuse_pointwise(plan))


@pytest.mark.parametrize("network", NETWORKS)
def test_what_is_compiled_passes(network: Callable[[], FoldedNetwork]) -> None:
    verify_passes(network())


@given(cases())
def test_whatever_is_compiled_passes(case: Case) -> None:
    verify_passes(case.fold())


def compiled() -> Plan:
    """Data x, a loop of a noisy gate g (in a lane beside v) and a partly clamped h, and a readout y."""
    nodes: dict[str, dict[str, Any]] = {
        "x": {"units": 2},
        "g": {"units": 3, "activation": "logistic", "noise": 0.5},
        "v": {"units": 3, "activation": "logistic"},
        "h": {
            "units": 3,
            "activation": "g * tanh(net) + v * k",
            "coefficients": {"k": {"init": 0.5}},
            "initial": "learned",
        },
        "y": {"units": 2},
    }
    edges = [("x", "h", 0), ("h", "g", 1), ("h", "v", 2), ("h", "h", 1), ("h", "y", 0)]
    network = draw(nodes, *edges, clamps=["x", Clamp("h", "h", units=(1,))], targets=["y"])
    return settle_deltas(differentiate(lower(network)))


PLAN = compiled()
DATA, LOOP, READOUT = (PLAN.placement[name].stage for name in ("x", "h", "y"))
NOISE = Perturb(PLAN.placement["g"].net, "g", 0.5, accumulate=True)
H, Y = PLAN.placement["h"], PLAN.placement["y"]


def test_the_stages_above() -> None:
    assert [PLAN.stages[index].mode for index in (DATA, LOOP, READOUT)] == ["given", "forward", "batched"]
    assert PLAN.buffer[PLAN.placement["g"].state.buffer].lanes == 2
    verify_plan(PLAN)


def shifted(view: View, shift: int) -> View:
    return replace(view, shift=shift)


def compute(out: View, expression: Any) -> Compute:
    return Compute((Assignment(out, expression),))


def ahead(stage: int, direction: str, *operations: Operation) -> Damage:
    """Operations ahead of a whole sweep."""

    def change(part: Any) -> Any:
        sweep = getattr(part, direction)
        return replace(part, **{direction: replace(sweep, before=(*operations, *sweep.before))})

    return swap("stages", change, stage)


def backwards(stage: int, direction: str) -> Damage:
    """A loop whose operations come in the wrong order."""

    def change(part: Any) -> Any:
        sweep = getattr(part, direction)
        return replace(part, **{direction: replace(sweep, each=sweep.each[::-1])})

    return swap("stages", change, stage)


def entry(**changes: Any) -> Damage:
    """The first entry of the first matrix changed."""
    return swap("matrices", lambda matrix: replace(matrix, entries=(replace(matrix.entries[0], **changes),)))


def reverse_stages(plan: Plan) -> Plan:
    last = len(plan.stages) - 1
    placements = tuple(replace(placement, stage=last - placement.stage) for placement in plan.placements)
    return replace(plan, stages=plan.stages[::-1], placements=placements)


def in_loop(operation: Operation) -> Damage:
    """An operation more at every step."""

    def change(part: Any) -> Any:
        return replace(part, forward=replace(part.forward, each=(*part.forward.each, (0, operation))))

    return swap("stages", change, LOOP)


def add_earlier(product: Product) -> list[Operation]:
    """Another one that adds to the step before, which may be in a block of steps still to be written."""
    return [product, replace(product, out=shifted(product.out, -1), accumulate=True)]


def read_at_once(operation: Operation) -> list[Operation]:
    """A delayed product that forgets its delay."""
    if isinstance(operation, Product) and operation.source.shift:
        return [replace(operation, source=shifted(operation.source, 0))]
    return [operation]


LAYOUT: list[tuple[Damage, str]] = [
    (lambda p: replace(p, buffers=(*p.buffers, p.buffers[0])), "two buffers have one name"),
    (put("buffers", 0, lanes=2, width=3), "has 3 columns in 2 lanes"),
    (put("buffers", 0, before=-1), "has -1 rows before the steps"),
    (put("buffers", 0, columns_of="state1"), "buffer state0 of state repeats the columns of state1"),
    (put("buffers", -1, columns_of="net2"), "buffer delta2 of delta repeats the columns of net2"),
    (put("buffers", -1, stage=0), "buffer delta2 differs from state2, whose columns it repeats"),
    (lambda p: replace(p, matrices=(*p.matrices, p.matrices[0])), "two matrices, or blocks, have one name"),
    (put("matrices", 0, rows=1), "is not inside W0"),
    (entry(columns=range(1)), "does not fill its part of W0"),
    (entry(rows=(0, 0)), "is not inside W0"),
    (entry(use=Use("h.bias")), "does not fill its part of W0"),
    (put("vector", 0, row=Row(1, 3)), "vector:1-3 does not begin where the row before it ends, at 0"),
    (put("vector", 0, value=FrozenArray([1, 2])), "does not fill vector:0-3"),
    (put("stages", READOUT, populations=()), "the stages do not compute each population once"),
    (lambda p: replace(p, placements=p.placements[1:]), "the stages do not compute each population once"),
    (put("placements", 0, state=View("state0", 0, 1)), "x has other than 2 columns"),
    (put("placements", 0, state=View("state9", 0, 2)), "x: there is no buffer state9"),
    (put("placements", 0, state=View("state0", 9, 11)), "x: state0:9-11 is not inside the"),
    (put("losses", 0, term=1), "the losses are not those of the network"),
    (put("losses", 0, predicted=Y.net), "term 0 does not read the state of y, or not to its delta"),
    (put("initials", 0, delta=Y.delta), "the initial state of h is not where its delta is"),
    (put("initials", 0, population="y", delta=Y.delta), "the initial state of y is not learned"),
    (lambda p: replace(p, clear=(Clear(View("delta1", 0, 99)),)), "is not inside the"),
]  # fmt: skip

OPERATIONS: list[tuple[Damage, str]] = [
    (edit(Product, READOUT, "forward", source=shifted(H.state, -3)), "is not inside the rows around the steps"),
    (edit(Product, READOUT, "forward", source=shifted(H.state, 1)), "is not inside the rows around the steps"),
    (edit(Product, READOUT, "forward", weights="W9"), "there are no weights W9"),
    (edit(Product, READOUT, "forward", source=replace(H.state, stop=2)), "has shape (3, 2)"),
    (edit(Product, READOUT, "forward", transposed=True), "has shape (3, 2)"),
    (edit(Contract, READOUT, "backward", delta=H.state), "has shape (3, 2)"),
    (
        edit(Product, READOUT, "forward", source=replace(PLAN.placement["g"].state, start=1, stop=4)),
        "cuts a lane of 3 columns",
    ),
    (ahead(READOUT, "forward", compute(Y.state, Load(H.state))), "state1:0-3 does not repeat to 2 columns"),
    (ahead(READOUT, "forward", compute(Y.state, Net())), "net has no place in memory"),
    (ahead(READOUT, "forward", compute(Y.state, Load(Row(98, 100)))), "vector:98-100 is not inside the vector"),
    (edit(Reduce, READOUT, "backward", row=Row(98, 100)), "vector:98-100 is not inside the vector"),
    (edit(Restrain, LOOP, "forward", population="g"), "g is not restrained"),
    (edit(Restrain, LOOP, "forward", state=Y.state), "state2:0-2 are not the states of h"),
    (edit(Silence, LOOP, "backward", population="g"), "g is not restrained"),
    (ahead(DATA, "forward", compute(View("state0", 0, 2), Number(1))), "x: data are computed"),
    (put("stages", LOOP, mode="batched"), "nothing recurs, but there is a loop"),
    (
        swap("stages", lambda s: replace(s, forward=replace(s.forward, each=((-1, s.forward.each[0][1]),))), LOOP),
        "a phase is negative",
    ),
    (
        ahead(READOUT, "forward", Reduce(Row(0, 2), Load(Y.state))),
        "y: a forward sweep takes derivatives",
    ),
    (
        ahead(READOUT, "backward", Reduce(Row(0, 2), Load(Y.state))),
        "y: a derivative is summed before the loop has ended",
    ),
    (ahead(READOUT, "backward", Restrain(H.state, "h")), "y: a backward sweep sets states"),
    (ahead(LOOP, "backward", NOISE), "g, h, v: a backward sweep sets states"),
    (in_loop(NOISE), "g, h, v: noise is drawn inside the loop"),
    (edit(Perturb, LOOP, "forward", population="q"), "there is no population q"),
    (edit(Perturb, LOOP, "forward", population="h"), "is not the net input of h"),
    (edit(Perturb, LOOP, "forward", out=H.net), "is not the net input of g"),
    (edit(Perturb, LOOP, "forward", scale=0.5), "the noise of g is scaled by 0.5, not -0.5"),
    (edit(Perturb, LOOP, "forward", scale=-0.25), "the noise of g is scaled by -0.25, not -0.5"),
    (drop(Perturb, LOOP, "forward"), "noise is drawn for [], but ['g'] have some"),
    (twice(Perturb, LOOP, "forward"), "noise is drawn for ['g', 'g'], but ['g'] have some"),
]  # fmt: skip

WEIGHTS: list[tuple[Damage, str]] = [
    (drop(Contract, READOUT, "backward"), "is contracted 0 times"),
    (twice(Contract, READOUT, "backward"), "is contracted 2 times"),
    (edit(Contract, READOUT, "backward", source=shifted(H.state, -1)), "does not fit product"),
    (twice(Product, READOUT, "forward"), "the matrices are not read by one forward product each"),
    (drop(Reduce, READOUT, "backward"), "is reduced 0 times"),
    (twice(Reduce, READOUT, "backward"), "is reduced 2 times"),
    (twice(Reduce, LOOP, "backward"), "is reduced 2 times"),
]  # fmt: skip

ORDER: list[tuple[Damage, str]] = [
    (reverse_stages, "before it is written"),
    (drop(Compute, READOUT, "forward"), "nothing computes state2:0-2 of y"),
    (backwards(LOOP, "forward"), "before it is written"),
    (backwards(LOOP, "backward"), "before it is written"),
    (in_sweep(LOOP, "forward", read_at_once), "before it is written"),
    (edit(Product, READOUT, "forward", accumulate=True), "changes net2:0-2 before it is written"),
    (edit(Perturb, LOOP, "forward", accumulate=False), "overwrites net1.1:0-3"),
    (ahead(READOUT, "forward", compute(H.state, Number(1))), "overwrites state1:0-3"),
    (ahead(READOUT, "backward", compute(Y.delta, Number(1))), "overwrites delta2:0-2"),
    (
        put("losses", 0, accumulate=True),
        "the derivative of term 0 is added to delta2:0-2, which is not cleared",
    ),
    (
        lambda p: replace(p, clear=(Clear(p.losses[0].delta),)),
        "the derivative of term 0 overwrites delta2:0-2",
    ),
    (lambda p: replace(p, clear=(*p.clear, Clear(H.delta))), "overwrites delta1:0-3"),
    (edit(Product, READOUT, "backward", accumulate=True), "changes delta1:0-3 before it is written"),
    (drop(Product, READOUT, "backward"), "before it is written"),
    (edit(Product, READOUT, "backward", out=shifted(H.delta, -1)), "leaves out rows of delta1[t-1]:0-3"),
    (first(Product, add_earlier, READOUT, "backward"), "changes delta1[t-1]:0-3 at other rows than were written"),
    (edit(Product, LOOP, "backward", accumulate=False), "overwrites delta1[t-1]:0-3"),
]  # fmt: skip


def test_copies_beside_the_states_are_read_as_they_were_written() -> None:
    """A product reads data of two steps ago with a one beside them, which has to stand beside the same step."""
    network = draw({"x": {"units": 2}}, ("x", "y", 2), ("x", "z", 1), clamps=["x"], targets=["y", "z"])
    plan = lower(network)
    verify_forward(plan)

    def move(operation: Operation) -> list[Operation]:
        if isinstance(operation, Compute) and operation.assignments[0].expression == Number(1):
            (one,) = operation.assignments
            return [compute(shifted(one.out, 0), one.expression)]
        return [operation]

    with pytest.raises(VerificationError, match="at other rows than were written"):
        verify_forward(in_sweep(plan.placement["y"].stage, "forward", move)(plan))


def test_rows_that_a_plain_write_leaves_out_are_cleared() -> None:
    network = draw({"c": {"activation": "c[t-2] * h"}}, ("c", "h", 1), targets=["h"])
    plan = settle_deltas(differentiate(lower(network)))
    verify_plan(plan)
    for wrong in (
        [item for item in plan.clear if not item.rows],
        [replace(item, rows=-item.rows) for item in plan.clear],
    ):
        with pytest.raises(VerificationError, match=r"leaves out rows of delta0\[t-2\]:0-1"):
            verify_plan(replace(plan, clear=tuple(wrong)))


@pytest.mark.parametrize(("damage", "what"), [*LAYOUT, *OPERATIONS, *WEIGHTS, *ORDER])
def test_damage_is_found(damage: Damage, what: str) -> None:
    with pytest.raises(VerificationError) as caught:
        verify_plan(damage(PLAN))
    assert what in str(caught.value)
