"""Parameters of a network: constants, starting values, weight-sharing groups and their copies.

constant := FrozenArray(values)
init     := Initializer(name, arguments) | constant
          | Draws(initializer, keys)         every number drawn by itself, as from a group of that name
group    := Group(name, shape, init, trainable, combine, fans, signs, balance, penalty)
use      := Use(group, scale, transpose, index)   one copy of a group: scale * P, scale * P.T, or
                                                  scale * what an index map reads from P
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from graphbptt.ir.indices import IndexMap
from graphbptt.ir.penalties import Penalty

__all__ = ["Combine", "Draws", "FrozenArray", "Group", "Init", "Initializer", "Use", "hash_name"]

Combine = Literal["sum", "mean"]


class FrozenArray:
    """A read-only array that compares and hashes by content, so that frozen types may hold it.

    >>> FrozenArray([1, 2]) == FrozenArray([1.0, 2.0])
    True
    """

    __slots__ = ("_hash", "values")

    values: npt.NDArray[np.float64]

    def __init__(self, values: npt.ArrayLike) -> None:
        array = np.array(values, dtype=np.float64)
        array.setflags(write=False)
        self.values = array
        self._hash = hash((array.shape, array.tobytes()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FrozenArray) and np.array_equal(self.values, other.values)

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return f"FrozenArray({np.array2string(self.values, threshold=8, separator=', ')})"


@dataclass(frozen=True, slots=True)
class Initializer:
    """A distribution of starting values: its name and its numbers, e.g. ``("normal", (("std", 0.1),))``."""

    name: str
    arguments: tuple[tuple[str, float], ...] = ()

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{key}={value:g}' for key, value in self.arguments)})"


def hash_name(name: str) -> int:
    """What a name counts as where numbers are drawn from it: 64 bits of its SHA-256."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """Starting values that are drawn one by one, each as a parameter of one number would be that has its name.

    `keys` are the names, by `hash_name`, an array of uint64 of the parameter's shape.
    """

    initializer: Initializer
    keys: npt.NDArray[np.uint64]
    _hash: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        keys = np.array(self.keys, np.uint64)
        keys.setflags(write=False)
        object.__setattr__(self, "keys", keys)
        object.__setattr__(self, "_hash", hash((self.initializer, keys.shape, keys.tobytes())))

    @property
    def name(self) -> str:
        """The name of the distribution."""
        return self.initializer.name

    @property
    def arguments(self) -> tuple[tuple[str, float], ...]:
        """Its numbers."""
        return self.initializer.arguments

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Draws)
            and self._hash == other._hash
            and self.initializer == other.initializer
            and np.array_equal(self.keys, other.keys)
        )

    def __hash__(self) -> int:
        return self._hash

    def __str__(self) -> str:
        return f"{self.initializer}, each by its name"


Init: TypeAlias = Initializer | FrozenArray | Draws


@dataclass(frozen=True, slots=True)
class Group:
    """A weight-sharing group: one parameter array and how the derivatives of its copies combine.

    `shape` is ``(from, to)`` for dense weights, ``(units,)`` for one_to_one weights, biases and vectors of
    coefficients, ``(entries,)`` for sparse weights, ``()`` for scalars, ``(units,)`` or ``(history, units)`` for
    initial states; any other where all its copies are read through index maps. `fans` are the mean fan-in and fan-out
    of the units that it connects, where the shape does not tell them. `signs` are 1 where a number may not be negative,
    -1 where it may not be positive, else 0, of the group's shape or one for all; None where all are free. `balance`,
    broadcastable to the shape, is what a `balanced` draw is multiplied by. Only a trainable group has a `penalty`.
    """

    name: str
    shape: tuple[int, ...]
    init: Init
    trainable: bool = True
    combine: Combine = "sum"
    fans: tuple[float, float] | None = None
    signs: FrozenArray | None = None
    balance: FrozenArray | None = None
    penalty: Penalty | None = None

    @property
    def size(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class Use:
    """One copy of a group's parameter P: ``scale * P``, transposed if so declared (two-dimensional groups only).

    With an `index` it is ``scale * index.read(P)``, of the index's shape, and never transposed.
    """

    group: str
    scale: float = 1.0
    transpose: bool = False
    index: IndexMap | None = None

    def copy_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of the copy of a parameter of this shape."""
        if self.index is not None:
            return self.index.shape
        return shape[::-1] if self.transpose else shape

    def __str__(self) -> str:
        scale = "" if self.scale == 1 else f"{self.scale:g}*"
        index = f"[{self.index}]" if self.index is not None else ""
        return f"{scale}{self.group}{'.T' if self.transpose else ''}{index}"
