"""Leaky units: the continuous-time recurrent network, ``tau dh/dt = activation(net) - h``, in Euler steps of `dt`.

The share of a state that is new in a step is ``dt / tau``. A learned time constant stays above `dt`, where no step
overshoots: what is learned is `pace`, with ``dt / tau = logistic(pace)``.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from pydantic import Field, model_validator

from graphbptt.declaration.cells.body import Body, CellNode, FunctionName, WithRecurrence, activate
from graphbptt.declaration.values import Real, Values, mistake
from graphbptt.ir.expression import Coefficient, Expression, State
from graphbptt.ir.functions import logistic
from graphbptt.ir.parameters import FrozenArray

__all__ = ["Leaky", "draw_leaky"]


class Leaky(WithRecurrence):
    """Leaky units: ``h = (1 - dt / tau) * h[t-1] + dt / tau * activation(net)``."""

    tau: Values = Field(
        default=FrozenArray(10.0), description="The time constant: a number, or one for each unit."
    )
    dt: Annotated[Real, Field(gt=0)] = Field(
        default=1.0, description="The length of a step, in the unit of tau."
    )
    learned: bool = Field(
        default=False,
        description="Whether the time constants are learned, one for each unit, as `pace`: dt / tau = logistic(pace).",
    )
    activation: FunctionName = Field(default="tanh", description="The name of a function.")

    @model_validator(mode="after")
    def _check_pace(self) -> Leaky:
        shortest = float(self.tau.values.min())
        if shortest < self.dt or (self.learned and shortest == self.dt):
            bound = "above" if self.learned else "at least"
            raise mistake(
                f"a time constant of {shortest:g}, with steps of {self.dt:g}", f"write tau {bound} dt"
            )
        return self


def draw_leaky(options: Leaky, node: CellNode) -> Body:
    shape = options.tau.values.shape
    if shape not in ((), (node.units,)):
        what = f"tau of shape {shape} for {node.units} units"
        raise mistake(what, "write one number, or one for each unit")
    share = options.dt / options.tau.values
    rate: Expression
    coefficients: dict[str, Any]
    if options.learned:
        pace = np.broadcast_to(np.log(share / (1 - share)), node.units)
        rate, coefficients = logistic(Coefficient("pace")), {"pace": {"init": pace}}
    else:
        rate, coefficients = Coefficient("rate"), {"rate": share}
    state = {
        "activation": (1 - rate) * State("h", 1) + rate * activate(options.activation),
        "coefficients": coefficients,
        "bias": node.bias,
        "initial": node.initial,
    }
    return Body({"h": state}, [{"from": "h", "to": "h", **options.recurrent}], {"net": ["h"]}, ["h"])
