"""The named choices of a spec: optimizers, tasks and baselines, with their options and defaults.

    choice := name | {name: {options}}

What each does is in `graphbptt.training`, in one table for each kind.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

__all__ = [
    "Adam",
    "Adamw",
    "Autoregression",
    "BaselineChoice",
    "BinaryAddition",
    "Choice",
    "OptimizerChoice",
    "PatternCompletion",
    "Rmsprop",
    "Section",
    "Sgd",
    "TaskChoice",
]


class Section(BaseModel):
    """A mapping of the spec: unknown keys are errors, and a number is finite, never a string or a bool."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Choice(Section):
    """One of several named things with its options: a bare name, or ``{name: {options}}``."""

    @model_validator(mode="before")
    @classmethod
    def _open_short_form(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {value: {}}
        if isinstance(value, dict):
            if len(value) != 1:
                known = ", ".join(cls.model_fields)
                raise ValueError(f"{len(value)} names where one is chosen; write one of {known}")
            return {name: {} if options is None else options for name, options in value.items()}
        return value

    @property
    def name(self) -> str:
        """The name that was chosen."""
        return next(iter(self.model_fields_set))

    @property
    def options(self) -> Section:
        """Its options."""
        options: Section = getattr(self, self.name)
        return options


Decay = Annotated[float, Field(ge=0, lt=1)]
"""How much of a running mean an update keeps."""


class Sgd(Section):
    """Gradient descent, with heavy-ball or Nesterov momentum."""

    rate: PositiveFloat = 0.01
    momentum: Decay = 0.0
    nesterov: bool = False


class Rmsprop(Section):
    """Descent scaled by a running root mean square of each derivative."""

    rate: PositiveFloat = 0.001
    decay: Decay = 0.9
    epsilon: PositiveFloat = 1e-8


class Adam(Section):
    """Momentum and scaling with bias correction."""

    rate: PositiveFloat = 0.001
    beta1: Decay = 0.9
    beta2: Decay = 0.999
    epsilon: PositiveFloat = 1e-8


class Adamw(Adam):
    """Adam with decoupled weight decay: an update also shrinks the parameters by ``rate * weight_decay``."""

    weight_decay: NonNegativeFloat = 0.01


class OptimizerChoice(Choice):
    """``optimizer:``."""

    sgd: Sgd = Sgd()
    rmsprop: Rmsprop = Rmsprop()
    adam: Adam = Adam()
    adamw: Adamw = Adamw()


class BinaryAddition(Section):
    """Add two binary numbers bit by bit; fields `bits` (two units) and `sum`, which is `delay` steps late."""

    delay: NonNegativeInt = 2


class PatternCompletion(Section):
    """Complete stored random patterns; static fields `cue`, `known` (the mask of the cue) and `pattern`."""

    patterns: PositiveInt = 5
    units: PositiveInt = 40
    known: Annotated[float, Field(gt=0, le=1)] = 0.5


class TaskChoice(Choice):
    """``task:``."""

    binary_addition: BinaryAddition = BinaryAddition()
    pattern_completion: PatternCompletion = PatternCompletion()


class Autoregression(Section):
    """A linear prediction from the last `lags` wanted values, fitted on the training part."""

    lags: PositiveInt


class BaselineChoice(Choice):
    """``baseline:``, a predictor whose figures are printed beside the network's."""

    autoregression: Autoregression | None = None
