"""The projection as part of the plan: equal for equal networks, and verified."""

from __future__ import annotations

from dataclasses import replace

import networkx as nx
import numpy as np
import pytest

from graphbptt.compiler import compile_network
from graphbptt.errors import VerificationError
from graphbptt.ir.plan import Plan
from graphbptt.ir.projection import Projection
from graphbptt.passes.fold_graph import fold_graph
from graphbptt.passes.verify_plan import verify_plan


def compile_with(text: str) -> tuple[Plan, Projection]:
    graph = nx.DiGraph([("h", "h")], constraints=[text])
    graph.nodes["h"].update(units=3, sign="excitatory")
    plan = compile_network(fold_graph(graph))
    assert plan.projection is not None
    return plan, plan.projection


def test_projections_of_equal_networks_are_equal() -> None:
    one, same, other = (compile_with(text)[1] for text in ("h->h == 1", "h->h == 1", "h->h == 2"))
    assert one == same
    assert hash(one) == hash(same)
    assert one != other


def test_components_share_no_parameter() -> None:
    _, projection = compile_with("sum(h->h, axis=0) == 1")
    assert projection.components.tolist() == [0, 1, 2]
    np.testing.assert_allclose(projection.gram.toarray(), np.eye(3) / 3, atol=1e-14)
    assert projection.signs.tolist() == [1] * 9 + [0] * 3


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        ({"constraints": ()}, "its projection is that of other constraints"),
        ({"signs": np.zeros(3, np.int8)}, r"the signs of its projection has shape \(3,\)"),
        ({"right": np.zeros(3)}, r"the right of its projection has shape \(3,\)"),
    ],
)
def test_damage_is_found(damage: dict[str, object], what: str) -> None:
    plan, projection = compile_with("h->h == 1")
    with pytest.raises(VerificationError, match=what):
        verify_plan(replace(plan, projection=replace(projection, **damage)))  # type: ignore[arg-type]
