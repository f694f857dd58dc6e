"""Signs of weights: which parameters they bind, which values they refuse, and that training keeps them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest

import graphbptt
from graphbptt.errors import SpecError
from graphbptt.ir.signs import Demand
from graphbptt.passes.fold_graph import fold_graph

OPTIMIZERS: list[dict[str, Any]] = [
    {"sgd": {"rate": 0.1, "momentum": 0.9}},
    {"sgd": {"rate": 0.1, "momentum": 0.9, "nesterov": True}},
    {"rmsprop": {"rate": 0.01}},
    {"adam": {"rate": 0.02}},
    {"adamw": {"rate": 0.02, "weight_decay": 0.3}},
]


def draw_graph(**edge: Any) -> nx.MultiDiGraph[str]:
    """Excitatory and inhibitory units; `edge` is said of the weights from the former to the latter."""
    graph: nx.MultiDiGraph[str] = nx.MultiDiGraph()
    graph.add_node("x", units=2)
    graph.add_node("e", units=6, activation="tanh", sign="excitatory")
    graph.add_node("i", units=3, activation="tanh", sign="inhibitory")
    graph.add_node("y")
    graph.add_edge("x", "e", delay=0)
    graph.add_edge("e", "e", weight={"sparse": {"density": 0.5}})
    graph.add_edge("e", "i", **edge)
    graph.add_edge("i", "e")
    graph.add_edge("e", "y", delay=0)
    return graph


def build_model(graph: nx.MultiDiGraph[str], **settings: Any) -> graphbptt.Model:
    inputs, targets = [graphbptt.Clamp("x", "x")], [graphbptt.Target("y", "y")]
    return graphbptt.compile(graph, inputs, targets, **{"backend": "numpy", "dtype": "float64", **settings})


def draw_fields() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    return {"x": generator.normal(size=(8, 5, 2)), "y": generator.normal(size=(8, 5, 1))}


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda choice: "-".join(map(str, *choice.values())))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_training_keeps_signs_and_entries(optimizer: dict[str, Any], dtype: str) -> None:
    model = build_model(draw_graph(), dtype=dtype)
    before = model.vector.copy()
    graphbptt.train(model, draw_fields(), optimizer=optimizer, epochs=60, batch=2, clip=1.0)
    weights = model.parameters
    for name in ("e->e", "e->i", "e->y"):
        assert weights[name].min() >= 0
    assert weights["i->e"].max() <= 0
    assert weights["x->e"].min() < 0 < weights["x->e"].max()
    assert any((weights[name] == 0).any() for name in ("e->e", "e->i", "i->e", "e->y"))
    assert np.abs(model.vector - before).max() > 0.1
    # As many zeros as the pattern leaves out: a sparse weight has no number there.
    assert weights["e->e"].shape == (18,)


def test_an_update_is_clipped_at_zero_and_otherwise_as_without_signs() -> None:
    model, free = build_model(draw_graph()), build_model(draw_graph())
    object.__setattr__(free.plan, "projection", None)
    for each in (model, free):
        for name in ("e->e", "e->i", "i->e", "e->y"):
            each.parameters[name] *= 0.001
        start = each.vector.copy()
        _, gradients = each.loss_and_gradients(draw_fields())
        graphbptt.train(each, draw_fields(), optimizer={"sgd": {"rate": 0.1}}, epochs=1, batch=8)
        for name, gradient in gradients.items():
            values = start[_part(each, name)] - 0.1 * gradient.ravel()
            if each is model and "->" in name and name != "x->e":
                values = np.minimum(values, 0) if name == "i->e" else np.maximum(values, 0)
            np.testing.assert_allclose(each.parameters[name].ravel(), values, atol=1e-12)
    clipped = [name for name in model.parameters if (model.parameters[name] == 0).any()]
    assert "e->y" in clipped


def _part(model: graphbptt.Model, name: str) -> slice:
    slot = model.plan.layout.slot[name]
    return slice(slot.offset, slot.stop)


def test_draws_and_defaults_have_the_sign() -> None:
    graph = nx.MultiDiGraph([("i", "i"), ("i", "j")])
    graph.add_node("i", units=4, sign="inhibitory")
    graph.add_node("j", units=4)
    graph.add_edge("i", "j", weight="one_to_one", delay=2)
    graph.add_edge("i", "j", weight="scalar", delay=3)
    graph.add_edge("j", "j", sign="excitatory", init={"normal": {"mean": -3}})
    weights = build_model_of(graph).parameters
    assert weights["i->i"].max() < 0
    np.testing.assert_array_equal(weights["i->j@2"], [-1, -1, -1, -1])
    assert weights["i->j@3"] == -1
    assert weights["j->j"].min() > 0
    assert weights["j->j"].mean() == pytest.approx(3, abs=1)


def build_model_of(graph: nx.MultiDiGraph[str]) -> graphbptt.Model:
    return graphbptt.compile(graph, backend="numpy", dtype="float64")


def test_a_tie_of_a_negative_scale_joins_excitation_and_inhibition() -> None:
    graph = draw_graph()
    graph.add_node("i", units=6)
    graph["e"]["e"][0].update(weight="dense", tie="W")
    graph["i"]["e"][0].update(tie={"group": "W", "scale": -2})
    model = build_model(graph)
    assert str(model.network).count("excitatory dense W") == 1
    graphbptt.train(model, draw_fields(), optimizer={"adam": {"rate": 0.05}}, epochs=50, batch=8)
    assert model.parameters["W"].min() == 0


def test_the_numbers_of_an_index_may_differ_in_sign() -> None:
    graph = nx.MultiDiGraph()
    graph.add_node("e", units=2, sign="excitatory", activation="tanh")
    graph.add_edge("e", "e", tie={"group": "k", "index": [[0, 1], [1, None]], "factors": [[1, -1], [-2, 0]]})
    model = graphbptt.compile(
        graph, [graphbptt.Clamp("e", "x", at="start")], [graphbptt.Target("e", "y")], backend="numpy"
    )
    first, second = model.parameters["k"]
    assert first > 0 > second
    fields = {"x": np.ones((1, 2)), "y": -np.ones((1, 3, 2))}
    graphbptt.train(model, fields, optimizer={"adam": {"rate": 0.1}}, epochs=60)
    np.testing.assert_array_equal(model.parameters["k"], [0, 0])


@pytest.mark.parametrize(
    ("change", "path", "message"),
    [
        (
            lambda g: g["e"]["i"][0].update(init=-0.5),
            "edge e->i.init",
            "starts at -0.5, but e->i is excitatory",
        ),
        (
            lambda g: g["i"]["e"][0].update(init=np.eye(3, 6)),
            "edge i->e.init",
            "starts at 1, but i->e is inhib",
        ),
        (lambda g: g["e"]["i"][0].update(sign="inhibitory"), "edge e->i.sign", "but e is excitatory"),
        (
            lambda g: g["e"]["i"][0].update(init="orthogonal"),
            "edge e->i.init",
            "orthogonal weights have both",
        ),
        (lambda g: g["e"]["i"][0].update(sign="positive"), "edge e->i.sign", "not among the choices"),
        (lambda g: g.add_edge("i", "i", weight="wire"), "edge i->i", "but i is inhibitory"),
        (
            lambda g: g.add_edge("x", "x", weight="wire", sign="excitatory"),
            "edge x->x",
            "a wire has no weight",
        ),
        (
            lambda g: (
                g["i"]["e"][0].update(tie="W"),
                g["e"]["i"][0].update(tie={"group": "W", "transpose": True}),
            ),
            "edge e->i.tie",
            "i->e is inhibitory and e->i excitatory, but they share numbers of group 'W'",
        ),
        (
            lambda g: g["e"]["y"][0].update(
                tie={"group": "k", "index": [[0]] * 6, "factors": [[1]] * 5 + [[-1]]}
            ),
            "edge e->y.tie",
            "factors of both signs",
        ),
    ],
)
def test_contradictions_are_found(change: Any, path: str, message: str) -> None:
    graph = draw_graph()
    change(graph)
    with pytest.raises(SpecError, match=message) as caught:
        fold_graph(graph)
    assert [problem.path for problem in caught.value.problems] == [path]


def test_members_of_one_group_must_agree() -> None:
    graph = draw_graph()
    graph["i"]["e"][0].update(tie="W", init=-0.5)
    graph.add_node("j", units=3, sign="excitatory")
    graph.add_edge("j", "e", tie={"group": "W", "scale": 2})
    with pytest.raises(SpecError, match=r"edge j->e\.tie: i->e is inhibitory and j->e excitatory"):
        fold_graph(graph)


def test_assigned_values_of_the_wrong_sign_are_reported_before_training() -> None:
    model = build_model(draw_graph())
    model.parameters["i->e"] = np.ones((3, 6))
    with pytest.raises(
        SpecError, match="18 of its numbers have the wrong sign, the first 1: i->e is inhibitory"
    ):
        graphbptt.train(model, draw_fields(), epochs=1)
    assert model.parameters["i->e"].all()


def test_a_spec_says_the_same_and_its_mistakes_have_their_place(tmp_path: Path) -> None:
    text = """network:
  nodes: {x: {}, e: {units: 3, sign: excitatory}, y: {}}
  edges:
    - {from: x, to: e, sign: inhibitory}
    - {from: e, to: y, init: INIT}
