"""Backward sweeps: one rule per operation, slopes ahead of the loop, and no derivative that nothing needs."""

from __future__ import annotations

from typing import Any

from plans import draw, list_backward, list_forward, lower, stage_of

from graphbptt.ir.data import Clamp, Target
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.operations import Contract, Product, Reduce, Silence
from graphbptt.ir.parameters import Use
from graphbptt.ir.plan import InitialSite, Plan
from graphbptt.passes.differentiate import differentiate

FIXED = {"trainable": False}


def derive(network: FoldedNetwork) -> Plan:
    return differentiate(lower(network))


def gated() -> Plan:
    """A unit with one gate, both fed by the output: the gate's state is read by one activation only."""
    nodes: dict[str, dict[str, Any]] = {
        "x": {"units": 4},
        "g": {"units": 3, "activation": "logistic"},
        "h": {"units": 3, "activation": "g * tanh(net)"},
    }
    return derive(draw(nodes, ("x", "g", 0), ("h", "g", 1), ("h", "h", 1), clamps=["x"], targets=["h"]))


def test_a_product_sends_deltas_through_its_transpose_and_waits_with_its_weights() -> None:
    plan = derive(draw({"h": {"units": 3, "bias": False}}, ("h", "h", 2), targets=["h"]))
    (forward,) = [item for item in stage_of(plan, "h").forward.operations() if isinstance(item, Product)]
    backward = stage_of(plan, "h").backward
    (_, product) = backward.each[-1]
    assert isinstance(product, Product)
    assert (product.weights, product.transposed, product.accumulate) == (forward.weights, True, True)
    assert (product.out.buffer, product.out.shift) == ("delta0", -2)
    assert (product.source.buffer, product.source.width) == ("netdelta0", 3)
    assert backward.after == (Contract(forward.weights, forward.source, product.source),)


def test_slopes_are_computed_ahead_of_the_loop() -> None:
    plan = derive(draw({"h": {"units": 2, "activation": "tanh"}}, ("h", "h", 1), targets=["h"]))
    before = [str(item) for item in stage_of(plan, "h").backward.before]
    assert any(line.endswith("= (1 - (state0:0-2 * state0:0-2))") for line in before)
    assert any(line.startswith("silence") and line.endswith("at padded steps") for line in before)
    products = [item for _, item in stage_of(plan, "h").backward.each if isinstance(item, Product)]
    assert len(products) == 1


def test_a_state_that_one_activation_reads_has_no_delta() -> None:
    plan = gated()
    assert plan.placement["g"].delta is None
    assert plan.placement["h"].delta is not None
    # The chain from h's delta through the gate is one slope: tanh(net) * g * (g - 1), by minus the gate's input.
    gate, kept = plan.placement["g"].state, "saved0_1:0-3"
    slope = f"({kept} * ({gate} * ({gate} - 1)))"
    assert any(slope in line for line in list_backward(plan, "g"))


def test_what_slopes_need_again_is_kept_once() -> None:
    plan = gated()
    forward = list_forward(plan, "h")
    kept = [line for line in forward if line.startswith("compute saved")]
    assert kept == ["compute saved0_1:0-3 = tanh(net1:0-3)"]
    assert f"compute state1:0-3 = ({plan.placement['g'].state} * saved0_1:0-3)" in forward
    assert not any("tanh" in line for line in list_backward(plan, "h"))


def test_no_gate_is_inlined_that_a_loss_or_another_unit_reads() -> None:
    nodes: dict[str, dict[str, Any]] = {
        "g": {"units": 2, "activation": "logistic"},
        "h": {"units": 2, "activation": "g * tanh(net)"},
        "k": {"units": 2, "activation": "g"},
    }
    edges = [("h", "g", 1), ("h", "h", 1), ("k", "h", 1)]
    assert derive(draw(nodes, *edges, targets=["h"])).placement["g"].delta is not None
    del nodes["k"]
    assert derive(draw(nodes, *edges[:2], targets=["h", "g"])).placement["g"].delta is not None
    assert derive(draw(nodes, *edges[:2], targets=["h"])).placement["g"].delta is None


