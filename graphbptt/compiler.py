"""The compiler: the passes in order, nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import networkx as nx
import numpy.typing as npt

from graphbptt.declaration.cells.expand import expand_cells
from graphbptt.declaration.edge_ties.tie_edges import tie_edges
from graphbptt.errors import SpecError
from graphbptt.ir.data import Clamp, Target
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.layout import place_parameters
from graphbptt.ir.plan import Plan
from graphbptt.ir.product_precision import ProductPrecision
from graphbptt.model import Model
from graphbptt.passes.check_memory import check_memory, measure_memory
from graphbptt.passes.coalesce_units import coalesce_units
from graphbptt.passes.differentiate import differentiate
from graphbptt.passes.fold_graph import fold_graph
from graphbptt.passes.fuse_pointwise import fuse_pointwise
from graphbptt.passes.lower_forward import lower_forward
from graphbptt.passes.project_constraints import project_constraints
from graphbptt.passes.schedule_stages import schedule_stages
from graphbptt.passes.settle_deltas import settle_deltas
from graphbptt.passes.verify_folded import verify_folded
from graphbptt.passes.verify_plan import verify_plan

__all__ = ["compile", "compile_network"]


def compile_network(network: FoldedNetwork) -> Plan:
    """FoldedNetwork -> Plan."""
    verify_folded(network)
    schedule = schedule_stages(network)
    layout = place_parameters(network)
    plan = replace(lower_forward(network, layout, schedule), projection=project_constraints(network, layout))
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
    precision: ProductPrecision = "full",
    runs: bool = True,
) -> Model:
    """Compile a recurrent network declared as a networkx graph.

    The graph is unrolled over time into a layered network whose copies share their weights, and the derivatives of all
    copies of a weight are combined: backpropagation through time [1]_ [2]_.

    Parameters
    ----------
    graph : networkx.DiGraph or networkx.MultiDiGraph
        Nodes are populations of units, edges are connections; their attributes are the keys of a spec file. Without
        any, a node is one linear unit and an edge a dense connection with a delay of one step.
    inputs : sequence of Clamp
        What is given: the states that are set to fields of the data.
    targets : sequence of Target
        What is wanted: the losses between states and fields of the data.
    backend : str
        The name of a backend; ``auto`` takes the fastest that can run here, and logs a line where that is a slow one.
    dtype : {"float32", "float64"}
        The type of all numbers.
    seed : int
        What the initial parameters are drawn from; at least 0.
    precision : {"full", "tf32", "bfloat16"}
        What matrix products keep of their factors: all digits of `dtype`, or less, where that is float32 and the
        backend can do so. Sums and states keep all.
    runs : bool
        False compiles what is to be looked at alone, `Model.explain` and `Model.unroll`, as for a GPU that is
        elsewhere.

    Returns
    -------
    Model
        The network with its parameters, ready to run and to be trained.

    Raises
    ------
    SpecError
        The graph, the inputs, the targets, or one of the settings cannot be what was declared.
    BackendError
        The backend is not installed, cannot run here, or cannot make the network ready, as where a C compiler fails.

    References
    ----------
    .. [1] D. E. Rumelhart, G. E. Hinton and R. J. Williams, "Learning representations by back-propagating errors",
       Nature 323, 1986, 533-536.
    .. [2] P. J. Werbos, "Backpropagation through time: what it does and how to do it", Proceedings of the IEEE 78(10),
       1990, 1550-1560.

    Examples
    --------
    A unit that adds up what arrives at it:

    >>> graph = nx.DiGraph()
    >>> graph.add_edge("x", "sum", delay=0, weight="wire")
    >>> graph.add_edge("sum", "sum", weight="wire")
    >>> model = compile(graph, inputs=[Clamp("x", field="numbers")], backend="numpy")
    >>> model.run({"numbers": [[[1], [2], [3]]]})["sum"][0, :, 0].tolist()
    [1.0, 3.0, 6.0]
    """
    graph = expand_cells(tie_edges(graph))
    coalesced = coalesce_units(graph, inputs, targets)
    try:
        network = fold_graph(coalesced.graph, coalesced.inputs, coalesced.targets)
        if (memory := measure_memory()) is not None:
            check_memory(network, memory)
        plan = compile_network(network)
        return Model(
            plan, backend, dtype=dtype, seed=seed, aliases=coalesced.aliases, precision=precision, runs=runs
        )
    except SpecError as error:
        raise coalesced.locate(error) from None
