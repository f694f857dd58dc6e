"""The adding problem: two marked numbers of a long sequence and their sum at its end."""

from __future__ import annotations

import numpy as np

from graphbptt.declaration.task_choices import Adding
from graphbptt.errors import DataError, Problem
from graphbptt.training.tasks.task import Array, Generator

__all__ = ["add_marked_numbers"]


def add_marked_numbers(
    settings: Adding, steps: int, examples: int, stored: Generator, fresh: Generator
) -> dict[str, Array]:
    """Numbers between 0 and 1, of which one in each half of the sequence is marked, and the sum of these two.

    The variance of the sum, 1/6, is the mean squared error of a network that always says its mean, 1.

    Returns
    -------
    dict
        ``numbers`` (examples, steps, 2), a number and, as 0 or 1, whether it is marked; ``sum`` (examples, 1).

    Raises
    ------
    DataError
        There are fewer than two steps.

    References
    ----------
    .. [1] S. Hochreiter and J. Schmidhuber, "Long short-term memory", Neural Computation 9(8), 1997, 1735-1780,
       section 5.4; with the numbers and places that are usual since Q. V. Le, N. Jaitly and G. E. Hinton, "A simple
       way to initialize recurrent networks of rectified linear units", 2015, arXiv:1504.00941.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> numbers = add_marked_numbers(Adding(), 100, 1000, rng, rng)["numbers"]
    >>> numbers[:, :50, 1].sum(axis=1).tolist() == numbers[:, 50:, 1].sum(axis=1).tolist() == [1.0] * 1000
    True
    """
    del settings, stored
    if steps < 2:
        raise DataError(Problem("data.steps", f"{steps} step for two numbers", "write at least 2"))
    values, marks = fresh.random((examples, steps)), np.zeros((examples, steps))
    half = steps // 2
    marks[np.arange(examples), fresh.integers(0, half, examples)] = 1
    marks[np.arange(examples), fresh.integers(half, steps, examples)] = 1
    total = (values * marks).sum(axis=1, keepdims=True)
    return {"numbers": np.stack([values, marks], axis=-1), "sum": total}