def test_no_derivative_where_nothing_is_learned() -> None:
    nodes = {"x": {"units": 2}, "f": {"units": 2, "bias": False}, "h": {"units": 2}, "y": {"units": 2}}
    edges = [("x", "f", 0, FIXED), ("f", "h", 0), ("h", "y", 0), ("h", "z", 0)]
    plan = derive(draw(nodes, *edges, clamps=["x"], targets=["y"]))
    assert [name for name, place in plan.placement.items() if place.delta is not None] == ["h", "y"]
    # Nothing learned lies behind x and f; no target lies ahead of z.
    for name in "xfz":
        assert list_backward(plan, name) == []


def test_fixed_weights_are_not_contracted_but_passed() -> None:
    plan = derive(
        draw({"h": {"units": 2}, "y": {"bias": False}}, ("h", "h", 1), ("h", "y", 0, FIXED), targets=["y"])
    )
    backward = stage_of(plan, "y").backward
    assert [type(item) for item in backward.operations()] == [Product]


def test_without_targets_nothing_runs_backward() -> None:
    plan = derive(draw({"h": {"units": 2, "initial": "learned"}}, ("h", "h", 1)))
    assert list_backward(plan, "h") == []
    assert (plan.losses, plan.initials) == ((), ())


def test_a_coefficient_is_reduced_from_its_slope() -> None:
    nodes: dict[str, dict[str, Any]] = {
        "h": {
            "units": 2,
            "activation": "rate * h[t-1] + fixed * net",
            "coefficients": {"rate": {"init": 0.5}, "fixed": {"init": 2.0, "trainable": False}},
        }
    }
    plan = derive(draw(nodes, ("h", "h", 1), targets=["h"]))
    reductions = [item for item in stage_of(plan, "h").backward.after if isinstance(item, Reduce)]
    filled = {plan.row_value[item.row]: str(item.expression) for item in reductions}
    assert filled[Use("h.rate")] == "(delta0:0-2 * state0[t-1]:0-2)"
    assert Use("h.fixed") not in filled


def test_an_identity_that_nothing_disturbs_has_one_delta_for_state_and_net_input() -> None:
    def placed(**more: Any) -> tuple[Any, Any]:
        plan = derive(draw({"h": {"units": 2}}, ("h", "h", 1), ("h", "y", 0), **more))
        return plan.placement["y"].delta, plan.placement["y"].net_delta

    delta, net_delta = placed(targets=["y"])
    assert delta == net_delta is not None
    delta, net_delta = placed(targets=["y"], clamps=[Clamp("y", "some", at=(2,))])
    assert delta != net_delta


def test_losses_on_probabilities_read_the_net_input() -> None:
    nodes = {"y": {"activation": "logistic"}, "z": {"units": 2}}
    targets = [Target("y", "p", "binary_cross_entropy"), Target("y", "v"), Target("z", "c", "cross_entropy")]
    plan = derive(draw(nodes, ("h", "y", 0), ("h", "z", 0), ("h", "h", 1), targets=targets))
    y, z = plan.placement["y"], plan.placement["z"]
    assert [(site.term, site.predicted, site.delta) for site in plan.losses] == [
        (0, y.net, y.net_delta),
        (1, y.state, y.delta),
        (2, z.state, z.delta),
    ]


def test_learned_initial_states_are_gathered_where_a_derivative_arrives() -> None:
    nodes = {"h": {"initial": "learned"}, "k": {"initial": "learned"}, "z": {"initial": 0.5}}
    plan = derive(draw(nodes, ("h", "y", 2), ("z", "y", 1), ("k", "k", 1), targets=["y"]))
    delta = plan.placement["h"].delta
    assert delta is not None
    assert plan.initials == (InitialSite("h", Use("h.initial"), delta),)


def test_clamped_states_pass_nothing_on() -> None:
    plan = derive(draw({"h": {"units": 2}}, ("h", "h", 1), clamps=[Clamp("h", "h", (0,))], targets=["h"]))
    silences = [item for item in stage_of(plan, "h").backward.before if isinstance(item, Silence)]
    assert [item.population for item in silences] == [None, "h"]
    assert silences[0].slopes == silences[1].slopes


def test_steps_are_undone_in_reverse() -> None:
    plan = derive(draw({}, ("a", "b", 0), ("b", "c", 0), ("c", "a", 1), targets=["c"]))
    written = [
        item.out.buffer + f":{item.out.start}"
        for _, item in stage_of(plan, "a").backward.each
        if isinstance(item, Product)
    ]
    columns = {name: plan.placement[name].delta for name in "abc"}
    order = [columns[name] for name in "bac"]
    assert written == [f"{view.buffer}:{view.start}" for view in order if view is not None]
