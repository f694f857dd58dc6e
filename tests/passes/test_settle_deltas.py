"""What is written first to a delta, what is added, and what must start at zero."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from plans import draw, settle

from graphbptt.ir.operations import Compute, Product, View
from graphbptt.ir.plan import Clear, Plan
from graphbptt.passes.verify_plan import verify_plan


def writes(plan: Plan, buffer: str) -> list[str]:
    """All writes to a buffer of deltas in the order of the backward sweeps."""
    return [
        f"{view} {'+=' if accumulate else '='}"
        for stage in reversed(plan.stages)
        for operation in stage.backward.operations()
        for view, accumulate in _list_writes(operation)
        if view.buffer == buffer
    ]


def _list_writes(operation: object) -> Iterator[tuple[View, bool]]:
    if isinstance(operation, Product):
        yield operation.out, operation.accumulate
    elif isinstance(operation, Compute):
        for item in operation.assignments:
            yield item.out, item.accumulate


def test_the_only_reader_writes() -> None:
    plan = settle(draw({}, ("x", "h", 0), ("h", "y", 0), clamps=["x"], targets=["y"]))
    assert writes(plan, "delta1") == ["delta1:0-1 ="]
    assert plan.clear == ()
    assert [site.accumulate for site in plan.losses] == [False]


def test_the_second_loss_on_a_node_adds_and_so_does_one_on_some_of_its_units() -> None:
    graph = draw({"h": {"units": 2}}, ("x", "h", 0), clamps=["x"], targets=["h", "h"])
    plan = settle(graph)
    assert [site.accumulate for site in plan.losses] == [False, True]
    assert plan.clear == ()
    part = replace(graph, targets=(replace(graph.targets[0], units=(1,)), graph.targets[1]))
    plan = settle(part)
    assert [site.accumulate for site in plan.losses] == [True, True]
    assert plan.clear == (Clear(View("delta1", 0, 2)),)


def test_the_second_reader_adds() -> None:
    plan = settle(draw({}, ("x", "h", 0), ("h", "y", 0), ("h", "z", 0), clamps=["x"], targets=["y", "z"]))
    assert writes(plan, "delta1") == ["delta1:0-1 =", "delta1:0-1 +="]


def test_a_loss_comes_first() -> None:
    plan = settle(draw({}, ("x", "h", 0), ("h", "y", 0), clamps=["x"], targets=["y", "h"]))
    assert writes(plan, "delta1") == ["delta1:0-1 +="]
    assert [site.accumulate for site in plan.losses] == [False, False]
    assert plan.clear == ()


def test_a_delayed_reader_of_whole_sequences_adds() -> None:
    plan = settle(draw({}, ("x", "h", 0), ("h", "y", 3), clamps=["x"], targets=["y"]))
    assert writes(plan, "delta1") == ["delta1[t-3]:0-1 +="]
    assert Clear(View("delta1", 0, 1)) in plan.clear


def cleared(plan: Plan, view: View | None) -> list[Clear]:
    return [item for item in plan.clear if item.view == view]


def test_a_loop_leaves_out_rows_at_the_end_where_it_begins() -> None:
    plan = settle(draw({"c": {"activation": "c[t-2] * h"}}, ("c", "h", 1), targets=["h"]))
    assert cleared(plan, plan.placement["c"].delta) == [Clear(View("delta0", 0, 1), -2)]
    assert writes(plan, "delta0").count("delta0[t-2]:0-1 =") == 1


def test_in_reverse_it_leaves_out_the_first_rows() -> None:
    plan = settle(draw({"c": {"activation": "c[t+2] * h"}}, ("c", "h", -1), targets=["h"]))
    assert cleared(plan, plan.placement["c"].delta) == [Clear(View("delta0", 0, 1), 2)]
    assert writes(plan, "delta0").count("delta0[t+2]:0-1 =") == 1


def test_what_reaches_a_row_first_is_written_whatever_its_place_in_the_loop() -> None:
    """Going back in time, the derivative through the longer delay arrives before the one through the shorter."""
    plan = settle(draw({"c": {"activation": "c[t-1] * h + c[t-4]"}}, ("c", "h", 1), targets=["h"]))
    assert cleared(plan, plan.placement["c"].delta) == [Clear(View("delta0", 0, 1), -4)]
    found = {line for line in writes(plan, "delta0") if ":0-1 " in line}
    assert found == {"delta0[t-4]:0-1 =", "delta0[t-1]:0-1 +="}


def test_what_a_later_stage_has_written_is_added_to() -> None:
    plan = settle(draw({}, ("h", "h", 1), ("h", "y", 0), clamps=[], targets=["y"]))
    first, *others = writes(plan, "delta0")
    assert first == "delta0:0-1 ="
    assert [line.split()[-1] for line in others] == ["+="]
    assert cleared(plan, plan.placement["h"].delta) == []


def test_populations_at_different_steps_only_add() -> None:
    plan = settle(draw({}, ("a", "b", -2), ("b", "a", 3), targets=["a"]))
    a, b = plan.placement["a"].delta, plan.placement["b"].delta
    assert (cleared(plan, a), cleared(plan, b)) == ([], [Clear(b)])  # the loss has written all of a's
    assert {line.split()[-1] for line in writes(plan, "delta0")} == {"+="}


def test_readers_at_different_delays_may_be_run_in_blocks_of_steps() -> None:
    """A plain write of a later block must not undo what an earlier one has added to rows ahead of it."""
    plan = settle(
        draw({}, ("x", "h", 1), ("h", "h", 1), ("h", "y", 0), ("h", "y", 2), clamps=["x"], targets=["y"])
    )
    verify_plan(plan)


def test_slopes_turn_into_deltas_in_place() -> None:
    plan = settle(draw({"h": {"activation": "tanh"}}, ("h", "h", 1), targets=["h"]))
    assert writes(plan, "netdelta0") == ["netdelta0:0-1 =", "netdelta0:0-1 ="]
    assert cleared(plan, plan.placement["h"].net_delta) == []
