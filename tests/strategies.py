"""Random networks with data: graphs, clamps, targets and fields that fit together.

Structure is drawn by hypothesis, so that failures shrink to small networks; numbers come from a seed.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import networkx as nx
import numpy as np
from hypothesis import strategies as st
from random_constraints import constraints
from random_graphs import graphs

from graphbptt.ir.data import Clamp, Last, Target
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.functions import ACTIVATIONS, is_softmax
from graphbptt.passes.fold_data import clash
from graphbptt.passes.fold_graph import fold_graph

__all__ = ["Case", "cases"]


@dataclass
class Case:
    """A network and the data of one call."""

    graph: nx.MultiDiGraph[Any]
    clamps: list[Clamp]
    targets: list[Target]
    fields: dict[str, np.ndarray]
    steps: int
    seed: int
    timed: frozenset[str] = frozenset()
    """The fields that have a number for every step."""

    def fold(self) -> FoldedNetwork:
        return fold_graph(self.graph, self.clamps, self.targets)

    def draw_vector(self, size: int) -> np.ndarray:
        """Parameters, none of them zero."""
        return np.random.default_rng(self.seed).normal(0.1, 0.6, size)

    def trim(self) -> Case:
        """The same without the steps behind the end of the longest sequence."""
        steps = int(self.fields["lengths"].max())
        fields = {
            name: value[:, :steps] if name in self.timed else value for name, value in self.fields.items()
        }
        return replace(self, fields=fields, steps=steps)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: ARG002 - how hypothesis shows a failure
        printer.text(repr(self))

    def __repr__(self) -> str:
        nodes = [f"  {name} {data}" for name, data in self.graph.nodes(data=True)]
        edges = [f"  {source}->{target} {data}" for source, target, data in self.graph.edges(data=True)]
        shapes = {name: value.shape for name, value in self.fields.items()}
        lengths = self.fields.get("lengths")
        frame = f"  {shapes}, lengths {lengths}, steps {self.steps}, seed {self.seed}"
        rest = f"  {self.graph.graph}"
        return "\n".join(["Case", *nodes, *edges, rest, f"  {self.clamps}", f"  {self.targets}", frame])


@dataclass
class Frame:
    """What the fields of a case share."""

    rng: np.random.Generator
    batch: int
    steps: int
    lengths: np.ndarray | None
    fields: dict[str, np.ndarray]
    timed: set[str] = field(default_factory=set)

    def add(self, values: np.ndarray, timed: bool) -> str:
        """Keep a field under a new name; what lies behind a sequence's end becomes rubbish."""
        if timed and self.lengths is not None and values.dtype.kind == "f":
            values = values.copy()
            values[np.arange(self.steps) >= self.lengths[:, None]] = np.nan
        name = f"field{len(self.fields)}"
        self.fields[name] = values
        if timed:
            self.timed.add(name)
        return name


listed = st.lists(st.integers(1, 8), min_size=1, max_size=3, unique=True).map(tuple)


