"""Random connections: which units they join, and with which weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from random_sketches import Sketch, delays

__all__ = ["count_entries", "edge_attributes"]


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
    for key, ports in (
        ("from_port", sketch.cells[source].outputs if source in sketch.cells else []),
        ("to_port", sketch.cells[target].inputs if target in sketch.cells else []),
    ):
        if ports and draw(st.booleans()):
            attributes[key] = draw(st.sampled_from(ports))
    return attributes
