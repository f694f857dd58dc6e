"""Where states and net inputs live, and which activations are written for half the input."""

from __future__ import annotations

from typing import Any

from plans import draw

from graphbptt.ir.data import Target
from graphbptt.ir.expression import Net
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.functions import ACTIVATIONS
from graphbptt.ir.plan import Buffer
from graphbptt.passes.place_buffers import Site, place_buffers
from graphbptt.passes.schedule_stages import schedule_stages


def place(network: FoldedNetwork) -> tuple[dict[str, Site], dict[str, Buffer]]:
    sites, buffers = place_buffers(network, schedule_stages(network))
    return sites, {buffer.name: buffer for buffer in buffers}


def gates(**activations: str) -> dict[str, dict[str, Any]]:
    return {name: {"units": 3, "activation": activation} for name, activation in activations.items()}


def test_what_products_read_lies_side_by_side() -> None:
    nodes = gates(a="tanh", b="relu", c="tanh")
    sites, buffers = place(draw(nodes, ("a", "b", 1), ("b", "c", 2), ("c", "a", 1)))
    columns = {name: (site.state.start, site.state.stop) for name, site in sites.items()}
    # Like activations are neighbours.
    assert columns == {"b": (0, 3), "a": (3, 6), "c": (6, 9)}
    (buffer,) = {site.state.buffer for site in sites.values()}
    assert (buffers[buffer].width, buffers[buffer].before, buffers[buffer].lanes) == (9, 2, 1)


def test_what_only_activations_read_has_lanes() -> None:
    nodes = gates(i="logistic", f="logistic", g="tanh", c="f * c[t-1] + i * g") | {"y": {"units": 3}}
    edges = [("y", name, 1) for name in "ifg"]
    sites, buffers = place(draw(nodes, *edges, ("c", "y", 0)))
    lanes = buffers[sites["i"].state.buffer]
    assert {sites[name].state.buffer for name in "ifg"} == {lanes.name}
    assert (lanes.lanes, lanes.lane_width, lanes.before) == (3, 3, 0)
    assert sites["c"].state.buffer != lanes.name
    nets = buffers[sites["i"].net.buffer]  # type: ignore[union-attr]
    assert (nets.lanes, nets.lane_width) == (3, 3)


def test_lanes_have_one_width() -> None:
    nodes = gates(i="tanh") | {"j": {"units": 2, "activation": "tanh"}}
    nodes |= {"p": {"units": 3, "activation": "i"}, "q": {"units": 2, "activation": "j"}}
    edges = [(source, target, 1) for source in "pq" for target in "ij"]
    sites, _ = place(draw(nodes, *edges))
    assert sites["i"].state.buffer != sites["j"].state.buffer


def test_rows_before_and_behind_reach_as_far_as_anyone_reads() -> None:
    sites, buffers = place(draw({}, ("a", "b", 3), ("a", "b", -2), ("a", "c", 1)))
    assert (buffers[sites["a"].state.buffer].before, buffers[sites["a"].state.buffer].after) == (3, 2)
    assert (buffers[sites["b"].state.buffer].before, buffers[sites["b"].state.buffer].after) == (0, 0)


def test_no_net_input_where_nothing_arrives() -> None:
    sites, _ = place(draw(gates(a="tanh", b="a[t-1]"), ("x", "a", 0), clamps=["x"]))
    assert [name for name, site in sites.items() if site.net is None] == ["x", "b"]


def test_logistic_takes_its_input_with_the_opposite_sign() -> None:
    sites, _ = place(draw(gates(a="logistic", b="2 * logistic(net)"), ("a", "b", 1)))
    for name in "ab":
        assert sites[name].net_scale == -1
        assert sites[name].activation != sites[name].population.activation


def test_logistic_takes_its_input_as_it_is_where_something_else_reads_it() -> None:
    nodes = gates(a="net * logistic(net)", b="logistic", c="tanh")
    target = Target("b", "b", "binary_cross_entropy")
    sites, _ = place(draw(nodes, ("a", "b", 1), ("b", "c", 1), targets=[target]))
    assert {name: (site.net_scale, site.activation) for name, site in sites.items()} == {
        "a": (1.0, Net() * ACTIVATIONS["logistic"]),
        "b": (1.0, ACTIVATIONS["logistic"]),
        "c": (1.0, ACTIVATIONS["tanh"]),
    }
