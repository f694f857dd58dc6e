"""Random penalties on parameters."""

from __future__ import annotations

from hypothesis import strategies as st
from random_sketches import Sketch

__all__ = ["weight_penalties"]


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
