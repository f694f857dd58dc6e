"""The clockwork network (Koutník, Greff, Gomez and Schmidhuber 2014): modules of units that act at their own periods.

A module computes at the steps that its period divides and keeps its state at the others. It reads the modules of its
own period or a longer one, so that what is slow guides what is fast.

Time enters as a state like any other, hence nothing else has to know of it: `clock` counts, for each unit, the steps
since it acted last, and `due` is 1 at the steps at which it acts. Both are computed without a parameter, so that
nothing can be assigned which would make them tell another time. Small whole numbers are exact in floating point. Steps
count from 1, so a module of period p acts first at step p of a sequence. Where a sequence goes on, in the next batch of
stateful training or the next call of `Model.step`, the clock goes on with the other states.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field, field_validator

from graphbptt.declaration.cells.body import Body, CellNode, FunctionName, WithRecurrence, activate, spread
from graphbptt.declaration.values import Count, mistake
from graphbptt.ir.expression import State

__all__ = ["Clockwork", "draw_clockwork"]


class Clockwork(WithRecurrence):
    """Modules of equally many units, each of which acts at the steps that its period divides."""

    periods: list[Count] = Field(
        default=[1, 2, 4, 8],
        min_length=1,
        description="The period of each module, in steps, from short to long.",
    )
    activation: FunctionName = Field(default="tanh", description="The name of a function.")

    @field_validator("periods")
    @classmethod
    def _check_order(cls, periods: list[int]) -> list[int]:
        if periods != sorted(set(periods)):
            raise mistake("the periods do not rise", "write each once, from short to long")
        return periods


def draw_clockwork(options: Clockwork, node: CellNode) -> Body:
    modules = len(options.periods)
    size, rest = divmod(node.units, modules)
    if rest:
        raise mistake(
            f"{node.units} units cannot be {modules} modules of equal size", f"write a multiple of {modules}"
        )
    due = State("due", 0)
    nodes: dict[str, dict[str, Any]] = {
        "clock": {"activation": "clock[t-1] * (1 - due[t-1]) + 1"},
        "due": {
            "activation": "step(clock - period + 0.5)",
            "coefficients": {"period": np.repeat(options.periods, size)},
        },
        "h": {
            "activation": due * activate(options.activation) + (1 - due) * State("h", 1),
            "bias": node.bias,
            "initial": node.initial,
        },
    }
    edges: list[dict[str, Any]] = []
    for module, period in enumerate(options.periods):
        start, stop = module * size, (module + 1) * size
        edges.append(
            {"from": "h", "to": "h", "key": str(period), "from_units": {"start": start}}
            | {"to_units": {"start": start, "stop": stop}, **spread(options.recurrent, str(period))}
        )
    return Body(nodes, edges, {"net": ["h"]}, ["h"])
