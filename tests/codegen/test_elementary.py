"""The elementary functions in C: their largest errors, and what they make of special values."""

from __future__ import annotations

import platform
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from compiled import Loops, load_source
from scipy import special

from graphbptt.codegen.elementary import ELEMENTARY, Cost, Elementary
from graphbptt.codegen.pointwise import elementary_needs
from graphbptt.codegen.precision import FLOAT32, FLOAT64, Precision
from graphbptt.ir import functions
from graphbptt.ir.expression import Function, Load

Array = npt.NDArray[Any]

# The largest errors in units in the last place, as the module states them; the rest are C's own, or exact.
ERRORS = {
    "exp": (1.1, 1.6),
    "expm1": (1.6, 2.7),
    "tanh": (2.5, 3.1),
    "logistic": (2.4, 2.5),
    "log": (2.0, 1.5),
    "softplus": (2.9, 2.7),
    "erf": (1.1, 2.0),
    "sin": (1.0, 1.0),
    "cos": (1.0, 1.0),
    "sqrt": (0.5, 0.5),
} | dict.fromkeys(("relu", "abs", "sign", "step", "threshold", "finite"), (0.0, 0.0))
ELSEWHERE = 0.4
"""What a machine without fused multiplication may add."""
EXACT: dict[str, Callable[[Array], Array]] = {
    "logistic": lambda x: np.where(x < 0, np.exp(-abs(x)), 1) / (1 + np.exp(-abs(x))),
    "softplus": lambda x: np.maximum(x, 0) + np.log1p(np.exp(-abs(x))),
}
"""Where SciPy's and NumPy's values are no better than ours: the same in the numbers of the argument."""

SPECIAL = [
    0.0,
    -0.0,
    np.inf,
    -np.inf,
    np.nan,
    1e-310,
    -1e-310,
    1e-42,
    -1e-42,
    1e-45,
    1e30,
    -1e30,
    88.7,
    -103.9,
    -745.0,
]
FUNCTIONS = {f.name: f for f in vars(functions).values() if isinstance(f, Function) and f.arity == 1}


@cache
def compiled(precision: Precision) -> Loops:
    return Loops([[FUNCTIONS[name](Load(0))] for name in ERRORS], precision)


def run(name: str, precision: Precision, x: Array) -> Array:
    return compiled(precision).run(list(ERRORS).index(name), x[np.newaxis])[0]


def sample(precision: Precision) -> Array:
    """Every kind of number: bit patterns at even distances, and those where the functions bend, more densely."""
    if precision is FLOAT32:
        bits = np.arange(0, 2**32, 4007, dtype=np.uint64).astype(np.uint32)
        return np.concatenate([bits.view(np.float32), np.linspace(-20, 20, 400_001, dtype=np.float32)])
    bits = np.random.default_rng(1).integers(0, 2**64, 200_000, dtype=np.uint64)
    return np.concatenate(
        [bits.view(np.float64), np.linspace(-40, 40, 200_001), np.linspace(-750, 710, 100_003)]
    )


def exact(name: str, x: Array) -> Array:
    """The value in the next wider type, of which C's extended numbers are one."""
    wide = x.astype(np.float64 if x.dtype == np.float32 else np.longdouble)
    if name == "finite":
        return np.nextafter(x, np.zeros_like(x)).astype(wide.dtype)
    if name == "erf" and x.dtype == np.float64:
        return special.erf(x).astype(wide.dtype)
    return EXACT.get(name, FUNCTIONS[name].value)(wide)


@pytest.mark.parametrize("precision", [FLOAT32, FLOAT64], ids=lambda p: p.name)
@pytest.mark.parametrize("name", ERRORS)
def test_error(name: str, precision: Precision) -> None:
    with np.errstate(all="ignore"):
        x = sample(precision)
        value, wanted = run(name, precision, x), exact(name, x)
        rounded = wanted.astype(x.dtype)
        finite = np.isfinite(rounded)
        np.testing.assert_array_equal(value[~finite], rounded[~finite])
        ulp = abs(value[finite] - wanted[finite]) / np.spacing(abs(rounded[finite]))
    bound = ERRORS[name][precision is FLOAT64]
    assert ulp.max() <= bound + ELSEWHERE * (bound > 0.5), x[finite][ulp.argmax()]


FLUSHING = """
#include <xmmintrin.h>
void flush_denormals(int on) { _mm_setcsr(on ? _mm_getcsr() | 0x8040 : _mm_getcsr() & ~0x8040u); }
"""
"""What CuPy has CUDA do with single precision, as a processor of Intel's or AMD's does it: to arguments and results."""


@contextmanager
def flushed() -> Iterator[None]:
    if platform.machine() != "x86_64":
        pytest.skip("how this processor is told to flush denormal numbers is not known")
    flush = load_source(FLUSHING).flush_denormals
    flush(1)
    try:
        yield
    finally:
        flush(0)