"""
    file = tmp_path / "a.yaml"
    file.write_text(text.replace("INIT", "glorot"))
    weights = graphbptt.load(file).compile(backend="numpy").parameters
    assert weights["x->e"].max() < 0 < weights["e->y"].min()
    file.write_text(text.replace("INIT", "-1"))
    with pytest.raises(SpecError) as caught:
        graphbptt.load(file).compile(backend="numpy")
    assert [str(problem.place) for problem in caught.value.problems] == [f"{file}:5:30"]


def test_a_cell_passes_the_sign_to_its_state() -> None:
    graph = nx.MultiDiGraph([("x", "h"), ("h", "y")])
    graph.add_node("h", cell="leaky", units=3, sign="inhibitory")
    network = fold_graph(graph)
    signs = {connection.name: connection.sign for connection in network.connections}
    assert signs == {"x->h": None, "h->h": "inhibitory", "h->y": "inhibitory"}


def test_the_work_for_a_shared_sign_is_in_proportion_to_its_connections(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not to the pairs of them."""
    graph: nx.MultiDiGraph[int] = nx.MultiDiGraph()
    graph.add_nodes_from(range(100), units=2, sign="excitatory")
    graph.add_edges_from(((k, (k + 1) % 100) for k in range(100)), tie="W")
    joined, join = [], Demand.__or__
    monkeypatch.setattr(Demand, "__or__", lambda one, other: joined.append(1) or join(one, other))
    fold_graph(graph)
    assert len(joined) < 500
