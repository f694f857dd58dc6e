"""The elementary functions in C: no branches and no calls, so that a compiler vectorises the loops that use them.

Every function keeps NaN, knows infinities, signed zeros and denormal numbers, and needs nothing of ``-ffast-math``; to
be vectorised it wants ``-fno-math-errno -fno-trapping-math``. CuPy has CUDA flush denormal numbers of single precision
to zero, whatever it is asked for (``-ftz=true``): there functions take them for zero, and expm1 its results below twice
the smallest normal number. The largest errors seen for all others, in units in the last place:

    function     float32, every number    float64, half a million numbers
    exp          1.1                      1.5
    expm1        1.6                      2.7
    tanh         2.5                      3.1
    logistic     2.4                      2.4
    log          2.0                      1.4
    softplus     2.9                      2.6
    erf          1.1                      that of C's library

Powers, sine and cosine are those of C's library, which are not vectorised.

The methods are the usual ones (Muller, Elementary Functions, 3rd ed., 2016, chapter 11): exponentials by reducing the
argument to ``x = k log 2 + r`` and scaling a polynomial of r by 2^k, logarithms by a polynomial of
``(m - 1) / (m + 1)`` for the mantissa m, tanh and logistic by an exponential that cannot overflow and one division.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from string import Template

from graphbptt.codegen.coefficients import COEFFICIENTS
from graphbptt.codegen.dialect import Dialect
from graphbptt.codegen.precision import Precision

__all__ = ["ELEMENTARY", "Cost", "Elementary", "prelude"]


@dataclass(frozen=True, slots=True)
class Cost:
    """What a function does itself, without what it calls.

    Attributes
    ----------
    operations : int
        Multiplications, each with an addition to it, other additions, comparisons, operations on bits.
    quotients : int
        Quotients and roots.
    library : int
        Calls of C's library.
    polynomials : tuple of str
        Those that it evaluates, by their names in `codegen.coefficients`.
    """

    operations: int = 0
    quotients: int = 0
    library: int = 0
    polynomials: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Elementary:
    """One C function of the prelude: its text, a template over the precision's constants, what it costs, and what it
    calls, as often as it does where that costs anything."""

    name: str
    text: str
    cost: Cost
    needs: tuple[str, ...] = ()


_FUNCTIONS = (
    Elementary("real_bits", """
/* The bits of a number, and the number of some bits. */
$inline bits real_bits(real x) { bits u; memcpy(&u, &x, sizeof u); return u; }
$inline real real_of_bits(bits u) { real x; memcpy(&x, &u, sizeof x); return x; }
#define INFINITE real_of_bits($infinity_bits)
#define UNDEFINED real_of_bits($nan_bits)
""", Cost()),
    Elementary("real_clamp", """
/* x between low and high; NaN stays NaN. */
$inline real real_clamp(real x, real low, real high) { return x < low ? low : x > high ? high : x; }
""", Cost(2)),
    Elementary("real_exponent", """
/* 2^k, from k + SHIFTER: a number so large that its last bits hold the integer k. */
#define SHIFTER $shifter
$inline real real_exponent(real shifted) { return real_of_bits((real_bits(shifted) << $mantissa) + $one_bits); }
""", Cost(2), ("real_bits",)),
    Elementary("real_reduced", """
/* exp(r) - 1 for what remains of x = k log(2) + r. */
$inline real real_reduced(real x, real k) {
    const real r = (x - k * $ln2_high) - k * $ln2_low;
    return r + r * r * $exponential;
}
""", Cost(4, polynomials=("exponential",))),
    Elementary("real_exp", """
/* The factor 2^k is applied in two halves: one alone would overflow, or be denormal, before the result is. */
$inline real real_exp(real x) {
    const real bounded = real_clamp(x, $exp_low, $exp_high);
    const real k = (bounded * $log2e + SHIFTER) - SHIFTER;
    const real half = k * $half + SHIFTER;
    const real rest = (k - (half - SHIFTER)) + SHIFTER;
    const real y = $one + real_reduced(bounded, k);
    return y * real_exponent(half) * real_exponent(rest);
}
""", Cost(9), ("real_clamp", "real_exponent", "real_exponent", "real_reduced")),
    Elementary("real_expm1", """
