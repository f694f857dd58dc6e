"""Neighbouring element-wise assignments become one."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from plans import draw, lower, settle, stage_of
from strategies import Case, cases

from graphbptt.ir.expression import Expression, Load
from graphbptt.ir.functions import FUNCTIONS
from graphbptt.ir.operations import Assignment, Compute, Operation, Reduce, Row, View
from graphbptt.ir.plan import Plan, Stage, Sweep
from graphbptt.passes.fuse_pointwise import fuse_pointwise

TANH, LOGISTIC = FUNCTIONS["tanh"], FUNCTIONS["logistic"]


def load(buffer: str, start: int, stop: int, shift: int = 0) -> Load:
    return Load(View(buffer, start, stop, shift))


def put(start: int, stop: int, expression: Expression, accumulate: bool = False) -> Assignment:
    return Assignment(View("out", start, stop), expression, accumulate)


def fuse(*operations: Operation, after: bool = False) -> list[str]:
    """What becomes of the operations of one sweep, each on its own."""
    plan = lower(draw({"h": {}}))
    sweep = Sweep(after=operations) if after else Sweep(before=operations)
    fused = fuse_pointwise(replace(plan, stages=(Stage("batched", ("h",), sweep, Sweep()),)))
    return [str(operation) for operation in fused.stages[0].forward.operations()]


def test_like_neighbours_are_one() -> None:
    compute = Compute((put(0, 2, TANH(load("net", 4, 6))), put(2, 5, TANH(load("net", 6, 9)))))
    assert fuse(compute) == ["compute out:0-5 = tanh(net:4-9)"]


def test_their_order_does_not_matter() -> None:
    parts = [put(k, k + 1, load("a", k, k + 1) * load("b", k + 3, k + 4, -1)) for k in (2, 0, 1)]
    assert fuse(Compute(tuple(parts))) == ["compute out:0-3 = (a:0-3 * b[t-1]:3-6)"]


def test_what_both_read_is_repeated() -> None:
    compute = Compute(tuple(put(k, k + 2, load("delta", 0, 2) * load("slope", k, k + 2)) for k in (0, 2, 4)))
    assert fuse(compute) == ["compute out:0-6 = (delta:0-2 * slope:0-6)"]


def test_rows_are_joined_too() -> None:
    compute = Compute(tuple(put(k, k + 2, load("net", k, k + 2) + Load(Row(k + 6, k + 8))) for k in (0, 2)))
    assert fuse(compute) == ["compute out:0-4 = (net:0-4 + vector:6-10)"]


def test_what_differs_stays_apart() -> None:
    pairs = {
        "functions": (TANH(load("net", 0, 2)), LOGISTIC(load("net", 2, 4))),
        "buffers": (load("net", 0, 2), load("state", 2, 4)),
        "steps": (load("state", 0, 2, -1), load("state", 2, 4, -2)),
        "gaps in what is read": (load("net", 0, 2), load("net", 3, 5)),
        "numbers": (load("net", 0, 2) * 2, load("net", 2, 4) * 3),
    }
    for what, (first, second) in pairs.items():
        assert len(fuse(Compute((put(0, 2, first), put(2, 4, second))))[0].split(";")) == 2, what
    gap = Compute((put(0, 2, load("net", 0, 2)), put(3, 5, load("net", 2, 4))))
    assert len(fuse(gap)[0].split(";")) == 2
    mixed = Compute((put(0, 2, load("net", 0, 2)), put(2, 4, load("net", 2, 4), accumulate=True)))
    assert len(fuse(mixed)[0].split(";")) == 2


def test_what_is_repeated_must_fill_whole_parts() -> None:
    """Three columns and then two that read the same two: there is no way to repeat two into five."""
    compute = Compute((put(0, 3, load("a", 0, 3)), put(3, 5, load("a", 0, 2))))
    assert len(fuse(compute)[0].split(";")) == 2


def test_reductions_come_last_and_together() -> None:
    product = Compute((put(0, 1, load("net", 0, 1)),))
    reductions = [Reduce(Row(k, k + 2), load("netdelta", k, k + 2)) for k in (2, 0)]
    lone = Reduce(Row(6, 8), load("netdelta", 4, 6))
    assert fuse(reductions[0], lone, product, reductions[1], after=True) == [
        "compute out:0-1 = net:0-1",
        "reduce dvector:0-4 += sum netdelta:0-4",
        "reduce dvector:6-8 += sum netdelta:4-6",
    ]


def test_gates_are_fused_by_their_function() -> None:
    gates = {name: {"units": 2, "activation": "logistic"} for name in "fio"}
    nodes = gates | {
        "g": {"units": 2, "activation": "tanh"},
        "c": {"units": 2, "activation": "f * c[t-1] + i * g"},
        "h": {"units": 2, "activation": "o * tanh(c)"},
    }
    plan = fuse_pointwise(settle(draw(nodes, *(("h", name, 1) for name in "fiog"), targets=["h"])))
    computes = [item for _, item in stage_of(plan, "h").forward.each if isinstance(item, Compute)]
    widths = [[item.out.width for item in compute.assignments] for compute in computes]
    assert widths[0] == [6, 2]
    assert {len(parts) for parts in widths[1:]} == {1}


def list_columns(plan: Plan) -> list[tuple[str, int, int, bool]]:
    return sorted(
        (item.out.buffer, column, item.out.shift, item.accumulate)
        for stage in plan.stages
        for operation in (*stage.forward.operations(), *stage.backward.operations())
        if isinstance(operation, Compute)
        for item in operation.assignments
        for column in range(item.out.start, item.out.stop)
    )


@given(cases())
def test_every_column_is_still_written_once(case: Case) -> None:
    plan = settle(case.fold())
    assert list_columns(fuse_pointwise(plan)) == list_columns(plan)
