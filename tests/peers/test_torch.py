"""The shipped cells against those of PyTorch: outputs and every derivative, in double precision."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import networkx as nx
import numpy as np
import pytest

import graphbptt

torch = pytest.importorskip("torch")

BATCH, STEPS, INPUTS, HIDDEN, OUTPUTS = 3, 7, 4, 5, 2
BACKENDS = ("numpy", "reference")

GATES: dict[str, tuple[str, ...]] = {
    "RNN": ("h",),
    "LSTM": ("h.input", "h.forget", "h.candidate", "h.output"),
    "GRU": ("h.reset", "h.update", "h.candidate"),
}
"""The nodes whose weights PyTorch stacks, in its order."""
CELLS: dict[str, Any] = {"RNN": "rnn", "LSTM": "lstm", "GRU": {"gru": {"reset": "after"}}}
STATES = {"RNN": ("h",), "LSTM": ("h", "h.cell"), "GRU": ("h",)}


def named(gate: str, node: str) -> str:
    return node + gate.removeprefix("h")


def draw_layers(kind: str, layers: int, both_ways: bool) -> nx.DiGraph[str]:
    """Layers of a cell between ``x`` and ``y``, in PyTorch's names of layers: ``l0``, ``l0_reverse``, ``l1``, ..."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_node("x", units=INPUTS)
    below = ["x"]
    for layer in range(layers):
        names = [f"l{layer}"] + [f"l{layer}_reverse"] * both_ways
        for name in names:
            cell = CELLS[kind] if isinstance(CELLS[kind], dict) else {CELLS[kind]: {}}
            ((plain, options),) = cell.items()
            turned = {plain: {**options, "reverse": name.endswith("reverse")}}
            graph.add_node(name, units=HIDDEN, cell=turned, initial="learned")
            for source in below:
                graph.add_edge(source, name, delay=0)
        below = names
    graph.add_node("y", units=OUTPUTS)
    for source in below:
        graph.add_edge(source, "y", delay=0)
    return graph


def pairs(kind: str, network: Any, layers: int, both_ways: bool) -> Iterator[tuple[Any, list[str], int]]:
    """Each parameter of PyTorch, the groups it stacks by rows, the column where they start."""
    for layer in range(layers):
        for suffix in [f"l{layer}"] + [f"l{layer}_reverse"] * both_ways:
            below = ["x"] if layer == 0 else [f"l{layer - 1}"] + [f"l{layer - 1}_reverse"] * both_ways
            nodes = [named(gate, suffix) for gate in GATES[kind]]
            columns = 0
            for source in below:
                yield (
                    getattr(network, f"weight_ih_{suffix}"),
                    [f"{source}->{node}" for node in nodes],
                    columns,
                )
                columns += HIDDEN
            recalls = [f"{suffix}.recall" if kind == "GRU" and n.endswith("candidate") else n for n in nodes]
            yield getattr(network, f"weight_hh_{suffix}"), [f"{suffix}->{node}" for node in recalls], 0
            yield getattr(network, f"bias_ih_{suffix}"), [f"{node}.bias" for node in nodes], 0


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("both_ways", [False, True], ids=["one way", "both ways"])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("kind", list(CELLS))
def test_outputs_and_gradients(kind: str, layers: int, both_ways: bool, backend: str) -> None:
    torch.manual_seed(0)
    network = getattr(torch.nn, kind)(
        INPUTS, HIDDEN, layers, batch_first=True, bidirectional=both_ways, dtype=torch.float64
    )
    readout = torch.nn.Linear(HIDDEN * (1 + both_ways), OUTPUTS, dtype=torch.float64)
    model = graphbptt.compile(
        draw_layers(kind, layers, both_ways),
        [graphbptt.Clamp("x", "x")],
        [graphbptt.Target("y", "wanted")],
        backend=backend,
        dtype="float64",
    )
    rng = np.random.default_rng(1)
    x, wanted = rng.normal(size=(BATCH, STEPS, INPUTS)), rng.normal(size=(BATCH, STEPS, OUTPUTS))

    directions = [f"l{layer}{way}" for layer in range(layers) for way in ["", "_reverse"][: 1 + both_ways]]
    starts = [
        torch.tensor(rng.normal(size=(len(directions), 1, HIDDEN)), requires_grad=True) for _ in STATES[kind]
    ]
    groups = list(pairs(kind, network, layers, both_ways))
    with (
        torch.no_grad()
    ):  # one bias of ours is the sum of PyTorch's two, except where the reset gate parts them
        for direction in directions:
            other = getattr(network, f"bias_hh_{direction}")
            other[: 2 * HIDDEN if kind == "GRU" else None] = 0
            if kind == "GRU":
                model.parameters[f"{direction}.recall.bias"] = other[2 * HIDDEN :].numpy()
        for parameter, names, column in groups:
            for block, name in zip(parameter.chunk(len(names)), names, strict=True):
                ours = model.parameters[name]
                ours[...] = (block[:, column : column + len(ours)].T if block.ndim == 2 else block).numpy()
        for start, state in zip(starts, STATES[kind], strict=True):
            for index, direction in enumerate(directions):
                model.parameters[f"{named(state, direction)}.initial"] = start[index, 0].numpy()
        for index, name in enumerate(directions[-1 - both_ways :]):
            rows = slice(index * HIDDEN, (index + 1) * HIDDEN)
            model.parameters[f"{name}->y"] = readout.weight[:, rows].T.numpy()
        model.parameters["y.bias"] = readout.bias.numpy()

    wide = [start.expand(-1, BATCH, -1).contiguous() for start in starts]
    states, _ = network(torch.tensor(x), tuple(wide) if len(wide) > 1 else wide[0])
    outputs = readout(states)
    loss = 0.5 * ((outputs - torch.tensor(wanted)) ** 2).sum(dim=2).mean()
    loss.backward()

    fields = {"x": x, "wanted": wanted}
    ran = model.run(fields)
    last = [ran[name] for name in directions[-1 - both_ways :]]
    near: Callable[..., None] = lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=1e-9)  # noqa: E731
    near(np.concatenate(last, axis=2), states.detach().numpy())
    near(ran["y"], outputs.detach().numpy())
    reached, gradients = model.loss_and_gradients(fields)
    assert reached == pytest.approx(loss.item(), abs=1e-9)
    checked = set()
    for parameter, names, column in groups:
        for block, name in zip(parameter.grad.chunk(len(names)), names, strict=True):
            ours = gradients[name]
            near(ours, block[:, column : column + len(ours)].T if block.ndim == 2 else block)
            checked.add(name)
    for start, state in zip(starts, STATES[kind], strict=True):
        for index, direction in enumerate(directions):
            near(gradients[f"{named(state, direction)}.initial"], start.grad[index, 0])
            checked.add(f"{named(state, direction)}.initial")
    for index, name in enumerate(directions[-1 - both_ways :]):
        near(gradients[f"{name}->y"], readout.weight.grad[:, index * HIDDEN : (index + 1) * HIDDEN].T)
        checked.add(f"{name}->y")
    near(gradients["y.bias"], readout.bias.grad)
    checked.add("y.bias")
    for direction in directions if kind == "GRU" else ():
        near(
            gradients[f"{direction}.recall.bias"], getattr(network, f"bias_hh_{direction}").grad[2 * HIDDEN :]
        )
        checked.add(f"{direction}.recall.bias")
    assert checked == set(gradients)