/* 2^k (p + 1) - 1, at half its size, so that the largest results do not overflow on the way. */
$inline real real_expm1(real x) {
    const real bounded = real_clamp(x, $expm1_low, $exp_high);
    const real shifted = bounded * $log2e + SHIFTER;
    const real k = shifted - SHIFTER;
    const real scale = real_exponent(shifted - $one);
    const real y = scale * real_reduced(bounded, k) + (scale - $half);
    return y + y;
}
""", Cost(6), ("real_clamp", "real_exponent", "real_reduced")),
    Elementary("real_tanh", """
$inline real real_tanh(real x) {
    const real size = fabs$f(x);
    const real e = real_expm1(-(size + size));
    return copysign$f(e / ($two + e), x);
}
""", Cost(2, quotients=1), ("real_expm1",)),
    Elementary("real_logistic", """
$inline real real_logistic(real x) {
    const real e = real_exp(-fabs$f(x));
    return (x < $zero ? e : $one) / ($one + e);
}
""", Cost(2, quotients=1), ("real_exp",)),
    Elementary("real_log_ratio", """
/* log(1 + f) = log((1 + s) / (1 - s)) with s = f / (2 + f), for f between -0.3 and 1. */
$inline real real_log_ratio(real f) {
    const real q = (f + f) / ($two + f);
    const real z = $quarter * q * q;
    return q + q * z * $logarithm;
}
""", Cost(6, quotients=1, polynomials=("logarithm",))),
    Elementary("real_log", """
/* x = 2^k (1 + f), with 1 + f between sqrt(1/2) and sqrt(2). */
$inline real real_log(real x) {
    const int denormal = x < $smallest_normal;
    const bits u = real_bits(denormal ? x * $two_to_mantissa : x) + ($one_bits - $sqrt_half_bits);
    const real k = real_of_bits((u >> $mantissa) | real_bits($two_to_mantissa))
                 - (denormal ? $bias_of_denormal : $bias_of_normal);
    const real f = real_of_bits((u & $mantissa_bits) + $sqrt_half_bits) - $one;
    const real y = k * $ln2_high + (k * $ln2_low + real_log_ratio(f));
    return x > $zero ? (x < INFINITE ? y : x) : (x == $zero ? -INFINITE : UNDEFINED);
}
""", Cost(14), ("real_bits", "real_log_ratio")),
    Elementary("real_softplus", """
$inline real real_softplus(real x) {
    return (x < $zero ? $zero : x) + real_log_ratio(real_exp(-fabs$f(x)));
}
""", Cost(2), ("real_exp", "real_log_ratio")),
    Elementary("real_sqrt", "\n$inline real real_sqrt(real x) { return sqrt$f(x); }\n", Cost(quotients=1)),
    Elementary("real_sin", "\n$inline real real_sin(real x) { return sin$f(x); }\n", Cost(library=1)),
    Elementary("real_cos", "\n$inline real real_cos(real x) { return cos$f(x); }\n", Cost(library=1)),
    Elementary("real_power", "\n$inline real real_power(real x, real y) { return pow$f(x, y); }\n", Cost(library=1)),
    Elementary("real_abs", "\n$inline real real_abs(real x) { return fabs$f(x); }\n", Cost()),
    # Comparisons are written such that NaN fails them and is handed on.
    Elementary("real_relu", "\n$inline real real_relu(real x) { return x < $zero ? $zero : x; }\n", Cost(1)),
    Elementary("real_maximum", """
$inline real real_maximum(real x, real y) { return x > y || x != x ? x : y; }
""", Cost(2)),
    Elementary("real_minimum", """
$inline real real_minimum(real x, real y) { return x < y || x != x ? x : y; }
""", Cost(2)),
    Elementary("real_sign", """
$inline real real_sign(real x) { return x > $zero ? $one : x < $zero ? -$one : x; }
""", Cost(2)),
    Elementary("real_step", """
$inline real real_step(real x) { return x > $zero ? $one : x <= $zero ? $zero : x; }
""", Cost(2)),
    Elementary("real_finite", """
/* The next number towards 0. */
$inline real real_finite(real x) { return x == $zero || x != x ? x : real_of_bits(real_bits(x) - 1); }
""", Cost(3), ("real_bits",)),
)  # fmt: skip

_ERF = {
    "float32": Elementary("real_erf", """
