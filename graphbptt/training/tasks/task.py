"""What a task is: a function that draws the fields of one part of the data.

    task := (settings, steps, examples, stored, fresh) -> {field: array}      axis 0 of every field counts the examples

It is drawn from two generators: `stored` gives what all parts of the data have in common (the patterns of an
attractor), `fresh` the examples of one part. Where sequences differ in length there is a field ``lengths``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Array", "Generator", "Task"]

Array = npt.NDArray[Any]
Generator = np.random.Generator
Task = Callable[[Any, int, int, Generator, Generator], dict[str, Array]]