@st.composite
def clamps(draw: st.DrawFn, frame: Frame, node: str, units: int, history: int) -> Clamp:
    part = draw(st.none() | st.permutations(range(units)).map(lambda order: tuple(order[: (units + 1) // 2])))
    size = units if part is None else len(part)
    at = draw(st.one_of(st.just("every"), st.just("start"), listed))
    timed = draw(st.booleans())
    rows = history if at == "start" else frame.steps
    shape = (frame.batch, rows, size) if timed else (frame.batch, size)
    # In the range of probabilities, so that a clamped node may have a target that takes them.
    values = frame.rng.uniform(0.1, 0.9, shape)
    mask = None
    if draw(st.booleans()):
        shapes = {(frame.batch, rows, size)}
        if at == "start" or not timed:
            shapes.add((frame.batch, size))
        if at != "start":
            shapes |= {(frame.batch, rows, 1)} | ({(frame.batch, rows)} if timed else set())
        kept = frame.rng.integers(0, 2, draw(st.sampled_from(sorted(shapes))))
        if kept.shape == values.shape:
            values = np.where(kept, values, np.nan)
        with_time = at != "start" and (kept.ndim == 3 or timed)
        mask = frame.add(kept.astype(np.float64), with_time)
    return Clamp(node, frame.add(values, timed and at != "start"), part, at, mask)


@st.composite
def targets(
    draw: st.DrawFn, frame: Frame, node: str, free: list[int], probabilities: bool, whole: bool
) -> Target:
    """`whole`: no clamp sets some units of a softmax and leaves others, which cross_entropy cannot compare."""
    part = tuple(draw(st.permutations(free))[: draw(st.integers(1, len(free)))])
    losses: list[Any] = ["squared_error", {"huber": {"delta": draw(st.sampled_from((0.2, 1, 2.5)))}}]
    losses += ["cross_entropy"] * (whole and len(part) > 1) + [
        "binary_cross_entropy",
        "binary_cross_entropy",
        "poisson",
    ] * probabilities
    loss = draw(st.sampled_from(losses))
    timed = draw(st.booleans())
    pairs = (frame.batch, frame.steps) if timed else (frame.batch,)
    wanted: np.ndarray = frame.rng.uniform(0, 1, (*pairs, len(part)))
    if loss == "cross_entropy":
        wanted = frame.rng.integers(0, len(part), pairs)
    at = draw(st.one_of(st.just("every"), st.just("last"), st.integers(1, 3).map(Last), listed))
    mask = None
    if draw(st.booleans()):
        per_step = draw(st.booleans())
        weights = frame.rng.choice([0, 0.5, 1, 2], (frame.batch, frame.steps) if per_step else frame.batch)
        mask = frame.add(weights, per_step)
    return Target(
        node, frame.add(wanted, timed), loss, part, at, mask, draw(st.sampled_from((1.0, 0.25, 3.0)))
    )


def find_free(given: list[Clamp], node: str, units: int) -> list[int]:
    """The units of a node that are not data at every step."""
    always: set[int] = set()
    for clamp in given:
        named = node in clamp.node if isinstance(clamp.node, tuple) else clamp.node == node
        if named and clamp.at == "every" and clamp.mask is None:
            always.update(range(units) if clamp.units is None else clamp.units)
    return [unit for unit in range(units) if unit not in always]


@st.composite
def lists(draw: st.DrawFn, frame: Frame, singles: list[str], given: list[Clamp]) -> list[Target]:
    """A clamp, added to those given, and a target, each on several nodes of one unit."""
    chosen = draw(st.lists(st.sampled_from(singles), min_size=1, unique=True))
    values = frame.rng.uniform(0.1, 0.9, (frame.batch, frame.steps, len(chosen)))
    given.append(Clamp(chosen, frame.add(values, True), at=draw(st.just("every") | listed)))
    free = [node for node in draw(st.permutations(singles)) if find_free(given, node, 1)]
    wanted: np.ndarray = frame.rng.uniform(0, 1, (frame.batch, len(free)))
    return [Target(free, frame.add(wanted, False), "huber", at="last", weight=0.5)] if free else []


@st.composite
def cases(draw: st.DrawFn, smooth: bool = False, causal: bool = False, beyond: int = 0) -> Case:
    """A case; a `smooth` one has derivatives everywhere, so that differences can be compared with them, in a `causal`
    one nothing looks ahead, and there may be steps `beyond` the end of all sequences."""
    graph = draw(graphs(smooth, causal))
    seed = draw(st.integers(0, 2**16))
    batch, steps = draw(st.integers(1, 4)), draw(st.integers(1, 7))
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, steps + 1, batch) if beyond or draw(st.booleans()) else None
    steps += beyond
    frame = Frame(rng, batch, steps, lengths, {})
    bare = fold_graph(graph)
    graph.graph["constraints"] = draw(constraints(bare))
    nodes = sorted(bare.population)
    given = []
    # Data have neither noise nor a penalty: these are left out below where the node says them, which cannot be done
    # with the noise of a cell.
    quiet = [n for n in nodes if not bare.population[n].noise or "noise" in graph.nodes.get(n, ())]
    for node in draw(st.lists(st.sampled_from(quiet), max_size=4)):
        population = bare.population[node]
        more = draw(clamps(frame, node, population.units, population.history))
        if not any(more.node == other.node and clash(more, other, population.units) for other in given):
            given.append(more)
    wanted = []
    # Lists have no masks, with which clamps may share a node.
    set_already = {clamp.node for clamp in given if clamp.mask is None}
    singles = [node for node in quiet if bare.population[node].units == 1 and node not in set_already]
    if singles and draw(st.booleans()):
        wanted += draw(lists(frame, singles, given))
    for node, attributes in graph.nodes(data=True):
        if not find_free(given, node, bare.population[node].units):
            attributes.pop("noise", None)
            attributes.pop("penalty", None)
    for node in draw(st.lists(st.sampled_from(nodes), min_size=1, max_size=3)):
        free = find_free(given, node, bare.population[node].units)
        probabilities = bare.population[node].activation == ACTIVATIONS["logistic"]
        if free:
            whole = not is_softmax(bare.population[node].activation) or not any(
                clamp.node == node and clamp.at != "start" and (clamp.units or clamp.mask) for clamp in given
            )
            wanted.append(draw(targets(frame, node, free, probabilities, whole)))
    for node in draw(st.lists(st.sampled_from(nodes), max_size=2)):
        # Absolute values have a kink at 0, where right executors may differ; logistic states stay away from it.
        away = bare.population[node].activation == ACTIVATIONS["logistic"]
        factors = ({"l1": 0.4, "l2": 0.2}, {"l1": 1.3}) if away else ()
        if node in graph and find_free(given, node, bare.population[node].units):
            graph.nodes[node]["penalty"] = draw(st.sampled_from(({"l2": 0.6}, *factors)))
    if lengths is not None:
        frame.fields["lengths"] = lengths
    return Case(graph, given, wanted, frame.fields, steps, seed, frozenset(frame.timed))
