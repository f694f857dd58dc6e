"""A softmax classifier whose choice is fed back, against PyTorch's softmax and negative log-likelihood."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import pytest

import graphbptt

torch = pytest.importorskip("torch")

BATCH, STEPS, INPUTS, HIDDEN, CLASSES = 4, 6, 3, 5, 4


def declare() -> nx.DiGraph[str]:
    """Hidden units that read the data and the last choice; the classes compete, and gate them."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_node("x", units=INPUTS)
    graph.add_node("h", units=HIDDEN, activation="gate * tanh(net)")
    graph.add_node("gate", units=HIDDEN, activation="softmax", bias=False)
    graph.add_node("y", units=CLASSES, activation="softmax")
    for source, target, delay in (("x", "h", 0), ("y", "h", 1), ("h", "gate", 1), ("h", "y", 0)):
        graph.add_edge(source, target, delay=delay)
    return graph


def run_torch(weights: dict[str, Any], x: Any) -> Any:
    """The probabilities of all steps, (batch, step, class)."""
    h, y = torch.zeros(BATCH, HIDDEN, dtype=x.dtype), torch.zeros(BATCH, CLASSES, dtype=x.dtype)
    found = []
    for step in range(STEPS):
        net = x[:, step] @ weights["x->h"] + y @ weights["y->h"] + weights["h.bias"]
        h = torch.softmax(h @ weights["h->gate"], -1) * torch.tanh(net)
        y = torch.softmax(h @ weights["h->y"] + weights["y.bias"], -1)
        found.append(y)
    return torch.stack(found, 1)


@pytest.mark.parametrize("backend", ["numpy", "reference"])
@pytest.mark.parametrize("at", ["every", "last"])
def test_a_classifier_inside_a_loop(backend: str, at: Any) -> None:
    rng = np.random.default_rng(0)
    target = graphbptt.Target("y", "label", "cross_entropy", at=at)
    model = graphbptt.compile(declare(), [graphbptt.Clamp("x", "x")], [target], backend, "float64")
    model.vector[...] = rng.normal(size=model.vector.size)
    x, label = rng.normal(size=(BATCH, STEPS, INPUTS)), rng.integers(0, CLASSES, (BATCH, STEPS))
    label = label if at == "every" else label[:, -1]
    weights = {
        name: torch.tensor(np.array(values), requires_grad=True) for name, values in model.parameters.items()
    }
    probabilities = run_torch(weights, torch.tensor(x))
    wanted = probabilities if at == "every" else probabilities[:, -1:]
    log = torch.log(wanted).reshape(-1, CLASSES)
    torch_loss = torch.nn.functional.nll_loss(log, torch.tensor(label).reshape(-1))
    torch_loss.backward()
    loss, gradients = model.loss_and_gradients({"x": x, "label": label})
    states = model.run({"x": x})["y"]
    np.testing.assert_allclose(states, probabilities.detach().numpy(), rtol=0, atol=1e-12)
    assert loss == pytest.approx(torch_loss.item(), rel=1e-12)
    for name, weight in weights.items():
        np.testing.assert_allclose(gradients[name], weight.grad.numpy(), rtol=0, atol=1e-12, err_msg=name)
