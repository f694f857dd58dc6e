"""Examples by field, and the parts they are divided into.

parts   := Parts(train, validation, test, variance)
dataset := Dataset(fields, steps)      axis 0 of every field counts the examples
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.errors import DataError, Problem
from graphbptt.passes.read_arrays import to_array

__all__ = ["PARTS", "Dataset", "Parts", "as_dataset"]

Array = npt.NDArray[Any]

PARTS = ("train", "validation", "test")
"""What parts are called, in the order of use."""


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Examples to train on or to be measured on.

    Parameters
    ----------
    fields : mapping
        Arrays by field name, (examples, time, units), or (examples, units) for a static one; optionally
        ``lengths``. There may be more than a model reads; one named almost like ``lengths`` is then an error.
    steps : int, optional
        The number of steps; needed only where no field has a time axis.

    Raises
    ------
    DataError
        There are no fields or no examples, a field is no array, or they differ in their number of examples.

    Examples
    --------
    >>> data = Dataset({"x": np.zeros((5, 3, 2))})
    >>> [len(batch) for batch in data.batches(2)]
    [2, 2, 1]
    """

    fields: Mapping[str, Array]
    steps: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "fields", _read_arrays(self.fields))
        if not self.fields:
            raise DataError(Problem("data", "there are no fields", "give arrays by field name"))
        scalars = [name for name, array in self.fields.items() if array.ndim == 0]
        if scalars:
            raise DataError(
                [Problem(f"field {n}", "a single number", "axis 0 counts examples") for n in scalars]
            )
        sizes = {name: len(array) for name, array in self.fields.items()}
        if len(set(sizes.values())) > 1:
            said = ", ".join(f"{name} has {size}" for name, size in sizes.items())
            raise DataError(
                Problem("data", f"fields differ in examples: {said}", "give each one the same number")
            )
        if len(self) == 0:
            raise DataError(Problem("data", "there are no examples", "give at least one"))

    def __len__(self) -> int:
        return len(next(iter(self.fields.values())))

    def take(self, indices: npt.NDArray[np.intp] | slice) -> Dataset:
        """The chosen examples."""
        return Dataset({name: array[indices] for name, array in self.fields.items()}, self.steps)

    def batches(self, size: int, generator: np.random.Generator | None = None) -> Iterator[Dataset]:
        """All examples, `size` at a time: shuffled by the generator, or in order (as views) without one."""
        order = None if generator is None else generator.permutation(len(self))
        for start in range(0, len(self), size):
            chosen = slice(start, start + size)
            yield self.take(chosen if order is None else order[chosen])


def _read_arrays(fields: Any) -> dict[str, Array]:
    if not isinstance(fields, Mapping):
        raise _refuse("data", fields)
    arrays: dict[str, Array] = {}
    problems: list[Problem] = []
    for name, given in fields.items():
        try:
            arrays[name] = to_array(name, given)
        except DataError as error:
            problems += error.problems
    if problems:
        raise DataError(problems)
    return arrays


def as_dataset(argument: str, value: Any) -> Dataset:
    """The examples that an argument gives, as a `Dataset` or as a mapping.

    Raises
    ------
    DataError
        It gives none, or several parts of them.
    """
    if isinstance(value, Dataset):
        return value
    if isinstance(value, Parts):
        named = " or ".join(f"{argument}.{name}" for name, _ in value.items())
        raise DataError(
            Problem(argument, "these are the parts of the data, not one of them", f"give {named}")
        )
    if not isinstance(value, Mapping):
        raise _refuse(argument, value)
    return Dataset(value)


def _refuse(argument: str, value: Any) -> DataError:
    said = f"a {type(value).__name__} holds no fields"
    return DataError(
        Problem(argument, said, "give {field name: array}, a Dataset, or a part of a spec's data")
    )


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """Data divided for training, for choosing, and for the final figures.

    `variance` is the variance of a field over its record, by which the average relative variance divides.
    """

    train: Dataset
    validation: Dataset | None = None
    test: Dataset | None = None
    variance: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, parts: Mapping[str, Dataset], variance: Mapping[str, float] | None = None) -> Parts:
        """The parts by name; one called ``train`` has to be there."""
        return cls(parts["train"], parts.get("validation"), parts.get("test"), variance or {})

    def items(self) -> Iterator[tuple[str, Dataset]]:
        """The parts that exist, by name."""
        for name in PARTS:
            part = getattr(self, name)
            if part is not None:
                yield name, part