/* Near 0 a polynomial, elsewhere 1 - exp(another). */
$inline real real_erf(real x) {
    const real size = fabs$f(x);
    const real near = x + x * $error_near;
    const real bounded = size > 4.0f ? 4.0f : size;
    const real far = $one - real_exp($error_far);
    return size < 0.95f ? near : copysign$f(far, x);
}
""", Cost(5, polynomials=("error_near", "error_far")), ("real_exp",)),
    "float64": Elementary("real_erf", "\n$inline real real_erf(real x) { return erf(x); }\n", Cost(library=1)),
}  # fmt: skip

ELEMENTARY: dict[str, dict[str, Elementary]] = {
    precision: {entry.name: entry for entry in (*_FUNCTIONS, erf)} for precision, erf in _ERF.items()
}
"""By precision and name, each after what it needs."""


def prelude(names: Iterable[str], precision: Precision, dialect: Dialect) -> str:
    """The headers, the types ``real`` and ``bits``, and the functions called `names` with all that they need."""
    table = ELEMENTARY[precision.name]
    wanted = {"real_bits"}
    pending = list(names)
    while pending:
        name = pending.pop()
        if name not in wanted:
            wanted.add(name)
            pending.extend(table[name].needs)
    constants = _constants(precision) | {"inline": dialect.inline}
    headers = "".join(f"#include <{header}>\n" for header in dialect.headers)
    types = f"typedef {precision.real} real;\ntypedef {precision.bits} bits;\n"
    texts = (Template(entry.text).substitute(constants) for entry in table.values() if entry.name in wanted)
    return headers + "\n" + types + "".join(texts)


def _constants(precision: Precision) -> dict[str, str]:
    """The constants of a precision, as text."""
    literal, mantissa, bias = precision.literal, precision.mantissa, precision.bias
    long = "ull" if precision.suffix == "" else "u"
    high, low, exp_low, exp_high, sqrt_half = {
        # log(2) in two parts, the first short enough for its product with an exponent to be exact;
        # where exp is surely 0, or infinite; the bits of sqrt(1/2).
        "float32": (6.9314575195e-01, 1.4286067653e-06, -104.0, 89.0, 0x3F3504F3),
        "float64": (
            6.93147180369123816490e-01,
            1.90821492927058770002e-10,
            -746.0,
            710.0,
            0x3FE6A09E667F3BCD,
        ),
    }[precision.name]
    polynomials = {"exponential": "r", "logarithm": "z", "error_near": "(x * x)", "error_far": "bounded"}
    return {
        "f": precision.suffix,
        "mantissa": str(mantissa),
        "zero": literal(0), "one": literal(1), "two": literal(2), "half": literal(0.5), "quarter": literal(0.25),
        "log2e": literal(1.4426950408889634), "ln2_high": literal(high), "ln2_low": literal(low),
        "exp_low": literal(exp_low), "exp_high": literal(exp_high), "expm1_low": literal(-40),
        "shifter": literal(1.5 * 2.0**mantissa), "two_to_mantissa": literal(2.0**mantissa),
        "smallest_normal": literal(2.0 ** (1 - bias)),
        "bias_of_normal": literal(2.0**mantissa + bias), "bias_of_denormal": literal(2.0**mantissa + bias + mantissa),
        "one_bits": f"{bias << mantissa:#x}{long}", "infinity_bits": f"{(2 * bias + 1) << mantissa:#x}{long}",
        "nan_bits": f"{((4 * bias + 3) << mantissa) >> 1:#x}{long}",
        "mantissa_bits": f"{(1 << mantissa) - 1:#x}{long}", "sqrt_half_bits": f"{sqrt_half:#x}{long}",
    } | {
        name: _horner(coefficients, polynomials[name], precision)
        for name, coefficients in COEFFICIENTS[precision.name].items()
    }  # fmt: skip


def _horner(coefficients: tuple[float, ...], variable: str, precision: Precision) -> str:
    """A polynomial as nested products and sums.

    >>> from graphbptt.codegen.precision import FLOAT32
    >>> _horner((1, 2, 3), "x", FLOAT32)
    '(1.0f + x * (2.0f + x * 3.0f))'
    """
    text = precision.literal(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        text = f"({precision.literal(coefficient)} + {variable} * {text})"
    return text
