"""The simple recurrent network: a state that is a function of the input and of itself one step earlier (Elman 1990)."""

from __future__ import annotations

from pydantic import Field

from graphbptt.declaration.cells.body import ActivationName, Body, CellNode, WithRecurrence, activate

__all__ = ["Rnn", "draw_rnn"]


class Rnn(WithRecurrence):
    """A simple recurrent network: ``h = activation(x @ V + h[t-1] @ W + b)``."""

    activation: ActivationName = Field(default="tanh", description="The name of a function.")


def draw_rnn(options: Rnn, node: CellNode) -> Body:
    state = {"activation": activate(options.activation), "bias": node.bias, "initial": node.initial}
    return Body(
        nodes={"h": state},
        edges=[{"from": "h", "to": "h", **options.recurrent}],
        inputs={"net": ["h"]},
        outputs=["h"],
    )
