"""The noise of states: Gaussian numbers that are a function of where they are used, and of nothing else.

    draw(seed, population, step, example, unit)

A counter-based generator, Philox4x64-10 [1]_, gives four 64-bit words for each counter and key. The key is the first
16 bytes of the SHA-256 of ``seed:population``, little-endian. The counter is ``(1 + example * B + unit // 4, 0, step,
0)``, with B the number of fours that hold all units. The upper 53 bits of a word, plus a half, over 2**53, are a
uniform number u between 0 and 1; the words 0 and 1, and 2 and 3, of a four make two normal numbers each [2]_:
``sqrt(-2 log u0) * (cos, sin)(2 pi u1)``.

So the draws of a step do not depend on how many steps or examples a batch has, nor on the order in which an executor
asks for them, and any executor can make them.

.. [1] J. K. Salmon, M. A. Moraes, R. O. Dror and D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC11, 2011.
.. [2] G. E. P. Box and M. E. Muller, "A note on the generation of random normal deviates", Annals of Mathematical
   Statistics 29(2), 1958, 610-611.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Noise", "draw_noise"]

Array = npt.NDArray[Any]

WORDS = 4
"""The words of one counter."""

NEXT_STEP = 2**128
"""From a counter to that of the next step."""


@dataclass(frozen=True, slots=True)
class Noise:
    """What the noise of a batch is drawn from: a seed, and how many examples come before its first one."""

    seed: int
    example: int = 0

    def key(self, population: str) -> Array:
        """The generator's key for a population: two words."""
        digest = hashlib.sha256(f"{self.seed}:{population}".encode()).digest()
        return np.frombuffer(digest[:16], "<u8").astype(np.uint64)


def draw_noise(
    noise: Noise, population: str, steps: range, size: int, units: int, dtype: npt.DTypeLike = np.float64
) -> Array:
    """Standard normal numbers.

    Parameters
    ----------
    noise : Noise
    population : str
        Whose noise it is; populations have noise that is independent of each other's.
    steps : range
        Consecutive steps, counted from 1, the first of the sequences.
    size, units : int
        The numbers of examples and of units.
    dtype : data-type
        In single precision the numbers are those of double precision up to rounding.

    Returns
    -------
    array, shape (len(steps), size, units)

    Examples
    --------
    >>> whole = draw_noise(Noise(0), "h", range(1, 10), 3, 5)
    >>> part = draw_noise(Noise(0, example=1), "h", range(4, 6), 2, 5)
    >>> np.array_equal(part, whole[3:5, 1:])
    True
    """
    fours = -(-units // WORDS)
    words = np.empty((len(steps), size, fours * WORDS), np.uint64)
    # The generator adds one to its counter before it uses it.
    start = np.array([noise.example * fours, 0, steps.start, 0], np.uint64)
    generator = np.random.Philox(counter=start, key=noise.key(population))
    for row in words:
        row[...] = generator.random_raw(row.size).reshape(row.shape)
        generator.advance(NEXT_STEP - row.size // WORDS)
    uniform = ((words >> np.uint64(11)) + 0.5) * 2.0**-53
    return _pair_normals(uniform.astype(dtype, copy=False))[..., :units]


def _pair_normals(uniform: Array) -> Array:
    """Two normal numbers in place of each two uniform ones."""
    radius = np.sqrt(-2 * np.log(uniform[..., 0::2]))
    angle = 2 * math.pi * uniform[..., 1::2]
    np.multiply(radius, np.cos(angle), out=uniform[..., 0::2])
    np.multiply(radius, np.sin(angle), out=uniform[..., 1::2])
    return uniform
