"""graphbptt: a declarative graph compiler for recurrent neural networks.

>>> import graphbptt, networkx as nx
>>> graph = nx.DiGraph()
>>> graph.add_node("x", units=2)
>>> graph.add_node("h", units=3, activation="tanh")
>>> graph.add_edges_from([("x", "h"), ("h", "h")])
>>> model = graphbptt.compile(graph, inputs=[graphbptt.Clamp("x", "data")])
>>> list(model.parameters)
['h->h', 'h.bias', 'x->h']
"""

from __future__ import annotations

from importlib import import_module, metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graphbptt.compiler import compile
    from graphbptt.errors import BackendError, DataError, DivergenceError, GraphbpttError, SpecError
    from graphbptt.gradients import check_gradients
    from graphbptt.ir.data import Clamp, Last, Target
    from graphbptt.model import Model
    from graphbptt.spec import Spec, load
    from graphbptt.training.dataset import Dataset, Parts
    from graphbptt.training.evaluation import Evaluation, evaluate
    from graphbptt.training.loop import train

HOMES = {
    "compile": "graphbptt.compiler",
    "BackendError": "graphbptt.errors",
    "DataError": "graphbptt.errors",
    "DivergenceError": "graphbptt.errors",
    "GraphbpttError": "graphbptt.errors",
    "SpecError": "graphbptt.errors",
    "check_gradients": "graphbptt.gradients",
    "Clamp": "graphbptt.ir.data",
    "Last": "graphbptt.ir.data",
    "Target": "graphbptt.ir.data",
    "Model": "graphbptt.model",
    "Spec": "graphbptt.spec",
    "load": "graphbptt.spec",
    "Dataset": "graphbptt.training.dataset",
    "Parts": "graphbptt.training.dataset",
    "Evaluation": "graphbptt.training.evaluation",
    "evaluate": "graphbptt.training.evaluation",
    "train": "graphbptt.training.loop",
}
"""Where each public name lives; it is imported when first asked for, so that the command line starts fast."""

__all__ = [
    "BackendError",
    "Clamp",
    "DataError",
    "Dataset",
    "DivergenceError",
    "Evaluation",
    "GraphbpttError",
    "Last",
    "Model",
    "Parts",
    "Spec",
    "SpecError",
    "Target",
    "check_gradients",
    "compile",
    "evaluate",
    "load",
    "train",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return metadata.version("graphbptt")
    if name not in HOMES:
        raise AttributeError(f"module 'graphbptt' has no attribute {name!r}")
    value = getattr(import_module(HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *HOMES, "__version__"})
