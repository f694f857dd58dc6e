"""The tasks that a spec may name for its data, with their options and defaults; `training.tasks` draws them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, NonNegativeInt, PositiveInt

from graphbptt.declaration.choices import Choice, Section

__all__ = ["Adding", "BinaryAddition", "EmbeddedReber", "PatternCompletion", "TaskChoice"]


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