@pytest.mark.parametrize("name", ERRORS)
def test_error_where_denormal_numbers_are_flushed(name: str) -> None:
    """Beyond those numbers, which are zero to it, a function keeps what it keeps elsewhere, at every exponent."""
    normal = np.finfo(np.float32).smallest_normal
    around = np.arange(-3, 4) + (np.arange(512) << 23)[:, np.newaxis]
    with np.errstate(all="ignore"):
        x = np.concatenate([sample(FLOAT32), around.astype(np.uint32).view(np.float32).ravel()])
        wanted = exact(name, np.where(abs(x) < normal, np.copysign(np.float32(0), x), x))
        compiled(FLOAT32)
        with flushed():
            assert run("exp", FLOAT32, np.float32([-100])) == 0
            value = run(name, FLOAT32, x)
        rounded = wanted.astype(np.float32)
        finite = np.isfinite(rounded)
        np.testing.assert_array_equal(value[~finite], rounded[~finite])
        error = abs(value[finite] - wanted[finite])
        ulp = error / np.spacing(abs(rounded[finite]))
    smallest = 2 * normal if name == "expm1" else normal
    kept = abs(wanted[finite]) >= smallest
    assert error[~kept].max(initial=0) <= smallest
    bound = ERRORS[name][0]
    assert ulp[kept].max() <= bound + ELSEWHERE * (bound > 0.5), x[finite][kept][ulp[kept].argmax()]


@pytest.mark.parametrize("precision", [FLOAT32, FLOAT64], ids=lambda p: p.name)
@pytest.mark.parametrize("name", ERRORS)
def test_special_values(name: str, precision: Precision) -> None:
    with np.errstate(all="ignore"):
        x = np.array(SPECIAL, precision.name)
        value, wanted = run(name, precision, x), exact(name, x).astype(x.dtype)
    smallest = np.finfo(x.dtype).smallest_subnormal
    np.testing.assert_allclose(value, wanted, rtol=4e-7 if precision is FLOAT32 else 1e-15, atol=smallest)
    # The same whether a number is one of many, in a vector, or the odd one at the end.
    alone = np.array([run(name, precision, x[i : i + 1])[0] for i in range(len(x))])
    np.testing.assert_array_equal(value, alone)


@pytest.mark.parametrize("precision", [FLOAT32, FLOAT64], ids=lambda p: p.name)
@pytest.mark.parametrize("name", ["logistic", "tanh", "erf"])
def test_values_keep_their_bounds(name: str, precision: Precision) -> None:
    low, high = FUNCTIONS[name].bounds
    with np.errstate(invalid="ignore"):
        value = run(name, precision, sample(precision))
    assert np.nanmin(value) == low
    assert np.nanmax(value) == high


@pytest.mark.parametrize("precision", [FLOAT32, FLOAT64], ids=lambda p: p.name)
def test_every_function_is_there(precision: Precision) -> None:
    called = elementary_needs(
        [function(*map(Load, range(function.arity))) for function in functions.FUNCTIONS.values()]
    )
    assert set(called) <= set(ELEMENTARY[precision.name])
    assert set(ERRORS) >= {f.name for f in functions.FUNCTIONS.values() if f.arity == 1} - {"negative"}


CALLED = re.compile(r"\breal_\w+(?=\()")
POLYNOMIAL = re.compile(r"\$(exponential|logarithm|error_near|error_far)\b")
FROM_LIBRARY = re.compile(r"\b(?:sin|cos|pow|erf)(?:\$f)?\(")
ROOT = re.compile(r"\bsqrt\$f\(")
ADDED = re.compile(r" [+-] ")
OTHER = re.compile(r" (?:<<|>>|[<>&|]|[<>=!]=) ")


@pytest.mark.parametrize("function", ELEMENTARY["float32"].values(), ids=lambda function: function.name)
def test_functions_cost_what_stands_in_their_text(function: Elementary) -> None:
    """About: of multiplications and additions the text does not say which are one."""
    assert_cost(function)


def test_the_error_function_of_the_library_costs_a_call() -> None:
    assert_cost(ELEMENTARY["float64"]["real_erf"])


def assert_cost(function: Elementary) -> None:
    text = re.sub(r"/\*.*?\*/|#define.*", "", function.text)
    body, cost = text[text.index("{") :], function.cost
    multiplied, added, others = body.count(" * "), len(ADDED.findall(body)), len(OTHER.findall(body))
    assert max(multiplied, added) + others <= cost.operations <= multiplied + added + others
    assert cost.quotients == body.count("/") + len(ROOT.findall(body))
    assert cost.library == len(FROM_LIBRARY.findall(body))
    assert cost.polynomials == tuple(POLYNOMIAL.findall(body))
    costly = [name for name, item in ELEMENTARY["float32"].items() if item.cost != Cost()]
    called, said = (
        [name for name in names if name in costly] for names in (CALLED.findall(body), function.needs)
    )
    assert sorted(called) == sorted(said)
