"""Random valid recurrent graphs, as anyone could draw them: the first half of `strategies`.

Every graph is acyclic when unrolled by construction. Nodes lie in blocks; between blocks edges point forward
and have any delay. Inside a block edges point anywhere: one from u to v has the delay ``sign * k + r[v] -
r[u]`` with a sign of the block's, a shift r of each node, and k at least 1 unless v comes after u. On a cycle
the shifts cancel and some k is at least 1, so its total delay has the block's sign, though single edges may
look the other way.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import networkx as nx
import numpy as np
from hypothesis import strategies as st

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


@dataclass
class Sketch:
    """A graph in the making."""

    names: list[str]
    units: dict[str, int]
    block: dict[str, int]
    shift: dict[str, int]
    sign: dict[int, int]
    deaf: set[str]
    causal: bool
    graph: nx.MultiDiGraph[Any] = field(default_factory=nx.MultiDiGraph)
    history: dict[str, int] = field(default_factory=dict)


def state_name(node: str, delay: int) -> str:
    return node if delay == 0 else f"{node}[t{-delay:+d}]"


@st.composite
def sketches(draw: st.DrawFn, causal: bool) -> Sketch:
    count = draw(st.integers(1, 6))
    names = [f"n{k}" for k in range(count)]
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=2))
    blocks = draw(st.lists(st.sampled_from((0, 0, 0, 1, 2)), min_size=count, max_size=count))
    return Sketch(
        names,
        {name: draw(st.sampled_from(sizes)) for name in names},
        dict(zip(names, blocks, strict=True)),
        {name: 0 if causal else draw(st.sampled_from((0, 0, 1, -1, 2))) for name in names},
        {block: 1 if causal else draw(st.sampled_from((1, 1, -1))) for block in range(3)},
        {name for name in names if draw(st.integers(0, 7)) == 7},
        causal,
        history=dict.fromkeys(names, 1),
    )


@st.composite
def delays(draw: st.DrawFn, sketch: Sketch, source: str, target: str) -> int:
    """A delay with which `target` may read `source`; their blocks are in order."""
    if sketch.block[source] < sketch.block[target]:
        delay = draw(st.integers(0 if sketch.causal else -3, 3))
    else:
        first = 0 if sketch.names.index(source) < sketch.names.index(target) else 1
        steps = draw(st.sampled_from((first, first, first + 1, first + 2)))
        delay = sketch.sign[sketch.block[source]] * steps + sketch.shift[target] - sketch.shift[source]
    sketch.history[source] = max(sketch.history[source], abs(delay))
    return delay


@st.composite
def readable(draw: st.DrawFn, sketch: Sketch, node: str) -> str:
    """The text of a state that the activation of `node` may read."""
    sources = [
        name
        for name in sketch.names
        if sketch.units[name] == sketch.units[node] and sketch.block[name] <= sketch.block[node]
    ]
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
def parts(draw: st.DrawFn, units: int, size: int | None = None) -> list[int] | None:
    """Some of the units in any order, or None for all of them."""
    if size is None and draw(st.booleans()):
        return None
    order = draw(st.permutations(range(units)))
    return list(order[: size or draw(st.integers(1, units))])


@st.composite
def sparse_weights(draw: st.DrawFn, rows: int, columns: int) -> dict[str, Any]:
    """Entries by density, mask or edges, at least one, stored in either way."""
    places = [[row, column] for row in range(rows) for column in range(columns)]
    edges = draw(st.permutations(places))[: draw(st.integers(1, len(places)))]
    mask = np.zeros((rows, columns), int)
    mask[tuple(np.transpose(edges))] = 1
    pattern = draw(st.sampled_from(({"density": len(edges) / mask.size}, {"mask": mask}, {"edges": edges})))
    return {"sparse": pattern, "storage": draw(st.sampled_from((None, "dense", "csr")))}


def count_entries(weight: dict[str, Any], shape: tuple[int, int]) -> int:
    pattern = weight["sparse"]
    if "density" in pattern:
        return round(pattern["density"] * shape[0] * shape[1])
    return int(pattern["mask"].sum()) if "mask" in pattern else len(pattern["edges"])


@st.composite
def edge_attributes(draw: st.DrawFn, sketch: Sketch, source: str, target: str) -> dict[str, Any]:
    rows, columns = sketch.units[source], sketch.units[target]
    kind = draw(st.sampled_from(("dense", "dense", "dense", "sparse", "one_to_one", "scalar", "wire")))
    attributes: dict[str, Any] = {"weight": kind, "delay": draw(delays(sketch, source, target))}
    if kind in ("dense", "sparse"):
        attributes |= {"from_units": draw(parts(rows)), "to_units": draw(parts(columns))}
        if kind == "sparse":
            size = [
                len(attributes[key] or range(n)) for key, n in (("from_units", rows), ("to_units", columns))
            ]
            attributes["weight"] = draw(sparse_weights(*size))
    elif rows != columns or draw(st.booleans()):
        size = draw(st.integers(1, min(rows, columns)))
        attributes |= {"from_units": draw(parts(rows, size)), "to_units": draw(parts(columns, size))}
    if kind != "wire" and draw(st.integers(0, 5)) == 5:
        attributes["trainable"] = False
    return attributes


@st.composite
def graphs(draw: st.DrawFn, smooth: bool, causal: bool = False) -> nx.MultiDiGraph[Any]:
    """A graph whose attributes say all that the language can say about nodes and edges; nothing looks ahead in a
    `causal` one."""
    sketch = draw(sketches(causal))
    for name in sketch.names:
        text = draw(activations(sketch, name, smooth))
        attributes: dict[str, Any] = {"units": sketch.units[name], "activation": text}
        if "rate" in text:
            rate = draw(st.sampled_from(("constant", "vector", "learned", "learned vector")))
            vector = np.linspace(0.2, 0.7, sketch.units[name])
            values: Any = vector if "vector" in rate else 0.3
            attributes["coefficients"] = {"rate": {"init": values} if "learned" in rate else values}
        sketch.graph.add_node(name, **attributes)
    hearing = [name for name in sketch.names if name not in sketch.deaf]
    for _ in range(draw(st.integers(1, 10)) if hearing else 0):
        target = draw(st.sampled_from(hearing))
        sources = [name for name in sketch.names if sketch.block[name] <= sketch.block[target]]
        source = draw(st.sampled_from(sources))
        sketch.graph.add_edge(source, target, **draw(edge_attributes(sketch, source, target)))
    for name in sketch.names:
        draw(own_parameters(sketch, name))
    draw(ties(sketch))
    draw(weight_penalties(sketch))
    return sketch.graph


@st.composite
def weight_penalties(draw: st.DrawFn, sketch: Sketch) -> None:
    """Penalties on some weights and biases, said by one member of each group."""
    said: set[str] = set()
    learned = [
        (attributes, None)
        for _, _, attributes in sketch.graph.edges(data=True)
        if attributes["weight"] != "wire" and "trainable" not in attributes
    ]
    biases = [(data, "bias") for _, data in sketch.graph.nodes(data=True) if data.get("bias") is True]
    for attributes, key in [*learned, *biases]:
        group = attributes["tie"]["group"] if key is None and "tie" in attributes else ""
        if group in said or draw(st.integers(0, 3)) < 3:
            continue
        said |= {group} - {""}
        penalty = {"penalty": draw(st.sampled_from(({"l1": 0.3}, {"l2": 0.7}, {"l1": 0.1, "l2": 0.2})))}
        attributes.update(penalty if key is None else {key: penalty})


@st.composite
def own_parameters(draw: st.DrawFn, sketch: Sketch, name: str) -> None:
    """The bias, the noise and the initial state of a node."""
    units, history = sketch.units[name], sketch.history[name]
    attributes = sketch.graph.nodes[name]
    if name in sketch.deaf:
        attributes["bias"] = False
    elif draw(st.integers(0, 3)) == 3:
        attributes["noise"] = draw(st.sampled_from((0.0, 0.3)))
    if name not in sketch.deaf and draw(st.booleans()):
        attributes["bias"] = draw(st.sampled_from((True, False, 0.3, {"init": 0.2, "trainable": False}, {})))
    rows = np.linspace(-0.5, 0.8, history * units).reshape(history, units)
    choices = (0.4, "learned", "learned", rows[0], rows, {"init": rows if history > 1 else rows[0]})
    if draw(st.booleans()):
        attributes["initial"] = draw(st.sampled_from(choices))


@st.composite
def index_maps(draw: st.DrawFn, shape: tuple[int, ...], size: int, whole: bool) -> dict[str, Any]:
    """An index for a copy of this shape; a `whole` one reads every number of a group of this size."""
    entries = int(np.prod(shape))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    positions = rng.permutation(size) if whole else rng.integers(0, size, entries)
    if draw(st.booleans()) and not whole:
        positions[1:][rng.integers(0, 3, entries - 1) == 0] = -1
    factors = rng.choice([-1.5, 0.5, 1, 2], shape) if draw(st.booleans()) else None
    return {"index": positions.reshape(shape), "factors": factors, "transpose": False}


@st.composite
def ties(draw: st.DrawFn, sketch: Sketch) -> None:
    """Tie some parameters of one shape, whatever they belong to, through scales and transpositions."""
    owners: dict[tuple[int, ...], list[tuple[dict[str, Any], str | None, bool]]] = {}
    graph = sketch.graph
    for source, target, attributes in graph.edges(data=True):
        rows = attributes.get("from_units") or range(sketch.units[source])
        columns = attributes.get("to_units") or range(sketch.units[target])
        size, weight = (len(rows), len(columns)), attributes["weight"]
        shapes = {"dense": size, "one_to_one": (len(rows),), "scalar": (), "wire": None}
        shape = (count_entries(weight, size),) if isinstance(weight, dict) else shapes[weight]
        if shape is not None and "trainable" not in attributes:
            owners.setdefault(tuple(sorted(shape)), []).append(
                (attributes, None, shape != tuple(sorted(shape)))
            )
    for name, attributes in graph.nodes(data=True):
        units, history = sketch.units[name], sketch.history[name]
        if attributes.get("bias") is True:
            owners.setdefault((units,), []).append((attributes, "bias", False))
        if isinstance(attributes.get("initial"), str):
            shape = (units,) if history == 1 else (history, units)
            owners.setdefault(tuple(sorted(shape)), []).append(
                (attributes, "initial", shape != tuple(sorted(shape)))
            )
    for number, (shape, members) in enumerate(sorted(owners.items())):
        if len(members) < 2 or draw(st.booleans()):
            continue
        chosen = members[: draw(st.integers(2, len(members)))]
        square = len(shape) == 2 and shape[0] == shape[1]
        combine = draw(st.sampled_from(("sum", "mean")))
        for position, (attributes, key, turned) in enumerate(chosen):
            tie = {
                "group": f"tie{number}",
                "scale": draw(st.sampled_from((1.0, -1.0, 0.5, 2.0))),
                "transpose": draw(st.booleans()) if square else turned,
                "combine": combine,
            }
            if draw(st.integers(0, 3)) == 3:
                own = shape[::-1] if turned else shape
                tie |= draw(index_maps(own, int(np.prod(shape)), position == len(chosen) - 1))
            said = {"tie": tie} | ({"init": 0.3} if position == 0 else {})
            attributes.update(said if key is None else {key: said})
