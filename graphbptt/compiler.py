"""The compiler: the passes in order, nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import networkx as nx
import numpy.typing as npt

from graphbptt.declaration.places import locate
from graphbptt.errors import SpecError
from graphbptt.ir.folded import Clamp, FoldedNetwork, Target
from graphbptt.ir.layout import place_parameters
from graphbptt.ir.plan import Plan
from graphbptt.model import Model
from graphbptt.passes.differentiate import differentiate
from graphbptt.passes.fold_graph import fold_graph
from graphbptt.passes.fuse_pointwise import fuse_pointwise
from graphbptt.passes.lower_forward import lower_forward
from graphbptt.passes.schedule_stages import schedule_stages
from graphbptt.passes.settle_deltas import settle_deltas
from graphbptt.passes.verify_folded import verify_folded
from graphbptt.passes.verify_plan import verify_plan

__all__ = ["compile", "compile_network"]


def compile_network(network: FoldedNetwork) -> Plan:
    """FoldedNetwork -> Plan."""
    verify_folded(network)
    schedule = schedule_stages(network)
    plan = lower_forward(network, place_parameters(network), schedule)
    plan = differentiate(plan)
    plan = settle_deltas(plan)
    plan = fuse_pointwise(plan)
    verify_plan(plan)
    return plan


def compile(  # the public name, used as graphbptt.compile
    graph: nx.DiGraph[Any],
    inputs: Sequence[Clamp] = (),
    targets: Sequence[Target] = (),
    backend: str = "auto",
    dtype: npt.DTypeLike = "float32",
    seed: int = 0,
) -> Model:
    """Compile a recurrent network declared as a networkx graph."""
    network = fold_graph(graph, inputs, targets)
    try:
        plan = compile_network(network)
    except SpecError as error:
        raise locate(error, graph) from None
    return Model(plan, backend=backend, dtype=dtype, seed=seed)
