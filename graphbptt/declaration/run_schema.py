"""The `data:` and `training:` sections of a spec: what they may say, and the defaults.

data     := source, [steps], [seed], and what belongs to the source
source   := task: choice, examples, [validation: fresh], [test: fresh]   sequences made by a task
          | csv: path, fields, [split], [variance_over], [baseline]      one sequence, a row a step
          | npz: path, [fields], [split], [baseline]                     arrays, an entry an example
field    := name | {from: name or names, lead, normalise}
split    := {by, mask, train, validation, test: fraction or [first, last]}
training := {optimizer: choice, epochs, batch, clip, patience, truncate: {steps, stride}, stateful}
choice   := name | {name: {options}}                                     see `choices`
"""

from __future__ import annotations

import itertools
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from graphbptt.declaration.choices import Adam, BaselineChoice, OptimizerChoice, Section
from graphbptt.declaration.task_choices import TaskChoice
from graphbptt.declaration.values import Count, Integer, Real

__all__ = [
    "DataDeclaration",
    "FieldDeclaration",
    "Fresh",
    "Range",
    "Split",
    "TrainingDeclaration",
    "Truncation",
]


class Fresh(Section):
    """A part of the data that a task makes anew; what is absent is as in the training part."""

    examples: Count | None = Field(
        None, description="How many sequences; as many as for training if not said."
    )
    steps: Count | None = Field(None, description="Their length; as in training if not said.")


def _names(value: Any) -> Any:
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


def _open_field(value: Any) -> Any:
    return {"from": value} if isinstance(value, str | list) else value


class FieldDeclaration(Section):
    """Where a field's values come from: columns of a csv (a unit each), or an array of an npz.

    `lead` takes the value of so many rows later (earlier where negative); rows that have none are dropped.
    `normalise` makes mean 0 and standard deviation 1 over the training part.
    """

    source: Annotated[tuple[str, ...], BeforeValidator(_names), Field(alias="from", min_length=1)] = Field(
        description="Columns of a csv, a unit each, or an array of an npz."
    )
    lead: int = Field(0, description="Take the value of so many rows later.")
    normalise: bool = Field(
        False, description="Whether to make mean 0 and standard deviation 1 over the training part."
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _part(value: Any) -> Any:
    if _is_number(value) and 0 < value < 1:
        return float(value)
    if isinstance(value, list | tuple) and len(value) == 2 and all(map(_is_number, value)):
        first, last = map(float, value)
        if first <= last:
            return first, last
    raise ValueError(f"{value!r} is no part; write a fraction between 0 and 1, or a range [first, last]")


Range = tuple[float, float]
Part = Annotated[float | Range, BeforeValidator(_part)]


def _range(value: Any) -> Any:
    part = _part(value)
    if isinstance(part, float):
        raise ValueError(f"{value!r} is no range; write [first, last]")
    return part


class Split(Section):
    """How examples, or the steps of a single sequence, are divided.

    Fractions are drawn at random from the examples of an npz, and cut in order from the steps of a csv;
    what is left is the training part. Ranges include both ends; they are of the column or array `by`, or
    count from 1. The parts of a single sequence all start at its first step, so that the states are warm
    where a part begins; the field named by `mask` is 1 on the part's own steps.
    """

    by: str | None = Field(
        None,
        description="The column or array whose values the ranges are of; they count examples from 1 if not said.",
    )
    mask: str | None = Field(
        None, description="The name of a field made to be 1 on a part's own steps of one sequence."
    )
    train: Part | None = Field(None, description="The training part; what is left if not said.")
    validation: Part | None = Field(
        None,
        description="The part by whose loss the best parameters are chosen; without it, the last ones are kept.",
    )
    test: Part | None = Field(None, description="The part for the final figures.")

    @property
    def parts(self) -> dict[str, float | Range]:
        """The parts that were declared, by name, in the order of use."""
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: part for name, part in parts.items() if part is not None}

    @model_validator(mode="after")
    def _check_parts(self) -> Split:
        parts = self.parts
        fractions = {name: part for name, part in parts.items() if isinstance(part, float)}
        ranges = {name: part for name, part in parts.items() if isinstance(part, tuple)}
        if not parts:
            raise ValueError("no part is declared; write train, validation or test")
        if fractions and ranges:
            raise ValueError("fractions and ranges are mixed; write all parts the same way")
        if sum(fractions.values()) > 1 + 1e-9 or ("train" not in fractions and sum(fractions.values()) >= 1):
            raise ValueError(f"the fractions sum to {sum(fractions.values()):g}; leave some for training")
        if self.by is not None and fractions:
            raise ValueError("'by' orders ranges; write the parts as [first, last], or leave 'by' out")
        if ranges and "train" not in ranges:
            raise ValueError("no range for train; write train: [first, last]")
        ordered = sorted((part, name) for name, part in ranges.items())
        for (earlier, name), (later, other) in itertools.pairwise(ordered):
            if later[0] <= earlier[1]:
                raise ValueError(
                    f"{name} and {other} overlap at {later[0]:g}; end one before the other begins"
                )
        return self


