"""Distributions of starting values: one table with their numbers, defaults, the shapes they are for, and their draw.

A weight matrix has the sources of a connection as its rows and the targets as its columns: the fan-in of a unit is the
number of rows, its fan-out that of the columns. Sparse weights, and those read through index maps, bring the mean fans
of the units that they connect.

A parameter of one number is drawn through the distribution's quantile from a hash of its name and the seed, which is
done for millions of them at once where they lie in one array (`Draws`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.special import gammaincinv, ndtri

from graphbptt.ir.parameters import Draws, FrozenArray, Group, hash_name

__all__ = ["DISTRIBUTIONS", "Distribution", "draw_group", "take_signs"]

Array = npt.NDArray[Any]
Shape = tuple[int, ...]
Numbers = Mapping[str, float]
Fans = tuple[float, float]
Draw = Callable[[np.random.Generator, Shape, Numbers, Fans], Array]
Quantile = Callable[[Array, Numbers, Fans], Array]

LARGEST_SPECTRUM = 4096
"""The number of units up to which the eigenvalues of a matrix are computed: they take the cube of it."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """A distribution: the defaults of its numbers, and ``draw(generator, shape, numbers, fans)``.

    ``quantile(uniform, numbers, fans)`` makes parameters of one number each out of uniform ones between 0 and 1.
    The numbers in `spreads` are widths, never negative; those in `ordered` must not descend; those in `counts` are
    whole, at least 1, and stay as they are when the values are scaled. `shapes` says which parameters it can fill. A
    `directed` one tells sources from targets, so that it has no transpose. One that `keeps_sign` is still itself when
    its values are made of one sign.
    """

    defaults: Numbers
    draw: Draw
    quantile: Quantile
    spreads: tuple[str, ...] = ()
    ordered: tuple[str, ...] = ()
    counts: tuple[str, ...] = ()
    shapes: Literal["any", "matrix", "square"] = "any"
    directed: bool = False
    keeps_sign: bool = True

    def reject(self, numbers: Numbers) -> str | None:
        """Why no distribution has these numbers; None if one has."""
        for name in self.spreads:
            if numbers[name] < 0:
                return f"{name} is negative"
        for low, high in itertools.pairwise(self.ordered):
            if numbers[low] > numbers[high]:
                return f"{low} is above {high}"
        for name in self.counts:
            if numbers[name] < 1 or not numbers[name].is_integer():
                return f"{name} is no whole number from 1"
        return None

    def misfit(self, shape: Shape) -> str | None:
        """Why a parameter of this shape cannot start like this; None if it can.

        >>> DISTRIBUTIONS["spectral_radius"].misfit((3, 4))
        'is for square matrices, not for shape (3, 4)'
        """
        if self.shapes != "any" and len(shape) != 2:
            return f"is for matrices, not for shape {shape}"
        if self.shapes != "square":
            return None
        if shape[0] != shape[1]:
            return f"is for square matrices, not for shape {shape}"
        if shape[0] > LARGEST_SPECTRUM:
            return f"would take the eigenvalues of {shape[0]:,} units, more than {LARGEST_SPECTRUM:,}"
        return None

    def scale(self, numbers: Numbers, factor: float) -> dict[str, float]:
        """The numbers of `factor` times a draw.

        >>> DISTRIBUTIONS["uniform"].scale({"low": -1, "high": 3}, -2)
        {'low': -6, 'high': 2}
        """
        factors = dict.fromkeys(self.spreads, abs(factor)) | dict.fromkeys(self.counts, 1)
        scaled = {name: value * factors.get(name, factor) for name, value in numbers.items()}
        return scaled | dict(zip(self.ordered, sorted(scaled[name] for name in self.ordered), strict=True))


def _find_fans(group: Group) -> Fans:
    """Fan-in and fan-out; a diagonal, a bias or a scalar has one of each."""
    if group.fans is not None:
        return group.fans
    return (group.shape[0], group.shape[1]) if len(group.shape) == 2 else (1, 1)


def _glorot(rng: np.random.Generator, shape: Shape, numbers: Numbers, fans: Fans) -> Array:
    """Uniform with variance ``gain**2 * 2 / (fan_in + fan_out)`` (Glorot and Bengio 2010, eq. 16)."""
    limit = numbers["gain"] * math.sqrt(6 / sum(fans))
    return rng.uniform(-limit, limit, shape)


def _glorot_normal(rng: np.random.Generator, shape: Shape, numbers: Numbers, fans: Fans) -> Array:
    """Normal with the variance of `glorot`."""
    return rng.normal(0, numbers["gain"] * math.sqrt(2 / sum(fans)), shape)


def _he(rng: np.random.Generator, shape: Shape, numbers: Numbers, fans: Fans) -> Array:
    """Normal with variance ``gain**2 / fan_in``, for rectified units with ``gain**2 = 2`` (He et al. 2015, eq. 10)."""
    return rng.normal(0, numbers["gain"] / math.sqrt(fans[0]), shape)


def _orthogonal(rng: np.random.Generator, shape: Shape, numbers: Numbers, _fans: Fans) -> Array:
    """`gain` times a matrix with orthonormal rows or columns, whichever are fewer (Saxe et al. 2014).

    The signs of R's diagonal make the QR decomposition of a normal draw unique, and so Q uniform (Mezzadri 2007).
    """
    tall = rng.normal(size=(max(shape), min(shape)))
    q, r = np.linalg.qr(tall)
    q *= np.where(np.diagonal(r) < 0, -1, 1)
    return numbers["gain"] * (q if q.shape == shape else q.T)


def _identity(_rng: np.random.Generator, shape: Shape, numbers: Numbers, _fans: Fans) -> Array:
    """`gain` on the diagonal, zeros elsewhere (Le, Jaitly and Hinton 2015)."""
    return numbers["gain"] * np.eye(shape[0], shape[1])


def _spectral_radius(rng: np.random.Generator, shape: Shape, numbers: Numbers, _fans: Fans) -> Array:
    """A normal draw scaled such that its largest absolute eigenvalue is `radius` (Jaeger 2001)."""
    draw = rng.normal(size=shape)
    return draw * float(numbers["radius"] / np.abs(np.linalg.eigvals(draw)).max())


def _sparse(rng: np.random.Generator, shape: Shape, numbers: Numbers, _fans: Fans) -> Array:
    """Into each target unit `connections` normal weights from random sources, zeros elsewhere (Martens 2010)."""
    values = np.zeros(shape)
    count = min(int(numbers["connections"]), shape[0])
    sources = rng.permuted(np.broadcast_to(np.arange(shape[0])[:, None], shape), axis=0)[:count]
    np.put_along_axis(values, sources, rng.normal(0, numbers["std"], sources.shape), axis=0)
    return values


def _balanced(rng: np.random.Generator, shape: Shape, numbers: Numbers, _fans: Fans) -> Array:
    """Sizes from a gamma distribution (Song, Yang and Wang 2016), which the group's `balance` multiplies such that, for
    every target unit, the expected sums of excitatory and of inhibitory weights cancel and the variances of all
    weights add up to ``gain**2``. In a recurrent network, `gain` is then the radius of the disc in which all but a few
    eigenvalues lie (Rajan and Abbott 2006)."""
    form = numbers["shape"]
    return numbers["gain"] * math.sqrt(form) * rng.gamma(form, 1 / form, shape)


def _sign(uniform: Array) -> Array:
    return np.where(uniform < 0.5, -1.0, 1.0)


DISTRIBUTIONS: dict[str, Distribution] = {
    "constant": Distribution(
        {"value": 0.0},
        lambda _rng, shape, n, _fans: np.full(shape, n["value"]),
        lambda u, n, _fans: np.full(u.shape, n["value"]),
    ),
    "normal": Distribution(
        {"mean": 0.0, "std": 1.0},
        lambda rng, shape, n, _fans: rng.normal(n["mean"], n["std"], shape),
        lambda u, n, _fans: n["mean"] + n["std"] * ndtri(u),
        ("std",),
    ),
    "uniform": Distribution(
        {"low": -1.0, "high": 1.0},
        lambda rng, shape, n, _fans: rng.uniform(n["low"], n["high"], shape),
        lambda u, n, _fans: n["low"] + (n["high"] - n["low"]) * u,
        ordered=("low", "high"),
    ),
    "glorot": Distribution(
        {"gain": 1.0},
        _glorot,
        lambda u, n, fans: n["gain"] * math.sqrt(6 / sum(fans)) * (2 * u - 1),
        ("gain",),
    ),
    "glorot_normal": Distribution(
        {"gain": 1.0},
        _glorot_normal,
        lambda u, n, fans: n["gain"] * math.sqrt(2 / sum(fans)) * ndtri(u),
        ("gain",),
    ),
    "he": Distribution(
        {"gain": math.sqrt(2)},
        _he,
        lambda u, n, fans: n["gain"] / math.sqrt(fans[0]) * ndtri(u),
        ("gain",),
        directed=True,
    ),
    "orthogonal": Distribution(
        {"gain": 1.0},
        _orthogonal,
        lambda u, n, _fans: n["gain"] * _sign(u),
        ("gain",),
        shapes="matrix",
        keeps_sign=False,
    ),
    "identity": Distribution(
        {"gain": 1.0}, _identity, lambda u, n, _fans: np.full(u.shape, n["gain"]), shapes="matrix"
    ),
    "spectral_radius": Distribution(
        {"radius": 1.0},
        _spectral_radius,
        lambda u, n, _fans: n["radius"] * _sign(u),
        ("radius",),
        shapes="square",
        keeps_sign=False,
    ),
    "sparse": Distribution(
        {"connections": 15.0, "std": 1.0},
        _sparse,
        lambda u, n, _fans: n["std"] * ndtri(u),
        ("std",),
        counts=("connections",),
        shapes="matrix",
        directed=True,
    ),
    "balanced": Distribution(
        {"gain": 1.0, "shape": 2.0},
        _balanced,
        lambda u, n, _fans: n["gain"] / math.sqrt(n["shape"]) * gammaincinv(n["shape"], u),
        ("gain",),
        counts=("shape",),
        directed=True,
    ),
}


def take_signs(values: Array, signs: Array) -> Array:
    """The values with these signs, 1 or -1; those with the sign 0 as they are.

    >>> take_signs(np.array([2.0, -3.0, -4.0]), np.array([-1, 1, 0])).tolist()
    [-2.0, 3.0, -4.0]
    """
    return np.where(signs == 0, values, np.abs(values) * signs)


def draw_group(group: Group, seed: int, name: str | None = None) -> Array:
    """The starting value of a group, float64, of its shape.

    The draw depends on the group's name, or another that is given, and the seed alone, not on what else the network
    holds.
    """
    init = group.init
    if isinstance(init, FrozenArray):
        return np.broadcast_to(init.values, group.shape)
    distribution = DISTRIBUTIONS[init.name]
    numbers = {**distribution.defaults, **dict(init.arguments)}
    key = hash_name(name or group.name)
    if isinstance(init, Draws):
        values = distribution.quantile(_draw_uniform(init.keys, seed), numbers, (1, 1))
    elif group.size == 1:
        keys = np.full(group.shape, key, np.uint64)
        values = distribution.quantile(_draw_uniform(keys, seed), numbers, _find_fans(group))
    else:
        rng = np.random.default_rng([seed, key])
        values = distribution.draw(rng, group.shape, numbers, _find_fans(group))
    if group.balance is not None:
        values = values * group.balance.values
    return values if group.signs is None else take_signs(values, group.signs.values)


def _draw_uniform(keys: npt.NDArray[np.uint64], seed: int) -> Array:
    """A number between 0 and 1, without the ends, for each key: its hash with the seed's (splitmix64, Steele et al.
    2014)."""
    mixed = keys ^ np.full(keys.shape, hash_name(f"seed {seed}"), np.uint64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.full(keys.shape, factor, np.uint64)
    mixed ^= mixed >> np.uint64(31)
    return ((mixed >> np.uint64(11)) + 0.5) * 2.0**-53
