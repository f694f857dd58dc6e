"""Long short-term memory (Hochreiter and Schmidhuber 1997) with a forget gate (Gers, Schmidhuber and Cummins 2000).

With peepholes, the gates also see the memory, unit by unit (Gers, Schraudolph and Schmidhuber 2002): the input and the
forget gate as it was, the output gate as it becomes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from graphbptt.declaration.cells.body import Body, CellNode, WithRecurrence, spread
from graphbptt.declaration.values import Real

__all__ = ["Lstm", "draw_lstm"]

GATES = {"output": "logistic", "input": "logistic", "forget": "logistic", "candidate": "tanh"}
PEEPHOLES = {"input": 1, "forget": 1, "output": 0}
"""The gates that see the memory, and with which delay."""


class Lstm(WithRecurrence):
    """Long short-term memory: ``cell = forget * cell[t-1] + input * candidate`` and ``h = output * tanh(cell)``."""

    forget_bias: Real = Field(
        default=1.0,
        description="Where the biases of the forget gate start, unless the node's own bias gives starting values.",
    )
    peepholes: bool = Field(
        default=False, description="Let the gates see the memory, with weights that start at 0."
    )


def draw_lstm(options: Lstm, node: CellNode) -> Body:
    nodes: dict[str, dict[str, Any]] = {
        gate: {"activation": activation, "bias": spread(node.bias, gate)}
        for gate, activation in GATES.items()
    }
    nodes["forget"]["bias"] = _start(nodes["forget"]["bias"], options.forget_bias)
    nodes["cell"] = {
        "activation": "forget * cell[t-1] + input * candidate",
        "initial": spread(node.initial, "cell"),
    }
    nodes["h"] = {"activation": "output * tanh(cell)", "initial": node.initial}
    edges = [{"from": "h", "to": gate, **spread(options.recurrent, gate)} for gate in GATES]
    if options.peepholes:
        peephole = {"from": "cell", "weight": "one_to_one", "init": 0}
        edges += [{**peephole, "to": gate, "delay": delay} for gate, delay in PEEPHOLES.items()]
    ports = {gate: [gate] for gate in GATES}
    return Body(nodes, edges, {"net": list(GATES), **ports}, ["h", "cell"])


def _start(bias: Any, value: float) -> Any:
    """A bias that starts at `value` where it says nothing else."""
    if bias is None or bias is True:
        return {"init": value}
    return {"init": value, **bias} if isinstance(bias, Mapping) else bias
