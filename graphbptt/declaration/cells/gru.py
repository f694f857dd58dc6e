"""The gated recurrent unit (Cho et al. 2014), in both conventions.

They differ in what the reset gate multiplies: the state, before the candidate's recurrent product, as in the paper;
or that product with a bias of its own, after it, as in cuDNN and PyTorch, which lets all recurrent products be one.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from graphbptt.declaration.cells.body import Body, CellNode, WithRecurrence, spread

__all__ = ["Gru", "draw_gru"]

GATES = ("reset", "update")


class Gru(WithRecurrence):
    """A gated recurrent unit: ``h = update * h[t-1] + (1 - update) * candidate``."""

    reset: Literal["before", "after"] = Field(
        default="after",
        description="Whether the reset gate multiplies the state before the recurrent product or that product.",
    )


def draw_gru(options: Gru, node: CellNode) -> Body:
    nodes: dict[str, dict[str, Any]] = {
        gate: {"activation": "logistic", "bias": spread(node.bias, gate)} for gate in GATES
    }
    nodes["candidate"] = {"activation": "tanh", "bias": spread(node.bias, "candidate")}
    nodes["h"] = {"activation": "update * h[t-1] + (1 - update) * candidate", "initial": node.initial}
    edges = [{"from": "h", "to": gate, **spread(options.recurrent, gate)} for gate in GATES]
    if options.reset == "before":
        nodes["kept"] = {"activation": "reset * h[t-1]"}
        edges.append(
            {"from": "kept", "to": "candidate", "delay": 0, **spread(options.recurrent, "candidate")}
        )
    else:
        nodes["recall"] = {"bias": spread(node.bias, "recall")}
        nodes["candidate"]["activation"] = "tanh(net + reset * recall)"
        edges.append({"from": "h", "to": "recall", **spread(options.recurrent, "candidate")})
    ports = {name: [name] for name in (*GATES, "candidate")}
    return Body(nodes, edges, {"net": list(ports), **ports}, ["h"])
