"""The softmax as an operation of its own: where it stands in a plan, and where its derivative goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from plans import draw, list_backward, list_forward, settle, stage_of

from graphbptt.errors import SpecError, VerificationError
from graphbptt.ir.data import Clamp, Target
from graphbptt.ir.expression import Net
from graphbptt.ir.functions import softmax
from graphbptt.ir.operations import Operation, Silence, Softmax, SoftmaxGradient
from graphbptt.ir.plan import Plan, Sweep
from graphbptt.ir.plan_costs import count_flops
from graphbptt.passes.fuse_pointwise import fuse_pointwise
from graphbptt.passes.verify_folded import verify_folded
from graphbptt.passes.verify_plan import verify_plan

CHOICE: dict[str, dict[str, Any]] = {"x": {"units": 2}, "p": {"units": 3, "activation": "softmax"}}


def attention(**more: Any) -> Plan:
    """Units that compete, read by the loop they are in."""
    nodes = {**CHOICE, "h": {"units": 3, "activation": "p * tanh(net)"}}
    edges = [("x", "h", 0), ("h", "p", 1), ("h", "h", 1)]
    return settle(draw(nodes, *edges, clamps=more.pop("clamps", ["x"]), **{"targets": ["h"], **more}))


def test_inside_a_loop_it_is_neither_inlined_nor_in_place() -> None:
    plan = attention()
    p = plan.placement["p"]
    assert f"softmax {p.state} = softmax {p.net}" in list_forward(plan, "p")
    (gradient,) = [item for _, item in stage_of(plan, "p").backward.each if isinstance(item, SoftmaxGradient)]
    assert (gradient.out, gradient.delta, gradient.probabilities) == (p.net_delta, p.delta, p.state)
    assert gradient.slopes not in (p.net_delta, p.delta)
    silences = [item for item in stage_of(plan, "p").backward.before if isinstance(item, Silence)]
    assert any(gradient.slopes in silence.slopes for silence in silences)
    verify_plan(plan)
    verify_plan(fuse_pointwise(plan))


def test_where_states_are_set_the_softmax_is_kept() -> None:
    plan = attention(clamps=["x", Clamp("p", "some", units=(1,))])
    p = plan.placement["p"]
    (gradient,) = [item for _, item in stage_of(plan, "p").backward.each if isinstance(item, SoftmaxGradient)]
    kept = gradient.probabilities
    assert plan.buffer[kept.buffer].kind == "saved"
    assert f"compute {p.state} = {kept}" in list_forward(plan, "p")
    assert f"softmax {kept} = softmax {p.net}" in list_forward(plan, "p")


def test_where_nothing_arrives_all_units_are_alike() -> None:
    plan = settle(draw({"p": {"units": 4, "activation": "softmax"}}, ("p", "y", 0), targets=["y"]))
    assert list_forward(plan, "p") == [f"compute {plan.placement['p'].state} = 0.25"]


def test_a_loss_on_the_net_input_alone_needs_no_gradient_of_the_softmax() -> None:
    wanted = [Target("p", "label", "cross_entropy")]
    plan = settle(draw(CHOICE, ("x", "p", 0), clamps=["x"], targets=wanted))
    p = plan.placement["p"]
    (site,) = plan.losses
    assert (site.predicted, site.delta, p.delta) == (p.net, p.net_delta, None)
    assert not any("softmax" in line for line in list_backward(plan, "p"))


def test_text_and_costs() -> None:
    plan = attention()
    lines = [line.strip() for line in str(plan).splitlines()]
    net = plan.placement["p"].net
    assert net is not None
    assert f"p = softmax({net.buffer}[p])" in lines
    assert "netdelta1.1[p] = a - p * sum(a) over units, a = slope_1.1[p] * delta1.1[p]" in lines
    forward, backward = (
        [item for item in sweep.operations() if isinstance(item, Softmax | SoftmaxGradient)]
        for sweep in (stage_of(plan, "p").forward, stage_of(plan, "p").backward)
    )
    assert (count_flops(plan, forward), count_flops(plan, backward)) == (15, 12)


def damage(change: Callable[[Operation], Operation], direction: str) -> Plan:
    plan = attention()
    index = plan.placement["p"].stage
    stage = plan.stages[index]
    sweep = getattr(stage, direction)
    changed = Sweep(
        tuple(map(change, sweep.before)),
        tuple((phase, change(item)) for phase, item in sweep.each),
        tuple(map(change, sweep.after)),
    )
    stages = (*plan.stages[:index], replace(stage, **{direction: changed}), *plan.stages[index + 1 :])
    return replace(plan, stages=stages)


def edit(kind: type, **changes: Any) -> Callable[[Operation], Operation]:
    return lambda item: replace(item, **changes) if isinstance(item, kind) else item


PLACES = attention().placement
P, H = PLACES["p"], PLACES["h"]


@pytest.mark.parametrize(
    ("change", "direction", "what"),
    [
        (edit(Softmax, source=H.net), "forward", "it is not that of a population"),
        (edit(Softmax, out=replace(P.state, stop=P.state.stop - 1)), "forward", "differ in width"),
        (edit(SoftmaxGradient, out=H.net_delta), "backward", "it is not that of a population"),
        (edit(SoftmaxGradient, delta=H.delta), "backward", "it is not that of a population"),
        (edit(SoftmaxGradient, accumulate=True), "backward", "changes netdelta"),
    ],
)
def test_damage_is_found(change: Callable[[Operation], Operation], direction: str, what: str) -> None:
    with pytest.raises(VerificationError) as caught:
        verify_plan(damage(change, direction))
    assert what in str(caught.value)


def test_a_part_of_an_expression_is_no_softmax() -> None:
    network = draw(CHOICE, ("x", "p", 0), clamps=["x"], targets=["p"])
    nested = replace(network.population["p"], activation=softmax(Net()) * 2)
    populations = tuple(nested if item.name == "p" else item for item in network.populations)
    with pytest.raises(VerificationError, match="the activation of p has a softmax as a part"):
        verify_folded(replace(network, populations=populations))


def test_one_unit_competes_with_none() -> None:
    with pytest.raises(SpecError) as caught:
        draw({"p": {"activation": "softmax"}}, ("x", "p", 0), clamps=["x"], targets=["p"])
    (problem,) = caught.value.problems
    assert (problem.path, problem.what) == ("node p.activation", "a softmax over one unit is always 1")
