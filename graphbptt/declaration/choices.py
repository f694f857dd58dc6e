"""The named choices of a spec: optimizers and baselines, with their options and defaults; tasks are in `task_choices`.

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
    PositiveFloat,
    PositiveInt,
    model_validator,
)

__all__ = [
    "Adam",
    "Adamw",
    "Autoregression",
    "BaselineChoice",
    "Choice",
    "OptimizerChoice",
    "Rmsprop",
    "Section",
    "Sgd",
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

    rate: PositiveFloat = Field(0.01, description="The step along the gradient.")
    momentum: Decay = Field(0.0, description="How much of the last update the next one keeps.")
    nesterov: bool = Field(False, description="Whether the momentum looks ahead (Nesterov).")


class Rmsprop(Section):
    """Descent scaled by a running root mean square of each derivative."""

    rate: PositiveFloat = Field(0.001, description="The size of a step.")
    decay: Decay = Field(0.9, description="How much of the running mean square an update keeps.")
    epsilon: PositiveFloat = Field(1e-8, description="What is added to the root mean square.")


class Adam(Section):
    """Momentum and scaling with bias correction."""

    rate: PositiveFloat = Field(0.001, description="The size of a step.")
    beta1: Decay = Field(0.9, description="How much of the running mean an update keeps.")
    beta2: Decay = Field(0.999, description="How much of the running mean square an update keeps.")
    epsilon: PositiveFloat = Field(1e-8, description="What is added to the root mean square.")


class Adamw(Adam):
    """Adam with decoupled weight decay: an update also shrinks the parameters by ``rate * weight_decay``."""

    weight_decay: NonNegativeFloat = Field(
        0.01, description="How fast parameters shrink: by `rate * weight_decay` an update."
    )


class OptimizerChoice(Choice):
    """``optimizer:``."""

    sgd: Sgd = Field(Sgd(), description="Gradient descent, with momentum if wanted.")
    rmsprop: Rmsprop = Field(Rmsprop(), description="Descent scaled by a running root mean square.")
    adam: Adam = Field(Adam(), description="Momentum and scaling, with bias correction.")
    adamw: Adamw = Field(Adamw(), description="The same with decoupled weight decay.")


class Autoregression(Section):
    """A linear prediction from the last `lags` wanted values, fitted on the training part."""

    lags: PositiveInt = Field(description="From how many of the last wanted values it predicts.")


class BaselineChoice(Choice):
    """``baseline:``, a predictor whose figures are printed beside the network's."""

    autoregression: Autoregression | None = Field(
        None, description="A linear prediction from the last wanted values."
    )