SOURCES: dict[str, frozenset[str]] = {
    "task": frozenset({"examples", "validation", "test"}),
    "csv": frozenset({"fields", "split", "variance_over", "baseline"}),
    "npz": frozenset({"fields", "split", "baseline"}),
}
"""The keys that go with each source."""

ANY_SOURCE = frozenset({"steps", "seed"})


class DataDeclaration(Section):
    """``data:``. Exactly one of `task`, `csv` and `npz`; paths are relative to the spec.

    `steps` is the length of a task's sequences, or the number of steps to run where no field has a time axis.
    `variance_over` is the range (of the split's `by`) whose variance the average relative variance divides
    by; all rows where it is absent.
    """

    task: TaskChoice | None = Field(None, description="Sequences made by a task.")
    csv: str | None = Field(
        None, description="A file with one sequence, a row a step; its path starts at the spec."
    )
    npz: str | None = Field(
        None, description="A file of arrays, an entry an example; its path starts at the spec."
    )
    steps: Count | None = Field(
        None, description="The length of a task's sequences, or of the run where no field has a time axis."
    )
    seed: Annotated[Integer, Field(ge=0)] = Field(
        0, description="What a task, or a random split, is drawn from."
    )
    examples: Count | None = Field(None, description="How many training sequences a task makes.")
    validation: Fresh | None = Field(
        None,
        description="The part of a task by whose loss the best parameters are chosen; without it, the last are kept.",
    )
    test: Fresh | None = Field(None, description="A part of a task for the final figures.")
    fields: dict[str, Annotated[FieldDeclaration, BeforeValidator(_open_field)]] = Field(
        default={}, description="Where the values of each field come from."
    )
    split: Split | None = Field(None, description="How examples, or the steps of one sequence, are divided.")
    variance_over: Annotated[Range, BeforeValidator(_range)] | None = Field(
        None,
        description="The range whose variance the average relative variance divides by; all rows if not said.",
    )
    baseline: BaselineChoice | None = Field(
        None, description="A predictor whose figures are printed beside the network's."
    )

    @property
    def source(self) -> str:
        """Which of `SOURCES` was declared."""
        return next(iter(self.model_fields_set & SOURCES.keys()))

    @model_validator(mode="after")
    def _check_source(self) -> DataDeclaration:
        given = sorted(self.model_fields_set & SOURCES.keys())
        if len(given) != 1:
            said = f"{' and '.join(given)} are given" if given else "no source is given"
            raise ValueError(f"{said}; write one of task, csv, npz")
        belongs = {
            key: " or ".join(source for source in SOURCES if key in SOURCES[source])
            for key in sorted(self.model_fields_set - SOURCES.keys() - ANY_SOURCE - SOURCES[given[0]])
        }
        if belongs:
            said = ", ".join(f"{key!r} (of {sources})" for key, sources in belongs.items())
            raise ValueError(f"with {given[0]} there can be no {said}; leave it out")
        self._check_completeness()
        return self

    def _check_completeness(self) -> None:
        if self.task is not None and (self.examples is None or self.steps is None):
            raise ValueError("a task needs 'examples' and 'steps'; write how many sequences and their length")
        if self.csv is not None and not self.fields:
            raise ValueError("a csv needs 'fields'; write fields: {name: column}")
        if self.split is not None and self.csv is not None and self.split.mask is None:
            raise ValueError(
                "a csv is one sequence, whose parts are told apart by a field of zeros and ones;"
                " write split: {mask: name, ...}, and the same name as the mask of the targets"
            )
        if self.split is not None and self.npz is not None and self.split.mask is not None:
            raise ValueError("'split.mask' is for the parts of one sequence; leave it out for a npz")


class Truncation(Section):
    """Truncated backpropagation: an update after every `stride` steps, derivatives back over at most `steps`."""

    steps: Count = Field(description="Over how many steps derivatives pass back at most.")
    stride: Count | None = Field(
        None, description="After how many steps there is an update; after `steps` if not said."
    )

    @model_validator(mode="after")
    def _check_stride(self) -> Truncation:
        if self.stride is not None and self.stride > self.steps:
            raise ValueError(
                f"stride {self.stride} is longer than steps {self.steps}, so that some losses would be left out;"
                f" write a stride of at most {self.steps}"
            )
        return self


class TrainingDeclaration(Section):
    """``training:``.

    `batch` is the number of examples in an update, `clip` the largest norm a gradient may have, and
    `patience` the number of epochs without a better validation loss after which training ends. With `stateful` the
    examples are consecutive pieces of as many long sequences as a batch has places: each goes on from the one at its
    place in the batch before.
    """

    optimizer: OptimizerChoice = Field(
        OptimizerChoice(adam=Adam()), description="How a gradient becomes an update."
    )
    epochs: Count = Field(100, description="The number of passes over the training part.")
    batch: Count = Field(32, description="The number of examples in an update.")
    clip: Annotated[Real, Field(gt=0)] | None = Field(
        None, description="The largest norm a gradient may have; a longer one is shrunk to it."
    )
    patience: Count | None = Field(
        None, description="Training ends after so many epochs without a better validation loss."
    )
    truncate: Truncation | None = Field(
        None, description="Truncated backpropagation: derivatives pass back over a limited number of steps."
    )
    stateful: bool = Field(
        False, description="Whether each example goes on from the one at its place in the batch before."
    )
