"""The tasks that a spec may name for its data, with their options and defaults; `training.tasks` draws them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from graphbptt.declaration.choices import Choice, Section
from graphbptt.declaration.values import Count, Integer, Real, mistake

__all__ = [
    "Adding",
    "BinaryAddition",
    "EmbeddedReber",
    "ParityAround",
    "PatternCompletion",
    "PerceptualDecision",
    "TaskChoice",
    "Wave",
]


class BinaryAddition(Section):
    """Add two binary numbers bit by bit; fields `bits` (two units) and `sum`, which is `delay` steps late."""

    delay: NonNegativeInt = Field(2, description="How many steps late the sum is due.")


class PatternCompletion(Section):
    """Complete stored random patterns; static fields `cue`, `known` (the mask of the cue) and `pattern`."""

    patterns: PositiveInt = Field(5, description="How many patterns are stored.")
    units: PositiveInt = Field(40, description="The length of a pattern.")
    known: Annotated[float, Field(gt=0, le=1)] = Field(
        0.5, description="The share of a pattern that its cue shows."
    )


class EmbeddedReber(Section):
    """Say which symbols may follow; fields `symbols` and `legal` (seven units each), and `lengths`."""


class Adding(Section):
    """Add the two marked ones of many numbers; fields `numbers` (the number, its mark) and `sum`, which is static."""


class Wave(Section):
    """Generate a sum of sine waves, the same in every example; field `wave`."""

    components: Count = Field(5, description="How many sine waves are added.")
    shortest: Annotated[Real, Field(ge=2)] = Field(8.0, description="The shortest period, in steps.")
    longest: Annotated[Real, Field(ge=2)] = Field(128.0, description="The longest period, in steps.")

    @model_validator(mode="after")
    def _check_periods(self) -> Wave:
        if self.shortest > self.longest:
            said = f"a shortest period of {self.shortest:g} and a longest one of {self.longest:g}"
            raise mistake(said, "write shortest <= longest")
        return self


class ParityAround(Section):
    """Compare a bit of the past with one of the future; fields `bits`, `parity` and `inside`, the target's mask."""

    past: Count = Field(3, description="How many steps ago the one bit was.")
    future: Count = Field(3, description="In how many steps the other bit comes.")


class PerceptualDecision(Section):
    """Tell the stronger of two noisy streams; fields `evidence` (two units) and `choice` (a label)."""

    coherences: list[Annotated[Real, Field(gt=0, le=1)]] = Field(
        default=[0.05, 0.1, 0.2, 0.4, 0.8],
        min_length=1,
        description="By how much the streams differ on the mean: one of these in each example.",
    )
    noise: Annotated[Real, Field(ge=0)] = Field(
        0.5, description="The standard deviation of a stream in one step."
    )
    pause: Annotated[Integer, Field(ge=0)] = Field(
        0, description="For how many steps at the end there is no evidence."
    )


class TaskChoice(Choice):
    """``task:``."""

    binary_addition: BinaryAddition = Field(
        BinaryAddition(), description="Add two binary numbers bit by bit."
    )
    pattern_completion: PatternCompletion = Field(
        PatternCompletion(), description="Complete stored random patterns."
    )
    embedded_reber: EmbeddedReber = Field(
        EmbeddedReber(), description="Say which symbols may follow in strings of the embedded Reber grammar."
    )
    adding: Adding = Field(Adding(), description="Add the two marked ones of many numbers.")
    wave: Wave = Field(Wave(), description="Generate a sum of sine waves.")
    parity_around: ParityAround = Field(
        ParityAround(), description="Compare a bit of the past with one of the future."
    )
    perceptual_decision: PerceptualDecision = Field(
        PerceptualDecision(), description="Tell the stronger of two noisy streams of evidence."
    )
