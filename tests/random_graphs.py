"""Random valid recurrent graphs, as anyone could draw them: the first half of `strategies`."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
from hypothesis import strategies as st
from random_cells import TEMPLATES, drawn_cells, own_cells, shipped_cells
from random_constraints import signs
from random_edges import edge_attributes
from random_penalties import weight_penalties
from random_sketches import Sketch, delays, gated_sketches, insides, sketches, state_name
from random_ties import ties

SMOOTH = (
    "tanh", "logistic", "identity", "softplus", "sin",
    "tanh(net) * logistic(net)", "sqrt(1 + net ** 2)", "exp(-0.5 * net ** 2)", "net / (1 + net * net)",
    "cos(net)", "gelu", "silu", "erf(net)", "expm1(tanh(net))",
)  # fmt: skip
# Kinks lie where neither zeros nor cancelling copies fall: there, two right executors may differ by a slope.
KINKED = (
    "relu(net + 0.137)", "maximum(tanh(net), 0.0713)", "minimum(net, 0.61)", "abs(net - 0.213)",
    "step(net + 0.0313)", "sign(net - 0.171)", "threshold(net + 0.0417)", "leaky_relu(net - 0.0831)",
    "elu(net + 0.0619)", "hard_tanh(net + 0.0271)", "hard_logistic(net - 0.0513)",
)  # fmt: skip
READING = (
    "{0} + 0.5 * {1}", "({0}) * logistic({1})", "(1 - rate) * {1} + rate * ({0})", "({0}) * tanh({1}) - {1}",
)  # fmt: skip
WITHOUT_NET = ("tanh({0}) - 0.5 * {1}", "logistic({0}) * tanh({1})", "rate * {0} + (1 - rate) * {1}")


@st.composite
def readable(draw: st.DrawFn, sketch: Sketch, node: str) -> str:
    """The text of a state that the activation of `node` may read."""
    sources = [name for name in sketch.readable(node) if sketch.units[name] == sketch.units[node]]
    source = draw(st.sampled_from(sources))
    return state_name(source, draw(delays(sketch, source, node)))


@st.composite
def activations(draw: st.DrawFn, sketch: Sketch, node: str, smooth: bool) -> str:
    if node in sketch.deaf:
        text = draw(st.sampled_from(WITHOUT_NET))
        return text.format(draw(readable(sketch, node)), draw(readable(sketch, node)))
    if sketch.units[node] > 1 and draw(st.integers(0, 5)) == 5:
        return "softmax"
    if draw(st.integers(0, 4)) == 4:
        return "logistic"  # what probabilities are wanted of
    text = draw(st.sampled_from(SMOOTH if smooth else SMOOTH + KINKED))
    if draw(st.integers(0, 2)) == 2:
        base = "net" if text == "identity" else f"{text}(net)" if text.isidentifier() else text
        text = draw(st.sampled_from(READING)).format(base, draw(readable(sketch, node)))
    return text


@st.composite
def plain_nodes(draw: st.DrawFn, sketch: Sketch, name: str, smooth: bool) -> None:
    text = sketch.texts.get(name) or draw(activations(sketch, name, smooth))
    attributes: dict[str, Any] = {"activation": text}
    if name in sketch.texts and draw(st.booleans()):
        attributes["penalty"] = {"l2": 0.6}  # a derivative that those of its readers are added to
    if not sketch.inner:  # the nodes of a cell have its units
        attributes["units"] = sketch.units[name]
    if "rate" in text:
        rate = draw(st.sampled_from(("constant", "vector", "learned", "learned vector")))
        vector = np.linspace(0.2, 0.7, sketch.units[name])
        values: Any = vector if "vector" in rate else 0.3
        attributes["coefficients"] = {"rate": {"init": values} if "learned" in rate else values}
    sketch.graph.add_node(name, **attributes)


@st.composite
def cell_nodes(draw: st.DrawFn, sketch: Sketch, name: str, smooth: bool) -> None:
    """A node that uses a cell, with time running inside it as in its block."""
    units = sketch.units[name]
    kind = draw(st.sampled_from(("shipped", "shipped", "own", "own" if sketch.inner else "drawn")))
    if kind == "drawn":
        title = f"drawn for {name}"
        cell, declared = draw(drawn_cells(title, draw(filled(draw(insides(units)), smooth))))
        sketch.templates[title] = declared
    else:
        cell = draw(shipped_cells(units) if kind == "shipped" else own_cells())
    sketch.cells[name] = cell
    choice = {cell.name: cell.options | {"reverse": sketch.sign[sketch.block[name]] < 0}}
    sketch.graph.add_node(name, cell=choice, **({} if sketch.inner else {"units": units}))


@st.composite
def own_parameters(draw: st.DrawFn, sketch: Sketch, name: str) -> None:
    """The bias, the noise and the initial state of a node."""
    units, history = sketch.units[name], sketch.history[name]
    attributes, cell = sketch.graph.nodes[name], sketch.cells.get(name)
    takes = {"bias", "initial", "noise"} if cell is None else cell.takes
    if name in sketch.deaf:
        attributes["bias"] = False
    else:
        if "noise" in takes and draw(st.integers(0, 3)) == 3:
            attributes["noise"] = draw(st.sampled_from((0.0, 0.3)))
        if name in sketch.texts:
            attributes["bias"] = True
        elif "bias" in takes and draw(st.booleans()):
            attributes["bias"] = draw(
                st.sampled_from((True, False, 0.3, {"init": 0.2, "trainable": False}, {}))
            )
    rows = np.linspace(-0.5, 0.8, history * units).reshape(history, units)
    choices = [0.4, "learned", "learned", rows[0], {"init": rows[0]}]
    if cell is None and not sketch.inner:  # else only the expanded graph tells how many rows there are
        choices += [rows, {"init": rows if history > 1 else rows[0]}]
    if "initial" in takes and draw(st.booleans()):
        attributes["initial"] = draw(st.sampled_from(choices))


@st.composite
def filled(draw: st.DrawFn, sketch: Sketch, smooth: bool) -> Sketch:
    """The sketch with nodes, edges and parameters in its graph."""
    celled = not sketch.texts and draw(st.integers(0, 2)) == 2
    for name in sketch.names:
        uses_cell = celled and name not in sketch.deaf and draw(st.integers(0, 2)) == 2
        draw((cell_nodes if uses_cell else plain_nodes)(sketch, name, smooth))
    hearing = sketch.hearing
    few, many = (0, 1) if sketch.texts else (1, 4 if sketch.inner else 10)
    for _ in range(draw(st.integers(few, many)) if hearing else 0):
        target = draw(st.sampled_from(hearing))
        source = draw(st.sampled_from(sketch.readable(target)))
        sketch.graph.add_edge(source, target, **draw(edge_attributes(sketch, source, target)))
    for name in sketch.names:
        draw(own_parameters(sketch, name))
    draw(ties(sketch))
    draw(weight_penalties(sketch))
    draw(signs(sketch))
    return sketch


@st.composite
def graphs(draw: st.DrawFn, smooth: bool, causal: bool = False) -> nx.MultiDiGraph[Any]:
    """A graph whose attributes say all that the language can say about nodes and edges; nothing looks ahead in a
    `causal` one."""
    kind = gated_sketches if draw(st.integers(0, 3)) == 3 else sketches
    sketch = draw(filled(draw(kind(causal)), smooth))
    if sketch.cells:
        sketch.graph.graph["cells"] = TEMPLATES | sketch.templates
    return sketch.graph
