"""Random linear constraints and signs: what training keeps, and what changes no state and no derivative."""

from __future__ import annotations

from hypothesis import strategies as st
from random_sketches import Sketch

from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.parameters import FrozenArray, Group

__all__ = ["constraints", "signs"]


@st.composite
def signs(draw: st.DrawFn, sketch: Sketch) -> None:
    """Signs of weights that are trained, share nothing with others and start as they are drawn."""
    for _, _, attributes in sketch.graph.edges(data=True):
        free = attributes["weight"] != "wire" and not {"tie", "init", "trainable"} & attributes.keys()
        if free and draw(st.integers(0, 5)) == 5:
            attributes["sign"] = draw(st.sampled_from(("excitatory", "inhibitory")))


def can_be_constrained(group: Group) -> bool:
    """Whether every homogeneous constraint can be met: it is trained, of any sign, and its values are not given."""
    given = isinstance(group.init, FrozenArray) and group.init.values.ndim > 0
    return group.trainable and group.signs is None and not given


def list_texts(group: Group) -> list[str]:
    """What may be said of a group by itself."""
    name, shape = repr(group.name), group.shape
    texts = [f"sum({name}) == 0.5", f"2*{name} == 0"] if not shape else [f"sum({name}) == 0.5"]
    if shape and shape[0] > 1:
        texts.append(f"2*{name}[0] == {name}[1] - 0.25")
    if len(shape) == 2:
        texts.append(f"sum({name}, axis=1) == 1")
        if shape[0] == shape[1] > 1:
            texts += [f"{name} == {name}.T", f"{name} == -{name}.T"]
    return texts


def _describe(group: Group) -> tuple[object, ...]:
    return group.shape, group.combine, group.penalty


@st.composite
def constraints(draw: st.DrawFn, network: FoldedNetwork) -> list[str]:
    """Equalities that can all be met: each group is in one of them at most."""
    groups = [group for group in network.groups if can_be_constrained(group)]
    drawn: list[str] = []
    while groups and draw(st.booleans()):
        group = groups.pop(draw(st.integers(0, len(groups) - 1)))
        # An equality may become a tie, whose members agree in all but their scale.
        like = [other for other in groups if _describe(other) == _describe(group)]
        if like and draw(st.booleans()):
            other = draw(st.sampled_from(like))
            groups.remove(other)
            drawn.append(f"{group.name!r} == {draw(st.sampled_from((1, -1, 2)))}*{other.name!r}")
        else:
            drawn.append(draw(st.sampled_from(list_texts(group))))
    return drawn
