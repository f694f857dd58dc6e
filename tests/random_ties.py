"""Random weight sharing: parameters of one shape tied through scales, transpositions and index maps."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from random_edges import count_entries
from random_sketches import Sketch

__all__ = ["ties"]


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
        if (
            shape is not None
            and "trainable" not in attributes
            and sketch.is_single(target, attributes.get("to_port"))
        ):
            owners.setdefault(tuple(sorted(shape)), []).append(
                (attributes, None, shape != tuple(sorted(shape)))
            )
    for name, attributes in graph.nodes(data=True):
        units, history = sketch.units[name], sketch.history[name]
        if name in sketch.cells:
            continue
        if attributes.get("bias") is True:
            owners.setdefault((units,), []).append((attributes, "bias", False))
        if isinstance(attributes.get("initial"), str) and not sketch.inner:
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
        group = f"tie{number}"
        if sketch.inner:  # groups of several cells that have one name must be alike
            group = f"inner {combine} {group} {'x'.join(map(str, shape))}"
        for position, (attributes, key, turned) in enumerate(chosen):
            tie = {
                "group": group,
                "scale": draw(st.sampled_from((1.0, -1.0, 0.5, 2.0))),
                "transpose": draw(st.booleans()) if square else turned,
                "combine": combine,
            }
            if draw(st.integers(0, 3)) == 3:
                own = shape[::-1] if turned else shape
                tie |= draw(index_maps(own, int(np.prod(shape)), position == len(chosen) - 1))
            said = {"tie": tie} | ({"init": 0.3} if position == 0 else {})
            attributes.update(said if key is None else {key: said})
